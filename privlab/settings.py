"""Settings: what a person can choose, declared once with its default, bounds and words, validated, JSON in and out."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal, Self, dataclass_transform

import numpy as np

Scale = Literal["linear", "log"]


@dataclass(frozen=True)
class Control:
    """How one setting is offered and what it may be.

    Attributes
    ----------
    label, hint : str
        Words beside the control and on its tooltip.
    low, high : float
        Inclusive bounds of a number.
    slider : (float, float)
        Where the slider begins and ends; typed and scripted values may go on to `low` and `high`.
    scale : {"linear", "log"}
    places : int
        Positions of the slider.
    among : callable
        Returns the allowed values of a choice.
    words : callable
        How a value of a choice is called on the control.
    offered : callable
        (settings, value) -> whether a choice makes sense, or a number has an effect, beside the other settings; where
        not, it is not shown.
    many : bool
        Whether a choice holds several values.
    reads : callable
        Turns what may be given for a value into the value itself, such as a data set into its name.
    ends : (str, str)
        Words at the slider's two ends.
    advanced : bool
        Shown only when asked for.
    """

    label: str
    hint: str = ""
    low: float = -math.inf
    high: float = math.inf
    slider: tuple[float, float] = (0, 1)
    scale: Scale = "linear"
    places: int = 121
    among: Callable[[], Sequence[Any]] | None = None
    words: Callable[[Any], str] = str
    offered: Callable[[Any, Any], bool] = lambda settings, value: True
    many: bool = False
    reads: Callable[[Any], Any] = lambda given: given
    ends: tuple[str, str] = ("", "")
    advanced: bool = False
    whole: bool = False

    def positions(self) -> tuple[float, ...]:
        """The slider's values, in three significant digits; 1 is always one of them on a log scale."""
        low, high = self.slider
        if self.scale == "linear":
            values = np.linspace(low, high, self.places)
        elif low < 1 < high:
            below = round((self.places - 1) * math.log(1 / low) / math.log(high / low))
            values = np.concatenate([np.geomspace(low, 1, below + 1)[:-1], np.geomspace(1, high, self.places - below)])
        else:
            values = np.geomspace(low, high, self.places)
        if self.whole:
            values = np.round(values)
        return tuple(sorted({float(f"{v:.3g}") for v in values}))

    def check(self, name: str, value: Any) -> Any:
        """The value in its plain type, or an error that names the field and what is allowed."""
        if self.among is not None:
            return self._check_choice(name, value)
        kind = "a whole number" if self.whole else "a number"
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(f"'{name}' must be {kind} in [{self.low:g}, {self.high:g}]. Got {type(value).__name__}.")
        number = float(value)
        if not self.low <= number <= self.high or (self.whole and number != int(number)):
            raise ValueError(f"'{name}' must be {kind} in [{self.low:g}, {self.high:g}]. Got {number:g}.")
        return int(number) if self.whole else number

    def _check_choice(self, name: str, value: Any) -> Any:
        allowed = list(self.among()) if self.among else []
        chosen = list(value) if self.many and isinstance(value, Iterable) and not isinstance(value, str) else [value]
        words = f"'{name}' must be among {', '.join(map(str, allowed))}."
        for one in chosen:
            if not isinstance(one, str):
                raise TypeError(f"{words} Got {type(one).__name__}.")
            if one not in allowed:
                raise ValueError(f"{words} Got {one!r}.")
        if self.many and not chosen:
            raise ValueError(f"{words} Got none.")
        return tuple(dict.fromkeys(chosen)) if self.many else chosen[0]


def control(
    *,
    default: float,
    label: str,
    low: float,
    high: float,
    slider: tuple[float, float] | None = None,
    scale: Scale = "linear",
    places: int = 121,
    hint: str = "",
    ends: tuple[str, str] = ("", ""),
    offered: Callable[[Any, Any], bool] = lambda settings, value: True,
    advanced: bool = False,
) -> Any:
    """A number with a slider; whole where the default is an int. See `Control`."""
    made = Control(
        label,
        hint,
        low,
        high,
        slider or (low, high),
        scale,
        places,
        ends=ends,
        offered=offered,
        advanced=advanced,
        whole=isinstance(default, int),
    )
    return field(default=default, metadata={"control": made})


