"""The story for stakeholders: one question a scene, a few positions to choose from, a picture and the odds in words.

A scene knows an experiment, the settings of its positions, and how to read a result: no widgets, and no numbers of its
own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from privlab import scene_pictures as posters
from privlab import uncertainty
from privlab.explain import guess_limit
from privlab.scene_pictures import Card, Checks, Cost, Hundreds, Share, Spending, Way, Ways


@dataclass(frozen=True)
class Preset:
    """One position of a scene.

    Attributes
    ----------
    label : str
        On its button.
    values : dict
        Settings of the experiment.
    focus : str
        What is looked at in its result, if not all of it.
    """

    label: str
    values: dict[str, Any] = field(default_factory=dict)
    focus: str = ""


@dataclass(frozen=True)
class Scene:
    """One question, asked of an experiment.

    Attributes
    ----------
    name : str
        In the list of scenes.
    question, setting : str
        The headline, and one line on what is looked at.
    experiment : str
    presets : tuple of Preset
    start : int
        The position that it opens with.
    picture : type
        What draws it; see `scene_pictures`.
    read : callable
        (result, preset) -> what the picture draws, and the finding in words.
    """

    name: str
    question: str
    setting: str
    experiment: str
    presets: tuple[Preset, ...]
    start: int
    picture: type[Any]
    read: Callable[[Any, Preset], tuple[Any, str]]


def in_100(share: float, what: str = "") -> str:
    """A share as people say it: "70 in 100", "70 times in 100"."""
    what = f" {what}" if what else ""
    if 0 < share < 0.005:
        return f"fewer than 1{what} in 100"
    if 0.995 < share < 1:
        return f"more than 99{what} in 100"
    return f"{100 * share:.0f}{what} in 100"


def at_most(share: float) -> str:
    """A limit, rounded up."""
    return f"{math.ceil(100 * share - 1e-9)} times in 100"


def _epsilons(*epsilons: float) -> tuple[Preset, ...]:
    return tuple(Preset(f"ε = {epsilon:g}", {"epsilon": epsilon}) for epsilon in epsilons)


def _two_worlds(result: Any, preset: Preset) -> tuple[Hundreds, str]:
    from privlab.experiments._two_worlds_result import interval

    n, epsilon = result.released.shape[1], preset.values["epsilon"]
    counts = [int(result.above(world)[result.held]) for world in (0, 1)]
    shares = []
    for count, head in zip(counts, ("without you\nin the data", "with you\nin the data"), strict=True):
        low, high = interval(np.array(count), n)
        shares.append(Share(head, count / n, float(low), float(high), in_100(count / n)))
    without, within = (one.share for one in shares)
    right = (1 + within - without) / 2
    return Hundreds("someone says “you are in it”", (shares[0], shares[1])), (
        f"At ε = {epsilon:g}, someone who sees the published count says “you are in it” {in_100(without, 'times')} "
        f"without you, {in_100(within, 'times')} with you. So they are right {in_100(right, 'times')}; a coin, 50. "
        f"{_verdict(right)}"
    )


def _verdict(right: float) -> str:
    if right > 0.9:
        return "That hides nobody."
    return "That is hardly better than the coin." if right < 0.56 else "You are half hidden: they can never be sure."


def _exposed(result: Any, preset: Preset) -> tuple[Hundreds, str]:
    from privlab.experiments._shadows import DELTA

    attack = result.attacks["plain" if preset.focus == "plain" else "private"]
    chosen, rate = attack.exposed(result.share)
    half = 1.96 * float(attack.right[chosen].std()) / len(chosen) ** 0.5
    everyone = float(attack.right.mean())
    wide = 1.96 * float(attack.right.std()) / len(attack.right) ** 0.5
    shares = (
        Share("about people\nin general", everyone, everyone - wide, everyone + wide, in_100(everyone)),
        Share(f"about the {100 * result.share:.0f} in 100\nmost exposed", rate, rate - half, min(1, rate + half),
              in_100(rate)),
    )  # fmt: skip
    models = "models without privacy" if preset.focus == "plain" else f"models with ε = {preset.values['epsilon']:g}"
    most = guess_limit(preset.values["epsilon"], DELTA)
    limit = f"At this ε nobody can be right more than {at_most(most)}."
    if preset.focus == "plain":
        limit = "Nothing limits what the next attacker may find."
    elif most > 0.99:
        limit = f"An ε of {preset.values['epsilon']:g} limits hardly anything: a better attacker may be right always."
    return Hundreds("the attacker is right …", shares, coin=True), (
        f"From {models}, an attacker guesses who was in their data, and is right {in_100(everyone, 'times')}; about "
        f"the most exposed people, {in_100(rate, 'times')}. A coin: 50. {limit}"
    )


def _cost(result: Any, preset: Preset) -> tuple[Cost, str]:
    curve = result.curves[0].estimate
    linear = [score for label, score in result.ceilings.items() if label.startswith("linear")]
    ceiling = 100 * linear[0] if linear else None
    plain = preset.focus == "plain"
    held = None if plain else result.held
    data = Cost(result.x, 100 * curve.mean, 100 * curve.release, held, ceiling, 100 * result.floor)
    off = 100 * uncertainty.split_error(result.curves[0].held, result.loss_scale)
    against = f"Other people would move that by up to {off:.1f}. "
    if ceiling is not None:
        against = f"Without any privacy: {ceiling:.1f}. {against.replace('that', 'either')}"
    floor = f"Always the same answer: {100 * result.floor:.1f}."
    if plain:
        if ceiling is None:
            return data, "A model without privacy is being trained now …"
        return data, (
            f"Without privacy, the model is right about {ceiling:.1f} of 100 people it has never seen. {floor} There "
            "is no limit to what it may tell about the people it learned from."
        )
    epsilon, right = preset.values["epsilon"], 100 * curve.mean[result.held]
    odds = guess_limit(epsilon, result.settings.delta)
    return data, (
        f"At ε = {epsilon:g} the model is right about {right:.1f} of 100 people it has never seen. {against}{floor} "
        f"Whoever guesses whether you helped to train it is right at most {at_most(odds)}; a coin, 50."
    )


def _columns(result: Any, preset: Preset) -> tuple[Hundreds, str]:
    k, count = result.held, result.settings.columns
    right, found = result.above["private"], result.below["record found"]
    score, pick = float(right.mean[k]), float(found.mean[k])
    shares = (
        Share("the model\nis right about", score, float(right.low[k]), float(right.high[k]), in_100(score), "private"),
        Share("a stranger\nfinds", pick, float(found.low[k]), float(found.high[k]), in_100(pick)),
    )
    if count == len(result.order):
        kept, against = f"all {count} facts", ""
    else:
        kept = f"the {count} most useful of {len(result.order)} facts"
        against = f" (with all, {100 * float(right.mean[-1]):.1f})"
    return Hundreds("of 100 people …", shares), (
        f"With {kept} about each person, a private model is right about {100 * score:.1f} of 100 people{against}. A "
        f"stranger who knows what neighbours know picks out the records of {in_100(pick)} people."
    )


LEVELS = "○◔◐●"
NAMES = {
    "central": "trusted office\nwith noise", "local": "noise at home", "federated": "federated",
    "secure": "federated,\nmasks, noise", "encrypted": "encrypted",
}  # fmt: skip


def _ways(result: Any, preset: Preset) -> tuple[Ways, str]:
    from privlab.experiments._side_by_side_ways import WAYS

    rows = []
    for name, way in WAYS.items():
        server, model = (LEVELS.index(words[0]) for words in (way.server, way.model))
        right = f"{100 * result.interval(name)[0]:.0f}" if name in result.scores else "…"
        rows.append(Way(NAMES[name], server, model, right))
    way = WAYS[preset.focus]
    sees, tells = (words[2:].replace("\n", " ") for words in (way.server, way.model))
    right = ""
    if preset.focus in result.scores:
        middle, low, high = (100 * one for one in result.interval(preset.focus))
        right = f" It is right about {middle:.0f} of 100 people ({low:.0f} to {high:.0f})."
    return Ways(tuple(rows), list(WAYS).index(preset.focus)), (
        f"{way.name[0].upper()}{way.name[1:]}: whoever runs it sees {sees}; the finished model tells {tells}."
        f"{right} To be trusted: {way.trust}."
    )


PLAIN_WORDS = {  # findings of the gallery, as a newcomer may read them
    "by C at most": "by the limit at most",
    "times C": "times the limit",
    "The noise is practically nothing of what was promised.": "There is practically no noise.",
}


def _checks(result: Any, preset: Preset) -> tuple[Checks, str]:
    halves = {broken: [one for one in result.exhibits if one.broken == broken] for broken in (False, True)}
    if preset.focus == "all":
        from privlab.experiments._gallery_bugs import CATALOGUE

        count = len(CATALOGUE)
        caught, blamed = (sum(one.caught for one in halves[broken]) for broken in (True, False))
        seen = [len(halves[broken]) for broken in (True, False)]
        pair = (
            Card("honest programs", tuple(not one.caught for one in halves[False]), count,
                 verdict=f"{blamed} of {seen[1]} blamed", good=not blamed),
            Card("broken programs", tuple(not one.caught for one in halves[True]), count,
                 verdict=f"{caught} of {seen[0]} caught", good=False),
        )  # fmt: skip
        return Checks(pair), (
            f"Fifteen mistakes that were published, each beside an honest twin, all claiming ε = 1: {caught} of the "
            f"{seen[0]} tried so far are caught, and {blamed} of {seen[1]} honest ones wrongly blamed."
            if result.progress < 1
            else f"Fifteen mistakes that were published, each beside an honest twin, all claiming ε = 1: {caught} of "
            f"{count} are caught, and {blamed} of the honest ones wrongly blamed. A promise of privacy can be tested."
        )
    cards = []
    for broken in (False, True):
        findings = [finding for one in halves[broken] for finding in one.findings]
        caught = any(not finding.passed for finding in findings)
        verdict = "" if not findings else "caught" if caught else "nothing found"
        cards.append(
            Card("the broken program" if broken else "its honest twin", tuple(f.passed for f in findings),
                 len(findings), tuple(_plain(f.words) for f in findings), verdict, good=not broken)
        )  # fmt: skip
    failed = [f for one in halves[True] for f in one.findings if not f.passed]
    found = f"The checks say: {_plain(failed[0].words)}" if failed else "The checks are at work."
    return Checks((cards[0], cards[1])), f"Both programs claim ε = 1. {preset.focus} {found} Nobody sees this by eye."


def _plain(words: str) -> str:
    for hard, easy in PLAIN_WORDS.items():
        words = words.replace(hard, easy)
    return words


def _budget(result: Any, preset: Preset) -> tuple[Spending, str]:
    budget, moves = preset.values["epsilon"], result.settings.looks
    charged, free, refused = (result.fates.count(fate) for fate in ("charged", "free", "refused"))
    most = guess_limit(budget, 1e-5)
    return Spending(budget, result.ledger.tolist(), result.fates, moves), (
        f"With a budget of ε = {budget:g}, {len(result.fates)} looks at the same people came to {charged} paid ones, "
        f"{free} free ones (seen before) and {refused} refused. Whatever was asked, whoever guesses whether you are "
        f"in the data is right at most {at_most(most)}."
    )


SCENES: tuple[Scene, ...] = (
    Scene(
        "One number", "Can anyone tell whether you are in the data?",
        "How many people said yes? The count is published with noise. ε says how much noise: less ε, more noise.",
        "two_worlds", _epsilons(10, 3, 1, 0.1), 2, posters.People, _two_worlds,
    ),
    Scene(
        "A trained model", "Does a trained model give its people away?",
        "Hundreds of models learn to tell incomes, each from 150 people. An attacker guesses who was in which.",
        "membership",
        (Preset("no privacy", {"epsilon": 1.0, "view": "people"}, "plain"),
         *(Preset(f"ε = {e:g}", {"epsilon": e, "view": "people"}) for e in (10.0, 1.0, 0.1))),
        0, posters.People, _exposed,
    ),
    Scene(
        "The price", "What does privacy cost?",
        "Models that predict who earns more than $50,000, trained now on 32,561 real people.",
        "tradeoff",
        (Preset("no privacy", {"epsilon": 1.0}, "plain"), *_epsilons(10.0, 1.0, 0.1, 0.05)),
        2, posters.Curve, _cost,
    ),
    Scene(
        "Less data", "Could the model do with less about people?",
        "Age, marriage, schooling, hours, … : the facts are dropped one by one, the least useful first.",
        "minimise",
        tuple(Preset(f"{'all ' if m == 11 else ''}{m} facts", {"columns": m}) for m in (11, 8, 4, 2)),
        0, posters.People, _columns,
    ),
    Scene(
        "Five ways", "Who could still see what?",
        "The same model learned in five ways, at ε = 2 where there is noise.",
        "side_by_side",
        tuple(Preset(label, {}, way) for way, label in (
            ("central", "office"), ("local", "at home"), ("federated", "federated"), ("secure", "masked"),
            ("encrypted", "encrypted"))),
        0, posters.Eyes, _ways,
    ),
    Scene(
        "Broken promises", "Would a broken promise be noticed?",
        "Two programs that look alike and claim the same ε are put to the test. One of them is wrong.",
        "gallery",
        (Preset("too little noise", {"bug": "unscaled_noise"}, "The broken one adds less noise than it says."),
         Preset("no limit", {"bug": "no_clipping"}, "The broken one forgets to limit any one person's weight."),
         Preset("budget renewed", {"bug": "rounds"}, "The broken one starts a new account in every round."),
         Preset("all fifteen", {"view": "all"}, "all")),
        0, posters.Checklist, _checks,
    ),
    Scene(
        "A budget", "What if everybody wants one more look?",
        "Every look at the same people costs privacy. A ledger is charged first, and refuses when nothing is left.",
        "ledger", tuple(Preset(f"ε = {e}", {"epsilon": float(e), "looks": 24}) for e in (1, 3, 10)),
        1, posters.Purse, _budget,
    ),
)  # fmt: skip
