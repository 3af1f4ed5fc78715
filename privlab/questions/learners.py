"""Questions of notebook 05 on the other private learners."""

from __future__ import annotations

from privlab.questions import Question, near

QUESTIONS = {
    "tree": Question(
        lambda word: word == "splits",
        "Blind splits cost no privacy at all, and that is why they are used; what they lose, no ε brings back.",
        "Set ε as high as it goes: no cross is left, so the noise has gone. Which part of the tree has not changed?",
        among={
            "noise": "the noise turns too many leaves",
            "splits": "its questions are drawn without looking at the people",
            "people": "there are too few people for any tree",
        },
    ),
    "total": Question(
        near(30, 0.001),
        "They were learned from the same people, so each release adds its ε to what those people have spent.",
        "Six learners, each with its own ε = 5, and every one of them looked at the same people.",
    ),
}
