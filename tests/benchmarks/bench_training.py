"""Models a second, against loops over Opacus and diffprivlib."""

from __future__ import annotations

import statistics
import time

import numpy as np

from privlab import accounting, datasets, dpsgd, models
from tests.benchmarks import peers, table

STEPS, RATE, DELTA = 150, 0.02, 1e-5
RUNS = 7


def measure() -> list[table.Row]:
    """Measure the trainer's bars."""
    logistic = _seconds("dp-sgd-logistic", width=64, seeds=2)
    network = _seconds("dp-sgd-mlp", width=16, seeds=1)
    rate = 128 / logistic
    sigma = accounting.noise_multiplier(epsilon=1, sampling_rate=RATE, steps=STEPS, delta=DELTA)
    peers.opacus_logistic(sigma, 1.0, RATE, 2, 2.0, 0)
    opacus = statistics.median(peers.opacus_logistic(sigma, 1.0, RATE, STEPS, 2.0, seed)[0] for seed in range(3))
    peers.diffprivlib_logistic(1.0, 0)
    ibm = statistics.median(peers.diffprivlib_logistic(1.0, seed)[0] for seed in range(1, 4))
    return [
        table.at_least("logistic, 128 models × 150 steps, rate 0.02, Adult", rate, "models/s", 1000),
        table.only_told("one such model by Opacus (median of 3, a loop is a multiple)", opacus, "s"),
        table.at_least("… times faster than an Opacus loop", rate * opacus, "×", 500),
        table.only_told("one logistic regression by diffprivlib (median of 3)", ibm, "s"),
        table.at_least("… times faster than a diffprivlib loop", rate * ibm, "×", 100),
        table.at_most("network with 32 hidden units, 16 models, same work", 1e3 * network, "ms", 400),
    ]


def _seconds(name: str, width: int, seeds: int) -> float:
    """Median time to train and score `width` models for each seed."""
    data = datasets.load("adult")
    prepared = dpsgd.prepare(data)
    epsilons = np.geomspace(0.05, 10, width)
    grid = accounting.noise_multipliers(accounting.EPSILON_GRID, sampling_rate=RATE, steps=STEPS, delta=DELTA)
    sigma = np.exp(np.interp(np.log(epsilons), np.log(accounting.EPSILON_GRID), np.log(grid)))
    plan = models.CATALOGUE[name].plan(prepared, sigma, np.ones(width), RATE, STEPS)
    X = data.evaluation[0]

    def score(weights: dpsgd.Weights) -> np.ndarray:
        return models.score(data, models.batched_losses(data, weights.decision(X)))

    times = []
    for run in range(RUNS + 1):
        before = time.perf_counter()
        found = [item for item in dpsgd.sweep(prepared, plan, [(run, s) for s in range(seeds)], score) if item]
        times.append(time.perf_counter() - before)
        assert sum(len(scores) for _, scores in found) == width * seeds
    return statistics.median(times[1:])
