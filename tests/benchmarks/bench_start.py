"""How long it takes to begin, in the first cell of fresh kernels with warm files, and how much memory."""

from __future__ import annotations

import os
import statistics

from jupyter_client.manager import KernelManager

from tests.benchmarks import table

RUNS = 5
PROGRAMS = {
    "numpy, pandas": "import numpy, pandas",
    "privlab": "import numpy, pandas; import privlab",
    "bare": "import numpy, pandas, ipywidgets, matplotlib.figure",
    "panel": "import privlab; panel = privlab.explore('tradeoff'); assert panel.result.count >= 32",
}
TIMED = """
import time
before = time.perf_counter()
{program}
took = time.perf_counter() - before
import resource
print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def measure() -> list[table.Row]:
    """Measure the bars on starting: medians of interleaved runs."""
    took: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    peak: dict[str, float] = {}
    for run in range(RUNS + 1):
        for name, program in PROGRAMS.items():
            seconds, kilobytes = map(float, _in_fresh_kernel(TIMED.format(program=program)).split()[-2:])
            peak[name] = kilobytes / 1024
            if run:
                took[name].append(seconds)
    middle = {name: statistics.median(times) for name, times in took.items()}
    return [
        table.at_most("import privlab, beyond numpy and pandas", middle["privlab"] - middle["numpy, pandas"], "s", 0.3),
        table.only_told("bare imports: numpy, pandas, ipywidgets, matplotlib.figure", middle["bare"], "s"),
        table.only_told("first cell to a panel with its first curve of ≥ 32 models", middle["panel"], "s"),
        table.at_most("… against the bare imports", middle["panel"] / middle["bare"], "×", 1.25),
        table.only_told("peak memory of a kernel with the first panel open", peak["panel"], "MB"),
    ]


def _in_fresh_kernel(code: str) -> str:
    """What the code prints; raises if it fails."""
    manager = KernelManager(kernel_name="python3", transport="ipc")
    # Files are warm only where Python may keep its bytecode.
    manager.start_kernel(env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"})
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    heard: list[str] = []

    def hear(message: dict) -> None:
        if message["msg_type"] == "stream":
            heard.append(message["content"]["text"])

    try:
        reply = client.execute_interactive(code, output_hook=hear, timeout=120)
        if reply["content"]["status"] != "ok":
            raise RuntimeError("\n".join(reply["content"]["traceback"]))
        return "".join(heard)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
