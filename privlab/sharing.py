"""One file to send: a page whose sliders move over results that were really computed, with no network and no Python."""

from __future__ import annotations

import base64
import gzip
import html
import itertools
import json
import math
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from privlab import experiments
from privlab.settings import Control, Controls

PAGE = Path(__file__).parent / "page.html"
FINER = re.compile(r"(\d\.\d\d)\d+")  # digits that no eye sees in a place; in a scale they matter
MOST = 3_000_000  # bytes of a page
POSITIONS = {1: ((31,), (21,), (13,), (7,)), 2: ((15, 7), (9, 5), (6, 4), (4, 3))}  # usual ones, by number of sliders


def share(
    experiment: str = "tradeoff",
    *,
    path: str | os.PathLike[str],
    over: Sequence[str] | None = None,
    positions: Sequence[int] | None = None,
    **values: Any,
) -> Path:
    """Compute an experiment over its main sliders and write all of it into one HTML file.

    The page needs neither a network nor Python: it opens from disk in any browser of 2023 or later. It holds the
    pictures, sentences, tables and assumptions of every position, and nothing of the people behind them that the
    panel does not show.

    Parameters
    ----------
    experiment : str
        One of `privlab.experiments.names()`, or a settings code.
    path : path
        Where to write; a file that is there is replaced, at the end and in one go.
    over : sequence of str, optional
        One or two numeric settings to have sliders for. Default: the first two.
    positions : sequence of int, optional
        How many positions each slider has. Default: 15 and 7, or 31; fewer where the pictures are large.
    **values
        The other settings.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError, TypeError
        For an unknown experiment, setting or slider, or a value out of its range, before any work; and for a page of
        more than 3 MB.
    """
    module, settings = experiments.read(experiment, values)
    controls = settings.controls()
    names = _sliders(controls, over)
    if positions is not None:
        tried = [tuple(positions)]
        if len(tried[0]) != len(names) or any(not 2 <= count <= 60 for count in tried[0]):
            raise ValueError(
                f"'positions' must hold a number from 2 to 60 for each of {', '.join(names)}. Got {tried[0]}."
            )
    else:
        tried = list(POSITIONS[len(names)])
    place = Path(path)
    if not place.parent.is_dir():
        raise ValueError(f"'path' must be in a folder that exists. Got {str(place.parent)!r}.")
    drawn = _Drawn(module, settings, names)
    for counts in tried:
        stops = [
            _stops(controls[name], getattr(settings, name), count) for name, count in zip(names, counts, strict=True)
        ]
        if drawn.expected(stops) < MOST:
            break
    page = drawn.page(stops)
    if len(page) > MOST:
        sizes = " × ".join(map(str, counts))
        raise ValueError(f"'positions' must give a page of at most 3 MB. Got {len(page) / 1e6:.1f} MB with {sizes}.")
    with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
        file.write(page)
    os.replace(file.name, place)
    return place


def _sliders(controls: dict[str, Control], over: Sequence[str] | None) -> list[str]:
    numeric = [name for name, one in controls.items() if one.among is None]
    if over is None:
        return [name for name in numeric if not controls[name].advanced][:2]
    names = list(over)
    if not 1 <= len(names) <= 2 or len({*names}) < len(names) or not {*names} <= {*numeric}:
        raise ValueError(f"'over' must hold one or two of {', '.join(numeric)}. Got {names}.")
    return names


def _stops(one: Control, now: float, count: int) -> list[float]:
    """Positions spread over a slider's, with the one that is held among them."""
    places = one.positions()
    chosen = {places[round(i * (len(places) - 1) / (count - 1))] for i in range(count)}
    return sorted({*chosen, now})


class _Drawn:
    """The states of a page, computed when they are asked for and kept."""

    def __init__(self, module: Any, settings: Controls, names: list[str]) -> None:
        from privlab.panel.figure import Canvas

        self.module, self.settings, self.names = module, settings, names
        self.canvas = Canvas(module.Picture)
        self.states: dict[tuple[float, ...], tuple[list[str], dict[str, Any]]] = {}

    def state(self, point: tuple[float, ...]) -> tuple[list[str], dict[str, Any]]:
        """The lines of a position's picture, and its words."""
        if point not in self.states:
            moved = type(self.settings).make(self.settings, **dict(zip(self.names, point, strict=True)))
            *_, result = (item for item in self.module.run(moved) if item is not None)
            self.canvas.draw(result)
            picture, table = self.canvas.export("svg").decode(), result.summary()
            words = {
                "sentence": result.sentence,
                "columns": [str(column) for column in table.columns],
                "table": [[_cell(value) for value in row] for row in table.itertuples(index=False)],
                "points": list(result.assumptions),
            }
            lines = [line if "scale(" in line else FINER.sub(r"\1", line) for line in picture.split("\n")]
            self.states[point] = lines, words
        return self.states[point]

    def packed(self, points: list[tuple[float, ...]], **more: Any) -> bytes:
        """States as a page holds them: each line of a picture once, for most of it is the same at every position."""
        lines: dict[str, int] = {}
        states = []
        for point in points:
            picture, words = self.state(point)
            states.append(words | {"picture": [lines.setdefault(line, len(lines)) for line in picture]})
        content = json.dumps(more | {"lines": list(lines), "states": states})
        return base64.b64encode(gzip.compress(content.encode(), 9, mtime=0))

    def expected(self, stops: list[list[float]]) -> float:
        """About how many bytes a page will have, from its corners."""
        corners = list(itertools.product(*((one[0], one[-1]) for one in stops)))
        one, all_of_them = len(self.packed(corners[:1])), len(self.packed(corners))
        return one + (all_of_them - one) / (len(corners) - 1) * math.prod(map(len, stops))

    def page(self, stops: list[list[float]]) -> bytes:
        """The whole file."""
        controls, points = self.settings.controls(), list(itertools.product(*stops))
        sliders = [
            {
                "label": controls[name].label,
                "stops": [f"{stop:.3g}" for stop in own],
                "ends": controls[name].ends,
                "at": own.index(getattr(self.settings, name)),
            }
            for name, own in zip(self.names, stops, strict=True)
        ]
        held = [
            f"{controls[name].label}: {value}"
            for name, value in self.settings.changed().items()
            if name not in self.names
        ]
        text = PAGE.read_text("utf-8")
        for mark, given in {
            "QUESTION": html.escape(self.module.__doc__.splitlines()[0]),
            "HELD": html.escape(f"Held: {', '.join(held)}." if held else ""),
            "COUNT": str(len(points)),
            "CONTENT": self.packed(points, sliders=sliders).decode(),
        }.items():
            text = text.replace(f"<!--{mark}-->", given)
        return text.encode()


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
