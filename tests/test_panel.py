"""The panel without a browser: its widgets live in Python alone, and nothing draws them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import html.parser
import io
import json
import re
import sys
import threading
import time
import urllib.parse
import xml.etree.ElementTree
from collections.abc import Callable, Generator, Iterator
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
import psutil
import pytest
from ipywidgets.widgets.widget import _instances
from matplotlib._pylab_helpers import Gcf
from PIL import Image

import privlab
from privlab import accounting, cores, datasets
from privlab.experiments import tradeoff
from privlab.panel import Panel, cells
from privlab.panel.runner import BREATH, Runner

SMALL: dict[str, Any] = {"dataset": "breast_cancer", "seeds": 2}
EVIL = "<img src=x onerror=alert(1)>'\"&amp;"


@pytest.fixture
def explore() -> Iterator[Callable[..., Panel]]:
    """Opens small panels, and closes them after the test."""
    panels: list[Panel] = []

    def opened(experiment: str = "tradeoff", **values: Any) -> Panel:
        panels.append(privlab.explore(experiment, **(SMALL | values if "?" not in experiment else values)))
        return panels[-1]

    yield opened
    for panel in panels:
        panel.close()


def within(widget: Any) -> Iterator[Any]:
    """The widget and all that it shows, from top to bottom."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from within(child)


def one(panel: Panel, kind: type[Any], **traits: Any) -> Any:
    (found,) = [
        widget
        for widget in within(panel)
        if isinstance(widget, kind) and all(getattr(widget, name) == value for name, value in traits.items())
    ]
    return found


def sliders(panel: Panel) -> list[Any]:
    return [widget for widget in within(panel) if isinstance(widget, ipywidgets.SelectionSlider)]


def press(panel: Panel, button: str) -> None:
    one(panel, ipywidgets.Button, description=button).click()


def type_code(panel: Panel, code: str) -> None:
    one(panel, ipywidgets.Text).value = code


class Page(html.parser.HTMLParser):
    """What a browser makes of a panel's HTML: its tags, and its text."""

    def __init__(self, panel: Panel) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        for widget in within(panel):
            if isinstance(widget, ipywidgets.HTML):
                self.feed(widget.value)
                self.text += "\n"
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.tags if attributes.get("class") == name]


def picture(panel: Panel) -> dict[str, Any]:
    """The attributes of the picture, with its settings read and its source decoded."""
    (attributes,) = Page(panel).of_class("privlab-picture")
    source = attributes["src"] or ""
    return attributes | {
        "data-settings": json.loads(attributes["data-settings"] or ""),
        "src": base64.b64decode(source.removeprefix("data:image/png;base64,"), validate=True),
    }


def shown(panel: Panel) -> Any:
    """The settings that the picture was made for, as JSON gives them back."""
    return type(panel.settings).make(**picture(panel)["data-settings"])


def first_picture(panel: Panel) -> None:
    """Steps as the notebook's loop takes them, until there is a picture for what the controls show."""
    while panel.result.settings != panel.settings:
        assert panel._runner.step()


def problem(panel: Panel) -> str:
    found = re.search(r"<div class='privlab-problem' role='alert'>(.*?)</div>", "".join(every_html(panel)))
    return html.unescape(found[1]) if found else ""


def every_html(panel: Panel) -> list[str]:
    return [widget.value for widget in within(panel) if isinstance(widget, ipywidgets.HTML)]


def test_first_picture_is_there_at_once(explore: Callable[..., Panel]) -> None:
    panel = explore()
    assert isinstance(panel, Panel)
    assert panel.settings == tradeoff.Settings.make(**SMALL)
    assert panel.result.settings == panel.settings
    assert panel.sentence == panel.result.sentence
    assert panel.sentence in Page(panel).text
    drawn = picture(panel)
    assert shown(panel) == panel.settings
    assert drawn["alt"] == panel.sentence
    assert int(drawn["data-models"]) == panel.result.frame().shape[0] >= 32
    image = Image.open(io.BytesIO(drawn["src"]))
    assert (image.format, image.size) == ("PNG", (int(drawn["width"]), int(drawn["height"])))
    assert len(np.unique(np.asarray(image.convert("L")))) > 50


