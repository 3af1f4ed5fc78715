"""From a key press to 200 fresh OpenDP releases on the screen, beside a label that only repeats its slider."""

from __future__ import annotations

from tests.benchmarks import repaint, table

PANEL = "import privlab\nprivlab.explore('statistics', upper=10)"


def measure() -> list[table.Row]:
    """Milliseconds, and ratios to the label in the same session."""
    sliders = {"epsilon": (0, 0.1), "upper": (1, 10.0)}
    return repaint.measure(PANEL, "statistics", sliders, 200, "≥ 200 fresh releases")
