"""Questions of notebook 12: what pseudonyms are worth."""

from __future__ import annotations

import math

from privlab.questions import Question, near

QUESTIONS = {
    "digits": Question(
        near(1000.0, 0.01),
        "Three digits more are a thousand times the work: minutes instead of a moment. That is nothing.",
        "One digit more gives ten times as many numbers to try.",
    ),
    "salt": Question(
        lambda word: word == "slower",
        "A salt stops one list of hashes from serving for everybody. Each person still has few possible numbers.",
        "Look at the violet line: does it reach the top, and when?",
        among={"safe": "nobody can reverse them", "slower": "it takes longer", "same": "it changes nothing"},
    ),
    "counting": Question(
        lambda word: word == "tokens",
        "Equal values have equal tokens, so how often each occurs stays visible. No key hides that.",
        "The attacker never had the key. What does a table with tokens still show?",
        among={"key": "the key was found", "hash": "the hash was reversed", "tokens": "equal values have equal tokens"},
    ),
    "columns": Question(
        lambda given: given == 5,
        "With five columns in common nearly half of the people are linked, with six most of them. Their names were "
        "never needed.",
        "Look where the violet line crosses the middle of the picture.",
    ),
    "deleted": Question(
        lambda word: word == "columns",
        "Without the key tokens are random letters. The rest of the row is what it was.",
        "What else stands in a row, and what did the second panel do with it?",
        among={"nothing": "nothing any more", "tokens": "its token", "columns": "its other columns"},
    ),
    "recall": Question(
        lambda given: abs(given - math.ceil(0.25 * 65)) <= 6,
        "About one in four: those written in an unusual way, and those without a check. And this text is kind: it has "
        "one fact a line.",
        "The bar of telephone numbers says how many of how many were found. How many were not?",
    ),
}
