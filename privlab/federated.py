"""Learning without gathering: clients train on what they hold, a server averages what they send.

FedAvg and FedSGD (McMahan et al. 2017) for logistic regression, with client-level differential privacy (McMahan et al.
2018): in each round every client joins independently with probability q, its update is clipped to norm C, and Gaussian
noise of standard deviation σ·C goes once on their sum, which is divided by the fixed, public q·N whoever dropped out.
Neighbours differ by one whole client, all its people and all its rounds. Or each client adds noise to its own update
before it leaves (local privacy): then the server, too, is kept from telling any two clients' data apart.

All clients, and several seeds, are trained at once: a local step is two batched matrix products over (clients, rows,
features). Noise here is floating-point noise: "idealised", good for seeing and teaching. `privlab.flower` runs the same
client and server functions in separate processes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from privlab import accounting, composition, dpsgd

if TYPE_CHECKING:
    from privlab.clients import Rows
    from privlab.dpsgd import Array, Seed

JOIN, DROP, NOISE, LOCAL = 0, 1, 2, 1000  # streams of one seed; a round's local noise follows LOCAL
BYTES = 4  # of a number sent: float32
PACE = 2.0  # tuned once, on Adult: the server's steps against the noise
GATHER = 0.5  # below this share of clients only the rows of those that take part are touched


@dataclass(frozen=True)
class Plan:
    """What is done in each round, by whom, and with which noise.

    Attributes
    ----------
    rounds : int
        T.
    participation : float in (0, 1]
        q: each client's chance to join a round.
    local_epochs : int
        Passes over a client's own rows in a round; of no meaning for FedSGD.
    algorithm : {"fedavg", "fedsgd"}
    learning_rate : float
        Of a client's steps.
    server_rate : float
        What part of the mean update the server takes.
    protect : {"none", "central", "local"}
        Where noise is added: nowhere, on the sum, on each update.
    clip_norm : float
        C, the longest update that counts in full; without protection nothing is clipped.
    noise_multiplier : float
        σ: noise in units of C, on the sum or on each update.
    dropout : float in [0, 1)
        The chance that a client that joined does not answer.
    cohort : {"poisson", "fixed"}
        Each client by its own coin, or always the same number, drawn at random.
    cap : int
        0: all clients weigh alike. Else a client weighs min(its rows, cap) / cap; `cap` must be public.
    """

    rounds: int = 50
    participation: float = 1.0
    local_epochs: int = 1
    algorithm: str = "fedavg"
    learning_rate: float = 1.0
    server_rate: float = 1.0
    protect: str = "none"
    clip_norm: float = 1.0
    noise_multiplier: float = 0.0
    dropout: float = 0.0
    cohort: str = "poisson"
    cap: int = 0

    def cohort_size(self, clients: int) -> int:
        """Clients in a cohort of fixed size."""
        return max(1, round(self.participation * clients))

    @property
    def most_reports(self) -> int:
        """The rounds after which a client under local privacy answers no more: its expected number and two deviations.

        So a client's loss is bounded by this many releases whatever its coins.
        """
        expected = self.participation * self.rounds
        return min(self.rounds, math.ceil(expected + 2 * math.sqrt(expected * (1 - self.participation))))

    def calibrated(self, epsilon: float, delta: float, clients: int) -> Plan:
        """The plan with the least noise that upholds ε over all rounds for a whole client.

        Raises
        ------
        ValueError
            If δ is not below 1/N, or a number is out of its range.
        """
        _check_delta(delta, clients)
        if self.protect == "none":
            return replace(self, noise_multiplier=0.0)
        if self.protect == "local":
            noise = accounting.gaussian_noise_multiplier(epsilon=epsilon, delta=delta)
            return replace(self, noise_multiplier=2 * noise * math.sqrt(self.most_reports))
        if self.cohort == "fixed":
            return replace(self, noise_multiplier=_fixed_noise(self._share(clients), self.rounds, epsilon, delta))
        sigma = accounting.noise_multiplier(
            epsilon=epsilon, sampling_rate=self.participation, steps=self.rounds, delta=delta
        )
        return replace(self, noise_multiplier=sigma)

    def epsilon(self, delta: float, clients: int) -> float:
        """The ε at δ that all rounds together spend of a client: an upper bound; infinite without protection.

        Central with coins: for adding or removing a client (Poisson sampling, dp-accounting's PLD). Central with a
        cohort of fixed size: for replacing one, by its own books, never by those of coins. Local: for replacing all of
        a client's data, against whoever sees its updates; which rounds it took part in is not hidden.
        """
        _check_delta(delta, clients)
        sigma = self.noise_multiplier
        if self.protect == "none" or sigma == 0:
            return math.inf
        if self.protect == "local":
            return composition.gaussian(2 * math.sqrt(self.most_reports) / sigma, delta)
        if self.cohort == "fixed":
            return composition.fixed_size(sigma, self._share(clients), self.rounds, delta)
        return composition.pld(sigma, self.participation, self.rounds, delta)

    def paced(self, clients: int, parameters: int) -> Plan:
        """The plan with a server that takes smaller steps where the noise is loud; made of public numbers only."""
        expected = self.participation * clients
        batch = math.sqrt(expected) if self.protect == "local" else expected
        rate = dpsgd.steady_rate(np.array(self.noise_multiplier), parameters, batch, self.server_rate, PACE)
        return replace(self, server_rate=float(rate))

    def _share(self, clients: int) -> float:
        """The share of clients in a fixed cohort, rounded up to what its books tell apart."""
        return min(1.0, math.ceil(self.cohort_size(clients) / clients * 1e6) / 1e6)


def _check_delta(delta: float, clients: int) -> None:
    if not 0 < delta < 1 / clients:
        raise ValueError(f"'delta' must be in (0, 1/clients = {1 / clients:.3g}). Got {delta}.")


@lru_cache(maxsize=256)
def _fixed_noise(share: float, rounds: int, epsilon: float, delta: float) -> float:
    """The noise at which a fixed cohort's books reach ε: within 1 % of it, never above.

    By the secant rule in logarithms, for ε is nearly a power of the noise; then by doubling steps up.
    """

    def loss(sigma: float) -> float:
        return composition.fixed_size(sigma, share, rounds, delta)

    aim = math.log(0.996 * epsilon)
    points = [(math.log(sigma), math.log(loss(sigma))) for sigma in (2.0, 4.0)]
    for _ in range(12):
        (x0, y0), (x1, y1) = points[-2:]
        x = x1 + min(3.0, max(-3.0, (aim - y1) * (x1 - x0) / (y1 - y0)))
        spent = loss(math.exp(x))
        if 0.99 * epsilon <= spent <= epsilon:
            return math.exp(x)
        points.append((x, math.log(spent)))
    sigma = math.exp(x)
    while loss(sigma) > epsilon:
        sigma *= 1.01
    return sigma


def local_updates(rows: Rows, weights: Array, plan: Plan) -> Array:
    """What each client would add to the model after training on its own rows: float32 (clients, d + 1, S).

    Parameters
    ----------
    rows : Rows
    weights : float32 (d + 1, S)
        S models, each trained by all clients.
    plan : Plan
        FedAvg: `local_epochs` passes, one step a part. FedSGD: one step on all of a client's rows.
    """
    local = np.repeat(weights[None], rows.clients, axis=0)
    pace = np.float32(plan.learning_rate)
    if plan.algorithm == "fedsgd":
        gradient = sum(_gradient(X, y, local) for X, y in zip(rows.X, rows.y, strict=True))
        updates: Array = -pace * gradient / np.maximum(rows.sizes, 1)[:, None, None]
        return updates
    paces = pace / np.maximum(rows.count, 1)
    for _ in range(plan.local_epochs):
        for X, y, step in zip(rows.X, rows.y, paces, strict=True):
            local -= step * _gradient(X, y, local)
    return local - weights


def _gradient(X: Array, y: Array, local: Array) -> Array:
    """Sums of the logistic loss's gradients over each client's rows (clients, d + 1, S)."""
    z = X @ local
    np.negative(z, out=z)
    np.clip(z, -60, 60, out=z)
    np.exp(z, out=z)
    z += 1
    np.reciprocal(z, out=z)
    z -= y
    gradient: Array = X.transpose(0, 2, 1) @ z
    return gradient


def weigh(sizes: Array, plan: Plan) -> Array:
    """What each client's update counts, at most 1: alike, or by its rows up to the public cap.

    Under local privacy always alike, for the server must not learn how many rows a client has.
    """
    if plan.cap and plan.protect != "local":
        return np.minimum(sizes, plan.cap) / np.float32(plan.cap)
    return np.ones(len(sizes), np.float32)


def clipped(updates: Array, plan: Plan) -> Array:
    """Updates (clients, d + 1, S), those longer than C shortened to it; as they are without protection."""
    if plan.protect == "none":
        return updates
    norm = np.sqrt(np.einsum("nds,nds->ns", updates, updates))
    shortened: Array = updates * np.minimum(1, plan.clip_norm / np.maximum(norm, 1e-30))[:, None].astype(np.float32)
    return shortened


def joined(plan: Plan, clients: int, seed: Seed) -> Array:
    """Who joins each round: bool (T, N), row by round and column by client, from that seed's own stream."""
    draws = _stream(seed, JOIN).random((plan.rounds, clients))
    if plan.cohort == "fixed":
        order = np.argsort(np.argsort(draws, axis=1), axis=1)
        come = order < plan.cohort_size(clients)
    else:
        come = draws < plan.participation
    if plan.protect == "local":
        come &= np.cumsum(come, axis=0) <= plan.most_reports
    return np.asarray(come)


def answered(plan: Plan, clients: int, seed: Seed) -> Array:
    """Who joined a round and did not drop out: bool (T, N)."""
    stay = _stream(seed, DROP).random((plan.rounds, clients)) >= plan.dropout
    return np.asarray(joined(plan, clients, seed) & stay)


def local_noise(plan: Plan, clients: int, width: int, seed: Seed, step: int) -> Array:
    """The noise that each client adds to its update in a round under local privacy: float32 (N, d + 1)."""
    noise = _stream(seed, LOCAL + step).standard_normal((clients, width), np.float32)
    return noise * np.float32(plan.noise_multiplier * plan.clip_norm)


def server_noise(plan: Plan, width: int, seed: Seed) -> Array:
    """The noise that the server adds to the sums: float32 (T, d + 1)."""
    scale = plan.noise_multiplier * plan.clip_norm if plan.protect == "central" else 0.0
    return _stream(seed, NOISE).standard_normal((plan.rounds, width), np.float32) * np.float32(scale)


def divisor(plan: Plan, clients: int, total: int, weight: float) -> float:
    """What the sum of updates is divided by.

    Under central privacy a fixed, public number: the expected weight of a round's clients, whoever dropped out. Else
    the weight of those who answered.
    """
    if plan.protect != "central":
        return max(weight, 1e-6)
    expected = plan.participation if plan.cohort == "poisson" else plan.cohort_size(clients) / clients
    return expected * (min(total, clients * plan.cap) / plan.cap if plan.cap else clients)


def moved(weights: Array, total: Array, weight: Array, plan: Plan, clients: int, rows: int) -> Array:
    """The server's next models (d + 1, S), from the noised sums of updates and the weights (S,) of who answered.

    `rows` is the declared, public number of rows of all clients.
    """
    by = np.array([divisor(plan, clients, rows, float(one)) for one in weight], np.float32)
    step: Array = weights + np.float32(plan.server_rate) * total / by
    return step


def _stream(seed: Seed, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64([*seed, number]))


@dataclass(frozen=True, eq=False)
class History:
    """What happened until some round, for each of S seeds.

    Attributes
    ----------
    weights : float32 (t + 1, d + 1, S)
        The server's model before each round, and after the last.
    reports : int (t, S)
        Updates that arrived in each round.
    pull : float32 (N, d + 1, S)
        For each client the sum, over its rounds, of its update minus the mean update of the round.
    times : float32 (N, S)
        The rounds that it took part in.
    """

    weights: Array
    reports: Array
    pull: Array
    times: Array

    @property
    def models(self) -> Array:
        """The models handed out after each round: means of the later half of the models so far (t, d + 1, S)."""
        sums = np.cumsum(self.weights, axis=0, dtype=np.float64)
        last = np.arange(1, len(self.weights))
        first = last // 2
        models: Array = ((sums[last] - sums[first]) / (last - first)[:, None, None]).astype(np.float32)
        return models

    def bytes(self) -> Array:
        """Bytes that the clients sent up until each round (t, S), without packing."""
        sent: Array = BYTES * self.weights.shape[1] * np.cumsum(self.reports, axis=0)
        return sent

    def drift(self, groups: Array) -> Array:
        """How far each group's clients, taken together, pull the model away from the mean in a round (groups, S).

        `groups` (clients,) gives each client's group, from 0. The length of the group's mean update minus everybody's,
        in the units of the weights; NaN for a group that never took part.
        """
        count = int(groups.max()) + 1
        member = (groups == np.arange(count)[:, None]).astype(np.float32)
        with np.errstate(invalid="ignore"):
            mean = np.einsum("gn,nds->gds", member, self.pull) / (member @ self.times)[:, None]
        return np.asarray(np.linalg.norm(mean, axis=1))


def train(rows: Rows, plan: Plan, seeds: Sequence[Seed]) -> Iterator[History]:
    """Train from zero, once for each seed, all in step; yield what happened so far after every round.

    The same seed gives the same coins, dropouts and noise at every ε and C. The histories share their memory, and the
    last one's is right for the pulls.
    """
    clients, width, count = rows.clients, rows.width, len(seeds)
    come = np.stack([answered(plan, clients, seed) for seed in seeds], axis=-1)
    noise = np.stack([server_noise(plan, width, seed) for seed in seeds], axis=-1)
    weight = weigh(rows.sizes, plan)
    weights = np.zeros((plan.rounds + 1, width, count), np.float32)
    pull, times = np.zeros((clients, width, count), np.float32), np.zeros((clients, count), np.float32)
    for step, here in enumerate(come):
        some = np.flatnonzero(here.any(axis=1))
        if len(some) >= GATHER * clients:
            some = np.arange(clients)
        taking = rows if len(some) == clients else rows.only(some)
        updates, those = local_updates(taking, weights[step], plan), here[some].astype(np.float32)
        mean = np.einsum("nds,ns->ds", updates, those) / np.maximum(those.sum(axis=0), 1)
        pull[some] += (updates - mean) * those[:, None]
        times[some] += those
        counts = those * weight[some, None]
        total = np.einsum("nds,ns->ds", clipped(updates, plan), counts)
        if plan.protect == "local":
            noises = np.stack([local_noise(plan, clients, width, seed, step)[some] for seed in seeds], axis=-1)
            total += np.einsum("nds,ns->ds", noises, those)
        weights[step + 1] = moved(weights[step], total + noise[step], counts.sum(axis=0), plan, clients, rows.total)
        yield History(weights[: step + 2], come[: step + 1].sum(axis=1), pull, times)


def alone(rows: Rows, epochs: int, learning_rate: float = 1.0) -> Iterator[Array]:
    """Each client's model from its own rows only, after every epoch: float32 (N, d + 1)."""
    plan = Plan(local_epochs=1, learning_rate=learning_rate)
    models = np.zeros((rows.clients, rows.width, 1), np.float32)
    paces = np.float32(plan.learning_rate) / np.maximum(rows.count, 1)
    for _ in range(epochs):
        for X, y, step in zip(rows.X, rows.y, paces, strict=True):
            models -= step * _gradient(X, y, models)
        yield models[..., 0].copy()
