"""How time and memory grow: with rows, features and models at the same batch size, and with the points of a sweep."""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

import privlab
from privlab import accounting, datasets, dpsgd, models
from privlab.panel.figure import Canvas
from tests.benchmarks import table

ROWS = (3_000, 30_000, 300_000, 3_000_000)
BATCH, STEPS, DELTA = 1_200, 60, 1e-8
RUNS = 7
MILLION = 1_000_000
POINTS = {"clip_norm": np.geomspace(0.1, 10, 100), "seed": range(100)}


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
    return [*rows, *_million(raw, schema), *_many_points()]


def _million(raw: object, schema: object) -> list[table.Row]:
    """A table of one's own as it is used: registered, then opened with nothing but its name."""
    sample = raw.iloc[np.random.default_rng(1).integers(0, len(raw), MILLION)].reset_index(drop=True)
    gc.collect()
    before, used = time.perf_counter(), psutil.Process().memory_info().rss
    data = datasets.from_frame(sample, target=schema.target.name, schema=schema, n=MILLION)
    made = time.perf_counter()
    panel = privlab.explore("tradeoff", dataset=data)
    shown, grown = time.perf_counter(), psutil.Process().memory_info().rss - used
    panel.close()
    return [
        table.at_most(f"a table of {MILLION:,} rows registered", made - before, "s", 3),
        table.at_most("… until its panel is open, σ for its δ found anew", shown - made, "s", 10),
        table.only_told("… memory that both take", grown / 1e6, "MB"),
    ]


def _many_points() -> list[table.Row]:
    """Ten thousand points of real training: memory of this process and its workers, from the 1,000th on."""
    used: dict[int, int] = {}

    class Watch:
        stopped = False

        def show(self, done: int, total: int) -> None:
            family = [psutil.Process(), *psutil.Process().children(recursive=True)]
            used[done] = sum(one.memory_info().rss for one in family)

        def close(self) -> None:
            pass

    with tempfile.TemporaryDirectory() as folder:
        before = time.perf_counter()
        path = Path(folder) / "sweep.jsonl"
        done = privlab.sweep("tradeoff", POINTS, path=path, watch=Watch(), dataset="breast_cancer", seeds=1).done
        seconds = time.perf_counter() - before
    early = max(size for count, size in used.items() if 900 < count <= 1000)
    return [
        table.only_told(f"a sweep of {done:,} points, each a curve of 17 models", seconds, "s"),
        table.at_most("… memory, with its workers, against the 1,000th point", max(used.values()) / early, "×", 1.05),
    ]


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
