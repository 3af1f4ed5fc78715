"""The canvas: texts kept as images look like the texts themselves, wherever they go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from privlab.panel import figure
from privlab.panel.figure import Canvas

HALO = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8}


class Words:
    """A picture of texts that a result, a dictionary of their properties, moves."""

    size = (4.0, 3.0)

    def __init__(self, made: Any) -> None:
        self.ax = made.add_axes((0.2, 0.2, 0.6, 0.6))
        self.ax.plot([0, 1], [0, 1])
        self.text = self.ax.text(0.5, 0.5, "halo", animated=True, bbox=HALO, fontsize=13)
        self.note = self.ax.annotate(
            "note", (0.2, 0.3), xytext=(6, 6), textcoords="offset points", animated=True, annotation_clip=False
        )
        self.shy = self.ax.annotate("shy", (0.8, 0.8), animated=True)
        self.moving = [self.text, self.note, self.shy]

    def update(self, result: dict[str, Any]) -> bool:
        self.text.set(**result.get("text", {}))
        self.note.set(**result.get("note", {}))
        self.note.xy = result.get("xy", (0.2, 0.3))
        self.shy.xy = result.get("shy", (0.8, 0.8))
        return False


def pixels(canvas: Canvas, result: dict[str, Any]) -> Any:
    canvas.draw(result)
    return np.asarray(canvas.agg.buffer_rgba())[..., :3].astype(int)


def stamped(canvas: Canvas) -> set[str]:
    return {look[1] for look, stamp in canvas.stamps.items() if stamp is not None}


def test_the_second_time_a_text_is_an_image_that_looks_the_same():
    canvas = Canvas(Words)
    first = pixels(canvas, {})
    assert stamped(canvas) == set()
    for _ in range(3):
        assert np.abs(pixels(canvas, {}) - first).max() <= 2
    assert stamped(canvas) == {"halo", "note"}


@pytest.mark.parametrize(
    "result",
    [
        {"text": {"position": (0.1, 0.9)}},
        {"xy": (0.7, 0.1)},
        {"text": {"color": "#D55E00"}},
        {"text": {"text": "other"}},
        {"text": {"ha": "right", "va": "top"}},
        {"text": {"fontsize": 20}},
        {"shy": (1.5, 0.5)},
        {"text": {"position": (-0.45, 0.5)}},
    ],
)
def test_a_moved_text_is_where_a_fresh_one_would_be(result):
    seasoned = Canvas(Words)
    still = pixels(Canvas(Words), {"text": {"text": ""}, "note": {"text": ""}, "shy": (9, 9)})
    for _ in range(3):
        seasoned.draw({})
    fresh = pixels(Canvas(Words), result)
    for _ in range(3):
        shown = pixels(seasoned, result)
        assert box(shown, still) == pytest.approx(box(fresh, still), abs=1), "a letter may fall on another pixel"
        assert np.abs(shown - still).sum() == pytest.approx(np.abs(fresh - still).sum(), rel=0.1)
    assert np.abs(fresh - pixels(Canvas(Words), {})).max() > 40, "it is another picture"


def box(shown, still):
    """The corners of what texts cover: (top, bottom, left, right)."""
    rows, columns = np.nonzero(np.abs(shown - still).max(axis=2) > 60)
    return rows.min(), rows.max(), columns.min(), columns.max()


def test_a_text_that_the_edge_cuts_is_never_kept():
    canvas = Canvas(Words)
    for _ in range(3):
        canvas.draw({"text": {"position": (-0.45, 0.5)}})
    assert stamped(canvas) == {"note"}


def test_few_images_are_kept(monkeypatch):
    monkeypatch.setattr(figure, "STAMPS", 5)
    canvas = Canvas(Words)
    for number in range(20):
        canvas.draw({"text": {"text": f"{number}"}})
        assert len(canvas.stamps) <= 5


def test_the_sharp_picture_has_letters_not_images():
    canvas = Canvas(Words)
    before = canvas.sharp()
    for _ in range(3):
        canvas.draw({})
    assert canvas.sharp() == before
