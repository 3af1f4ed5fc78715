"""`python -m tests.benchmarks [NAME...]`: one run, one table, against peers and floors on this machine."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from pathlib import Path

from tests.benchmarks import table

NAMES = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))


def main(wanted: list[str]) -> None:
    unknown = set(wanted) - set(NAMES)
    if unknown:
        sys.exit(f"Benchmarks must be among {', '.join(NAMES)}. Got {', '.join(sorted(unknown))}.")
    rows = []
    for name in wanted or NAMES:
        before = time.perf_counter()
        try:
            rows += import_module(f"tests.benchmarks.bench_{name}").measure()
        except ModuleNotFoundError as missing:  # the peers are an extra: the other rows are worth having
            print(f"{name}: {missing}", file=sys.stderr)
        print(f"{name}: {time.perf_counter() - before:.0f} s", file=sys.stderr)
    print(table.show(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
