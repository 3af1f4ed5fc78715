"""The story for stakeholders as widgets: a question, a few positions, one picture, the odds in words, Back and Next."""

from __future__ import annotations

import base64
import contextlib
import logging
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import ipywidgets as w

from privlab import experiments
from privlab.experiments._waiting import for_the_accountant
from privlab.panel import cells
from privlab.panel.controls import text
from privlab.panel.figure import Canvas
from privlab.panel.panel import close_all
from privlab.panel.runner import Runner
from privlab.scene_pictures import for_phones
from privlab.scenes import SCENES, Preset, Scene

Position = tuple[int, int]  # a scene and one of its presets
NARROW = 860  # CSS pixels of the page; below that, pictures are those for phones
STYLE = f"""<style>
.privlab-story.widget-box {{ display: grid;
  grid-template: "style style" "head head" "presets turns" "body body" / 1fr auto;
  align-items: start; max-width: 1216px; margin: 0 auto; font-family: system-ui, "DejaVu Sans", sans-serif; color: #222;
  overflow: hidden; }}
.privlab-head {{ grid-area: head; }} .privlab-presets {{ grid-area: presets; }} .privlab-turns {{ grid-area: turns; }}
.privlab-body {{ grid-area: body; }}
.privlab-story h1 {{ font-size: 36px; line-height: 1.15; margin: 0; font-weight: 700; }}
.privlab-story .privlab-setting {{ font-size: 20px; line-height: 1.3; margin: 6px 0 4px; min-height: 1.3em; }}
.privlab-story button.jupyter-button {{ font-size: 20px; height: 46px; line-height: 40px; padding: 0 14px;
  width: auto; margin: 4px 10px 4px 0; border: 2px solid #555; border-radius: 8px; background: #fff; color: #222; }}
.privlab-story button.jupyter-button.privlab-chosen {{ background: #222; color: #fff; border-color: #222; }}
.privlab-presets button.jupyter-button::before {{ content: "✓\\00a0"; visibility: hidden; }}
.privlab-presets button.jupyter-button.privlab-chosen::before {{ visibility: visible; }}
.privlab-story button.jupyter-button:disabled {{ opacity: 0.35; }}
.privlab-story button.jupyter-button:focus-visible, .privlab-story select:focus-visible {{
  outline: 4px solid #E69F00; outline-offset: 2px; }}
.privlab-scene {{ display: flex; flex-flow: row wrap; gap: 8px 32px; align-items: center; }}
.privlab-poster {{ width: 800px; max-width: 100%; height: auto; display: block; }}
.privlab-waiting {{ background: #f4f4f4; }}
.privlab-words {{ flex: 1 1 320px; font-size: 23px; line-height: 1.4; margin: 0; min-height: 9.8em; }}
.privlab-story select {{ font-size: 18px; height: 46px; }}
.privlab-story .widget-dropdown {{ width: 230px; height: 46px; margin: 4px 10px 4px 0; }}
@media (max-width: {NARROW}px) {{
  .privlab-story.widget-box {{ grid-template: "style" "head" "presets" "body" "turns" / 1fr; }}
  .privlab-story h1 {{ font-size: 25px; }}
  .privlab-story .privlab-setting {{ font-size: 16px; }}
  .privlab-story button.jupyter-button {{ font-size: 17px; height: 44px; padding: 0 8px; margin-right: 6px; }}
  .privlab-poster {{ width: 350px; margin: 0 auto; }}
  .privlab-words {{ font-size: 18px; min-height: 9.8em; }}
  .privlab-story .widget-dropdown {{ width: 184px; margin-right: 6px; }}
  .privlab-story select {{ font-size: 16px; }}
}}
</style>"""