def test_wait_gives_the_result_that_run_gives(explore: Callable[..., Panel]) -> None:
    panel = explore()
    assert panel.wait() is panel
    assert panel.result.progress == 1
    assert "<progress class='privlab-progress' aria-label='computed so far' value='1'>" in "".join(every_html(panel))
    pd.testing.assert_frame_equal(panel.result.frame(), privlab.run("tradeoff", **SMALL).frame())


def test_the_settled_picture_is_sharp(explore: Callable[..., Panel]) -> None:
    panel = explore().wait()
    drawn = picture(panel)
    assert Image.open(io.BytesIO(drawn["src"])).width == 2 * int(drawn["width"])


def test_set_computes_once(explore: Callable[..., Panel], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    real = tradeoff.run

    def counted(settings: Any) -> Iterator[Any]:
        asked.append(settings)
        return real(settings)

    monkeypatch.setattr(tradeoff, "run", counted)
    panel = explore().wait()
    panel.set(epsilon=0.5, clip_norm=2)
    panel.wait()
    sliders(panel)[1].index += 3
    panel.wait()
    assert asked == [
        tradeoff.Settings.make(**SMALL),
        tradeoff.Settings.make(**SMALL, epsilon=0.5, clip_norm=2),
        tradeoff.Settings.make(**SMALL, epsilon=0.5, clip_norm=sliders(panel)[1].value),
    ]


@pytest.mark.parametrize(
    ("bad", "kind", "words"),
    [
        ({"epsilon": -1}, ValueError, r"'epsilon' must be a number in \[0\.01, 100\]\. Got -1\."),
        ({"epsilon": float("nan")}, ValueError, r"'epsilon' must be a number in \[0\.01, 100\]\. Got nan\."),
        ({"clip_norm": "x"}, TypeError, r"'clip_norm' must be a number in \[0\.01, 100\]\. Got str\."),
        ({"sampling_rate": 0}, ValueError, r"'sampling_rate' must be a number in \[1e-06, 1\]\. Got 0\."),
        ({"delta": 0.01}, ValueError, r"'delta' must be in \(0, 1/n\).*Got 0\.01\."),
        ({"dataset": "none"}, ValueError, r"'dataset' must be among adult, .*Got 'none'\."),
        ({"colour": 1}, TypeError, r"Settings must be among epsilon, .*Got 'colour'\."),
    ],
)
def test_bad_value_raises_and_leaves_all_as_it_was(
    explore: Callable[..., Panel], bad: dict[str, Any], kind: type[Exception], words: str
) -> None:
    panel = explore().wait()
    before = (panel.settings, panel.result, panel.sentence, picture(panel)["src"])
    with pytest.raises(kind, match=words):
        panel.set(**bad)
    assert before == (panel.settings, panel.result, panel.sentence, picture(panel)["src"])
    with pytest.raises(kind, match=words):
        explore(**bad)


def test_bad_code_is_told_beside_the_controls(explore: Callable[..., Panel]) -> None:
    panel = explore().wait()
    before = (panel.settings, panel.result, picture(panel)["src"], one(panel, ipywidgets.Text).value)
    type_code(panel, "epsilon=<b>7</b>")
    assert problem(panel) == "'epsilon' must be a number. Got '<b>7</b>'."
    assert before == (panel.settings, panel.result, picture(panel)["src"], one(panel, ipywidgets.Text).value)
    type_code(panel, "epsilon=0.2&dataset=breast_cancer&seeds=2")
    panel.wait()
    assert problem(panel) == ""
    assert shown(panel) == panel.settings == tradeoff.Settings.make(**SMALL, epsilon=0.2)


def test_bad_choice_is_told_and_taken_back(explore: Callable[..., Panel]) -> None:
    panel = explore().wait()
    before = picture(panel)["src"]
    box = next(w for w in within(panel) if isinstance(w, ipywidgets.Checkbox) and w.value)
    box.value = False
    assert problem(panel) == f"'models' must be among {', '.join(tradeoff.models.names())}. Got none."
    assert box.value
    assert picture(panel)["src"] == before


def test_first_two_sliders_have_100_positions(explore: Callable[..., Panel]) -> None:
    panel = explore()
    epsilon, clip, noise = sliders(panel)[:3]
    assert len(epsilon.options) >= 100
    assert len(clip.options) >= 100
    assert (epsilon.value, clip.value) == (1, 1)
    epsilon.index, clip.index = 0, len(clip.options) - 1
    assert (panel.settings.epsilon, panel.settings.clip_norm) == (0.05, 10)
    panel.wait()
    assert noise.index == len(noise.options) - 1


def test_epsilon_and_noise_move_each_other(explore: Callable[..., Panel]) -> None:
    panel = explore()
    epsilon, _, noise = sliders(panel)[:3]
    for move in (lambda: setattr(epsilon, "index", 20), lambda: setattr(noise, "index", 20)):
        move()
        panel.wait()
        assert epsilon.value == noise.value == panel.settings.epsilon
        sigma = accounting.noise_multiplier(epsilon=panel.settings.epsilon, **panel.settings.mechanism)
        assert float(noise.label) == pytest.approx(sigma, rel=6e-3)
    labels = [float(label) for label, _ in noise.options]
    assert labels == sorted(labels)
    panel.set(noise_multiplier=2.0)
    assert panel.settings.epsilon == accounting.epsilon(noise_multiplier=2.0, **panel.settings.mechanism)
    assert (epsilon.value, noise.value, noise.label) == (panel.settings.epsilon, panel.settings.epsilon, "2")
    panel.wait()
    assert shown(panel) == panel.settings


def test_a_move_by_hand_draws_first_and_moves_the_other_slider_then(explore: Callable[..., Panel]) -> None:
    panel = explore()
    epsilon, _, noise = sliders(panel)[:3]
    order: list[str] = []
    panel._picture.observe(lambda _: order.append("picture"), "value")
    epsilon.observe(lambda _: order.append("epsilon"), "value")
    noise.index = 20
    panel.wait()
    assert order[:2] == ["picture", "epsilon"]


def test_a_slider_that_is_further_already_is_not_set_back(explore: Callable[..., Panel]) -> None:
    """Its next position may arrive on another thread while the picture of the one before is shown."""
    panel = explore()
    clip = panel._plain[1]
    clip.slider.index = 20
    clip._quiet = True  # has arrived; its handler waits for the lock
    clip.slider.index = 31
    clip._quiet = False
    panel.wait()
    assert clip.slider.index == 31
    clip._on_move({"new": clip.slider.value})
    panel.wait()
    assert (clip.slider.index, panel.settings.clip_norm) == (31, clip.places[31])


def test_a_stopped_move_still_moves_the_other_slider(explore: Callable[..., Panel]) -> None:
    panel = explore()
    epsilon, _, noise = sliders(panel)[:3]
    noise.index = 20
    press(panel, "Stop")
    assert epsilon.value == noise.value == panel.settings.epsilon != shown(panel).epsilon


def test_reset_goes_back_to_where_the_panel_began(explore: Callable[..., Panel]) -> None:
    panel = explore(epsilon=0.3)
    panel.set(epsilon=5, clip_norm=3)
    panel.wait()
    press(panel, "Reset")
    panel.wait()
    assert panel.settings == tradeoff.Settings.make(**SMALL, epsilon=0.3) == shown(panel)
    assert sliders(panel)[0].value == 0.3


def test_pin_compares(explore: Callable[..., Panel]) -> None:
    panel = explore(seeds=4).wait()
    bare = picture(panel)["src"]
    press(panel, "Pin")
    assert picture(panel)["src"] != bare
    panel.set(epsilon=0.05)
    panel.wait()
    (note,) = [text for text in every_html(panel) if "class='privlab-note'" in text]
    assert "Now against pinned (epsilon 1): the two can be told apart (-" in note
    press(panel, "Unpin")
    assert not [text for text in every_html(panel) if "class='privlab-note'" in text]


def test_table_holds_the_summary(explore: Callable[..., Panel]) -> None:
    panel = explore().wait()
    press(panel, "Table")
    (markup,) = [text for text in every_html(panel) if "<table" in text]
    root = xml.etree.ElementTree.fromstring(markup[markup.index("<table") : markup.index("</table>") + 8])
    header, *rows = [[cell.text for cell in row] for row in root.iter("tr")]
    table = panel.result.summary()
    assert header == list(table.columns)
    assert len(rows) == len(table) == len(panel.result.x) == 17
    assert [float(row[header.index("mean")] or "") for row in rows] == pytest.approx(table["mean"].tolist(), rel=1e-3)
    press(panel, "Table")
    assert not [text for text in every_html(panel) if "<table" in text]


def test_code_shown_gives_the_same_scores(explore: Callable[..., Panel]) -> None:
    panel = explore(epsilon=0.7, seed=3).wait()
    press(panel, "Code")
    (markup,) = [text for text in every_html(panel) if "<pre>" in text]
    (code,) = re.findall(r"<pre>(.*)</pre>", markup, re.DOTALL)
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(html.unescape(code), names)
    pd.testing.assert_frame_equal(names["result"].frame(), panel.result.frame())
    assert printed.getvalue().startswith(panel.sentence)


def test_export_files_open(explore: Callable[..., Panel]) -> None:
    panel = explore().wait()
    press(panel, "Export")
    links = {tag["download"]: tag["href"] or "" for name, tag in Page(panel).tags if name == "a"}
    files = {name: base64.b64decode(urllib.parse.unquote(link).partition("base64,")[2]) for name, link in links.items()}
    assert list(files) == ["privlab-tradeoff.csv", "privlab-tradeoff.png", "privlab-tradeoff.svg"]
    csv, png, svg = files.values()
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(csv)), panel.result.frame())
    image = Image.open(io.BytesIO(png))
    image.load()
    assert image.format == "PNG"
    assert image.size == tuple(2 * int(picture(panel)[side]) for side in ("width", "height"))
    assert xml.etree.ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    settled = picture(panel)["src"]
    panel.set(epsilon=0.9)
    panel.wait()
    panel.set(epsilon=1)
    panel.wait()
    assert picture(panel)["src"] == settled


