"""A form for a table of one's own: read it, say what is public about it, set a budget, and open it in private mode.

Nothing of the rows is shown. What a person types is public by their own word; a draft from the rows is a leak, made
only when it is asked for, and each line of it has to be confirmed.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from privlab import declaring, intake
from privlab.columns import Column
from privlab.ledger import Ledger
from privlab.panel import cells, style
from privlab.panel.controls import text
from privlab.panel.panel import Panel, close_all
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.datasets import Dataset

UPLOAD = 9_000_000  # bytes: JupyterLab's server cuts a connection off that sends 10 MB at once
COLUMNS = 100  # that fit a form; more are declared in code
EACH = "each row is a person"
OUT, NUMBER, CATEGORIES = "leave out", "number", "categories"
EXAMPLES = {OUT: "", NUMBER: "least to most, such as 0 to 120", CATEGORIES: "every one of them, such as yes, no"}
FORM_STYLE = """<style>
.privlab-bring h3 { font-size: 16px; margin: 10px 0 2px; }
.privlab-hint { font-size: 14px; line-height: 1.4; max-width: 860px; color: var(--privlab-quiet); }
.privlab-row .widget-label { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.privlab-column { font-size: 14px; overflow-wrap: anywhere; line-height: 1.25; }
</style>"""


class Row:
    """What is declared of one column."""

    def __init__(self, name: str) -> None:
        self.name, self.drafted, self._quiet = name, False, False
        label = w.HTML(f"<div class='privlab-column'>{text(name)}</div>", layout=w.Layout(width="240px"))
        self.kind = w.Dropdown(
            options=[OUT, NUMBER, CATEGORIES], description=f"{name}: what it is", tooltip="what it is",
            layout=w.Layout(width="120px"),
        )  # fmt: skip
        self.public = w.Text(
            disabled=True, description=f"{name}: what is public", tooltip="public bounds or categories",
            layout=w.Layout(flex="1 1 300px"),
        )  # fmt: skip
        self.missing = w.Text(
            disabled=True, description=f"{name}: if missing", placeholder="if missing",
            tooltip="what stands in for a missing entry; empty: none may miss", layout=w.Layout(width="100px"),
        )  # fmt: skip
        self.confirmed = w.Checkbox(
            description="public: I know it without the file",
            indent=False,
            layout=w.Layout(width="auto", display="none"),
        )
        self.problem = w.HTML()
        self.widget = w.VBox(
            [
                w.HBox([label, self.kind, self.public, self.missing], layout=w.Layout(align_items="center")),
                w.HBox([self.confirmed, self.problem]),
            ]
        )
        self.widget.add_class("privlab-row")
        self.kind.observe(self._on_kind, "value")
        self.public.observe(self._on_typed, "value")

    def _on_kind(self, change: Any) -> None:
        self.public.disabled = self.missing.disabled = change["new"] == OUT
        self.public.placeholder = EXAMPLES[change["new"]]

    def _on_typed(self, _: Any) -> None:
        if not self._quiet:
            self._mark(False)

    def _mark(self, drafted: bool) -> None:
        self.drafted, self.confirmed.value = drafted, False
        self.confirmed.layout.display = None if drafted else "none"

    def draft(self, table: pd.DataFrame) -> None:
        """Fill in what the rows hold, unless somebody has typed something."""
        if self.kind.value == OUT or (self.public.value.strip() and not self.drafted):
            return
        read = declaring.draft(table, self.name, self.kind.value)
        self._quiet = True
        try:
            self.public.value = read
        finally:
            self._quiet = False
        self._mark(True)
        say(self.problem, "Read from the rows: a leak until you confirm it.")

    def column(self) -> Column | None:
        """What was declared; None if the column is left out."""
        if self.kind.value == OUT:
            return None
        if self.drafted and not self.confirmed.value:
            raise ValueError("Read from the rows: a leak until you confirm it, or type what is public.")
        return declaring.column(self.name, self.public.value, self.kind.value, self.missing.value)


class Bring(w.VBox):
    """The form. Made by `privlab.bring`.

    Attributes
    ----------
    dataset : Dataset or None
        What was registered last.
    ledger : Ledger or None
        Whose budget pays for it.
    panel : Panel or None
        Where it is looked at.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, ledger: Ledger | None = None) -> None:
        self.dataset: Dataset | None = None
        self.panel: Panel | None = None
        self.ledger, self._given = ledger, ledger is not None
        self._table: pd.DataFrame | None = None
        self._asked: tuple[Any, ...] = ()
        self._rows: list[Row] = []
        self._from = ""
        super().__init__([w.HTML(style.SHEET + FORM_STYLE), *self._source(), *self._people(), *self._budget()])
        self.add_class("privlab-bring")
        if path is not None:
            self._path.value = str(path)
            self._try(self._read_path, self._source_problem)
        cells.opened(self)

    def _source(self) -> list[w.Widget]:
        self._upload = w.FileUpload(
            accept=".csv,.gz,.tsv,.txt,.parquet", description="Upload", tooltip="a file from your own machine"
        )
        self._upload.observe(self._on_upload, "value")
        self._path = w.Text(
            description="or its path", placeholder="on this machine, such as survey.csv", tooltip="path of a file",
            continuous_update=False, layout=w.Layout(width="420px"),
        )  # fmt: skip
        read = self._button("Read", "read the file of that path", self._read_path, lambda: self._source_problem)
        self._source_problem, self._told, self._list = w.HTML(), w.HTML(), w.VBox()
        self._draft = self._button(
            "Draft from the rows (leaks)", "fill in what the rows hold, for columns you have given a type",
            self._draft_rows, lambda: self._problem,
        )  # fmt: skip
        self._draft.disabled = True
        return [
            _heading("1 · The table"),
            _hint(
                f"CSV (plain or gzip) or Parquet. An upload may have {UPLOAD // 10**6} MB; a larger one never arrives: "
                "give its path."
            ),
            w.HBox([self._upload, self._path, read]),
            self._source_problem,
            _heading("2 · What is public about it"),
            self._told,
            self._list,
            w.HBox([self._draft]),
        ]

    def _people(self) -> list[w.Widget]:
        style, wide = {"description_width": "150px"}, w.Layout(width="400px")
        self._target = w.Dropdown(options=[], description="predict", style=style, layout=wide)
        self._person = w.Dropdown(options=[EACH], description="whose row it is", style=style, layout=wide)
        self._n = w.Text(
            description="number of people n", placeholder="known without the file", style=style,
            tooltip="the public number of people", layout=wide,
        )  # fmt: skip
        self._most = w.Text(
            value="1", description="most rows of one", style=style, tooltip="a public bound", layout=wide
        )
        return [_heading("3 · Who is protected"), w.HBox([self._target, self._person]), w.HBox([self._n, self._most])]

    def _budget(self) -> list[w.Widget]:
        style, narrow = {"description_width": "150px"}, w.Layout(width="260px")
        self._epsilon = w.Text(value="3", description="budget ε", style=style, layout=narrow)
        self._delta = w.Text(description="budget δ", placeholder="automatic", style=style, layout=narrow)
        self._first = w.Text(value="1", description="first look at ε", style=style, layout=narrow)
        self._file = w.Text(
            value="own-data.ledger", description="ledger's file", style=style, layout=w.Layout(width="400px")
        )
        self._problem, self._below = w.HTML(), w.VBox()
        done = self._button(
            "Register, and pay for a first look", "from here on every look is charged", self._register,
            lambda: self._problem,
        )  # fmt: skip
        done.button_style = "primary"
        asked = w.HBox([self._epsilon, self._delta, self._file])
        told: list[w.Widget] = []
        if self.ledger is not None:
            asked.layout.display = "none"
            pays = f"The ledger {self.ledger.path} pays: ε = {self.ledger.epsilon:g}, δ = {self.ledger.delta:g}."
            told = [_hint(pays)]
        return [_heading("4 · The budget"), *told, asked, w.HBox([self._first, done]), self._problem, self._below]

    def _button(self, name: str, hint: str, action: Callable[[], None], problem: Callable[[], w.HTML]) -> w.Button:
        button = w.Button(description=name, tooltip=hint, layout=w.Layout(width="auto"))
        button.on_click(lambda _: self._try(action, problem()))
        return button

    def _try(self, action: Callable[[], None], problem: w.HTML) -> None:
        """Do something, or say in its place why not; what was there before stays."""
        try:
            problem.value = ""
            action()
        except (ValueError, TypeError, ModuleNotFoundError) as error:
            say(problem, str(error))
        except Exception as error:  # noqa: BLE001 - a button would swallow it
            if not getattr(error, "refuses", False):
                logging.getLogger("privlab").error("the form failed: %s", type(error).__name__)
            say(problem, str(error) if getattr(error, "refuses", False) else f"Failed: {type(error).__name__}.")

    def _on_upload(self, change: Any) -> None:
        if not change["new"]:
            return
        (file,) = change["new"][:1]
        self._upload.value = ()  # a saved notebook would hold its bytes
        self._try(lambda: self._read_upload(file), self._source_problem)

    def _read_upload(self, file: Any) -> None:
        if len(file["content"]) > UPLOAD:
            raise ValueError(
                f"An upload must have at most {UPLOAD:,} bytes. Got {len(file['content']):,}. Give the file's path."
            )
        self._take(intake.read(bytes(file["content"])), str(file["name"]))

    def _read_path(self) -> None:
        if not self._path.value.strip():
            raise ValueError("'path' must name a file. Got none.")
        path = Path(self._path.value.strip()).expanduser()
        self._take(intake.read(path), path.name, str(path))

    def _take(self, table: pd.DataFrame, name: str, path: str = "") -> None:
        if len(table.columns) > COLUMNS:
            raise ValueError(
                f"A form takes at most {COLUMNS} columns. Got {len(table.columns):,}. Use privlab.declare."
            )
        rows = [Row(column) for column in table.columns]
        for old in self._list.children:
            close_all(old)
        self._table, self._rows, self._from = table, rows, path or name
        self._list.children = [row.widget for row in rows]
        names = list(table.columns)
        self._target.options, self._person.options = names, [EACH, *names]
        self._target.value, self._person.value, self._draft.disabled = names[-1], EACH, False
        self._told.value = (
            f"<div class='privlab-hint'><b>{text(name)}</b>, {len(names)} columns. Say what each is, and what is "
            "public of it: what you would know without the file. Nothing of the rows is shown. Numbers beyond their "
            "bounds are cut; a category that you forget is an error.</div>"
        )

    def _draft_rows(self) -> None:
        assert self._table is not None
        for row in self._rows:
            self._try(lambda row=row: row.draft(self._table), row.problem)  # type: ignore[misc]

    def _register(self) -> None:
        if self._table is None:
            raise ValueError("Read a table first.")
        columns, wrong = {}, 0
        for row in self._rows:
            row.problem.value = ""
            try:
                if (one := row.column()) is not None:
                    columns[row.name] = one
            except (ValueError, TypeError) as error:
                say(row.problem, str(error))
                wrong += 1
        if wrong:
            raise ValueError(f"{wrong} of the columns above must be put right first.")
        n, most = _whole("number of people n", self._n.value), _whole("most rows of one", self._most.value)
        first = _float("first look at ε", self._first.value)
        person = None if self._person.value == EACH else self._person.value
        asked = (id(self._table), tuple(columns.values()), self._target.value, person, n, most, first)
        if asked == self._asked:  # a second press would pay a second time
            raise ValueError(f"Nothing has changed since '{self.dataset and self.dataset.name}' was registered.")
        try:
            made = declaring.declare(
                self._table, target=self._target.value, columns=columns, n=n, person=person, max_rows_per_person=most
            )
        except (ValueError, TypeError) as error:
            for row in self._rows:
                if str(error).startswith(f"'{row.name}' must"):
                    say(row.problem, str(error))
            raise
        ledger = self._ledger(n)
        panel = Panel("own_data", ledger, dataset=made, epsilon=first)
        self.panel, self.dataset, self.ledger, self._asked = panel, made, ledger, asked
        told = _hint(f"Registered as '{made.name}', for other panels too. The ledger is {ledger.path}.")
        code = declaring.script(made.card, self._from)
        details = f"<details class='privlab-hint'><summary>The same in code</summary><pre>{text(code)}</pre></details>"
        before, self._below.children = self._below.children, [told, w.HTML(details), panel]
        for old in before:
            old.close() if isinstance(old, Panel) else close_all(old)

    def _ledger(self, n: int) -> Ledger:
        if self._given:
            assert self.ledger is not None
            return self.ledger
        delta = _float("budget δ", self._delta.value) if self._delta.value.strip() else _usual_delta(n)
        return Ledger(Path(self._file.value.strip()), epsilon=_float("budget ε", self._epsilon.value), delta=delta)

    def close(self) -> None:
        """Take the form away, and its panel."""
        if self.comm is not None:
            if self.panel is not None:
                self.panel.close()
            close_all(self)


def say(where: w.HTML, problem: str) -> None:
    """Tell what is wrong, in its place."""
    where.value = f"<div class='privlab-problem' role='alert'>{text(problem)}</div>"


def _heading(words: str) -> w.HTML:
    return w.HTML(f"<h3>{text(words)}</h3>")


def _hint(words: str) -> w.HTML:
    return w.HTML(f"<div class='privlab-hint'>{text(words)}</div>")


def _whole(name: str, word: str) -> int:
    if not word.strip().isdecimal() or int(word) < 1:
        raise ValueError(f"'{name}' must be a whole number of at least 1. Got {word.strip()[:20] or 'nothing'}.")
    return int(word)


def _float(name: str, word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"'{name}' must be a number. Got {word.strip()[:20] or 'nothing'}.") from None


def _usual_delta(n: int) -> float:
    """A power of ten, at most a tenth of 1/n."""
    return float(10.0 ** -(math.ceil(math.log10(n)) + 1))
