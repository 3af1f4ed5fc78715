"""Questions of notebook 06: what tables, counts and models give away."""

from __future__ import annotations

from functools import cache
from typing import Any

from privlab.questions import Question

KNOWN = {
    "age": "their age",
    "sex": "their sex",
    "race": "their race",
    "marital-status": "their marital status",
    "education-num": "their education",
    "occupation": "their occupation",
}


def _run(experiment: str, **values: Any) -> Any:
    from privlab import experiments

    return experiments.run(experiment, **values)


@cache
def _best_withheld() -> str:
    """The column without which the fewest people have a single fitting row."""

    def alone(column: str) -> float:
        rest = tuple(name for name in KNOWN if name != column)
        return float(_run("linkage", known=rest).share("alone").mean[-1])

    return min(KNOWN, key=alone)


@cache
def _all_out(questions: int) -> bool:
    """Whether so many exact counts about 200 people give nearly all secrets away."""
    found = _run("reconstruction", questions=questions, seeds=4)
    return bool(found.estimate("exact").mean[found.held] > 0.99)


@cache
def _times() -> float:
    """How many times more members are found than by blind guessing, at the defaults and 1 false alarm in 100."""
    return 100 * float(_run("membership").attacks["plain"].hits(0.01))


@cache
def _found(size: int) -> float:
    """Of 100 members found without privacy at 1 false alarm in 100, where models learn from so many."""
    return 100 * float(_run("membership", size=size).attacks["plain"].hits(0.01))


QUESTIONS = {
    "withhold": Question(
        lambda word: word == _best_withheld(),
        "Seventy-odd ages cut people into more pieces than fifteen occupations do. What tells people apart is not what "
        "they would call delicate.",
        "Untick one of the six at a time, and watch the last bar.",
        among=KNOWN,
    ),
    "questions": Question(
        lambda given: 100 <= given <= 230 and _all_out(round(given)),
        "About as many counts as there are people: each is one equation, and each secret one unknown.",
        "Move m to the left from 300 until the exact answers no longer tell every secret, and back until they just do.",
    ),
    "noise": Question(
        lambda word: word == "grows",
        "Then whoever asks more gets each answer noisier, and all answers together say no more than ε allows.",
        "Compare the two noisy lines as the number of questions grows: what is different about their noise?",
        among={
            "fixed": "noise that is the same however much is asked",
            "grows": "noise that grows with the number of questions",
            "rounding": "counts rounded to whole tens",
        },
    ),
    "times": Question(
        lambda given: abs(given - _times()) <= 0.6,
        "An average over everybody hides it: the attack is right about 58 people in 100, which sounds like next to "
        "nothing.",
        "Blind guessing finds 1 of 100 there. Read off what the first line finds, as the panel opens.",
    ),
    "exposed": Question(
        lambda word: word == "unexpected",
        "Whom the others do not explain, a model has to learn by heart: those it would get wrong without them.",
        "Compare the long bars with the short ones below them, at the settings the panel opens with.",
        among={
            "unexpected": "people whose outcome surprises models that did not learn from them",
            "category": "people in a rare category",
            "number": "people with an extreme number",
        },
    ),
    "people": Question(
        lambda given: 400 <= given <= 1000 and _found(round(given)) < 3.0,
        "Among many, nobody has to be learned by heart. But nothing promises it: another attack, or one rare person, "
        "and the number is another.",
        "Move n to the right from 150 until fewer than 3 of 100 members are found without privacy, and no further than "
        "you must.",
    ),
    "outsiders": Question(
        lambda word: word == "no",
        "What holds for people like you can be learned from people like you. ε promises only that your own taking part "
        "adds next to nothing.",
        "How well is the column guessed of somebody who never took part in anything, and without any model?",
        among={
            "yes": "yes, with a small ε nobody can guess it",
            "no": "no, that is guessed from other people's data",
        },
    ),
}
