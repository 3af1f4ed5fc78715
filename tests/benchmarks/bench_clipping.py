"""How soon the clipping panel is there: its first picture in a fresh process, and a new one after a move."""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median

from tests.benchmarks import table

RUNS = 5
PROGRAM = """
import json, time
import pandas, privlab, privlab.panel
import matplotlib.backends.backend_agg
from privlab import experiments
experiments.get("gradient_clipping")
before = time.perf_counter()
panel = privlab.explore("gradient_clipping")
first = time.perf_counter() - before
assert panel.result.dataset.name == "adult" and len(panel.result.cut.norms) == 32561
panel.wait()
moves = {}
controls = type(panel.settings).controls()
for what, view in {"clip_norm": "norms", "done": "norms", "clip_norm ": "direction", "epsilon": "groups"}.items():
    name = what.strip()
    panel.set(view=view, seeds=8)
    panel.wait()
    moves[what] = []
    for place in (40, 50, 80, 90):
        shown = panel.result
        before = time.perf_counter()
        panel.set(**{name: controls[name].positions()[place]})
        while panel.result is shown and panel._error is None:
            panel._runner.step()
        moves[what].append(time.perf_counter() - before)
        panel.wait()
print(json.dumps({"first": first, "moves": moves}))
"""


def measure() -> list[table.Row]:
    """Medians of fresh processes with warm files, after imports; a move is until its PNG is made."""
    firsts, moves = [], []
    for run in range(RUNS + 1):
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        if run:
            firsts.append(found["first"])
            moves.append(found["moves"])
    rows = [table.at_most("clipping: explore to the first picture, Adult", 1000 * median(firsts), "ms", 300)]
    words = {
        "clip_norm": "clipping: a move of C to a new histogram",
        "done": "clipping: a move of the step to a new histogram",
        "clip_norm ": "clipping: a move of C to a new trade of turn and noise",
        "epsilon": "clipping: a move of ε to new curves by group",
    }
    for name, what in words.items():
        taken = [1000 * seconds for found in moves for seconds in found[name]]
        rows.append(table.at_most(f"{what}, Adult", median(taken), "ms", 200 if name == "epsilon" else 100))
    return rows
