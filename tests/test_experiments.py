"""The contract that every experiment keeps."""

import io
import json
import math
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

import privlab
from privlab import experiments
from privlab.panel import png
from privlab.panel.figure import Canvas
from privlab.settings import Controls
from tests.contrast import ENOUGH, of_words

NAMES = experiments.names()
NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
QUICK = {"dataset": "german", "seeds": 2}  # for the experiments that have such settings

pytestmark = pytest.mark.usefixtures("in_this_process")


def kind(name):
    return experiments.get(name).Settings


def quick(name, **values):
    """Settings that are computed fast, with others over them."""
    known = {key: value for key, value in QUICK.items() if key in kind(name).controls()}
    return kind(name).make(**(known | values))


def run(name, settings):
    *_, last = (item for item in experiments.get(name).run(settings) if item is not None)
    return last


def fresh_columns(name):
    """The columns of an experiment's table that no seed brings back."""
    return list(getattr(experiments.get(name), "FRESH", ()))


def numbers(name, *, main=False):
    found = {key: one for key, one in kind(name).controls().items() if one.among is None}
    return {key: one for key, one in found.items() if not (main and one.advanced)}


def unusual(name):
    """For each number a person sees first, a place on its slider far from the default."""
    moved = {}
    for key, one in numbers(name, main=True).items():
        places = one.positions()
        moved[key] = places[len(places) // 3]
    return moved


@pytest.fixture(scope="module", params=NAMES)
def computed(request, in_this_process):
    """The name of an experiment, and a final result away from the defaults."""
    name = request.param
    return name, run(name, quick(name, **unusual(name)))


EVERY = pytest.mark.parametrize("name", NAMES)
EVERY_NUMBER = pytest.mark.parametrize(("name", "field"), [(name, field) for name in NAMES for field in numbers(name)])


def test_the_folder_is_the_registry():
    folder = Path(experiments.__file__).parent
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert set(NAMES) == files
    assert "tradeoff" in NAMES
    assert list(NAMES) == sorted(NAMES)


@pytest.mark.parametrize("name", ["tradeof", "_tradeoff_picture", "", "os", "?epsilon=1"])
def test_an_unknown_experiment_is_refused_and_the_known_ones_told(name):
    with pytest.raises(ValueError, match=f"'experiment' must be among {', '.join(NAMES)}. Got"):
        privlab.run(name)


@EVERY
def test_it_holds_what_an_experiment_holds(name):
    module = experiments.get(name)
    assert module.__name__ == f"privlab.experiments.{name}"
    assert module.__doc__.splitlines()[0].endswith("?"), "it begins with the question it answers"
    assert issubclass(module.Settings, Controls)
    assert callable(module.run)
    assert hasattr(module.Picture, "update")


@EVERY
def test_defaults_are_valid_and_every_setting_is_in_words(name):
    settings = kind(name)()
    assert settings.changed() == {}
    for key, one in settings.controls().items():
        assert one.label, key
        value = getattr(settings, key)
        if one.among is None:
            assert one.low <= one.slider[0] <= value <= one.slider[1] <= one.high
            assert math.isfinite(one.low)
            assert math.isfinite(one.high)
        else:
            for chosen in value if one.many else [value]:
                assert one.words(chosen)


@EVERY_NUMBER
def test_bounds_are_inclusive(name, field):
    one = kind(name).controls()[field]
    for bound in (one.low, one.high):
        assert one.check(field, bound) == bound
    for end in one.slider:
        assert end in (one.positions()[0], one.positions()[-1])


def test_every_word_of_the_picture_can_be_read(computed):
    name, result = computed
    canvas = Canvas(experiments.get(name).Picture)
    canvas.draw(result)
    found = of_words(canvas.figure)
    assert len(found) > 5
    assert {words: round(value, 2) for words, value in found.items() if value < ENOUGH} == {}


def test_a_moving_picture_has_its_colours(computed):
    name, result = computed
    canvas = Canvas(experiments.get(name).Picture)
    canvas.draw(result)
    shown = np.asarray(Image.open(io.BytesIO(canvas.draw(result))).convert("RGBA"))
    drawn = np.asarray(canvas.agg.buffer_rgba())
    off = np.abs(shown.astype(int) - drawn).max(axis=2)
    assert np.mean(off > 0) < png.RARE
    assert np.mean(off > 2 * png.NEAR) < png.FAR / 2
    shades, at, counts = np.unique(drawn.view(np.uint32), return_inverse=True, return_counts=True)
    assert len(shades) > 200
    assert off[(counts > 300)[at].reshape(off.shape)].max() == 0, "what covers an area"


@EVERY_NUMBER
def test_a_value_out_of_range_names_the_field_and_its_range(name, field):
    one = kind(name).controls()[field]
    for bad in (one.low - max(1e-9, abs(one.low) * 1e-3), one.high * 1.001, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"^'{field}' must be a .*number in ") as error:
            privlab.run(name, **{field: bad})
        assert f"[{one.low:g}, {one.high:g}]" in str(error.value)


@EVERY
def test_a_value_that_is_no_choice_names_the_field_and_the_choices(name):
    for field, one in kind(name).controls().items():
        if one.among is not None:
            with pytest.raises(ValueError, match=f"^'{field}' must be among ") as error:
                privlab.run(name, **{field: "no such thing"})
            assert ", ".join(one.among()) in str(error.value)


def test_results_are_results(computed):
    name, result = computed
    assert isinstance(result, experiments.Result)
    assert result.settings == quick(name, **unusual(name))
    frame = result.frame()
    assert isinstance(frame, pd.DataFrame)
    assert len(frame)
    assert frame.columns.is_unique
    assert not frame.isna().any().any()


def test_the_same_seed_gives_the_same_result(computed):
    name, result = computed
    again, fresh = run(name, result.settings), fresh_columns(name)
    pd.testing.assert_frame_equal(again.frame().drop(columns=fresh), result.frame().drop(columns=fresh), rtol=1e-4)
    if fresh:
        assert not again.frame()[fresh].equals(result.frame()[fresh]), "noise of a release never comes twice"
    else:
        assert again.sentence == result.sentence


def test_the_sentence_names_the_settings(computed):
    name, result = computed
    moved = unusual(name)
    assert moved
    for field, value in moved.items():
        assert f"= {value:.3g}" in result.sentence, field
    assert run(name, quick(name)).sentence != result.sentence


def test_running_by_name_and_by_code_is_the_same(computed):
    name, result = computed
    code = f"{name}?{result.settings.code()}"
    fresh = fresh_columns(name)
    pd.testing.assert_frame_equal(privlab.run(code).frame().drop(columns=fresh), result.frame().drop(columns=fresh))


def test_settings_survive_json_and_code(computed):
    name, result = computed
    settings = result.settings
    assert kind(name).from_json(settings.to_json()) == settings
    assert kind(name).from_code(settings.code()) == settings
    assert json.loads(settings.to_json()).keys() == settings.controls().keys()


def test_its_script_computes_the_same_point(computed, monkeypatch, capsys):
    name, result = computed
    asked = []

    def record(experiment, **values):
        asked.append(experiments.read(experiment, values))
        return result

    monkeypatch.setattr(privlab, "run", record)
    exec(compile(experiments.script(name, result.settings), "script", "exec"), {})
    ((module, settings),) = asked
    assert module is experiments.get(name)
    assert settings == result.settings
    assert result.sentence in capsys.readouterr().out


def frozen(value):
    """Everything a result holds, arrays as bytes; the arrays are locked on the way."""
    if is_dataclass(value):
        return tuple(frozen(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return tuple((key, frozen(one)) for key, one in value.items())
    return tuple(map(frozen, value)) if isinstance(value, list | tuple) else value


def test_the_picture_leaves_the_result_as_it_was_and_opens_no_figure(computed):
    import matplotlib.pyplot as plt

    name, result = computed
    before, table, words = frozen(result), result.frame(), result.sentence
    picture = experiments.get(name).Picture(Figure(figsize=experiments.get(name).Picture.size))
    picture.update(result)
    picture.update(run(name, quick(name)))
    picture.update(result)
    assert frozen(result) == before
    pd.testing.assert_frame_equal(result.frame(), table)
    assert result.sentence == words
    assert plt.get_fignums() == []


@EVERY
def test_some_notebook_uses_it(name):
    sources = []
    for path in NOTEBOOKS.glob("*.ipynb"):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        sources += ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert any(f'explore("{name}"' in source for source in sources)
