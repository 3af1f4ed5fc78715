"""Widgets made from a Settings class, and nothing else."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import ipywidgets as w

from privlab.settings import Control, Controls, Handle

Moved = Callable[[Any, Any], None]  # a control, and what a hand chose on it


def words(value: float) -> str:
    """A number in three significant digits."""
    if 1000 <= abs(value) < 1e7:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.0e}"


def text(raw: Any) -> str:
    """Text from anywhere made safe for HTML: the one place where that happens."""
    return html.escape(str(raw), quote=True)


class Slider:
    """A slider over a setting's positions, or over a handle on it, with its words."""

    def __init__(self, name: str, one: Control, moved: Moved, handle: Handle | None = None) -> None:
        self.name, self.control, self.handle, self._moved = name, one, handle, moved
        shown = handle or one
        ends, self.places = shown.ends, list(one.positions())
        self.slider = w.SelectionSlider(
            options=tuple((words(v), v) for v in self.places),
            value=self.places[0],
            continuous_update=True,
            description=shown.label,
            tooltip=shown.hint,
            layout=w.Layout(width="100%"),
            _dom_classes=("privlab-slider",),
        )
        self._quiet = self.waits = False
        self.slider.observe(self._on_move, "value")
        self.widget: w.Widget = self.slider
        if any(ends):
            foot = f"<div class='privlab-ends'><span>{text(ends[0])}</span><span>{text(ends[1])}</span></div>"
            self.widget = w.VBox([self.slider, w.HTML(foot)])

    def _on_move(self, change: Any) -> None:
        if not self._quiet:
            self._moved(self, change["new"])

    def show(self, settings: Controls) -> None:
        """Stand where the settings are, at a position of their own if they are between two; hidden without effect."""
        value = getattr(settings, self.name)
        self.widget.layout.display = None if self.control.offered(settings, value) else "none"
        self._quiet = True
        try:
            if self.handle is not None or value not in self.places:
                self._offer(settings, value)
            if self.slider.value != value:
                self.slider.value = value
        finally:
            self._quiet = False

    def _offer(self, settings: Controls, value: float) -> None:
        """Offer the usual positions and `value`, labelled."""
        self.places = sorted({*self.control.positions(), value}, reverse=self.handle is not None)
        shown = self.handle.read(settings, self.places) if self.handle else self.places
        self.waits = not len(shown)
        labels = [words(v) for v in shown] or ["…"] * len(self.places)
        options = tuple(zip(labels, self.places, strict=True))
        if options != self.slider.options:
            with self.slider.hold_sync():
                self.slider.options = options
                self.slider.value = value


class Chooser:
    """One value among those that make sense; out of sight where there is nothing to choose."""

    waits = False

    def __init__(self, name: str, one: Control, moved: Moved) -> None:
        self.name, self.control, self._moved, self._quiet = name, one, moved, False
        look: dict[str, Any] = {"layout": w.Layout(width="100%"), "_dom_classes": ("privlab-choice",)}
        self.box = self.widget = w.Dropdown(description=one.label, tooltip=one.hint, **look)
        self.box.observe(self._on_move, "value")

    def _on_move(self, change: Any) -> None:
        if not self._quiet:
            self._moved(self, change["new"])

    def show(self, settings: Controls) -> None:
        """Stand where the settings are."""
        allowed, now = self.control.among() if self.control.among else (), getattr(settings, self.name)
        offered = [value for value in allowed if value == now or self.control.offered(settings, value)]
        options = tuple((self.control.words(value), value) for value in offered)
        self._quiet = True
        try:
            if tuple(self.box.options) != options:
                self.box.options = options
            self.box.value = now
            self.widget.layout.display = None if len(options) > 1 else "none"
        finally:
            self._quiet = False


class Boxes:
    """Several values among those allowed: a box for each."""

    waits = False

    def __init__(self, name: str, one: Control, moved: Moved) -> None:
        self.name, self.control, self._moved, self._quiet = name, one, moved, False
        self.boxes = {
            value: w.Checkbox(description=one.words(value), indent=False, layout=w.Layout(width="auto", margin="0 8px"))
            for value in (one.among() if one.among else ())
        }
        for box in self.boxes.values():
            box.observe(self._on_move, "value")
        head = w.HTML(f"<div class='privlab-label' title='{text(one.hint)}'>{text(one.label)}</div>")
        self.widget = w.VBox([head, *self.boxes.values()], _dom_classes=("privlab-boxes",))

    def _on_move(self, _: Any) -> None:
        if not self._quiet:
            self._moved(self, tuple(value for value, box in self.boxes.items() if box.value))

    def show(self, settings: Controls) -> None:
        """Tick what the settings hold."""
        self._quiet = True
        try:
            for value, box in self.boxes.items():
                box.value = value in getattr(settings, self.name)
                box.layout.display = None if self.control.offered(settings, value) else "none"
        finally:
            self._quiet = False


def make(settings: type[Controls], moved: Moved) -> tuple[list[Any], list[Any]]:
    """(plain, advanced) controls of a Settings class; a handle follows the first two sliders."""
    plain: list[Any] = []
    advanced: list[Any] = []
    for name, one in settings.controls().items():
        kind = Slider if one.among is None else Boxes if one.many else Chooser
        made = kind(name, one, moved)
        (advanced if one.advanced else plain).append(made)
    for handle in reversed(list(settings.handles.values())):
        one = settings.controls()[handle.of]
        plain.insert(2, Slider(handle.of, one, moved, handle))
    return plain, advanced