def test_settings_code_brings_back_the_panel(explore: Callable[..., Panel]) -> None:
    panel = explore(epsilon=0.25, clip_norm=2.5, sampling_rate=0.1, steps=40, view="clip_norm", unit="row")
    code = one(panel, ipywidgets.Text).value
    assert code == panel.settings.code()
    assert explore(f"tradeoff?{code}").settings == panel.settings
    for typed in (code, f" tradeoff?{code} "):
        other = explore()
        type_code(other, typed)
        assert other.settings == panel.settings
        assert one(other, ipywidgets.Text).value == code


def test_text_from_data_is_never_markup(explore: Callable[..., Panel], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_own", {})
    rng = np.random.default_rng(0)
    column, target = f"{EVIL}column", f"{EVIL}target"
    frame = pd.DataFrame({column: rng.normal(size=300), EVIL: rng.choice([f"{EVIL}a", f"{EVIL}b"], 300)})
    frame[target] = np.where(frame[column] > 0, f"{EVIL}yes", f"{EVIL}no")
    with pytest.warns(privlab.PrivacyLeakWarning):
        privlab.from_frame(frame, target=target, name=EVIL)
    panel = explore(dataset=EVIL)
    press(panel, "Table")
    panel.set(epsilon=0.5)
    panel.wait()
    press(panel, "Code")
    type_code(panel, EVIL.partition("&")[0])
    page = Page(panel)
    assert problem(panel).startswith("A settings code must look like name=value&name=value. Got '<img src=x ")
    assert repr(EVIL) in page.text
    assert shown(panel).dataset == EVIL
    assert [attributes["class"] for tag, attributes in page.tags if tag == "img"] == ["privlab-picture"]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert not [tag for tag, _ in page.tags if tag in ("script", "iframe", "object", "svg")]
    assert not [w for w in within(panel) if getattr(w, "description_allow_html", False)]


def test_close_leaves_nothing_behind(explore: Callable[..., Panel]) -> None:
    before = set(_instances)
    panel = explore(seeds=1000)
    assert panel._runner.busy
    assert len(_instances) > len(before)
    panel.close()
    assert set(_instances) == before
    assert not panel._runner.busy
    assert cores.shared().users == 0
    assert cores.shared().threads._work_queue.empty()


def test_failed_opening_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> Iterator[Any]:
        yield None
        raise RuntimeError("on purpose")

    monkeypatch.setattr(tradeoff, "run", broken)
    before = set(_instances)
    with pytest.raises(RuntimeError, match="on purpose"):
        privlab.explore("tradeoff", **SMALL)
    assert set(_instances) == before


def resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def test_memory_stays_flat_over_20_openings() -> None:
    def reopen(times: int) -> None:
        for _ in range(times):
            panel = privlab.explore("tradeoff", **SMALL)
            panel.set(epsilon=0.5)
            first_picture(panel)
            panel.close()

    reopen(20)
    models, memory = len(_instances), resident()
    reopen(20)
    assert len(_instances) == models
    assert resident() < 1.05 * memory


def test_memory_stays_flat_over_1000_moves(explore: Callable[..., Panel]) -> None:
    panel = explore(steps=10).wait()
    epsilon, clip = sliders(panel)[:2]

    def move(times: int) -> None:
        for i in range(times):
            slider = (epsilon, clip)[i % 2]
            slider.index = (slider.index + 1) % len(slider.options)
            first_picture(panel)

    move(100)
    models, memory = len(_instances), resident()
    move(1000)
    assert len(_instances) == models
    assert resident() < 1.05 * memory


class Shell:
    """A notebook that says which cell runs."""

    def __init__(self) -> None:
        self.cell, self.run = "", 0

    def get_parent(self) -> dict[str, Any]:
        return {"metadata": {"cellId": self.cell}, "header": {"msg_id": str(self.run)}}

    def enter(self, cell: str) -> None:
        self.cell, self.run = cell, self.run + 1


def test_rerunning_a_cell_closes_its_panels(explore: Callable[..., Panel], monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr(cells, "_open", {})
    others = len(_instances)
    shell.enter("a")
    first, second = explore(), explore()
    shell.enter("b")
    other = explore()
    assert all(panel.comm is not None for panel in (first, second, other))
    models = set(_instances)
    shell.enter("a")
    again = explore()
    assert first.comm is None
    assert second.comm is None
    assert other.comm is not None
    assert again.comm is not None
    assert len(_instances) - others == (len(models) - others) * 2 // 3


def failing_once(kind: type[Exception]) -> Callable[[Any], Iterator[Any]]:
    """A run that fails for ε = 0.5 after a while."""
    real = tradeoff.run

    def run(settings: Any) -> Iterator[Any]:
        if settings.epsilon == 0.5:
            yield None
            raise kind("on <purpose>")
        yield from real(settings)

    return run


@pytest.mark.parametrize("kind", [RuntimeError, ValueError, KeyError])
def test_exception_in_run_surfaces(
    explore: Callable[..., Panel],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: type[Exception],
) -> None:
    monkeypatch.setattr(tradeoff, "run", failing_once(kind))
    panel = explore().wait()
    before = picture(panel)["src"]
    panel.set(epsilon=0.5)
    with pytest.raises(kind, match="on <purpose>"):
        panel.wait()
    assert problem(panel).startswith(f"{kind.__name__}: ")
    assert "on <purpose>" in problem(panel)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [kind]
    assert picture(panel)["src"] == before
    panel.set(epsilon=0.6)
    assert panel.wait().result.settings.epsilon == 0.6
    assert problem(panel) == ""


def test_exception_under_a_button_surfaces(
    explore: Callable[..., Panel], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    panel = explore().wait()

    def broken(_: Any) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(tradeoff.Result, "summary", broken)
    press(panel, "Table")
    assert problem(panel) == "RuntimeError: on purpose"
    assert len(caplog.records) == 1
    with pytest.raises(RuntimeError, match="on purpose"):
        panel.wait()


async def settled(panel: Panel) -> None:
    """Let the loop work until the picture is final for what the controls show."""
    end = time.monotonic() + 30
    while panel.result.settings != panel.settings or panel._runner.busy:
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def test_loop_repaints_after_moves_from_other_threads(explore: Callable[..., Panel]) -> None:
    async def session() -> None:
        panel = explore()
        await settled(panel)
        failures: list[BaseException] = []

        def drag(slider: Any, stops: range) -> None:
            try:
                for stop in stops:
                    slider.index = stop
                    time.sleep(0.003)
            except BaseException as error:
                failures.append(error)
                raise

        epsilon, clip = sliders(panel)[:2]
        drags = [
            threading.Thread(target=drag, args=(epsilon, range(10, 60))),
            threading.Thread(target=drag, args=(clip, range(60, 110))),
        ]
        for thread in drags:
            thread.start()
        while any(thread.is_alive() for thread in drags):
            assert shown(panel) == panel.result.settings
            await asyncio.sleep(0.001)
        await settled(panel)
        assert failures == []
        assert panel.settings.epsilon == epsilon.value == epsilon.options[59][1]
        assert panel.settings.clip_norm == clip.value == clip.options[109][1]
        assert shown(panel) == panel.settings
        assert (
            f"ε = {panel.settings.epsilon:.3g} and clipping norm C = {panel.settings.clip_norm:.3g}" in panel.sentence
        )
        panel.close()
        await asyncio.sleep(0.05)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(session())


def test_a_panel_names_itself_without_the_import_of_anywidget(explore: Callable[..., Panel]) -> None:
    panel = explore()
    script = panel.children[2]
    assert "aria-valuetext" in script.get_state()["_esm"]
    assert "anywidget" not in sys.modules
    panel.close()
    assert script.comm is None


def test_wait_works_inside_a_running_loop(explore: Callable[..., Panel]) -> None:
    async def session() -> None:
        panel = explore()
        panel.set(epsilon=0.5)
        assert panel.wait().result.settings.epsilon == 0.5
        assert panel.result.progress == 1

    asyncio.run(session())


def test_stop_keeps_what_is_drawn(explore: Callable[..., Panel]) -> None:
    panel = explore(seeds=1000)
    drawn = picture(panel)["src"]
    press(panel, "Stop")
    assert not panel._runner.busy
    panel.wait()
    assert panel.result.progress < 1
    assert picture(panel)["src"] == drawn


def test_no_pyplot_figure_is_opened(explore: Callable[..., Panel]) -> None:
    panel = explore().wait()
    press(panel, "Export")
    panel.set(dataset="diabetes")
    panel.wait()
    assert Gcf.figs == {}


def test_a_run_rests_after_its_first_picture_only() -> None:
    drawn: list[float] = []

    def run(_: Any) -> Generator[int, None, None]:
        yield from range(4)

    async def pumped() -> None:
        runner = Runner(run, lambda _: iter(()), lambda *_: drawn.append(time.perf_counter()), lambda _: None)
        runner.start(None)
        while len(drawn) < 5:
            await asyncio.sleep(0)

    asyncio.run(pumped())
    first, *others = np.diff(drawn)
    assert first >= BREATH > min(others)


def test_a_move_ends_the_rest() -> None:
    drawn: list[tuple[str, float]] = []

    def run(settings: str) -> Generator[str, None, None]:
        yield settings

    async def pumped() -> float:
        runner = Runner(
            run, lambda _: iter(()), lambda got, _: drawn.append((got, time.perf_counter())), lambda _: None
        )
        waits = []
        for turn in range(20):
            runner.start(f"first {turn}")
            while not drawn or drawn[-1][0] != f"first {turn}":
                await asyncio.sleep(0)
            moved = time.perf_counter()
            runner.start(f"second {turn}")
            while drawn[-1][0] != f"second {turn}":
                await asyncio.sleep(0)
            waits.append(drawn[-1][1] - moved)
        return min(waits)

    assert asyncio.run(pumped()) < BREATH / 4
