"""Settings: bounds, messages, and the ways out and back in."""

import json
import math
from dataclasses import FrozenInstanceError
from fractions import Fraction
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privlab import accounting
from privlab.experiments.tradeoff import Settings as Tradeoff
from privlab.settings import Controls, Handle, choice, control

COLOURS = ("red", "green", "blue")


class Settings(Controls):
    width: float = control(default=1.0, label="width", low=0.01, high=100, slider=(0.1, 10), scale="log")
    share: float = control(default=0.25, label="share", low=0, high=1)
    count: int = control(default=10, label="count", low=1, high=5000, scale="log")
    paint: str = choice(default="red", label="paint", among=lambda: COLOURS)
    paints: tuple[str, ...] = choice(default=("red",), label="paints", among=lambda: COLOURS, many=True)

    handles: ClassVar = {"double": Handle("width", "2 × width", lambda s, v: [2 * x for x in v])}

    def check(self):
        if self.paint == "blue" and self.count > 100:
            raise ValueError("'count' must be in [1, 100] for blue. Got more.")

    @classmethod
    def resolve(cls, values, base):
        values = dict(values)
        if "double" in values:
            values["width"] = values.pop("double") / 2
        return values


NUMBERS = [name for name, one in Settings.controls().items() if one.among is None]

some_settings = st.builds(
    Settings,
    width=st.floats(0.01, 100),
    share=st.floats(0, 1),
    count=st.integers(1, 100),
    paint=st.sampled_from(COLOURS),
    paints=st.lists(st.sampled_from(COLOURS), min_size=1).map(tuple),
)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("end", ["low", "high"])
def test_bounds_are_inclusive(name, end):
    bound = getattr(Settings.controls()[name], end)
    assert getattr(Settings(**{name: bound}), name) == bound


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("width", 0.0099, r"'width' must be a number in \[0.01, 100\]. Got 0.0099."),
        ("width", 100.1, r"'width' must be a number in \[0.01, 100\]. Got 100.1."),
        ("width", math.nan, r"'width' must be a number in \[0.01, 100\]. Got nan."),
        ("width", math.inf, r"'width' must be a number in \[0.01, 100\]. Got inf."),
        ("width", -math.inf, r"'width' must be a number in \[0.01, 100\]. Got -inf."),
        ("share", np.float64("nan"), r"'share' must be a number in \[0, 1\]. Got nan."),
        ("count", 0, r"'count' must be a whole number in \[1, 5000\]. Got 0."),
        ("count", 5001, r"'count' must be a whole number in \[1, 5000\]. Got 5001."),
        ("count", 2.5, r"'count' must be a whole number in \[1, 5000\]. Got 2.5."),
        ("count", math.inf, r"'count' must be a whole number in \[1, 5000\]. Got inf."),
        ("paint", "pink", "'paint' must be among red, green, blue. Got 'pink'."),
        ("paints", ("red", "pink"), "'paints' must be among red, green, blue. Got 'pink'."),
        ("paints", (), "'paints' must be among red, green, blue. Got none."),
    ],
)
def test_values_out_of_range_name_the_field_and_its_range(name, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Settings.make(**{name: value})


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    ("value", "kind"),
    [(True, "bool"), (np.True_, "bool"), ("1", "str"), (None, "NoneType"), (1j, "complex")],
)
def test_what_is_no_number_is_a_type_error(name, value, kind):
    with pytest.raises(TypeError, match=rf"^'{name}' must be a .*number in \[.*\]. Got {kind}.$"):
        Settings.make(**{name: value})


@pytest.mark.parametrize("name", ["paint", "paints"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (3, "int"),
        (None, "NoneType"),
        (np.array([4711]), r"(ndarray|int64)"),
        (pd.Series(["Zebulon"], name="paint"), "Series"),
        ([["Zebulon"]], "list"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_choice_that_is_no_text_is_a_type_error_that_shows_no_value(name, value, kind):
    if name == "paints" and kind == "Series":
        value = [value]
    with pytest.raises(TypeError, match=f"^'{name}' must be among red, green, blue. Got {kind}.$"):
        Settings.make(**{name: value})


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5), Fraction(1, 2)], ids=lambda v: type(v).__name__)
def test_numbers_become_plain_floats(value):
    width = Settings(width=value).width
    assert type(width) is float
    assert width == 0.5


@pytest.mark.parametrize("value", [np.int64(7), np.int32(7), np.float64(7.0), 7.0], ids=lambda v: type(v).__name__)
def test_whole_numbers_become_plain_ints(value):
    count = Settings(count=value).count
    assert type(count) is int
    assert count == 7


