"""A panel: controls on the left, the picture on the right, below it the sentence and the actions."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from privlab import experiments, explain
from privlab.panel import cells, controls, style
from privlab.panel.controls import text
from privlab.panel.figure import Canvas
from privlab.panel.names import Names
from privlab.panel.runner import Runner
from privlab.tables import to_csv

if TYPE_CHECKING:
    from privlab.ledger import Ledger
    from privlab.policy import Gate

OPENS = {"Promise", "Table", "Code", "Export", "Dossier"}  # buttons that open something below them
REST = 0.6  # seconds that a hand must rest on a slider before its look at private data is paid for


class Panel(w.VBox):
    """An experiment under a person's hands.

    Made by `privlab.explore`. Re-running a cell closes the panels that it made before.
    """

    def __init__(self, experiment: str, ledger: Ledger | None = None, gate: Gate | None = None, **values: Any) -> None:
        self._module, self._settings = experiments.read(experiment, values)
        self._ledger, self._module = ledger, experiments.opened(self._module, ledger, gate, REST)
        self._opened, self._unused = self._settings, getattr(self._module, "unused", ())
        self._name = self._module.__name__.rpartition(".")[2]
        self._result: Any = None
        self._pinned: Any = None
        self._error: Exception | None = None
        self._open, self._behind, self._held = "", False, None
        run = self._module.run(self._settings)
        with ThreadPoolExecutor(1) as beside:  # the first models train while the widgets are made
            first = beside.submit(_first, run)
            self._canvas = Canvas(self._module.Picture)
            super().__init__([w.HTML(style.SHEET), self._body(), Names()])
            self.add_class("privlab-panel")
            self._runner = Runner(self._module.run, self._prepare, self._show, self._fail)
        try:
            begun = _resumed(first.result(), run)
        except Exception:
            self.close()
            raise
        self._share()
        self._runner.start(self._settings, begun)
        self._runner.step()
        if self._error is not None:
            self.close()
            raise self._error
        cells.opened(self)

    def _body(self) -> w.Widget:
        self._plain, self._advanced = controls.make(type(self._settings), self._on_move)
        for one in (*self._plain, *self._advanced):
            if one.name in self._unused:
                one.widget.layout.display = "none"
        self._problem, self._picture, self._note, self._details = w.HTML(), w.HTML(), w.HTML(), w.HTML()
        self._mode = w.HTML(_mode(explain.TEACHING) if self._ledger is None else "")
        self._code = w.Text(
            description="settings",
            tooltip="Share this text: pasted here, or in privlab.explore, it brings back these settings.",
            continuous_update=False,
            layout=w.Layout(width="100%"),
            style={"description_width": "60px"},
        )
        self._code.observe(self._on_code, "value")
        more = w.Accordion([w.VBox([one.widget for one in self._advanced])], titles=("More settings",))
        left = w.VBox([*[one.widget for one in self._plain], self._problem, self._mode, more, self._code])
        left.add_class("privlab-controls")
        actions: dict[str, tuple[str, Callable[[], None]]] = {
            "Stop": ("Stop here; what is drawn stays", self._stop),
            "Pin": ("Keep this to compare with", self._pin),
            "Promise": ("What ε covers here, and what it assumes", lambda: self._toggle("Promise", self._promise)),
            "Table": ("The numbers behind the picture", lambda: self._toggle("Table", self._table)),
            "Code": ("A script for this very result", lambda: self._toggle("Code", self._script)),
            "Export": ("Save the table or the picture", lambda: self._toggle("Export", self._links)),
            "Dossier": ("A record to keep or hand on", lambda: self._toggle("Dossier", self._dossier)),
            "Reset": ("Back to where this panel began", self._reset),
        }
        for name, needed in (("Pin", "compare"), ("Dossier", "evidence")):
            if not hasattr(self._module, needed):
                del actions[name]
        self._buttons = {name: self._button(name, *what) for name, what in actions.items()}
        row = w.HBox(
            list(self._buttons.values()),
            layout=w.Layout(flex_flow="row wrap", align_items="center"),
        )
        right = w.VBox([self._picture, self._note, row, self._details])
        right.add_class("privlab-right")
        return w.HBox([left, right], layout=w.Layout(flex_flow="row wrap"))

    def _button(self, name: str, tooltip: str, action: Callable[[], None]) -> w.Button:
        def pressed(_: Any) -> None:
            try:  # ipywidgets would swallow what a button raises
                action()
            except Exception as error:  # noqa: BLE001
                self._fail(error)

        opens = ("privlab-opens",) if name in OPENS else ()
        button = w.Button(description=name, tooltip=tooltip, layout=w.Layout(width="auto"), _dom_classes=opens)
        button.on_click(pressed)
        return button

    @property
    def settings(self) -> Any:
        """What the controls show."""
        return self._settings

    @property
    def result(self) -> Any:
        """What the picture shows."""
        return self._result

    @property
    def sentence(self) -> str:
        """The finding in words, for the result."""
        return "" if self._result is None else str(self._result.sentence)

    def set(self, **values: Any) -> None:
        """Move to other settings; they are computed once, and shown as soon as there is a first result.

        Raises
        ------
        ValueError, TypeError
            For an unknown setting or a value out of its range; nothing changes then.
        """
        self._move(values, by_hand=False)

    def wait(self) -> Panel:
        """Compute here and now until the result is final, and return the panel.

        Raises
        ------
        Exception
            What the experiment raised, if it failed.
        """
        self._runner.finish()
        if self._error is not None:
            raise self._error
        return self

    def close(self) -> None:
        """Stop and take every widget of the panel away."""
        if self.comm is not None:  # None once closed, or if the settings were refused
            self._runner.stop()
            close_all(self)

    def _move(self, values: dict[str, Any], by_hand: bool) -> None:
        with self._runner.lock:  # so that two threads' moves neither cross nor overwrite each other
            self._move_to(type(self._settings).make(self._settings, **values), by_hand)

    def _move_to(self, settings: Any, by_hand: bool = False) -> None:
        with self._runner.lock:
            self._settings = settings
            self._error = None
            self._problem.value = ""
            self._behind = by_hand and self._ledger is None  # a picture that must be paid for is not soon there
            if not self._behind:
                self._sync()
            self._runner.start(settings)

    def _on_move(self, control: Any, value: Any) -> None:
        self._held = control
        self._attempt(lambda: self._move({control.name: value}, by_hand=True))

    def _on_code(self, change: Any) -> None:
        if change["new"] != self._settings.code():
            code = change["new"].partition("?")[2] or change["new"]
            self._attempt(lambda: self._move_to(type(self._settings).from_code(code)))
            self._share()

    def _attempt(self, move: Callable[[], None]) -> None:
        """Move, or say beside the controls why not; the picture stays."""
        try:
            move()
        except (ValueError, TypeError) as error:
            self._sync()
            self._say(text(error))

    def _share(self) -> None:
        self._code.value = self._settings.code()

    def _say(self, problem: str) -> None:
        self._problem.value = f"<div class='privlab-problem' role='alert'>{problem}</div>"

    def _sync(self, but: Any = None) -> None:
        self._behind = False
        for one in (*self._plain, *self._advanced):
            if (one is not but or one.waits) and one.name not in self._unused:
                one.show(self._settings)

    def _prepare(self, settings: Any) -> Generator[None, None, None]:
        if hasattr(self._module, "prepare"):
            yield from self._module.prepare(settings)
            self._sync(but=self._held)

    def _show(self, result: Any, final: bool) -> None:
        if self._result is None:
            self._sync()
        elif result.settings is not self._result.settings:
            for one in self._plain:
                if one.waits:  # for labels that the accountant had to compute first
                    one.show(self._settings)
        else:
            self._share()  # not with the first picture, which is in a hurry
        self._result = result
        extra = {} if self._pinned is None else {"pinned": self._pinned}
        png = self._canvas.sharp() if final else self._canvas.draw(result, **extra)
        width, height = self._canvas.size
        words = text(result.sentence)
        self._picture.value = (
            f"<img class='privlab-picture' width='{width}' height='{height}' decoding='sync' alt='{words}' "
            f"data-settings='{text(json.dumps(result.settings.as_dict()))}' data-models='{result.count}' "
            f"src='data:image/png;base64,{_base64(png)}'><p class='privlab-sentence'>{words}</p>"
            f"<progress class='privlab-progress' aria-label='computed so far' value='{result.progress:.3g}'></progress>"
        )
        if self._behind:  # what else a hand has moved follows the picture, which was in a hurry
            self._sync(but=self._held)  # which may be further already, and must not be set back
        if self._ledger is not None:
            self._mode.value = f"<b>{_mode(result.bill)}</b>"
        if result.progress == 1:
            self._refresh()

    def _refresh(self) -> None:
        """Bring what hangs on the result up to date: the comparison, and whatever is opened below."""
        compared = "" if self._pinned is None else self._module.compare(self._pinned, self._result)
        self._note.value = f"<p class='privlab-note'>{text(compared)}</p>" if compared else ""
        if self._open:
            self._details.value = self._opened_by()

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._sync()
        if getattr(error, "refuses", False):  # no fault, but what budgets and policies are for
            self._say(text(error))
            return
        logging.getLogger("privlab").error("the experiment failed", exc_info=error)
        self._say(f"{text(type(error).__name__)}: {text(error)}")

    def _stop(self) -> None:
        self._runner.stop()
        self._sync()
        self._share()

    def _pin(self) -> None:
        with self._runner.lock:  # so that no picture is half made with the one and half without
            self._pinned = None if self._pinned is not None else self._result
            self._buttons["Pin"].description = "Pin" if self._pinned is None else "Unpin"
            if self._result is not None and not self._runner.busy:
                self._show(self._result, False)
                self._show(self._result, True)

    def _reset(self) -> None:
        self._move_to(self._opened)

    def _toggle(self, name: str, make: Callable[[], str]) -> None:
        if self._open:
            self._buttons[self._open].remove_class("privlab-opened")
        self._open = "" if self._open == name else name
        if self._open:
            self._buttons[name].add_class("privlab-opened")
        self._opened_by = make
        self._details.value = make() if self._open else ""

    def _table(self) -> str:
        table = self._result.summary().to_html(index=False, escape=True, border=0, float_format="{:.4g}".format)
        return _details("Table", table)

    def _promise(self) -> str:
        points = "".join(f"<li>{text(point)}</li>" for point in self._result.assumptions)
        return _details("Promise", f"<ul>{points}</ul>")

    def _script(self) -> str:
        program = experiments.script(self._name, self._result.settings, self._ledger)
        return _details("Code", f"<pre>{text(program)}</pre>")

    def _links(self) -> str:
        files = {
            "csv": ("text/csv", to_csv(self._result.frame())),
            "png": ("image/png", self._canvas.export("png")),
            "svg": ("image/svg+xml", self._canvas.export("svg")),
        }
        return self._saved_as(files)

    def _dossier(self) -> str:
        from privlab import dossiers

        record = dossiers.make(self._result)
        return self._saved_as(
            {"html": ("text/html", record.html().encode()), "md": ("text/markdown", record.markdown().encode())},
            f"<br>Result hash: {text(record.hash)}",
        )

    def _saved_as(self, files: dict[str, tuple[str, bytes]], more: str = "") -> str:
        links = [
            f"<a download='privlab-{self._name}.{kind}' href='data:{mime};base64,{_base64(raw)}'>{kind.upper()}</a>"
            for kind, (mime, raw) in files.items()
        ]
        return _details("Files", f"Save as {' · '.join(links)}{more}")


def _mode(words: object) -> str:
    return f"<div class='privlab-mode'>{text(words)}</div>"


def _details(name: str, body: str) -> str:
    """What a button opens: a place of its own, which arrow keys can scroll."""
    return f"<div class='privlab-details' role='group' aria-label='{name}' tabindex='0'>{body}</div>"


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _first(run: Generator[Any, None, None]) -> Any:
    return next(result for result in run if result is not None)


def _resumed(first: Any, run: Generator[Any, None, None]) -> Generator[Any, None, None]:
    yield first
    yield from run


def close_all(widget: w.Widget, seen: set[int] | None = None) -> None:
    """Close a widget with its children, layouts and styles, which ipywidgets leaves open."""
    seen = set() if seen is None else seen
    if id(widget) in seen:
        return
    seen.add(id(widget))
    parts = [*getattr(widget, "children", ()), getattr(widget, "layout", None), getattr(widget, "style", None)]
    for part in parts:
        if isinstance(part, w.Widget):
            close_all(part, seen)
    w.Widget.close(widget)
