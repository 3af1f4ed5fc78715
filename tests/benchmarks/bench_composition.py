"""The accounting panel: from settings to the final picture, seen before and never seen."""

from __future__ import annotations

import statistics
import time

import numpy as np

from privlab import accounting
from privlab.experiments import accounting as experiment
from privlab.panel.figure import Canvas
from tests.benchmarks import table

RUNS = 12


def measure() -> list[table.Row]:
    """Milliseconds for each view, dp-accounting imported."""
    accounting.warm_up()
    canvas, rng = Canvas(experiment.Picture), np.random.default_rng()
    return [row for view in experiment.VIEWS for row in _view(view, canvas, rng)]


def _view(view: str, canvas: Canvas, rng: np.random.Generator) -> list[table.Row]:
    _seconds(canvas, experiment.Settings.make(view=view))
    cold, warm, first = [], [], []
    for _ in range(RUNS):
        settings = experiment.Settings.make(
            view=view,
            noise_multiplier=float(np.exp(rng.uniform(np.log(0.6), np.log(4)))),
            steps=int(np.exp(rng.uniform(np.log(30), np.log(10_000)))),
            sampling_rate=float(np.exp(rng.uniform(np.log(0.001), np.log(0.3)))),
            epsilon=float(np.exp(rng.uniform(np.log(0.1), np.log(10)))),
        )
        seconds, soonest = _seconds(canvas, settings)
        cold.append(seconds)
        first.append(soonest)
        warm.append(_seconds(canvas, settings)[0])
    return [
        table.at_most(f"accounting, {view}: settings seen before, median", 1e3 * statistics.median(warm), "ms", 50),
        table.at_most(f"accounting, {view}: never seen, median", 1e3 * statistics.median(cold), "ms", 500),
        table.only_told("… the slowest", 1e3 * max(cold), "ms"),
        table.only_told("… until its first picture: median", 1e3 * statistics.median(first), "ms"),
    ]


def _seconds(canvas: Canvas, settings: experiment.Settings) -> tuple[float, float]:
    """Until the final picture, and until the first."""
    before, first = time.perf_counter(), 0.0
    for result in experiment.run(settings):
        if result is not None:
            canvas.draw(result)
            first = first or time.perf_counter() - before
    return time.perf_counter() - before, first
