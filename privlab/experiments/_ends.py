"""Names of lines where they end, kept from lying over each other."""

from __future__ import annotations

from typing import Any

from privlab.style import TEXT


def name(ax: Any, colour: str, words: str) -> Any:
    """A name at the right end of a line, placed by `spread`."""
    return ax.annotate(
        words, (1, 0), xycoords="axes fraction", xytext=(6, 0), textcoords="offset points", color=colour,
        fontsize=TEXT, fontweight="bold", va="center", linespacing=0.95, animated=True, annotation_clip=False,
    )  # fmt: skip


def spread(ends: list[tuple[float, Any]], line: float) -> None:
    """Place names beside the heights where their lines end, moved apart where they would overlap.

    Parameters
    ----------
    ends : list of (height, name)
        Heights in shares of the axes.
    line : float
        Height of a line of a name, likewise.
    """
    order = sorted(ends, key=lambda end: end[0])
    half = [line * (1 + 0.9 * text.get_text().count("\n")) / 2 for _, text in order]
    places, below = [], 0.0
    for (y, _), room in zip(order, half, strict=True):
        places.append(max(y, below + room))
        below = places[-1] + room
    above = 1.08
    for k in reversed(range(len(places))):
        places[k] = min(places[k], above - half[k])
        above = places[k] - half[k]
    for (_, text), place in zip(order, places, strict=True):
        text.xy = (1, place)
