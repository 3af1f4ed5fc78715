"""Colours and type of every picture, one meaning each through the whole lab.

The hues are Okabe and Ito's, darkened until words in them have a contrast of 4.5 : 1 on white.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

COLOURS = {
    "private": "#0072B2",
    "non-private": "#00825F",
    "floor": "#595959",
    "attacker": "#B84000",
    "proven": "#B5468A",
    "held": "#000000",
    "pinned": "#8F6A00",
    "deployed": "#595959",
}
# Private models beside the first: tints and dashes of their own, and always a name at the line's end.
MODEL_STYLES = (
    ("#0072B2", "-"),
    ("#00788F", "--"),
    ("#6A3D9A", "-."),
    ("#5B6B7B", ":"),
    ("#1B2A6B", (0, (5, 1, 1, 1, 1, 1))),
    ("#8764AE", (0, (8, 3))),
    ("#2F6F4F", (0, (3, 2))),
)
TEXT, SMALL, TITLE = 13, 12, 15  # points; nothing smaller, so that the back of a room can read it


def heading(figure: Figure) -> tuple[Text, Text]:
    """A picture's question and, below it, how to read the picture: both empty as yet."""
    shared: dict[str, Any] = {"ha": "left", "va": "center", "parse_math": False}  # a dollar is a dollar
    title = figure.text(0.012, 0.955, "", fontsize=TITLE, fontweight="bold", **shared)
    return title, figure.text(0.012, 0.9, "", fontsize=SMALL, color="#444444", **shared)


class Drawing:
    """A picture on a figure: its artists are made once and only moved after.

    Attributes
    ----------
    title, key : Text
        The question, and how to read the picture.
    moving : list of Artist
        What `update` moves; all else is background.
    """

    size = (6.8, 4.7)  # inches
    moving: list[Artist]

    def __init__(self, figure: Figure) -> None:
        self.title, self.key = heading(figure)


def axes(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    """Axes at a fixed place (left, bottom, width, height), bare of what does not carry meaning."""
    ax = figure.add_axes(box)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=SMALL)
    ax.grid(axis="y", color="#E6E6E6", linewidth=0.8)
    ax.set_axisbelow(True)
    return ax