def choice(
    *,
    default: Any,
    label: str,
    among: Callable[[], Sequence[Any]],
    words: Callable[[Any], str] = str,
    offered: Callable[[Any, Any], bool] = lambda settings, value: True,
    hint: str = "",
    many: bool = False,
    advanced: bool = False,
    reads: Callable[[Any], Any] = lambda given: given,
) -> Any:
    """One value, or several, among those that `among()` names. See `Control`."""
    made = Control(label, hint, among=among, words=words, offered=offered, many=many, advanced=advanced, reads=reads)
    return field(default=default, metadata={"control": made})


@dataclass(frozen=True)
class Handle:
    """A second grip on a setting: another scale for the same thing, as the noise multiplier is for ε.

    Attributes
    ----------
    of : str
        The setting that it moves.
    read : callable
        (settings, values of that setting) -> the same positions on this scale, or nothing while that would take long.
    """

    of: str
    label: str
    read: Callable[[Any, Sequence[float]], Sequence[float]]
    hint: str = ""
    ends: tuple[str, str] = ("", "")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(control, choice))
class Controls:
    """Base of all Settings: a frozen dataclass whose fields are declared with `control` and `choice`."""

    handles: ClassVar[Mapping[str, Handle]] = {}

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)

    def __post_init__(self) -> None:
        for name, one in self.controls().items():
            object.__setattr__(self, name, one.check(name, getattr(self, name)))
        self.check()

    def check(self) -> None:
        """Refuse values that are wrong only together; overridden where there are any."""

    @classmethod
    def resolve(cls, values: dict[str, Any], base: Self | None) -> dict[str, Any]:
        """Turn handles into the settings they move; overridden where there are any."""
        return values

    @classmethod
    def controls(cls) -> dict[str, Control]:
        """The control of each setting, in the order of their declaration."""
        return {f.name: f.metadata["control"] for f in fields(cls)}  # type: ignore[arg-type]

    @classmethod
    def make(cls, base: Self | None = None, **values: Any) -> Self:
        """Settings from keyword values, over `base` or the defaults; unknown names are refused."""
        allowed = [*cls.controls(), *cls.handles]
        for name in values:
            if name not in allowed:
                raise TypeError(f"Settings must be among {', '.join(allowed)}. Got {name!r}.")
            if name in cls.controls():
                values[name] = cls.controls()[name].reads(values[name])
        start = {} if base is None else base.as_dict()
        return cls(**(start | cls.resolve(values, base)))

    def as_dict(self) -> dict[str, Any]:
        """The settings by name, in plain types."""
        return asdict(self)  # type: ignore[call-overload]

    def changed(self) -> dict[str, Any]:
        """The settings that differ from the defaults."""
        defaults = {f.name: f.default for f in fields(self) if f.default is not MISSING}  # type: ignore[arg-type]
        return {name: value for name, value in self.as_dict().items() if value != defaults.get(name, MISSING)}

    def to_json(self) -> str:
        """The settings as JSON."""
        return json.dumps(self.as_dict())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Settings from `to_json()`, validated."""
        return cls.make(**json.loads(text))

    def code(self) -> str:
        """A short text that brings back these settings: `epsilon=0.5&clip_norm=2`; empty for the defaults."""

        def word(value: Any) -> str:
            return ",".join(value) if isinstance(value, tuple) else str(value).removesuffix(".0")

        return "&".join(f"{name}={word(value)}" for name, value in self.changed().items())

    @classmethod
    def from_code(cls, text: str) -> Self:
        """Settings from `code()`, typed by a person: blanks are allowed, anything else wrong is an error."""
        controls = cls.controls()
        values: dict[str, Any] = {}
        for part in filter(None, (piece.strip() for piece in text.split("&"))):
            name, _, word = (piece.strip() for piece in part.partition("="))
            one = controls.get(name)
            if one is None or not word:
                raise ValueError(f"A settings code must look like name=value&name=value. Got {part!r}.")
            values[name] = (
                tuple(w.strip() for w in word.split(",")) if one.many else word if one.among else _number(name, word)
            )
        return cls.make(**values)


def _number(name: str, word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"'{name}' must be a number. Got {word!r}.") from None
