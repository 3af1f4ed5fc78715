"""Where the rows went: counts that must add up at every stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from privlab.tables import pd


@dataclass(frozen=True)
class Stage:
    """One step of a table's way.

    Attributes
    ----------
    name : str
    kept : int
        Rows that go on, or in the last stage all that there are.
    gone : mapping of str to int
        Rows that stay behind, by reason.
    parts : mapping of str to int
        Into what the kept rows are divided, such as training and test; empty: not divided.
    """

    name: str
    kept: int
    gone: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for counts in (self.gone, self.parts):
            for what, count in counts.items():
                check_count(what, count)
        check_count(self.name, self.kept)
        if self.parts and sum(self.parts.values()) != self.kept:
            raise ValueError(
                f"The parts of '{self.name}' must add up to its {self.kept} rows. Got {sum(self.parts.values())}."
            )


@dataclass(frozen=True)
class Flow:
    """A table's way from collection to training: each stage begins with what the one before it kept.

    Examples
    --------
    ``Flow.start("collected", 1000).then("consented", 700, no_consent=300).split("split", train=525, test=175)``
    """

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        for before, after in zip(self.stages, self.stages[1:], strict=False):
            found = after.kept + sum(after.gone.values())
            if found != before.kept:
                raise ValueError(
                    f"Stage '{after.name}' must account for the {before.kept} rows of '{before.name}'. Got {found}."
                )

    @classmethod
    def start(cls, name: str, rows: int) -> Self:
        """Begin with so many rows."""
        return cls((Stage(name, rows),))

    def then(self, name: str, kept: int, **gone: int) -> Self:
        """Go on with `kept` rows; the others are gone for the reasons given.

        Raises
        ------
        ValueError
            If kept and gone rows are not together those of the stage before.
        """
        return type(self)((*self.stages, Stage(name, kept, gone)))

    def split(self, name: str, **parts: int) -> Self:
        """Divide what is left; the parts must add up to it."""
        return type(self)((*self.stages, Stage(name, sum(parts.values()), {}, parts)))

    @property
    def kept(self) -> int:
        """Rows after the last stage."""
        return self.stages[-1].kept

    def frame(self) -> pd.DataFrame:
        """One row for each count: stage, what became of the rows ("kept", "gone" or "part of kept"), why, and rows."""
        lines = []
        for stage in self.stages:
            lines += [(stage.name, "gone", why.replace("_", " "), count) for why, count in stage.gone.items()]
            lines.append((stage.name, "kept", "", stage.kept))
            lines += [(stage.name, "part of kept", part.replace("_", " "), n) for part, n in stage.parts.items()]
        return pd.DataFrame(lines, columns=["stage", "became", "which", "rows"])

    def __str__(self) -> str:
        words = []
        for stage in self.stages:
            gone = "".join(f", {count:,} {why.replace('_', ' ')}" for why, count in stage.gone.items())
            parts = " + ".join(f"{count:,} {part.replace('_', ' ')}" for part, count in stage.parts.items())
            words.append(f"{stage.name} {stage.kept:,}{f' = {parts}' if parts else ''}{gone}")
        return " → ".join(words)


def check_count(what: str, count: int) -> None:
    """Raise unless a count is a whole number of at least 0."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ValueError(f"The rows of '{what}' must be a whole number of at least 0. Got {count!r}.")
