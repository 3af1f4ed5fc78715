"""What does it cost to compute on numbers that nobody can read?"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, repeat
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import ckks, encrypted, workers
from privlab.experiments import _encrypted_tasks as tasks
from privlab.experiments import _encrypted_words as words
from privlab.experiments._encrypted_picture import Picture
from privlab.settings import Controls, choice, control
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array

__all__ = ["FRESH", "Cost", "Picture", "Result", "Settings", "run"]

FRESH = ("client seconds", "server seconds", "bytes", "error")
WAYS = {"plain": "in the clear", "shares": "random shares", "paillier": "Paillier", "ckks": "CKKS"}
LIBRARIES = {"ckks": "tenseal", "paillier": "phe"}
MOST_PAILLIER = 50  # clients, beyond which it would take minutes


class Settings(Controls):
    """What is computed, and how large and how exact ciphertexts are."""

    count: int = control(
        default=100, label="people, or clients", low=10, high=1000, scale="log",
        hint="People whose rows are encrypted, or clients whose updates are added up.",
        ends=("few", "many"),
    )  # fmt: skip
    scale_bits: int = control(
        default=28, label="bits kept", low=ckks.LEAST_SCALE, high=ckks.MOST_SCALE, places=29,
        hint="Numbers are rounded to so many bits after the point before they are encrypted.",
        ends=("smaller", "more exact"),
    )  # fmt: skip
    degree: str = choice(
        default="4096", label="ring size N", among=lambda: tuple(map(str, ckks.MOST_BITS)),
        words=lambda degree: f"{int(degree):,}",
        hint="A ciphertext holds N/2 numbers. The others are measured once, for comparison.",
    )  # fmt: skip
    task: str = choice(
        default="inference", label="what is computed", among=lambda: tuple(tasks.TASKS),
        words=lambda task: tasks.TASKS[task],
        hint="Predictions for people, the sum of what clients learned, or three steps of a training.",
    )  # fmt: skip
    seeds: int = control(
        default=3, label="repeats", low=1, high=50, slider=(1, 10), places=10, advanced=True,
        hint="How often it is done anew, each time with new keys.",
    )  # fmt: skip

    @classmethod
    def resolve(cls, values: dict[str, Any], base: Settings | None) -> dict[str, Any]:
        """Take the usual number of people or clients where a task is chosen without one."""
        task = values.get("task")
        if task in tasks.USUAL and "count" not in values and task != (base or cls()).task:
            return values | {"count": tasks.USUAL[task]}
        return values


@dataclass(frozen=True)
class Cost:
    """One computation: how, what it took, and how far its result was off.

    Attributes
    ----------
    way : str
        One of `WAYS`.
    degree : int
        N of the ciphertexts; 0 without.
    repeat : int
    client, server : float
        Seconds of work.
    sent : int
        Bytes to the server and back.
    error, bound : float
        The greatest error of a value, and the one stated beforehand.
    """

    way: str
    degree: int
    repeat: int
    client: float
    server: float
    sent: int
    error: float
    bound: float

    @property
    def seconds(self) -> float:
        """All work together."""
        return self.client + self.server


@dataclass(frozen=True)
class Result:
    """A task in the clear, on ciphertexts and, for sums, on shares.

    Attributes
    ----------
    settings : Settings
    costs : tuple of Cost
    same : bool
        Whether the encrypted results lead to the same decisions as those in the clear, as far as there are any.
    progress : float in [0, 1]
    """

    settings: Settings
    costs: tuple[Cost, ...]
    same: bool = True
    progress: float = 0.0

    @property
    def count(self) -> int:
        """Computations done."""
        return len(self.costs)

    @cached_property
    def rows(self) -> dict[tuple[str, int], tuple[Cost, ...]]:
        """The repeats of each way and N, in the order of the picture."""
        keys = [("plain", 0), ("shares", 0), ("paillier", 0), *(("ckks", degree) for degree in ckks.MOST_BITS)]
        found = {key: tuple(c for c in self.costs if (c.way, c.degree) == key) for key in keys}
        return {key: costs for key, costs in found.items() if costs}

    @property
    def held(self) -> tuple[Cost, ...]:
        """The repeats on ciphertexts at the settings; none where they cannot be."""
        return self.rows.get(("ckks", int(self.settings.degree)), ())

    def why_not(self, way: str, degree: int = 0) -> str:
        """Why a way is not measured, in words; empty if it is, or will be."""
        s = self.settings
        if way in LIBRARIES and not ckks.available(LIBRARIES[way]):
            return "not installed"
        if way == "paillier" and s.count > MOST_PAILLIER:
            return f"not above {MOST_PAILLIER} clients"
        if way == "ckks" and not ckks.fits(degree, s.scale_bits, encrypted.LEVELS[s.task]):
            return f"no room at {ckks.SECURITY}-bit security"
        return ""

    def frame(self) -> pd.DataFrame:
        """One row a computation."""
        names = {"client": "client seconds", "server": "server seconds", "sent": "bytes"}
        return pd.DataFrame([vars(one) for one in self.costs]).rename(columns=names)

    def summary(self) -> pd.DataFrame:
        """One row a way: medians of the repeats, and the greatest error."""
        return pd.DataFrame(
            [
                {"how": named(*key), "seconds": median(c.seconds for c in costs),
                 "of the server": median(c.server for c in costs), "bytes": median(c.sent for c in costs),
                 "greatest error": max(c.error for c in costs), "stated bound": costs[0].bound}
                for key, costs in self.rows.items()
            ]
        )  # fmt: skip

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Who holds which key, what is safe against whom, and what is not protected at all."""
        s = self.settings
        holder = {
            "inference": "The people's side holds the only key; the server holds its own weights and no key at all.",
            "sum": "All clients share one secret key, and the server has none. One client in league with the server "
            "opens every update. Random shares go to three servers, of which one must be honest.",
            "training": "The people's side holds the secret key, adds up what each row pulls and encrypts the weights "
            f"anew after each step; the sigmoid is a polynomial of degree {encrypted.SIGMOID_DEGREE}, within "
            f"{encrypted.sigmoid_polynomial()[2]:.2f} on [−8, 8]. Without that help, or bootstrapping, a ciphertext "
            f"is used up after {encrypted.LEVELS['training']} products.",
        }
        return (
            holder[s.task],
            f"{ckks.SECURITY} bits of security: all primes together have at most 109, 218 and 438 bits for N = 4,096, "
            "8,192 and 16,384 (tables of HomomorphicEncryption.org, 2018), against somebody who only looks.",
            "The result is decrypted, and it is exact: whatever it tells about people, it tells as if nothing had been "
            "encrypted. Only noise in the result (differential privacy) helps against that.",
            "Seconds are work on this machine in one thread; the network is not in them. Keys are made anew in each "
            "repeat, and their making is counted.",
            "Each bound holds but for one number in a million million.",
            *(self.missing and (f"Left out, for it is not installed: {self.missing}. This adds it: {ckks.EXTRA}",)),
        )

    @property
    def missing(self) -> str:
        """What is not installed, in words."""
        ways = LIBRARIES if self.settings.task == "sum" else ("ckks",)
        return " and ".join(WAYS[way] for way in ways if not ckks.available(LIBRARIES[way]))

    @property
    def sentence(self) -> str:
        """What encryption costs at the settings, in words."""
        s, plain = self.settings, self.rows[("plain", 0)]
        start = f"With {tasks.WHO[s.task]} = {s.count:,} and bits kept = {s.scale_bits}, "
        shared = ""
        if s.task == "sum":
            one = self.rows[("shares", 0)]
            shared = f" Random shares took {_time(one)} and {_size(one)}, and were off by {_error(one)}."
        if not ckks.available():
            return f"{start}nothing was encrypted: CKKS is not installed. This adds it: {ckks.EXTRA}{shared}"
        reason = self.why_not("ckks", int(s.degree))
        if reason:
            fewer = ckks.fits(int(s.degree), ckks.LEAST_SCALE, encrypted.LEVELS[s.task])
            return (
                f"{start}there is {reason} for {tasks.TASKS[s.task]} at N = {int(s.degree):,}. "
                f"Take a larger N{' or keep fewer bits' if fewer else ''}.{shared}"
            )
        if not self.held:
            return f"{start}ciphertexts at N = {int(s.degree):,} are being made.{shared}"
        held, what = self.held, tasks.TASKS[s.task]
        found = (
            f"{start}{what} on ciphertexts took {_time(held)} and {_size(held)} at N = {int(s.degree):,}; "
            f"in the clear {_time(plain)} and {_size(plain)}. The result was off by {_error(held)} "
            f"(stated: at most {words.tiny(held[0].bound)})."
        )
        if s.task == "inference":
            agree = "All decisions are" if self.same else "Not all decisions are"
            found += f" {agree} the same."
        if s.task == "training":
            whole = tasks.FULL / tasks.STEPS * median(one.seconds for one in held)
            found += f" A training of {tasks.FULL} steps would take {words.seconds(whole)}."
        return found + shared


