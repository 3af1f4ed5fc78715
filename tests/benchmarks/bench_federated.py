"""From a key press to the first rounds of 200 clients, trained anew, beside a label that only repeats its slider."""

from __future__ import annotations

from tests.benchmarks import repaint, table

PANEL = "import privlab\nprivlab.explore('federated')"


def measure() -> list[table.Row]:
    """Milliseconds, and ratios to the label in the same session."""
    sliders = {"epsilon": (0, 1.0), "skew": (2, 0.8)}
    return repaint.measure(PANEL, "federated", sliders, 1, "rounds of 200 clients")
