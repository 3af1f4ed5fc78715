"""Who holds which people: a data set dealt to clients by a real column, by its labels, or at random; laid out to train.

Each client holds people of one kind more often than others do. The skew in [0, 1] says how much more: 0 is a random
deal, at 1 a client holds its own kind only. Every person of the training split goes to exactly one client.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from privlab.columns import Column
    from privlab.datasets import Dataset
    from privlab.dpsgd import Array

EMPLOYERS = {
    "a company": ("Private",),
    "own business": ("Self-emp-not-inc", "Self-emp-inc"),
    "government": ("Federal-gov", "Local-gov", "State-gov"),
    "none or unknown": ("?", "Without-pay", "Never-worked"),
}
ASIA = (
    "Cambodia", "China", "Hong", "India", "Iran", "Japan", "Laos", "Philippines", "Taiwan", "Thailand", "Vietnam",
)  # fmt: skip
AMERICA = (
    "Columbia", "Cuba", "Dominican-Republic", "Ecuador", "El-Salvador", "Guatemala", "Haiti", "Honduras", "Jamaica",
    "Mexico", "Nicaragua", "Peru", "Puerto-Rico", "Trinadad&Tobago",
)  # fmt: skip
EUROPE = (
    "Canada", "England", "France", "Germany", "Greece", "Holand-Netherlands", "Hungary", "Ireland", "Italy", "Poland",
    "Portugal", "Scotland", "Yugoslavia",
)  # fmt: skip
REGIONS = {
    "United States": ("United-States", "Outlying-US(Guam-USVI-etc)"),
    "Latin America": AMERICA,
    "Asia": ASIA,
    "Europe, Canada": EUROPE,
    "unknown": ("?", "South"),
}
AGES = (25, 35, 45, 55)  # the last year of each band but the last
SPLITS = {
    "alike": "at random: all alike",
    "employer": "by employer",
    "region": "by region of origin",
    "age": "by age",
    "labels": "by the answer itself",
}
_SMALLEST = 1e-9  # Dirichlet draws below this are as good as none


@dataclass(frozen=True, eq=False)
class Holdings:
    """Who holds which rows.

    Attributes
    ----------
    owner : int (training rows,)
        The client that holds each row, from 0 to `clients` − 1. A client may hold none.
    kinds : tuple of str
        The kinds of people, in words.
    kind_train, kind_test : int (training rows,), (evaluation rows,)
        The kind of each person.
    mix : float (clients, kinds)
        The kinds among the people that each client is there for; rows sum to 1.
    """

    owner: Array
    kinds: tuple[str, ...]
    kind_train: Array
    kind_test: Array
    mix: Array

    @property
    def clients(self) -> int:
        """N."""
        return len(self.mix)

    @property
    def sizes(self) -> Array:
        """Rows of each client (N,)."""
        return np.bincount(self.owner, minlength=self.clients)


@dataclass(frozen=True, eq=False)
class Rows:
    """What clients hold, laid out for training side by side.

    Attributes
    ----------
    X : float32 (parts, clients, rows, d + 1)
        Each client's rows in as many parts as an epoch has steps, with a constant last column, padded with zeros.
    y : float32 (parts, clients, rows, 1)
        Labels 0 or 1.
    count : float32 (parts, clients, 1, 1)
        Real rows in each part.
    total : int
        Declared, public number of rows of all clients together.
    """

    X: Array
    y: Array
    count: Array
    total: int

    @classmethod
    def make(cls, X: Array, y: Array, holdings: Holdings, parts: int = 4, total: int | None = None) -> Rows:
        """Lay out features X (rows, d) and labels y (rows,) of the clients that hold them."""
        return cls._laid_out(*_padded(X, y), holdings, parts, len(X) if total is None else total)

    @classmethod
    def of(cls, dataset: Dataset, holdings: Holdings, parts: int = 4) -> Rows:
        """Lay out the training split of a data set; quicker than `make` when it is dealt again and again."""
        return cls._laid_out(*_padded_split(dataset), holdings, parts, dataset.n_train)

    @classmethod
    def _laid_out(cls, padded: Array, labels: Array, holdings: Holdings, parts: int, total: int) -> Rows:
        order = np.argsort(holdings.owner, kind="stable")
        owner, sizes = holdings.owner[order], holdings.sizes
        place = np.arange(len(order)) - (np.cumsum(sizes) - sizes)[owner]
        part, row = place % parts, place // parts
        most = max(1, -(-int(sizes.max()) // parts))
        table = np.full((parts, len(sizes), most), len(padded) - 1)  # the last row is all zero and pads
        table[part, owner, row] = order
        counts = [np.bincount(owner[part == p], minlength=len(sizes)) for p in range(parts)]
        count = np.array(counts, np.float32)[..., None, None]
        return cls(padded.take(table, axis=0), labels[table][..., None], count, total)

    @property
    def clients(self) -> int:
        """N."""
        return self.X.shape[1]

    @property
    def width(self) -> int:
        """Numbers in a model: d + 1."""
        return self.X.shape[3]

    @property
    def sizes(self) -> Array:
        """Rows of each client, float32 (N,)."""
        sizes: Array = self.count.sum(axis=0)[:, 0, 0]
        return sizes

    def only(self, chosen: Array) -> Rows:
        """The rows of some clients; `total` stays that of all."""
        return Rows(self.X[:, chosen], self.y[:, chosen], self.count[:, chosen], self.total)


def _padded(X: Array, y: Array) -> tuple[Array, Array]:
    """Features with a constant last column, and labels, each with a last row of zeros."""
    if not np.isfinite(X).all() or not np.isfinite(y).all():
        raise ValueError("'X' and 'y' must be finite. Got NaN or infinity.")
    padded = np.zeros((len(X) + 1, X.shape[1] + 1), np.float32)
    padded[:-1, :-1], padded[:-1, -1] = X, 1
    return padded, np.append(y, 0).astype(np.float32)


@lru_cache(maxsize=2)
def _padded_split(dataset: Dataset) -> tuple[Array, Array]:
    return _padded(dataset.X_train, dataset.y_train)


def splits(dataset: Dataset) -> tuple[str, ...]:
    """The ways to deal a data set that its columns allow."""
    found = ["alike", "labels"]
    if dataset.name == "adult":
        found += ["employer", "region"]
    if _age(dataset) is not None:
        found.append("age")
    return tuple(split for split in SPLITS if split in found)


def _age(dataset: Dataset) -> Column | None:
    """The column of ages in years, if there is one."""
    return next((c for c in dataset.schema.columns if c.name == "age" and c.kind == "number" and not c.transform), None)


@lru_cache(maxsize=32)
def deal(dataset: Dataset, split: str, clients: int, skew: float, seed: int) -> Holdings:
    """Deal the training split to clients.

    Parameters
    ----------
    dataset : Dataset
        Binary, one row a person.
    split : str
        One of `splits(dataset)`: a column's kinds, "labels" or "alike".
    clients : int
        N ≥ 1.
    skew : float in [0, 1]
        By a column: the share of a client's people who are of its own kind alone, the others being of all kinds as
        they come. By labels: client k's shares of the classes are drawn from a Dirichlet distribution about the
        overall shares π with concentration (1 − skew) / skew, so that `skew` is the correlation of two labels of one
        client (Hsu, Qi & Brown 2019 deal alike).
    seed : int

    Raises
    ------
    ValueError
        For a split that the data set does not allow, or an impossible number.
    """
    if split not in splits(dataset):
        raise ValueError(f"'split' must be among {', '.join(splits(dataset))}. Got {split!r}.")
    if clients < 1:
        raise ValueError(f"'clients' must be at least 1. Got {clients}.")
    if not 0 <= skew <= 1:
        raise ValueError(f"'skew' must be in [0, 1]. Got {skew}.")
    rng = np.random.default_rng([seed, 7, clients])
    kinds, train, test = _kinds(dataset, split)
    shares = np.bincount(train, minlength=len(kinds)) / len(train)
    if split == "labels":
        mix = _dirichlet(rng, shares, clients, skew)
    else:
        own = np.eye(len(kinds))[_allotted(shares, clients)]
        mix = skew * own + (1 - skew) * shares
    return Holdings(_owners(rng, train, mix), kinds, train, test, mix)


def _owners(rng: np.random.Generator, kind: Array, mix: Array) -> Array:
    """For each person a client, drawn in proportion to what share that kind has in the client's mix."""
    owner = np.empty(len(kind), np.int64)
    for code in range(mix.shape[1]):
        those = np.flatnonzero(kind == code)
        weight = mix[:, code] if mix[:, code].any() else np.ones(len(mix))
        # Stratified draws: a client gets its expected number of people, up to one more or less.
        places = (rng.permutation(len(those)) + rng.random(len(those))) / max(1, len(those))
        owner[those] = np.minimum(np.searchsorted(np.cumsum(weight) / weight.sum(), places, "right"), len(mix) - 1)
    return owner