def test_several_choices_keep_their_order_without_repeats():
    assert Settings(paints=["blue", "red", "blue"]).paints == ("blue", "red")
    assert Settings(paints="green").paints == ("green",)


def test_settings_are_frozen():
    settings = Settings()
    with pytest.raises(FrozenInstanceError):
        settings.width = 2.0
    assert hash(settings) == hash(Settings(width=1.0))


def test_values_that_are_wrong_together_are_refused():
    assert Settings(paint="blue", count=100).count == 100
    with pytest.raises(ValueError, match=r"'count' must be in \[1, 100\] for blue"):
        Settings(paint="blue", count=101)


def test_make_puts_values_over_a_base():
    base = Settings(width=3.0, paint="green")
    made = Settings.make(base, count=20)
    assert made == Settings(width=3.0, paint="green", count=20)
    assert base == Settings(width=3.0, paint="green")
    assert Settings.make(count=20) == Settings(count=20)


def test_unknown_names_are_refused_and_the_known_ones_told():
    with pytest.raises(TypeError, match=r"width, share, count, paint, paints, double. Got 'widht'"):
        Settings.make(widht=1.0)


def test_a_handle_moves_its_setting():
    assert Settings.make(double=8.0).width == 4.0
    with pytest.raises(ValueError, match=r"^'width' must be"):
        Settings.make(double=1000.0)


@given(some_settings)
def test_settings_survive_json(settings):
    text = settings.to_json()
    assert Settings.from_json(text) == settings
    assert json.loads(text)["paints"] == list(settings.paints)


@given(some_settings)
def test_settings_survive_their_code(settings):
    assert Settings.from_code(settings.code()) == settings


def test_a_code_is_short_and_readable():
    assert Settings().code() == ""
    assert Settings(width=2.0, paints=("red", "blue")).code() == "width=2&paints=red,blue"
    assert Settings(share=0.1, count=300).code() == "share=0.1&count=300"


@pytest.mark.parametrize(
    "text", [" width = 2 & paints = red , blue ", "width=2.0&paints=red,blue&", "&&width=2&paints=red,blue"]
)
def test_a_code_may_be_typed_loosely(text):
    assert Settings.from_code(text) == Settings(width=2.0, paints=("red", "blue"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("width", "name=value&name=value. Got 'width'"),
        ("width=", "name=value&name=value. Got 'width='"),
        ("depth=3", "name=value&name=value. Got 'depth=3'"),
        ("width=wide", "'width' must be a number. Got 'wide'"),
        ("width=nan", r"'width' must be a number in \[0.01, 100\]. Got nan"),
        ("count=1.5", r"'count' must be a whole number in \[1, 5000\]. Got 1.5"),
        ("paint=pink", "'paint' must be among red, green, blue. Got 'pink'"),
    ],
)
def test_a_wrong_code_is_a_clear_error(text, message):
    with pytest.raises(ValueError, match=message):
        Settings.from_code(text)


def test_changed_holds_what_differs_from_the_defaults():
    assert Settings().changed() == {}
    assert Settings(count=11).changed() == {"count": 11}


def test_slider_positions_rise_between_its_ends():
    for one in (Settings.controls()[name] for name in NUMBERS):
        places = one.positions()
        assert (places[0], places[-1]) == one.slider
        assert all(a < b for a, b in pairwise(places))
        assert all(float(f"{place:.3g}") == place for place in places)
    assert all(place == int(place) for place in Settings.controls()["count"].positions())


def test_a_log_slider_is_even_in_ratios_and_holds_one():
    places = np.array(Settings.controls()["width"].positions())
    assert len(places) == 121
    assert 1.0 in places
    ratios = places[1:] / places[:-1]
    assert ratios.max() < 1.01 * 100 ** (1 / 120)
    assert ratios.min() > 0.99 * 100 ** (1 / 120)


@pytest.mark.parametrize("name", ["epsilon", "clip_norm"])
def test_the_first_two_sliders_have_a_hundred_positions_and_one(name):
    places = Tradeoff.controls()[name].positions()
    assert list(Tradeoff.controls())[:2] == ["epsilon", "clip_norm"]
    assert len(places) >= 100
    assert 1.0 in places


def test_the_slider_of_epsilon_stops_where_noise_is_calibrated():
    places = Tradeoff.controls()["epsilon"].positions()
    assert places == tuple(accounting.EPSILON_POSITIONS)
