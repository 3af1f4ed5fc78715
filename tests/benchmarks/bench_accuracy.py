"""Accuracy on Adult's own test split against peers, and whether the band on screen means what it says."""

from __future__ import annotations

import numpy as np

import privlab
from privlab import accounting, datasets, dpsgd, models, uncertainty
from privlab.experiments.tradeoff import Settings
from tests.benchmarks import peers, table

EPSILONS = (0.1, 0.5, 1.0, 3.0)
SEEDS, PEER_SEEDS = 32, 5
FRESH = 500
BLOCKS = 100  # fewer leave the share of hits itself unsure by more than a point


def measure() -> list[table.Row]:
    """Measure the bars on accuracy and on the band."""
    plain = privlab.run("tradeoff", seeds=2).ceilings["linear, no privacy"]
    rows = [table.only_told("logistic regression without privacy, Adult's test split", 100 * plain, "%")]
    for epsilon in EPSILONS:
        rows += _against_peers(epsilon, plain)
    return [*rows, _coverage()]


def _against_peers(epsilon: float, plain: float) -> list[table.Row]:
    settings = Settings.make(epsilon=epsilon, seeds=SEEDS)
    ours = privlab.run("tradeoff", epsilon=epsilon, seeds=SEEDS).curves[0].held
    prepared, sigma = dpsgd.prepare(datasets.load("adult")), settings.noise_multiplier
    model = models.CATALOGUE["dp-sgd-logistic"]
    plan = model.plan(prepared, np.array([sigma]), np.ones(1), settings.sampling_rate, settings.steps)
    pace = float(np.max(plan.learning_rate))
    opacus = np.stack(
        [
            ~peers.opacus_logistic(sigma, 1.0, settings.sampling_rate, settings.steps, pace, seed)[1]
            for seed in range(PEER_SEEDS)
        ]
    )
    ibm = np.stack([~peers.diffprivlib_logistic(epsilon, seed)[1] for seed in range(PEER_SEEDS)])
    score = 100 * (1 - ours.mean())
    beyond = uncertainty.difference(opacus, ours)
    rows = [table.only_told(f"ε = {epsilon:g}: privlab, mean of {SEEDS}", score, "%")]
    if epsilon == 1:
        rows.append(table.at_most("ε = 1: points below no privacy", 100 * plain - score, "points", 0.3))
    return [
        *rows,
        table.only_told(f"ε = {epsilon:g}: Opacus, same settings, {PEER_SEEDS} seeds", 100 * (1 - opacus.mean()), "%"),
        table.at_least(
            f"ε = {epsilon:g}: points above Opacus, upper end of the 95 % interval",
            100 * (beyond.mean + beyond.half), "points", 0,
        ),
        table.at_least(f"ε = {epsilon:g}: points above diffprivlib", score - 100 * (1 - ibm.mean()), "points", 0),
    ]  # fmt: skip


def _coverage() -> table.Row:
    """How often the 95 % band of 32 trainings covers the mean of 500 fresh ones, over the ε grid."""
    data = datasets.load("adult")
    prepared, settings = dpsgd.prepare(data), Settings()
    sigma = accounting.noise_multipliers(accounting.EPSILON_GRID, **settings.mechanism)
    plan = models.CATALOGUE["dp-sgd-logistic"].plan(
        prepared, sigma, np.ones(len(sigma)), settings.sampling_rate, settings.steps
    )
    X = data.evaluation[0]

    def score(weights: dpsgd.Weights) -> np.ndarray:
        return models.score(data, models.batched_losses(data, weights.decision(X)))

    def trained(root: int, count: int) -> np.ndarray:
        streams = [(root, seed) for seed in range(count)]
        return np.stack([item[1] for item in dpsgd.sweep(prepared, plan, streams, score) if item])

    fresh = trained(1, FRESH).mean(axis=0)
    blocks = trained(2, BLOCKS * SEEDS).reshape(BLOCKS, SEEDS, -1)
    hits = [abs(e.mean - fresh) <= e.band for e in map(uncertainty.estimate, blocks)]
    covered = 100 * float(np.mean(hits))
    row = table.at_least(f"band of 32 covers the mean of 500 fresh ({BLOCKS} blocks × 16 ε)", covered, "%", 93)
    return row | {"bar": "93–97", "met": 93 <= covered <= 97}
