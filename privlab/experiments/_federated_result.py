"""What a federated training found so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from privlab import clients, datasets, uncertainty
from privlab.federated import Plan
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array
    from privlab.experiments.federated import Settings

DELTA = 1e-5
PROTECT = {
    "none": "no protection",
    "central": "noise on the sum",
    "local": "noise on each update",
}
FEW = 4  # repeats, for a band
SPREAD = (10, 90)  # percentiles of the clients that a bar shows


@dataclass(frozen=True)
class References:
    """What federated training is compared with; the same for every plan.

    Attributes
    ----------
    pooled : float
        Test accuracy of a model trained on all the data in one place, without protection.
    floor : float
        That of always the same answer.
    alone : float (N,)
        Of each client's own model, on everybody. Empty until they are trained.
    alone_kinds : float (N, K)
        The same, on each kind of people.
    """

    pooled: float
    floor: float
    alone: Array
    alone_kinds: Array


@dataclass(frozen=True)
class Result:
    """Accuracy over rounds, and what each kind of client gets out of it.

    Attributes
    ----------
    settings : Settings
    plan : Plan
        With its noise.
    scores : float (S, t)
        Test accuracy of the model handed out after each round, for each seed trained so far.
    kinds : tuple of str
    mix : float (N, K)
        Which kinds of people each client is there for.
    people : int (K,)
        Training rows of each kind.
    right : float (S, K)
        Accuracy of each seed's last model on each kind of people.
    drift : float (S, K)
        How far a round's training by the clients of one kind would take the model from where all take it.
    sent : float (S,)
        Bytes that all clients sent.
    references : References
    progress : float in [0, 1]
    """

    settings: Settings
    plan: Plan
    scores: Array
    kinds: tuple[str, ...]
    mix: Array
    people: Array
    right: Array
    drift: Array
    sent: Array
    references: References
    progress: float = 0.0

    @property
    def count(self) -> int:
        """Models of rounds that were scored."""
        return int(self.scores.size)

    @property
    def curve(self) -> uncertainty.Estimate:
        """Mean over seeds after each round, and its bands (t,)."""
        return uncertainty.estimate(self.scores)

    @property
    def groups(self) -> Array:
        """The kind that each client is mostly there for (N,)."""
        most: Array = self.mix.argmax(axis=1)
        return most

    @property
    def clients_right(self) -> Array:
        """Accuracy of the federated model for each client, on people as the client has them (N,)."""
        right: Array = self.mix @ self.right.mean(axis=0)
        return right

    @property
    def clients_alone(self) -> Array:
        """The same of the client's own model (N,); empty until they are trained."""
        alone = self.references.alone_kinds
        right: Array = (self.mix * alone).sum(axis=1) if len(alone) else np.zeros(0)
        return right

    def spread(self, scores: Array) -> tuple[float, float]:
        """Where the middle four fifths of the clients lie."""
        low, high = np.percentile(scores, SPREAD)
        return float(low), float(high)

    def frame(self) -> pd.DataFrame:
        """One row per seed and round: seed, round, accuracy."""
        count, rounds = self.scores.shape
        return pd.DataFrame(
            {
                "seed": np.repeat(np.arange(count), rounds),
                "round": np.tile(np.arange(1, rounds + 1), count),
                "accuracy": self.scores.ravel(),
            }
        )

    def summary(self) -> pd.DataFrame:
        """One row per kind of client: how many, their people, accuracy together and alone, drift."""
        drift = self.drift.mean(axis=0)
        together = uncertainty.estimate(self.right)
        rows = []
        for k, kind in enumerate(self.kinds):
            those = np.flatnonzero(self.groups == k)
            row = {"kind of people": kind, "clients": len(those), "people": int(self.people[k])}
            row |= {"together": together.mean[k], "± (95 %)": together.band[k]}
            if len(self.clients_alone) and len(those):
                row |= {"alone": self.clients_alone[those].mean(), "drift": drift[k]}
            rows.append(row)
        return pd.DataFrame(rows).round(4)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What ε covers, what the numbers rest on, and what the server sees."""
        s, plan = self.settings, self.plan
        shared = (
            "A client is the unit: ε covers all the data of one client, over all rounds together. A person is one row "
            "of one client, and so is covered too.",
            f"δ = {DELTA:g}. The noise here is floating-point noise: ε is idealised. A release needs exact noise.",
            "Clients weigh alike, unless capped weights are chosen: how many rows a client has is private, too.",
            "The people are dealt to the clients once; seeds differ in who joins, who drops out, and the noise. Other "
            "people would add to the spread.",
            "“Alone”: each client trains on its own rows, for 50 passes, without protection. “In one place”: "
            "all rows together, without protection. Bars are the middle four fifths of the clients.",
            "The model after a round is the mean of the later half of the models so far.",
            "No ε covers the choice of settings: whoever tries many and keeps the best pays for the looking.",
        )
        if plan.protect == "none":
            return ("No protection: the server sees every update, and the model is not noised. ε is infinite.", *shared)
        if plan.protect == "local":
            return (
                f"Each client shortens its update to C and adds noise before it leaves: ε holds against the server, "
                f"too, for replacing all of a client's data, over at most {plan.most_reports} updates. Which rounds a "
                "client answers is not hidden.",
                *shared,
            )
        joins = (
            "each client joins each round by a coin of its own (Poisson sampling), and ε is for adding or removing "
            "one client; who joined must stay secret, and how many (the bytes told here are counted from them)"
            if s.cohort == "poisson"
            else "each round has a random cohort of fixed size, and ε is for replacing one client, by the books of "
            "such cohorts (Rényi); who joined must stay secret"
        )
        return (
            "The server is trusted: it sees each update in the clear, adds the noise to the sum, and divides by the "
            f"expected number of clients whoever dropped out. Protected is the model that comes out: {joins}.",
            *shared,
        )

    @property
    def sentence(self) -> str:
        """What learning without gathering costs, at the settings."""
        s = self.settings
        found = self.curve
        word = "" if s.split == "alike" else f", dealt {clients.SPLITS[s.split]}"
        who = f"N = {s.clients:.3g} clients (skew = {s.skew:.3g}{word})"
        start = {
            "none": f"Without protection (ε = {s.epsilon:.3g} plays no part), {who} ",
            "central": f"With ε = {s.epsilon:.3g} for each client and noise on the sum, {who} ",
            "local": f"With ε = {s.epsilon:.3g} for each client and noise on each update, {who} ",
        }[s.protect]
        rounds = self.scores.shape[1]
        half = 100 * found.band[-1] if len(self.scores) >= FEW else None
        band = "" if half is None else f" ± {half:.2g}" if half >= 0.1 else " ± less than 0.1"
        text = (
            f"{start}learn in {rounds} round{'s' if rounds > 1 else ''} to be right about "
            f"{100 * found.mean[-1]:.1f}{band} % of unseen people on {datasets.card(s.dataset).short}; "
            f"all data in one place: {100 * self.references.pooled:.1f} %"
        )
        if len(self.references.alone):
            text += f", a client alone: {100 * self.references.alone.mean():.1f} % on average"
        each = self.sent.mean() / s.clients
        size = f"{each / 1000:.3g} kB" if each < 1e6 else f"{each / 1e6:.3g} MB"
        return f"{text}. Each client sent {size}, and no row."
