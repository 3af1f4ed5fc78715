"""Sliders that would change nothing are out of sight, and only those."""

import pytest

import privlab
from privlab import experiments, workers
from privlab.panel import controls
from privlab.panel.figure import Canvas

FEW = {"minimise": {"seeds": 2}, "tokens": {"seeds": 2}}
HIDDEN = [  # experiment, settings, sliders without effect there
    ("minimise", {"view": "columns"}, {"years"}),
    ("minimise", {"view": "groups"}, {"budget", "epsilon", "years", "seeds"}),
    ("minimise", {"view": "age", "dataset": "rand"}, set()),
    ("tokens", {"view": "reverse"}, {"seeds"}),
    ("tokens", {"view": "frequency"}, {"digits"}),
    ("tokens", {"view": "link"}, {"digits"}),
    ("tokens", {"view": "text"}, {"people", "digits", "seeds"}),
    ("accounting", {"view": "steps"}, {"epsilon"}),
    ("accounting", {"view": "plan"}, set()),
    ("ledger", {"view": "book"}, {"looks"}),
    ("statistics", {}, {"quantile", "delta", "contributions"}),
    ("statistics", {"mechanism": "gaussian", "dataset": "rand"}, {"quantile"}),
    ("private_learners", {"learner": "clusters"}, {"depth"}),
    ("private_learners", {"learner": "tree"}, {"clusters"}),
    ("federated", {"protect": "none"}, {"epsilon", "clip_norm"}),
    ("federated", {"algorithm": "fedsgd"}, {"local_epochs"}),
    ("tradeoff", {"view": "clip_norm"}, set()),
]


@pytest.mark.parametrize(("name", "values", "hidden"), HIDDEN)
def test_sliders_without_effect_are_hidden(name, values, hidden):
    settings = experiments.get(name).Settings.make(**values)
    sliders = [one for part in controls.make(type(settings), print) for one in part if isinstance(one, controls.Slider)]
    for one in sliders:
        one.show(settings)
    assert {one.name for one in sliders if one.widget.layout.display == "none"} == hidden


@pytest.mark.parametrize(
    ("name", "values"),
    [("minimise", {"view": "groups"}), ("tokens", {"view": "frequency", "people": 30}), ("ledger", {"view": "book"})],
)
def test_a_hidden_slider_changes_neither_picture_nor_sentence(name, values):
    module = experiments.get(name)
    canvas, settings = Canvas(module.Picture), module.Settings.make(**values, **FEW.get(name, {}))

    def seen(**over):
        with workers.here():
            result = privlab.run(name, **settings.as_dict() | over)
        canvas.draw(result)
        return canvas.export("png"), result.sentence

    usual = seen()
    (hidden,) = (sliders for key, given, sliders in HIDDEN if key == name and given["view"] == values["view"])
    for one in hidden - {"seeds"}:
        assert seen(**{one: settings.controls()[one].positions()[0]}) == usual, one


def test_a_slider_comes_back_where_it_has_an_effect():
    panel = privlab.explore("minimise", view="groups", seeds=2)
    (slider,) = (one for one in panel._plain if one.name == "budget")
    assert slider.widget.layout.display == "none"
    panel.set(view="columns")
    assert slider.widget.layout.display is None
    panel.close()
