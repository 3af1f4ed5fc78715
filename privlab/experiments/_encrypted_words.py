"""Times, sizes and errors in words."""

from __future__ import annotations

from math import floor, log10

_TIMES = ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def seconds(value: float) -> str:
    """A time: 44 ms, 2.3 s, 8.0 min."""
    return _in_units(value, _TIMES)


def size(value: float) -> str:
    """A number of bytes: 4.8 MB."""
    return _in_units(value, _SIZES)


def tiny(value: float) -> str:
    """An error to one digit: 0.002, 7·10⁻⁶; 0 is none."""
    if value == 0:
        return "0"
    if value >= 1e-3:
        return f"{value:.1g}"
    power = floor(log10(value))
    digit = round(value / 10.0**power)
    power, digit = (power + 1, 1) if digit == 10 else (power, digit)
    return f"{digit}·10{str(power).translate(_RAISED)}"


def _in_units(value: float, units: tuple[tuple[float, str], ...]) -> str:
    unit, name = next((one for one in units if value >= one[0]), units[-1])
    number = value / unit
    return f"{number:.0f} {name}" if number >= 10 else f"{number:.1f} {name}"
