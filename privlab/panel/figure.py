"""From a picture to pixels: matplotlib's Agg canvas, background kept, moving artists drawn over it, quick PNG."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from privlab.panel import png

Stamp = tuple[npt.NDArray[np.uint8], int, int]  # pixels, and how far right of and above a text's own place
STAMPS = 300  # kept
DPI = 100  # one device pixel per CSS pixel while moving; twice that once settled


class Canvas:
    """Holds an experiment's Picture and draws it."""

    def __init__(self, picture: type[Any]) -> None:
        self.figure = Figure(figsize=picture.size, dpi=DPI)
        self.agg = FigureCanvasAgg(self.figure)
        self.picture = picture(self.figure)
        self.background: Any = None
        self.palette = png.Palette()
        self.stamps: dict[tuple[Any, ...], Stamp | None] = {}  # by a text and its look

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in CSS pixels."""
        width, height = self.agg.get_width_height()
        return int(width), int(height)

    def draw(self, result: Any, **extra: Any) -> bytes:
        """A PNG of the result, quickly: only what moves is drawn."""
        anew = self.picture.update(result, **extra) or self.background is None
        if anew:
            self.agg.draw()
            self.background = self.agg.copy_from_bbox(self.figure.bbox)
        else:
            self.agg.restore_region(self.background)
        self._draw_moving()
        return png.packed(self._pixels) if anew else self.palette.packed(self._pixels)

    def sharp(self) -> bytes:
        """A PNG of the last result at two device pixels per CSS pixel."""
        self.figure.set_dpi(2 * DPI)
        try:
            self.agg.draw()
            self._draw_moving(stamped=False)
            return png.packed(self._pixels)
        finally:
            self.figure.set_dpi(DPI)

    def export(self, kind: str) -> bytes:
        """The last picture as a "png" or "svg" file."""
        from matplotlib import rc_context

        moving = self.picture.moving
        for artist in moving:
            artist.set_animated(False)
        try:
            out = io.BytesIO()
            with rc_context({"svg.hashsalt": "privlab"}):
                self.figure.savefig(out, format=kind, dpi=2 * DPI, metadata={"Date": None} if kind == "svg" else None)
            return out.getvalue()
        finally:
            for artist in moving:
                artist.set_animated(True)
            self.figure.set_canvas(self.agg)
            self.background = None

    def _draw_moving(self, *, stamped: bool = True) -> None:
        renderer = self.agg.get_renderer()
        for artist in sorted(self.picture.moving, key=lambda a: a.get_zorder()):
            if artist.get_visible():
                if stamped and isinstance(artist, Text) and not _clipped(artist):
                    self._stamp(artist, renderer)
                else:
                    artist.draw(renderer)

    def _stamp(self, text: Text, renderer: RendererAgg) -> None:
        """Draw a text; what was seen before as an image, in a fiftieth of the time that its letters take."""
        if isinstance(text, Annotation):
            text.update_positions(renderer)
        x, y = (round(float(at)) for at in text.get_transform().transform(text.get_position()))
        aligned = text.get_horizontalalignment(), text.get_verticalalignment()
        look = (text, text.get_text(), text.get_color(), text.get_fontsize(), *aligned)
        known = look in self.stamps
        stamp = self.stamps.pop(look, None)
        if known and stamp is None:
            stamp = self._cut_out(text, x, y)
        self.stamps[look] = stamp
        if len(self.stamps) > STAMPS:
            del self.stamps[next(iter(self.stamps))]
        if stamp is None:
            text.draw(renderer)
            return
        pixels, right, up = stamp
        renderer.draw_image(renderer.new_gc(), x + right, y + up, pixels)

    def _cut_out(self, text: Text, x: int, y: int) -> Stamp | None:
        """A text's pixels and their place as seen from its own; None where the figure's edge cuts it."""
        width, height = self.size
        alone = RendererAgg(width, height, self.figure.dpi)
        text.draw(alone)
        image = np.asarray(alone.buffer_rgba())
        rows, columns = (np.flatnonzero(image[..., 3].any(axis=axis)) for axis in (1, 0))
        if not len(rows) or rows[0] == 0 or columns[0] == 0 or rows[-1] == height - 1 or columns[-1] == width - 1:
            return None
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        pixels = image[top:bottom, left:right][::-1].copy()  # Agg wants the lowest row first
        return pixels, int(left) - x, height - int(bottom) - y

    @property
    def _pixels(self) -> npt.NDArray[np.uint8]:
        return np.asarray(self.agg.buffer_rgba())


def _clipped(text: Text) -> bool:
    """Whether something may hide it, or a part of it, depending on where it is."""
    if isinstance(text, Annotation) and text.get_annotation_clip() is not False:
        return True
    return text.get_clip_on() and not (text.get_clip_box() is None and text.get_clip_path() is None)