class Story(w.VBox):
    """The scenes under a presenter's hands. Made by `privlab.story`."""

    def __init__(self) -> None:
        self._at: Position = (0, SCENES[0].start)
        self._result: Any = None
        self._done = False
        self._canvases: dict[type[Any], tuple[Canvas, Canvas]] = {}
        self._warm: set[int] = set()
        self._head, self._body = w.HTML(), w.HTML()
        count = max(len(scene.presets) for scene in SCENES)
        self._presets = [self._button(partial(self._choose, i)) for i in range(count)]
        self._back, self._next = self._button(lambda: self._turn(-1)), self._button(lambda: self._turn(1))
        self._back.description, self._next.description = "◀ Back", "Next ▶"
        names = [f"{i}/{len(SCENES)} {scene.name}" for i, scene in enumerate(SCENES, start=1)]
        self._list = w.Dropdown(options=list(zip(names, range(len(SCENES)), strict=True)), tooltip="all scenes")
        self._list.observe(lambda change: self._open(change["new"]), "value")
        wrap = w.Layout(flex_flow="row wrap", align_items="center")
        presets = w.HBox(self._presets, layout=wrap)
        turns = w.HBox([self._back, self._list, self._next], layout=wrap)
        parts = {"head": self._head, "presets": presets, "body": self._body, "turns": turns}
        for name, part in parts.items():
            part.add_class(f"privlab-{name}")
        super().__init__([w.HTML(STYLE), *parts.values()])
        self.add_class("privlab-story")
        self._runner = Runner(_run, self._prepare, self._show, self._fail)
        self._open(0)
        while self._result is None and self._runner.step():
            pass
        cells.opened(self)

    @property
    def scene(self) -> Scene:
        """What is on."""
        return SCENES[self._at[0]]

    @property
    def preset(self) -> Preset:
        """Its position."""
        return self.scene.presets[self._at[1]]

    @property
    def sentence(self) -> str:
        """The finding in words; empty until there is one."""
        return "" if self._result is None else self.scene.read(self._result, self.preset)[1]

    def wait(self) -> Story:
        """Compute here and now until the picture is final."""
        self._runner.finish()
        return self

    def close(self) -> None:
        """Stop and take every widget away."""
        if self.comm is not None:
            self._runner.stop()
            close_all(self)

    def _button(self, action: Callable[[], None]) -> w.Button:
        def pressed(_: Any) -> None:
            try:  # ipywidgets would swallow what a button raises
                action()
            except Exception as error:  # noqa: BLE001
                self._fail(error)

        button = w.Button()
        button.on_click(pressed)
        return button

    def _turn(self, by: int) -> None:
        self._list.value = min(max(self._at[0] + by, 0), len(SCENES) - 1)

    def _open(self, number: int) -> None:
        with self._runner.lock:
            self._at, self._result = (number, SCENES[number].start), None
            scene = self.scene
            self._head.value = f"<h1>{text(scene.question)}</h1><p class='privlab-setting'>{text(scene.setting)}</p>"
            self._back.disabled, self._next.disabled = number == 0, number == len(SCENES) - 1
            width, height = (int(100 * inches) for inches in scene.picture.size)
            self._body.value = (
                f"<div class='privlab-scene'><svg class='privlab-poster privlab-waiting' width='{width}' "
                f"viewBox='0 0 {width} {height}'></svg><p class='privlab-words' role='status'>Computing now …</p></div>"
            )
            self._mark()
            self._start()

    def _choose(self, number: int) -> None:
        with self._runner.lock:
            known = self._result is not None and self.preset.values == self.scene.presets[number].values
            self._at = (self._at[0], number)
            self._mark()
            if known:  # another look at the same result
                self._paint(self._done)
            else:
                self._start()

    def _start(self) -> None:
        self._done = False
        self._runner.start(self._at)

    def _mark(self) -> None:
        for i, button in enumerate(self._presets):
            shown = i < len(self.scene.presets)
            button.layout.display = None if shown else "none"
            button.description = self.scene.presets[i].label if shown else ""
            (button.add_class if i == self._at[1] else button.remove_class)("privlab-chosen")

    def _show(self, result: Any, final: bool) -> None:
        self._result, self._done = result, final
        self._paint(final)

    def _paint(self, final: bool) -> None:
        data, words = self.scene.read(self._result, self.preset)
        picture = self.scene.picture
        if picture not in self._canvases:
            self._canvases[picture] = Canvas(picture), Canvas(for_phones(picture))
        images = []
        for canvas in self._canvases[picture]:
            png, (width, height) = canvas.draw(data), canvas.size
            png = canvas.sharp() if final else png
            images.append((base64.b64encode(png).decode(), f"width='{width}' height='{height}'"))
        (wide, size), (narrow, small) = images
        self._body.value = (
            f"<div class='privlab-scene'><picture><source media='(max-width: {NARROW}px)' {small} "
            f"srcset='data:image/png;base64,{narrow}'><img class='privlab-poster' {size} decoding='sync' "
            f"alt='{text(words)}' data-scene='{self._at[0]}' data-preset='{self._at[1]}' data-final='{final}' "
            f"src='data:image/png;base64,{wide}'></picture>"
            f"<p class='privlab-words' role='status'>{text(words)}</p></div>"
        )

    def _prepare(self, position: Position) -> Generator[None, None, None]:
        """In idle time, have what the next scene begins with at hand: imports, data, calibrations."""
        number = position[0] + 1
        if number < len(SCENES) and number not in self._warm:
            self._warm.add(number)
            with contextlib.suppress(Exception):  # what fails is told when its own scene opens
                yield from for_the_accountant()
                for _ in _run((number, SCENES[number].start)):
                    yield

    def _fail(self, error: Exception) -> None:
        logging.getLogger("privlab").error("the scene failed", exc_info=error)
        self._body.value = (
            f"<p class='privlab-words' role='alert'>{text(type(error).__name__)}: {text(error)}. Choose again.</p>"
        )


def _run(position: Position) -> Generator[Any, None, None]:
    scene = SCENES[position[0]]
    module, settings = experiments.read(scene.experiment, scene.presets[position[1]].values)
    yield from module.run(settings)
