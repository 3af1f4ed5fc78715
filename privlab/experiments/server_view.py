"""What does the server see of one person when nobody sends any data?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from privlab import accounting, cards, datasets, secure_aggregation
from privlab.experiments import _choices
from privlab.experiments import _server_attack as attack
from privlab.experiments._server_picture import Picture
from privlab.experiments._waiting import elsewhere, for_the_accountant
from privlab.federated import BYTES
from privlab.settings import Controls, choice, control
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array

__all__ = ["CARDS", "PROTECT", "Picture", "Result", "Settings", "run"]

DELTA = 1e-5
TOGETHER = 50  # clients attacked between two results
PROTECT = {
    "none": "nothing: updates in the clear",
    "masks": "masks: only the sum comes out",
    "noise": "noise on each update",
    "both": "masks, and noise on the sum",
}
CARDS = {
    "none": {
        "the server": "every update in the clear",
        "a thief at the server": "the same",
        "who gets the model": "what any model gives away",
    },
    "masks": {
        "the server": "only the sum of all updates",
        "a thief at the server": "the same",
        "server with most other clients": "any one's update",
        "who gets the model": "what any model gives away",
    },
    "noise": {
        "the server": "noisy updates: bounded by ε",
        "a thief at the server": "the same",
        "who gets the model": "less: bounded by ε, too",
    },
    "both": {
        "the server": "one noisy sum: bounded by ε",
        "a thief at the server": "the same",
        "server with most other clients": "one update under little noise",
        "who gets the model": "the same sum: bounded by ε",
    },
}


def _shipped() -> tuple[str, ...]:
    """Only public sets: the attack is never turned on one's own people."""
    return tuple(name for name in cards.SHIPPED if datasets.card(name).schema.task == "binary" and name != "rand")


class Settings(Controls):
    """What a client sends, and what protects it."""

    people: int = control(
        default=1, label="people of one client", low=1, high=500, slider=(1, 100), scale="log", places=41,
        ends=("one phone", "an office"), hint="A client sends the mean of its people's gradients.",
    )  # fmt: skip
    epsilon: float = _choices.epsilon(
        "For the noise, in this one round.", label="privacy budget ε, for a whole client", low=0.05
    )
    clients: int = control(
        default=10, label="clients N", low=3, high=40, slider=(3, 30), places=28, ends=("few", "many"),
        hint="How many are added up under masks.",
    )  # fmt: skip
    protect: str = choice(
        default="none", label="protection", among=lambda: tuple(PROTECT), words=lambda one: PROTECT[one],
        hint="What is done before an update leaves the client.",
    )  # fmt: skip
    dataset: str = _choices.data("adult", _shipped)
    clip_norm: float = control(
        default=1.0, label="clipping norm C", low=0.01, high=10, slider=(0.1, 3), scale="log", places=41, advanced=True,
        hint="The longest update that noise is made for.",
    )  # fmt: skip
    repeats: int = control(
        default=400, label="clients attacked", low=50, high=5000, slider=(50, 2000), scale="log", places=21,
        advanced=True, hint="More of them narrow the lines.",
    )  # fmt: skip
    seed: int = _choices.seed()


