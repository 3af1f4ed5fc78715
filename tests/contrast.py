"""Contrast by WCAG 2: of two colours, and of every word of a drawn picture against what lies behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

ENOUGH = 4.5
CROSSED = 0.3  # share of a word's box that thin lines may cross


def luminance(rgb: Any) -> Any:
    """Relative luminance of colours, whose last axis is red, green and blue from 0 to 1."""
    rgb = np.asarray(rgb)
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def contrast(one: Any, other: Any) -> Any:
    """From 1 to 21."""
    pair = np.stack(np.broadcast_arrays(luminance(one), luminance(other)))
    return (pair.max(0) + 0.05) / (pair.min(0) + 0.05)


def of_words(figure: Figure) -> dict[str, float]:
    """The contrast of each word that a figure shows, with all but `CROSSED` of what lies behind it."""
    agg: Any = figure.canvas
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    shown = [text for text in texts if text.axes is None or text.axes.get_visible()]
    colours = [np.array(to_rgb(text.get_color())) for text in shown]
    opacity = [1.0 if text.get_alpha() is None else text.get_alpha() for text in shown]
    agg.draw()
    boxes = [text.get_tightbbox(agg.get_renderer()) for text in shown]
    moving = [artist for artist in figure.findobj() if artist.get_animated()]
    for artist in moving:
        artist.set_animated(False)
    before = [text.get_color() for text in shown]
    for text in shown:
        text.set_color("none")  # not hidden: its halo is part of what lies behind
    agg.draw()
    behind = np.asarray(agg.buffer_rgba())[..., :3] / 255
    for text, colour in zip(shown, before, strict=True):
        text.set_color(colour)
    for artist in moving:
        artist.set_animated(True)
    found = {}
    for text, colour, alpha, box in zip(shown, colours, opacity, boxes, strict=True):
        if box is None:
            continue
        height, width = behind.shape[:2]
        x0, x1 = (int(np.clip(x, 0, width)) for x in (box.x0, box.x1))
        y0, y1 = (int(np.clip(height - y, 0, height)) for y in (box.y1, box.y0))
        area = behind[y0:y1, x0:x1].reshape(-1, 3)
        if len(area):
            found[text.get_text()] = float(np.quantile(contrast(alpha * colour + (1 - alpha) * area, area), CROSSED))
    return found
