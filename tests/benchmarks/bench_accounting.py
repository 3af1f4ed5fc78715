"""How long calibration takes, how tight it is, and that it never claims too little."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import numpy as np

from privlab import accounting
from tests.benchmarks import table

# Not among the shipped settings, so that nothing is looked up.
SETTING: dict[str, Any] = {"sampling_rate": 0.021, "steps": 151, "delta": 1e-5}
COLD_RUNS = 3


def measure() -> list[table.Row]:
    """Measure the bars of the accounting: rows of what, value, unit, bar and whether it is met."""
    cold = [_in_fresh_process() for _ in range(COLD_RUNS)]
    sigmas = np.array(cold[0]["noise_multipliers"])
    claimed = np.array([accounting.epsilon(noise_multiplier=s, **SETTING) for s in sigmas])
    fine = np.array(
        [
            _reference(s, min(1e-4, e / 2000))
            for s, e in zip(sigmas.tolist(), accounting.EPSILON_GRID.tolist(), strict=True)
        ]
    )
    return [
        table.at_most("ε grid of 16 calibrated, cold", np.median([run["cold"] for run in cold]), "ms", 400),
        table.at_most("ε grid of 16 calibrated, warm", np.median([run["warm"] for run in cold]), "ms", 5),
        table.at_most("ε grid of 16 from the shipped table", np.median([r["table"] for r in cold]), "ms", 5),
        table.at_most("ε unused by the calibration", 100 * (1 - fine / accounting.EPSILON_GRID).max(), "%", 1),
        table.at_most("ε claimed below fine PLD", 100 * max(0.0, (1 - claimed / fine).max()), "%", 0),
    ]


def _reference(sigma: float, interval: float) -> float:
    import dp_accounting
    from dp_accounting.pld import PLDAccountant

    event = dp_accounting.PoissonSampledDpEvent(SETTING["sampling_rate"], dp_accounting.GaussianDpEvent(sigma))
    accountant = PLDAccountant(value_discretization_interval=interval)
    return float(accountant.compose(event, SETTING["steps"]).get_epsilon(SETTING["delta"]))


def _in_fresh_process() -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_accounting"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _timed_run() -> dict[str, Any]:
    rate, steps, delta = accounting.TABLE_SETTINGS[0]
    grid = accounting.EPSILON_GRID
    before = time.perf_counter()
    accounting.noise_multipliers(grid, sampling_rate=rate, steps=steps, delta=delta)
    table = time.perf_counter() - before
    assert "dp_accounting" not in sys.modules, "the shipped table did not answer"

    import dp_accounting  # noqa: F401

    before = time.perf_counter()
    sigmas = accounting.noise_multipliers(grid, **SETTING)
    cold = time.perf_counter() - before
    before = time.perf_counter()
    accounting.noise_multipliers(grid, **SETTING)
    warm = time.perf_counter() - before
    return {
        "table": 1e3 * table,
        "cold": 1e3 * cold,
        "warm": 1e3 * warm,
        "noise_multipliers": sigmas.tolist(),
    }


if __name__ == "__main__":
    print(json.dumps(_timed_run()))
