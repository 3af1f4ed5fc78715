"""How the first picture's time grows with rows, features and models, at the same batch size."""

from __future__ import annotations

import statistics
import time

import numpy as np

from privlab import accounting, datasets, dpsgd, models
from privlab.panel.figure import Canvas
from tests.benchmarks import table

ROWS = (3_000, 30_000, 300_000, 3_000_000)
BATCH, STEPS, DELTA = 1_200, 60, 1e-8
RUNS = 7


def measure() -> list[table.Row]:
    """Measure growth."""
    from privlab import experiments

    rows, module = [], experiments.get("tradeoff")
    rng = np.random.default_rng(0)
    raw = datasets.load("adult").frame.drop(columns="split")
    schema = datasets.load("adult").schema
    times = []
    for count in ROWS:
        sample = raw.iloc[rng.integers(0, len(raw), count)].reset_index(drop=True)
        data = datasets.from_frame(sample, target=schema.target.name, schema=schema, n=count)
        rate = min(1.0, BATCH / data.n_train)
        settings = module.Settings.make(dataset=data, sampling_rate=rate, steps=STEPS, delta=DELTA)
        accounting.noise_multipliers([*accounting.EPSILON_GRID, 1.0], **settings.mechanism)
        times.append(_first_picture(module, settings))
        rows.append(table.only_told(f"first picture, {count:,} rows, batch {BATCH}", 1e3 * times[-1], "ms"))
    rows.append(table.at_most("… grows from 3,000 to 3,000,000 rows", times[-1] / times[0], "×", 1.5))
    for features in (25, 50, 100, 200):
        seconds = _training(features=features, width=17)
        rows.append(table.only_told(f"training of 2 × 17 models, {features} features", 1e3 * seconds, "ms"))
    for width in (17, 34, 68, 136):
        seconds = _training(features=100, width=width)
        rows.append(table.only_told(f"training of 2 × {width} models, 100 features", 1e3 * seconds, "ms"))
    return rows


def _first_picture(module: object, settings: object) -> float:
    canvas, times = Canvas(module.Picture), []
    for _ in range(RUNS + 1):
        before = time.perf_counter()
        run = module.run(settings)
        result = next(item for item in run if item is not None)
        canvas.draw(result)
        times.append(time.perf_counter() - before)
        run.close()
    return statistics.median(times[1:])


def _training(features: int, width: int) -> float:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (30_000, features)).astype(np.float32)
    data = dpsgd.TrainingData.make(X, (X[:, 0] > 0).astype(np.int32), "logistic")
    plan = models.CATALOGUE["dp-sgd-logistic"].plan(data, np.ones(width), np.ones(width), 0.04, STEPS)
    times = []
    for run in range(RUNS + 1):
        before = time.perf_counter()
        list(dpsgd.sweep(data, plan, [(run, 0), (run, 1)], lambda weights: weights.first[0]))
        times.append(time.perf_counter() - before)
    return statistics.median(times[1:])
