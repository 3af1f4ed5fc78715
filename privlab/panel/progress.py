"""A progress bar with Stop for work that holds a cell up."""

from __future__ import annotations

from typing import Any

import ipywidgets as w
from IPython.display import display

from privlab.panel.controls import text


class Progress:
    """Shown when made, gone when closed.

    A front end that sends buttons past the running cell (JupyterLab does, by kernel subshells) lets Stop through;
    elsewhere interrupting the kernel serves.
    """

    def __init__(self, title: str) -> None:
        self.stopped = False
        self._bar = w.FloatProgress(max=1.0, layout=w.Layout(width="240px"), style={"bar_color": "#0072B2"})
        self._words = w.HTML(text(title))
        self._stop = w.Button(description="Stop", tooltip="End here, or interrupt the kernel", layout={"width": "auto"})
        self._stop.on_click(self._pressed)
        self._box = w.HBox([self._words, self._bar, self._stop], layout=w.Layout(align_items="center"))
        self._title = title
        # ipykernel would have this cell, which is busy, hear the button, for it was the last to write to it. With that
        # forgotten, a press goes to the subshell that the front end chose.
        vars(self._stop.comm).pop("_reply_subshell_id", None)
        self._shown = display(self._box, display_id=True)  # None outside a notebook

    def show(self, done: int, total: int) -> None:
        """Tell how much of the work is done."""
        self._bar.value = done / total
        self._words.value = f"{text(self._title)}: {done:,} of {total:,}"

    def close(self) -> None:
        """Take the bar away, with everything that belongs to it."""
        if self._shown is not None:
            self._shown.update({"text/plain": ""}, raw=True)  # lest a saved notebook look for a widget that is gone
        for widget in (self._words, self._bar, self._stop):
            for part in (widget.layout, widget.style, widget):
                part.close()
        self._box.layout.close()
        self._box.close()

    def _pressed(self, _: Any) -> None:
        self.stopped = True
