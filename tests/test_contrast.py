"""What is written can be read: 4.5 : 1 on white, in the panel also on JupyterLab's dark ground."""

from __future__ import annotations

import re

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from privlab.panel.style import SHEET
from privlab.style import COLOURS, MODEL_STYLES
from tests.contrast import ENOUGH, contrast, of_words

WHITE, DARK = to_rgb("white"), to_rgb("#111111")


def test_contrast_is_that_of_the_guideline():
    assert contrast(WHITE, (0, 0, 0)) == pytest.approx(21)
    assert contrast(to_rgb("#767676"), WHITE) == pytest.approx(4.54, abs=0.005)  # the guideline's own example
    assert contrast(to_rgb("#777777"), WHITE) < ENOUGH


@pytest.mark.parametrize("colour", sorted({*COLOURS.values(), *(colour for colour, _ in MODEL_STYLES)}))
def test_words_in_a_colour_of_the_lab_can_be_read(colour):
    assert contrast(to_rgb(colour), WHITE) >= ENOUGH


def theme(found: str) -> dict[str, str]:
    """The panel's own colours in a rule of its style, by what they are for."""
    (rule,) = re.findall(rf"^{re.escape(found)} {{(.*?)}}", SHEET, re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"--privlab-(\w+): (#\w+)", rule))


def test_the_panel_can_be_read_in_a_light_and_a_dark_theme():
    both = ".privlab-panel, .privlab-bring"
    light, dark = theme(both), theme(f'[data-jp-theme-light="false"] :is({both})')
    assert {*light} == {*dark} == {"problem", "ring"}
    for colours, ground in ((light, WHITE), (dark, DARK)):
        assert contrast(to_rgb(colours["problem"]), ground) >= ENOUGH
        assert contrast(to_rgb(colours["ring"]), ground) >= 3
    own = {rule: re.findall(r"[^-]color: (#\w+)", rule) for rule in SHEET.splitlines()}
    assert {colour for found in own.values() for colour in found} == {"#111"}, "all other words follow the theme"


def test_a_faint_word_is_found():
    figure = Figure(figsize=(4, 2))
    FigureCanvasAgg(figure)
    figure.text(0.1, 0.7, "clear", color="#0072B2")
    figure.text(0.1, 0.2, "faint", color="#009E73")
    ax = figure.add_axes((0.5, 0, 0.5, 1))
    ax.axvspan(0, 1, color="#0072B2", alpha=0.5)
    ax.text(0.2, 0.5, "banded", color="#0072B2")
    ax.axis("off")
    found = of_words(figure)
    assert found["clear"] == pytest.approx(contrast(to_rgb("#0072B2"), WHITE), abs=0.01)
    assert found["faint"] < ENOUGH
    assert found["banded"] < 3
