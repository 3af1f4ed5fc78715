"""The story for stakeholders: what a scene says is what was computed, pictures fit both widths, and moves are kept."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances
from matplotlib.text import Text

import privlab
from privlab import experiments, scenes
from privlab.experiments._gallery_bugs import CATALOGUE
from privlab.experiments._gallery_exhibits import Exhibit
from privlab.panel import story
from privlab.panel.figure import Canvas
from privlab.scene_pictures import for_phones
from privlab.scenes import SCENES, Preset

QUICK: dict[str, dict[str, Any]] = {
    "two_worlds": {"releases": 600},
    "membership": {"shadows": 64},
    "tradeoff": {"seeds": 2},
    "minimise": {"seeds": 2},
    "side_by_side": {"seeds": 2},
}
NAMES = [scene.experiment for scene in SCENES]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """A quick result of each scene, as it opens."""
    results = {}
    for one in SCENES:
        values = one.presets[one.start].values | QUICK.get(one.experiment, {})
        module, settings = experiments.read(one.experiment, values)
        for result in module.run(settings):
            results[one.experiment] = result or results.get(one.experiment)
            if result is not None and result.progress == 1:  # without waiting for models to compare with
                break
    results["tradeoff"] = replace(results["tradeoff"], ceilings={"linear, no privacy": 0.846})
    return results


def scene(name: str) -> scenes.Scene:
    return SCENES[NAMES.index(name)]


def told(name: str, result: Any, preset: Preset | None = None) -> tuple[Any, str]:
    one = scene(name)
    return one.read(result, preset or one.presets[one.start])


def test_every_position_is_one_that_its_experiment_knows() -> None:
    for one in SCENES:
        assert one.question.endswith("?")
        assert 2 <= len(one.presets) <= 5
        for preset in one.presets:
            _, settings = experiments.read(one.experiment, preset.values)
            assert preset.values.items() <= settings.as_dict().items() | preset.values.items()
            if "ε" in preset.label:
                assert preset.label == f"ε = {settings.epsilon:g}"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("phone", [False, True])
def test_a_picture_fits_its_page_in_large_type(found: dict[str, Any], name: str, phone: bool) -> None:
    picture = for_phones(scene(name).picture) if phone else scene(name).picture
    canvas = Canvas(picture)
    assert canvas.size[0] == (350 if phone else 800)
    canvas.draw(told(name, found[name])[0])
    width, height = canvas.size
    words = [text for text in canvas.figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    assert len(words) >= 5
    boxes = []
    for text in words:
        box = text.get_window_extent()
        if box.width and not (name == "tradeoff" and re.fullmatch(r"[0-9.$\\mathdefault{}^−-]+", text.get_text())):
            assert text.get_fontsize() >= 12, text.get_text()
            assert -1 <= box.x0 < box.x1 <= width + 1, text.get_text()
            assert -1 <= box.y0 < box.y1 <= height + 1, text.get_text()
            boxes.append((text.get_text(), box))
    for i, (first, a) in enumerate(boxes):
        for second, b in boxes[:i]:
            wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
            assert wide < 2 or high < 4, f"{first!r} lies over {second!r}"


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0 in 100"), (0.004, "fewer than 1 in 100"), (0.705, "70 in 100"), (0.996, "more than 99 in 100"),
     (1, "100 in 100")],
)  # fmt: skip
def test_shares_are_said_as_people_say_them(share: float, words: str) -> None:
    assert scenes.in_100(share) == words
    assert scenes.in_100(share, "times") == words.replace(" in", " times in")


def test_a_limit_is_never_rounded_down() -> None:
    assert scenes.at_most(0.7311) == "74 times in 100"
    assert scenes.at_most(0.73) == "73 times in 100"
    assert scenes.at_most(0.99996) == "100 times in 100"


def test_odds_are_those_that_were_counted(found: dict[str, Any]) -> None:
    result = found["two_worlds"]
    shares = (result.released > 0.5).mean(axis=1)
    data, words = told("two_worlds", result)
    assert [one.share for one in data.shares] == pytest.approx(shares)
    for one in data.shares:
        assert one.low < one.share < one.high
    without, within = (f"{100 * share:.0f} times in 100" for share in shares)
    assert f"{without} without you, {within} with you" in words


def test_each_position_tells_of_its_own_models(found: dict[str, Any]) -> None:
    result = found["membership"]
    plain, *private = scene("membership").presets
    for preset, kind in ((plain, "plain"), (private[1], "private")):
        attack = result.attacks[kind]
        data, words = told("membership", result, preset)
        assert [one.share for one in data.shares] == [attack.right.mean(), attack.exposed(result.share)[1]]
        assert ("Nothing limits" in words) is (kind == "plain")
    assert "At this ε nobody can be right more than 74 times in 100." in words
    assert "limits hardly anything" in told("membership", result, private[0])[1]


def test_the_price_is_the_curves_and_waits_for_the_model_without_privacy(found: dict[str, Any]) -> None:
    result = found["tradeoff"]
    plain = scene("tradeoff").presets[0]
    right = 100 * result.curves[0].estimate.mean[result.held]
    data, words = told("tradeoff", result)
    assert data.mean[data.held] == pytest.approx(right)
    assert f"At ε = 1 the model is right about {right:.1f} of 100" in words
    assert "right at most 74 times in 100" in words
    assert f"Without any privacy: {100 * result.ceilings['linear, no privacy']:.1f}." in words
    early = replace(result, ceilings={})
    assert told("tradeoff", early, plain)[1] == "A model without privacy is being trained now …"
    assert told("tradeoff", early, plain)[0].ceiling is None
    assert "Without any privacy" not in told("tradeoff", early)[1]


def test_fewer_facts_are_compared_with_all(found: dict[str, Any]) -> None:
    few = privlab.run("minimise", columns=4, seeds=2)
    data, words = told("minimise", few, scene("minimise").presets[2])
    assert [one.share for one in data.shares] == [few.above["private"].mean[3], few.below["record found"].mean[3]]
    assert "the 4 most useful of 11 facts" in words
    assert f"(with all, {100 * few.above['private'].mean[-1]:.1f})" in words
    assert "(with all" not in told("minimise", found["minimise"])[1]


def test_a_way_that_is_not_there_yet_is_not_made_up(found: dict[str, Any]) -> None:
    result = found["side_by_side"]
    data, words = told("side_by_side", result, scene("side_by_side").presets[4])
    assert data.held == 4
    assert [(row.server, row.model) for row in data.rows] == [(3, 1), (1, 1), (2, 2), (1, 1), (0, 2)]
    assert "whoever runs it sees nothing; the finished model tells perhaps who was in it" in words
    early = replace(result, scores={"central": result.scores["central"]})
    data, words = told("side_by_side", early, scene("side_by_side").presets[4])
    assert [row.right for row in data.rows][1:] == ["…"] * 4
    assert "right about" not in words


def test_the_broken_program_is_the_one_that_is_caught(found: dict[str, Any]) -> None:
    data, words = told("gallery", found["gallery"])
    honest, broken = data.cards
    assert honest.marks == (True, True)
    assert broken.marks == (True, False)
    assert (honest.verdict, broken.verdict) == ("nothing found", "caught")
    assert "The noise is only 2" in words


def test_fifteen_are_counted_as_they_come(found: dict[str, Any]) -> None:
    result, preset = found["gallery"], scene("gallery").presets[3]
    twins = [Exhibit(one.bug, one.broken, one.findings, {}) for one in result.exhibits]
    data, words = told("gallery", replace(result, exhibits=tuple(twins), progress=0.1), preset)
    assert [card.marks for card in data.cards] == [(True,), (False,)]
    assert all(card.places == len(CATALOGUE) == 15 for card in data.cards)
    assert "1 of the 1 tried so far are caught, and 0 of 1 honest ones" in words


def test_the_budget_is_the_ledgers(found: dict[str, Any]) -> None:
    result = found["ledger"]
    data, words = told("ledger", result)
    assert list(data.spent) == result.ledger.tolist()
    paid, free, refused = (result.fates.count(fate) for fate in ("charged", "free", "refused"))
    assert (
        f"24 looks at the same people came to {paid} paid ones, {free} free ones (seen before) and {refused}" in words
    )
    assert "right at most 96 times in 100" in words


def shown(one: story.Story) -> tuple[int, int]:
    """The scene and the position that the picture is of."""
    scene, preset = re.search(r"data-scene='(\d)' data-preset='(\d)'", one._body.value).groups()  # type: ignore[union-attr]
    return int(scene), int(preset)


def test_a_presenter_goes_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    real = story._run

    def run(position: story.Position) -> Any:
        runs.append(position)
        return real(position)

    monkeypatch.setattr(story, "_run", run)
    before = set(_instances)
    one = privlab.story()
    assert shown(one) == (0, 2)
    assert one._back.disabled
    one._presets[3].click()
    one.wait()
    assert shown(one) == (0, 3)
    assert one.sentence.startswith("At ε = 0.1, someone")
    assert one.sentence.replace("“", "") in one._body.value.replace("“", "")
    one._list.value = 4
    assert "Computing now" in one._body.value
    assert [button.description for button in one._presets] == [preset.label for preset in SCENES[4].presets]
    while one._result is None:
        one._runner.step()
    done = len(runs)
    one._presets[1].click()  # another look at the same models
    assert shown(one) == (4, 1)
    assert len(runs) == done
    assert one.sentence.startswith("With noise at home")
    one._next.click()
    one._back.click()
    assert one.scene is SCENES[4]
    one._list.value = len(SCENES) - 1
    assert one._next.disabled
    assert one._presets[3].layout.display == "none"
    one.close()
    assert set(_instances) == before


def test_a_failure_is_told_and_another_choice_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    one = privlab.story()
    real = story._run
    monkeypatch.setattr(one._runner, "_run", lambda position: (_ for _ in ()).throw(RuntimeError("no <room>")))
    one._presets[0].click()
    one.wait()
    assert "role='alert'" in one._body.value
    assert "RuntimeError: no &lt;room&gt;" in one._body.value
    monkeypatch.setattr(one._runner, "_run", real)
    one._presets[1].click()
    one.wait()
    assert shown(one) == (0, 1)
    one.close()


def test_dots_stand_for_hundredths(found: dict[str, Any]) -> None:
    canvas = Canvas(scene("two_worlds").picture)
    data = told("two_worlds", found["two_worlds"])[0]
    canvas.draw(data)
    for share, dots in zip(data.shares, canvas.picture.dots, strict=True):
        shade = np.array([dot.get_facecolor()[3] for dot in dots])
        assert (shade == 1).sum() == round(100 * share.low)
        assert (shade > 0).sum() == round(100 * share.high)
