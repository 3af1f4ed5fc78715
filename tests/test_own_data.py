"""A declaration that is off does what declaring so would have done."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import privlab
from privlab.datasets import Dataset, from_frame, load
from privlab.experiments._own_data_result import ALL, DECLARED, PEOPLE, PLAIN
from privlab.panel.figure import Canvas

OWN, SKEWED = "Own place (1 left to 7 right)", "Clinton's place (1-7)"
SAME = {"epsilon": 10.0, "seeds": 2, "sampling_rate": 0.71, "delta": 1e-5}


def declared(wider: float, *names: str, n: int = 944) -> Dataset:
    """The example with bounds so many times too wide: entries beyond the right ones cut as before."""
    data = load("votes")
    columns = []
    for column in data.schema.columns:
        if column.low is not None and column.high is not None:
            high = column.low + (wider if column.name in names else 1) * (column.high - column.low)
            column = replace(column, high=high, transform="log1p" if column.name == SKEWED else "")
        columns.append(column)
    return from_frame(data.raw, target="Vote", schema=replace(data.schema, columns=tuple(columns)), n=n)


@pytest.fixture(scope="module")
def right() -> Dataset:
    return declared(1)


def test_bounds_too_wide_are_as_if_declared_so(right: Dataset) -> None:
    found = privlab.run("own_data", dataset=right, wider=7, **SAME)
    numbers = [column.name for column in right.schema.columns if column.kind == "number"]
    for name, names in ((OWN, [OWN]), (SKEWED, [SKEWED]), (ALL, numbers)):
        wide = privlab.run("own_data", dataset=declared(7, *names), wider=1, **SAME)
        assert (wide.losses[DECLARED] == found.losses[name]).mean() > 0.999, name
        assert (found.losses[DECLARED] != found.losses[name]).any(), name


def test_twice_the_people_are_as_if_declared_so(right: Dataset) -> None:
    found = privlab.run("own_data", dataset=right, **SAME)
    double = privlab.run("own_data", dataset=declared(1, n=2 * 944), **SAME)
    np.testing.assert_array_equal(double.losses[DECLARED], found.losses[PEOPLE])
    assert (found.losses[DECLARED] != found.losses[PEOPLE]).any()


def test_without_privacy_there_is_neither_noise_nor_clipping() -> None:
    found = privlab.run("own_data", epsilon=0.05, clip_norm=0.1, seeds=8)
    assert found.estimates[PLAIN].mean[0] > 0.85
    assert found.estimates[PLAIN].release[0] < 0.02
    assert found.estimates[DECLARED].release[0] > 0.05


def test_what_is_read_off_the_picture_is_what_was_computed() -> None:
    found = privlab.run("own_data", seeds=4)
    canvas = Canvas(privlab.experiments.get("own_data").Picture)
    canvas.draw(found)
    picture = canvas.picture
    shown = dict(zip(found.losses, [text.get_text() for text in picture.values], strict=False))
    for row, (name, (x, y)) in enumerate(zip(found.losses, picture.dots.get_offsets(), strict=True)):
        assert y == len(found.losses) - 1 - row
        assert x == pytest.approx(100 - 100 * found.losses[name].mean())
        assert shown[name] == f"{x:.1f} %"
    labels = [label.get_text() for label in picture.ax.get_yticklabels()]
    assert labels[:3] == ["without privacy", "as declared", "Place: population (1000s)"]
    table = found.summary().set_index("declaration")
    lost = found.losses[DECLARED].mean() - found.losses[ALL].mean()
    assert table.loc["all bounds", "change"] == pytest.approx(lost)
