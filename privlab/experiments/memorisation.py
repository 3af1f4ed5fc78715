"""Does a language model remember what one line told it?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import accounting, ngrams, personal, texts
from privlab.experiments import _choices
from privlab.experiments import _memorisation_secrets as secrets
from privlab.experiments._memorisation_picture import Picture
from privlab.experiments._memorisation_result import DELTA, Result
from privlab.experiments._waiting import elsewhere
from privlab.settings import Controls, choice, control

if TYPE_CHECKING:
    from privlab.dpsgd import Array

__all__ = ["Picture", "Result", "Settings", "prepare", "run"]

COPIES = (1, 2, 3, 5, 8, 13, 20, 32, 50, 80, 130, 200, 320, 500, 1000)
EPSILONS = (0.1, 0.2, 0.35, 0.6, 1.0, 1.7, 3.0, 5.0, 8.0, 13.0, 20.0, 32.0, 50.0)
ASIDE = 25  # one line in so many is kept to test on
VIEWS = {"copies": "copies of the line", "epsilon": "privacy budget ε"}
PROMPTS = {"digits": "the words and first digits", "words": "the words alone"}


class Settings(Controls):
    """How often the secret was told, and how the text is protected."""

    epsilon: float = _choices.epsilon("For one line of the text. Smaller is more private.", low=0.05, slider=(0.1, 50))
    copies: int = control(
        default=10, label="copies of the secret", low=1, high=10_000, slider=(1, 1000), scale="log",
        ends=("told once", "often"), hint="How many lines of the text tell the same secret.",
    )  # fmt: skip
    secret: str = choice(
        default="card", label="secret", among=lambda: tuple(secrets.KINDS), words=lambda name: secrets.KINDS[name],
        hint="Made up. A card number has a check digit by which it can be found; a PIN has none.",
    )  # fmt: skip
    prompt: str = choice(
        default="digits", label="somebody types", among=lambda: tuple(PROMPTS), words=lambda name: PROMPTS[name],
        hint="What the model is asked to go on with. A card's first digits are its issuer's and no secret.",
    )  # fmt: skip
    view: str = choice(
        default="copies", label="across", among=lambda: tuple(VIEWS), words=lambda view: VIEWS[view],
        hint="What the axis shows.",
    )  # fmt: skip
    length: int = control(
        default=48, label="letters of a line that count", low=40, high=64, slider=(40, 64), places=25, advanced=True,
        hint="Longer lines are cut. The noise grows with it.",
    )  # fmt: skip
    seeds: int = control(
        default=100, label="repeats", low=1, high=1000, slider=(2, 300), scale="log", places=20, advanced=True,
        hint="Secrets and noises drawn anew: more repeats narrow the bands.",
    )  # fmt: skip
    seed: int = _choices.seed()


def prepare(settings: Settings) -> Iterator[None]:
    """In idle time, read the text, count it, and import what finds personal data and keeps the books."""
    yield from elsewhere(lambda: (_model(settings.length, False), _model(settings.length, True), _sigma(1.0)))


def run(settings: Settings) -> Iterator[Result | None]:
    """Plant secrets and rank them, repeat by repeat; then ask each model for the letters of unseen lines."""
    s = settings
    known = yield from elsewhere(
        lambda: (_model(s.length, False), _model(s.length, True), secrets.candidates(s.secret, s.length))
    )
    plain, tokens, candidates = known
    x, copies, epsilons, held = _axis(s)
    sigma = yield from elsewhere(lambda: np.array([_sigma(epsilon) for epsilon in epsilons]))
    limit = secrets.limit(copies, sigma)
    models = _models(s, plain, tokens, float(sigma[held]), _draw(s, 0)[0])
    completions = {way: model.complete(_prompt(s)) for way, model in models.items()}
    scales = {"plain": 0 * sigma, "tokens": 0 * sigma, "private": sigma * ngrams.sensitivity(s.length)}
    gathered: dict[str, list[Array]] = {way: [] for way in scales}
    for repeat in range(s.seeds):
        secret, tie = _draw(s, repeat)
        told = secrets.line(s.secret, secret)
        lines = {"plain": told, "tokens": secrets.tokenised(told), "private": told}
        noise = candidates.noise((s.seed, repeat))
        yield None
        for way, scale in scales.items():
            overlap = candidates.overlap(lines[way], s.length)
            gathered[way].append(secrets.ranks(overlap, noise, candidates.sizes, copies, scale, secret, tie))
        if repeat < 4 or repeat % 4 == 3 or repeat == s.seeds - 1:
            stacked = {way: np.array(rows) for way, rows in gathered.items()}
            done = 0.9 * (repeat + 1) / s.seeds
            yield Result(s, x, held, stacked, limit, completions, _draw(s, 0)[0], {}, done)
    accuracy, aside = {}, _lines(False)[1]
    for way, model in models.items():
        accuracy[way] = yield from elsewhere(partial(model.accuracy, aside))
    yield Result(s, x, held, stacked, limit, completions, _draw(s, 0)[0], accuracy, 1.0)


def _axis(s: Settings) -> tuple[Array, Array, Array, int]:
    """What the axis shows, the copies and the ε of each place (K,), and which place is held."""
    if s.view == "copies":
        x = np.unique([*COPIES, s.copies])
        return x, x, np.full(len(x), s.epsilon), int(np.flatnonzero(x == s.copies)[0])
    x = np.unique([*EPSILONS, s.epsilon])
    return x, np.full(len(x), s.copies), x, int(np.flatnonzero(x == s.epsilon)[0])


def _draw(s: Settings, repeat: int) -> tuple[int, float]:
    """A secret, and where it comes among equals."""
    rng = np.random.default_rng([s.seed, repeat, list(secrets.KINDS).index(s.secret)])
    return int(rng.integers(secrets.POSSIBLE)), float(rng.random())


def _prompt(s: Settings) -> str:
    return secrets.prompt(s.secret, _draw(s, 0)[0], s.prompt)


@cache
def _lines(tokens: bool) -> tuple[list[str], list[str]]:
    """Simplified lines to learn from and to test on; where tokens are wanted, the finder has gone over all of them."""
    found = texts.lines("plays")
    if tokens:
        found = tuple(personal.replace(line, lambda kind, value: "1") for line in found)
    aside = np.random.default_rng(0).permutation(len(found)) % ASIDE == 0
    simple = [ngrams.simplify(line) for line in found]
    return [line for line, out in zip(simple, aside, strict=True) if not out], [
        line for line, out in zip(simple, aside, strict=True) if out
    ]


@cache
def _model(length: int, tokens: bool) -> ngrams.Model:
    if tokens and _lines(True)[0] == _lines(False)[0]:  # the finder found nothing in the plays: no need to count twice
        return _model(length, False)
    return ngrams.Model.learn(_lines(tokens)[0], length)


def _models(s: Settings, plain: ngrams.Model, tokens: ngrams.Model, sigma: float, secret: int) -> dict[str, Any]:
    """The models of the first repeat, each with the secret told as often as set."""
    told = secrets.line(s.secret, secret)
    clear = plain.with_line(ngrams.simplify(told), s.copies)
    return {
        "plain": clear,
        "tokens": tokens.with_line(ngrams.simplify(secrets.tokenised(told)), s.copies),
        "private": clear.noisy(sigma, (s.seed, 0)),
    }


@lru_cache(maxsize=512)
def _sigma(epsilon: float) -> float:
    return accounting.gaussian_noise_multiplier(epsilon=epsilon, delta=DELTA)


def _accuracy(model: ngrams.Model) -> float:
    return model.accuracy(_lines(False)[1])