def _allotted(shares: Array, clients: int) -> Array:
    """For each client its own kind: as many clients of a kind as its share, at least one where there are enough."""
    exact = shares * clients
    count = np.floor(exact).astype(int)
    if clients >= len(shares):
        count = np.maximum(count, 1)
    while count.sum() < clients:
        count[np.argmax(exact - count)] += 1
    while count.sum() > clients:
        count[np.argmax(count - exact)] -= 1
    return np.repeat(np.arange(len(shares)), count)


def _dirichlet(rng: np.random.Generator, shares: Array, clients: int, skew: float) -> Array:
    if skew == 0:
        return np.tile(shares, (clients, 1))
    if skew == 1:
        return np.eye(len(shares))[rng.choice(len(shares), clients, p=shares)]
    draws = np.maximum(rng.standard_gamma((1 - skew) / skew * shares, (clients, len(shares))), _SMALLEST)
    mix: Array = draws / draws.sum(axis=1, keepdims=True)
    return mix


@cache
def _kinds(dataset: Dataset, split: str) -> tuple[tuple[str, ...], Array, Array]:
    """The kinds of people, and the kind of each training and evaluation row."""
    if split == "alike":
        return ("everybody",), np.zeros(len(dataset.X_train), int), np.zeros(len(dataset.evaluation[0]), int)
    if split == "labels":
        words = tuple(f"answer {name}" for name in dataset.classes)
        return words, dataset.y_train.astype(int), dataset.evaluation[1].astype(int)
    if split == "age":
        column = _age(dataset)
        assert column is not None
        assert column.low is not None
        assert column.high is not None
        at = dataset.feature_names.index("age")
        middle, half = (column.high + column.low) / 2, (column.high - column.low) / 2
        bands = (f"up to {AGES[0]}", *(f"{a + 1} to {b}" for a, b in itertools.pairwise(AGES)))
        codes = [
            np.searchsorted(AGES, X[:, at] * half + middle - 0.5) for X in (dataset.X_train, dataset.evaluation[0])
        ]
        return (*bands, f"over {AGES[-1]}"), codes[0], codes[1]
    if split == "employer":
        table = _codes(EMPLOYERS)
        names = next(c for c in dataset.schema.columns if c.name == "workclass").categories
        first = dataset.feature_names.index(f"workclass={names[0]}")
        each = np.array([table[str(name)] for name in names])
        codes = [
            each[X[:, first : first + len(names)].argmax(axis=1)] for X in (dataset.X_train, dataset.evaluation[0])
        ]
        return tuple(EMPLOYERS), codes[0], codes[1]
    table = _codes(REGIONS)
    country = dataset.raw["native-country"].astype(str).map(table).to_numpy().astype(int)
    return tuple(REGIONS), country[dataset.train_rows], country[dataset.is_test]


def _codes(groups: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    return {name: code for code, names in enumerate(groups.values()) for name in names}