@dataclass(frozen=True)
class Result:
    """How much of a person can be read from what arrives, column by column.

    Attributes
    ----------
    settings : Settings
    columns : tuple of str
    read : dict of float (columns,)
        By what is attacked ("none", "one masked", "masks", "noise", "both", "guess"): the share of people of whom the
        column is read exactly.
    attacked : dict of int
        How many people each share is of.
    arrived : dict of float (numbers,)
        Numbers that arrive from clients, in no order: by protection.
    progress : float in [0, 1]
    """

    settings: Settings
    columns: tuple[str, ...]
    read: dict[str, Array]
    attacked: dict[str, int]
    arrived: dict[str, Array]
    progress: float = 0.0

    @property
    def count(self) -> int:
        """People attacked."""
        return sum(self.attacked.values())

    def half(self, what: str) -> Array:
        """Half of the 95 % interval of each share (Agresti–Coull)."""
        n = self.attacked[what] + 4
        share = (self.read[what] * self.attacked[what] + 2) / n
        width: Array = 1.96 * np.sqrt(share * (1 - share) / n)
        return width

    def share(self, what: str) -> float:
        """The share of a person's columns that is read, on average."""
        return float(self.read[what].mean())

    @property
    def card(self) -> dict[str, str]:
        """Who could still see what."""
        return CARDS[self.settings.protect]

    def frame(self) -> pd.DataFrame:
        """One row per column and what is attacked: the share read exactly."""
        parts = [
            pd.DataFrame({"attacked": what, "column": self.columns, "share read": share, "people": self.attacked[what]})
            for what, share in self.read.items()
        ]
        return pd.concat(parts, ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """Who could still see what, and how much of a person is read, by protection."""
        rows = []
        for protect, words in PROTECT.items():
            row = {"protection": words, "columns read (%)": round(100 * self.share(protect), 1)}
            rows.append(row | {"the server sees": CARDS[protect]["the server"]})
        return pd.DataFrame(rows)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What is attacked, how, and what each protection rests on."""
        s, honest = self.settings, attack.threshold(self.settings.clients)
        numbers = len(self.arrived["masks"]) // s.clients
        plain, hidden = BYTES * numbers, secure_aggregation.bytes_sent(s.clients, numbers, attack.CODING)
        return (
            "Each client sends one gradient of a logistic model at its start. Divided by its last entry, one person's "
            "is the record itself. Of several, the server takes what is likeliest in each column, knowing what people "
            "are like in general. The sum of a few still tells which values occur in each column, not which belong "
            "together. A cleverer attack may read more; only ε limits every attack.",
            "A column counts as read if the category is right, or a number to a hundredth of its range. Only shares "
            "over many clients are shown, never a record; only public data sets are offered.",
            "Grey marks: the commonest value, without any update.",
            f"Masks: secure aggregation of {s.clients} clients (Bonawitz et al. 2017), run for real, for a server that "
            f"is curious but follows the protocol; {honest} clients must be left to unmask a sum, "
            f"and {honest} who side with the server can unmask anybody. A client then sends "
            f"{hidden:,} bytes in a round instead of {plain:,}.",
            f"Noise on each update: ε at δ = {DELTA:g} for replacing all of a client's data, for this one round.",
            f"Noise on the sum: each client adds a share, such that {honest} shares are enough for ε at δ = {DELTA:g}, "
            "for adding or removing a client, in this one round. Clients who tell the server their shares weaken it.",
            "Masks hide updates and not the sum; noise bounds what anything tells. Many rounds add up: see the panel "
            "with rounds. Noise here is floating-point noise: ε is idealised.",
        )

    @property
    def sentence(self) -> str:
        """How much of a person the server reads under each protection."""
        s = self.settings

        def per(what: str) -> str:
            return f"{100 * self.share(what):.0f} %"

        one = "a client with m = 1 person" if s.people == 1 else f"a client with m = {s.people:.3g} people"
        return (
            f"From the update of {one} the server reads {per('none')} of a person's columns exactly; guessing the "
            f"commonest gets {per('guess')}. From one masked update it reads {per('one masked')}, from the sum of "
            f"N = {s.clients:.3g} clients {per('masks')}. With noise at ε = {s.epsilon:.3g}: {per('noise')} from an "
            f"update, {per('both')} from the sum."
        )


def run(settings: Settings) -> Iterator[Result | None]:
    """Attack some clients, then more."""
    data = datasets.load(settings.dataset)
    table = attack.table(data)
    yield from for_the_accountant()
    sigma = accounting.gaussian_noise_multiplier(epsilon=settings.epsilon, delta=DELTA)
    codes, first = yield from elsewhere(lambda: _protocol(data, settings.people, settings.clients, settings.seed))
    size = attack.CODING.modulus / 2**attack.CODING.fraction
    uniform = size / math.sqrt(12)  # standard deviation
    people = settings.people
    decoded = attack.CODING.decode(codes)
    guess = attack.guess(table, decoded, people=people, others=people - 1, scale=1.0, noise=uniform)
    found = {"one masked": [table.read(guess, first[:, 0])]}
    arrived: dict[str, list[Array]] = {"none": [], "noise": []}
    shares = codes.ravel() / attack.CODING.modulus
    for start in range(0, settings.repeats, TOGETHER):
        number = min(TOGETHER, settings.repeats - start)
        _attack(table, settings, sigma * settings.clip_norm, number, start, found, arrived)
        yield Result(
            settings,
            table.names,
            {what: np.concatenate(parts).mean(axis=0) for what, parts in found.items()},
            {what: sum(map(len, parts)) for what, parts in found.items()},
            {what: np.concatenate(parts) for what, parts in arrived.items()} | {"masks": shares, "both": shares},
            (start + number) / settings.repeats,
        )


def _attack(
    table: attack.Table,
    settings: Settings,
    noise: float,
    number: int,
    start: int,
    found: dict[str, list[Array]],
    arrived: dict[str, list[Array]],
) -> None:
    """Attack so many rounds of N clients each, and the first client of each."""
    rng = np.random.default_rng([settings.seed, 1, start])
    N, people = settings.clients, settings.people
    chosen = rng.integers(len(table.X), size=(number, N, people))
    raw = attack.gradients(table.X[chosen], table.y[chosen])
    short = attack.shorten(raw, settings.clip_norm)
    noisy = short[:, 0] + 2 * noise * rng.standard_normal(short[:, 0].shape)
    honest = attack.threshold(N)
    shares = rng.standard_normal(short.shape) * noise / math.sqrt(honest)
    scale = attack.shortened(table, people, settings.clip_norm)
    seen = {  # what arrives, how many others are in it, how much it was shortened, and its noise
        "none": (raw[:, 0], people - 1, 1.0, 0.0),
        "masks": (raw.sum(axis=1), N * people - 1, 1.0, 0.0),
        "noise": (noisy, people - 1, scale, 2 * noise),
        "both": ((short + shares).sum(axis=1), N * people - 1, scale, noise * math.sqrt(N / honest)),
        "guess": (0 * raw[:, 0], people - 1, 1.0, 1e9),
    }
    for what, (vectors, others, shorter, loud) in seen.items():
        guess = attack.guess(table, vectors, people=people, others=others, scale=shorter, noise=loud)
        found.setdefault(what, []).append(table.read(guess, chosen[:, 0, 0]))
    arrived["none"].append(raw[:, 0].ravel())
    arrived["noise"].append(noisy.ravel())


@lru_cache(maxsize=64)
def _protocol(data: datasets.Dataset, people: int, clients: int, seed: int) -> tuple[Array, Array]:
    """One real round of secure aggregation: what arrives (N, d + 1), and who the clients' people are."""
    table = attack.table(data)
    chosen = np.random.default_rng([seed, 2]).integers(len(table.X), size=(clients, people))
    return attack.masked(attack.gradients(table.X[chosen], table.y[chosen]), (seed, 3)), chosen
