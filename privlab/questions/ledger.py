"""Questions of notebook 14: the ledger, private mode and the policy."""

from __future__ import annotations

from privlab.experiments import run
from privlab.policy import Facts, Policy, gather
from privlab.questions import Question


def _frugal(given: float) -> bool:
    """A usual look so blurred that a budget of 3 pays for all 40 moves, and not much more blurred than need be."""
    return 0.3 <= given <= 3 and "refused" not in run("ledger", look_epsilon=given).fates


def _blocking() -> list[str]:
    """The rules that block a training on Adult, with all else in order."""
    facts = Facts(epsilon=1, delta=1e-5, ledger_problems=(), purpose="teaching", without_consent=0, oldest_days=300,
                  withdrawn=0)  # fmt: skip
    checks = Policy.read().check(gather(facts, dataset="adult"), "training")
    return [one.rule for one in checks if not one.passed]


QUESTIONS = {
    "frugal": Question(
        _frugal,
        "Blurred looks are cheap, many of them fit; a few sharp ones use up all there is. Decide beforehand which you "
        "need.",
        "With a budget of 3, move the ε of a usual look to where no cross is left, and back as far as none comes.",
    ),
    "books": Question(
        lambda word: word == "ledger",
        "The tight total is proven for plans made beforehand, and your hand followed what it saw. Adding up holds as "
        "well, but pays for a fraction of the looks.",
        "Two of them hold for looks chosen one after the other. Which of the two leaves more for later?",
        among={
            "added": "each look's ε added up",
            "ledger": "the ledger's reading",
            "tight": "the tight total, if all was planned beforehand",
        },
    ),
    "head": Question(
        lambda word: word == "back",
        "An older copy is a sound book in itself: every seal fits. Only what is kept elsewhere knows that there was "
        "more.",
        "Which of these leaves a book whose seals all fit, with no number missing before the last?",
        among={
            "edit": "an entry is made to look cheap",
            "delete": "an entry is taken out",
            "reorder": "two entries change places",
            "back": "an older copy is put back",
        },
    ),
    "again": Question(
        lambda given: given == 0,
        "The picture that was paid for can be shown as often as you like: nothing new is learned from anybody's data.",
        "Move to another ε, wait, come back, and read what the line below the controls says of the last move.",
    ),
    "blocks": Question(
        lambda word: [word] == _blocking(),
        "Nothing was charged either: a rule that blocks does so before the training.",
        "Read the one line that does not begin with 'passed'.",
        among={
            "purpose": "the purpose is not allowed",
            "consent": "somebody has not agreed",
            "columns": "a column must not be used",
            "epsilon": "the budget of the policy is passed",
        },
    ),
}