def named(way: str, degree: int) -> str:
    """How a way is called in tables and pictures."""
    return f"CKKS {degree:,}" if degree else WAYS[way]


def _time(costs: tuple[Cost, ...]) -> str:
    return words.seconds(median(one.seconds for one in costs))


def _size(costs: tuple[Cost, ...]) -> str:
    return words.size(median(one.sent for one in costs))


def _error(costs: tuple[Cost, ...]) -> str:
    return words.tiny(max(one.error for one in costs))


def run(settings: Settings) -> Iterator[Result | None]:
    """Do the task in the clear, then on ciphertexts of the chosen N, then in the other ways, then anew."""
    task = yield from tasks.prepare(settings.task, settings.count)
    result, truth = Result(settings, ()), task.plain()
    degrees = [int(settings.degree), *(degree for degree in ckks.MOST_BITS if degree != int(settings.degree))]
    degrees = [degree for degree in degrees if not result.why_not("ckks", degree)]
    again = [("ckks", degree) for degree in degrees if degree == int(settings.degree)]
    others = [("ckks", degree) for degree in degrees if degree != int(settings.degree)]
    others += [("paillier", 0)] if task.updates is not None and not result.why_not("paillier") else []
    simple = [("plain", 0)] + ([("shares", 0)] if task.updates is not None else [])
    first = [*simple, *again, *others]
    plan = list(chain(first, *repeat([*simple, *again], settings.seeds - 1)))
    done: dict[tuple[str, int], int] = {}
    for number, key in enumerate(plan, 1):
        outcome = yield from _compute(task, *key, settings)
        done[key] = done.get(key, 0) + 1
        cost = Cost(
            *key, done[key] - 1, outcome.client, outcome.server, outcome.sent, tasks.worst(outcome.values, truth),
            outcome.bound,
        )  # fmt: skip
        same = result.same and bool(np.all((outcome.values > 0) == (truth > 0)))
        result = replace(result, costs=(*result.costs, cost), same=same, progress=number / len(plan))
        if settings.task != "sum" or number > 1:
            yield result


def _compute(task: tasks.Task, way: str, degree: int, settings: Settings) -> Generator[None, None, encrypted.Outcome]:
    if way == "plain":
        return task.in_the_clear()
    if way == "ckks":
        return (yield from task.seal(ckks.Parameters(degree, settings.scale_bits, encrypted.LEVELS[settings.task])))
    updates: Array = np.zeros(0) if task.updates is None else task.updates
    if way == "shares":
        return encrypted.shared_sum(updates)
    key = ("paillier", settings.count)
    queue = workers.Queue(encrypted.paillier_sum, {key: (updates.tolist(),)})
    try:
        while not queue.finished:
            queue.advance()
            yield
    finally:
        queue.cancel()
    outcome: encrypted.Outcome = workers.recall(key)
    return outcome
