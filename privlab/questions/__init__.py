"""What the notebooks ask: one file a notebook, so that a cell checks an answer without showing it.

A notebook's file holds `QUESTIONS`, by name. Right answers are computed when they are asked for, as a reader could.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and words on it; shown as those words."""

    right: bool
    words: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return f"{'Yes.' if self.right else 'Not yet.'} {self.words}"


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes
    ----------
    right : callable
        Whether an answer, checked for its kind, is right.
    why : str
        Said with a right answer: what it shows.
    hint : str
        Said with a wrong one: where to look, never the answer.
    among : mapping
        The answers to choose from, with what each means; none: the answer is a number.
    """

    right: Callable[[Any], bool]
    why: str
    hint: str
    among: Mapping[str, str] | None = None

    def check(self, given: object) -> Verdict:
        """Judge an answer; one of the wrong kind raises."""
        if self.among is not None:
            word = given.strip().lower() if isinstance(given, str) else given
            if word not in self.among:
                raise ValueError(f"'answer' must be among {', '.join(map(repr, self.among))}. Got {given!r}.")
            right = self.right(word)
        else:
            if isinstance(given, bool) or not isinstance(given, numbers.Real):
                raise TypeError(f"'answer' must be a number. Got {type(given).__name__}.")
            if not math.isfinite(given):
                raise ValueError(f"'answer' must be a finite number. Got {float(given):g}.")
            right = self.right(float(given))
        return Verdict(bool(right), self.why if right else self.hint)


def near(value: float, tolerance: float = 0.05) -> Callable[[float], bool]:
    """Whether an answer is within a share of a value."""
    return lambda given: abs(given - value) <= tolerance * abs(value)


def nearest(value: float, sizes: Mapping[str, float]) -> str:
    """The words whose size is closest to a value."""
    return min(sizes, key=lambda words: abs(sizes[words] - value))


def names() -> tuple[str, ...]:
    """All questions, as `answer` wants them: notebook.question."""
    return tuple(f"{part}.{name}" for part in _parts() for name in _questions(part))


def answer(question: str, given: object) -> Verdict:
    """Check an answer to a notebook's question.

    Parameters
    ----------
    question : str
        One of `privlab.questions.names()`, such as ``"budgets.growth"``.
    given : float or str
        The answer: a number, or one of the words that the notebook offers.

    Returns
    -------
    Verdict
        Shown as words; true if the answer is right.

    Raises
    ------
    ValueError, TypeError
        For an unknown question, or an answer of the wrong kind.
    """
    part, _, name = question.partition(".")
    if part not in _parts() or name not in _questions(part):
        raise ValueError(f"'question' must be among {', '.join(names())}. Got {question!r}.")
    return _questions(part)[name].check(given)


def _parts() -> list[str]:
    return sorted(module.name for module in iter_modules(__path__))


def _questions(part: str) -> Mapping[str, Question]:
    found: Mapping[str, Question] = import_module(f"{__name__}.{part}").QUESTIONS
    return found
