"""Charges a ledger from a process of its own: `python -m tests.charging FOLDER COUNT EPSILON`, COUNT 0 for ever.

Prints the number of each entry once its charge has returned. With `KILLS` as a fourth word it forks a child that
charges for ever and kills it, that many times, at random moments, and prints what it found after each.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from pathlib import Path

from privlab.ledger import BudgetExceededError, Ledger


def opened(folder: str | Path, **budget: float) -> Ledger:
    """The ledger of a folder, its key and head in another folder beside it."""
    apart = Path(folder) / "elsewhere"
    (Path(folder) / "project").mkdir(exist_ok=True)
    return Ledger(Path(folder) / "project" / "a.ledger", key=apart / "key", head=apart / "a.head", **budget)


def charge(folder: str, count: int, epsilon: float) -> None:
    """Charge until there is nothing left, or `count` times."""
    ledger = opened(folder)
    for _ in itertools.count() if count == 0 else range(count):
        try:
            print(ledger.charge(epsilon=epsilon, what=f"process {os.getpid()}").number, flush=True)
        except BudgetExceededError:
            print("refused", flush=True)


def kill(folder: str, epsilon: float, kills: int) -> None:
    """Print, after each kill: the last number that a charge returned, the entries there, and whether all is whole."""
    ledger, moment = opened(folder), random.Random(0)
    last = 0
    for _ in range(kills):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(writer, 1)
            charge(folder, 0, epsilon)
        os.close(writer)
        with os.fdopen(reader) as told:
            told.readline()
            time.sleep(moment.uniform(0, 0.03))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            last = max([last, *(int(line) for line in told.read().split() if line.isdigit())])
        found = ledger.verify()
        print(last, len(ledger.entries()), bool(found), found.intent, ledger.spent(), flush=True)


if __name__ == "__main__":
    place, times, each, *rest = sys.argv[1:]
    if rest:
        kill(place, float(each), int(rest[0]))
    else:
        charge(place, int(times), float(each))
