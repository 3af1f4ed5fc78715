"""A shared page holds what was computed, whole or not at all."""

import base64
import gzip
import json
import re

import numpy as np
import pandas as pd
import pytest

import privlab
from privlab import sharing
from privlab.experiments import where_noise_goes

QUICK = {"dataset": "german", "seeds": 2, "positions": (3, 2)}

pytestmark = pytest.mark.usefixtures("in_this_process")


def content(page):
    packed = re.search(r'id="content">([^<]+)<', page.read_text("utf-8"))[1]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


@pytest.fixture(scope="module")
def page(tmp_path_factory, in_this_process):
    path = tmp_path_factory.mktemp("sent") / "page.html"
    assert privlab.share("tradeoff", path=path, **QUICK) == path
    return path


def test_every_position_is_what_run_gives(page):
    found = content(page)
    epsilons, clips = ([float(stop) for stop in slider["stops"]] for slider in found["sliders"])
    assert len(found["states"]) == len(epsilons) * len(clips)
    assert 1.0 in epsilons
    assert 1.0 in clips
    for at in (0, len(found["states"]) - 1):
        epsilon, clip = epsilons[at // len(clips)], clips[at % len(clips)]
        result = privlab.run("tradeoff", dataset="german", seeds=2, epsilon=epsilon, clip_norm=clip)
        assert found["states"][at]["sentence"] == result.sentence
        assert found["states"][at]["columns"] == list(result.summary().columns)
        assert found["states"][at]["points"] == list(result.assumptions)
        assert float(found["states"][at]["table"][0][4]) == pytest.approx(result.summary()["mean"][0], rel=1e-3)


def test_pictures_are_whole_and_differ(page):
    found = content(page)
    pictures = ["\n".join(found["lines"][line] for line in state["picture"]) for state in found["states"]]
    assert len({*pictures}) == len(pictures)
    assert all(picture.startswith("<?xml") and picture.rstrip().endswith("</svg>") for picture in pictures)
    shared = set.intersection(*({*state["picture"]} for state in found["states"]))
    assert len(shared) > 0.3 * len(found["states"][0]["picture"]), "most of a picture is kept once"


def test_the_page_asks_for_nothing(page):
    text = page.read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)""", text)
    assert "http" not in re.sub(r'http-equiv|id="content">[^<]+<', "", text)
    assert "How much does privacy cost a real model?" in text
    assert len(text) < 3_000_000


def test_a_setting_held_is_told(page):
    assert "Held: data: german, " in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"experiment": "tradeof"}, "'experiment' must be among"),
        ({"epsilon": -1}, "'epsilon' must be a number in"),
        ({"over": ("dataset",)}, "'over' must hold one or two of epsilon, clip_norm"),
        ({"over": ()}, "'over' must hold one or two of"),
        ({"over": ("epsilon", "epsilon")}, "'over' must hold one or two of"),
        ({"positions": (5,)}, "'positions' must hold a number from 2 to 60 for each of epsilon, clip_norm"),
        ({"positions": (1, 5)}, "'positions' must hold a number from 2 to 60"),
        ({"path": "no/such/folder/page.html"}, "'path' must be in a folder that exists"),
    ],
)
def test_bad_input_is_refused_before_any_work(values, words, tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "_Drawn", None)
    with pytest.raises(ValueError, match=words):
        privlab.share(**({"path": tmp_path / "page.html"} | values))
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("what was there")
    monkeypatch.setattr(sharing, "MOST", 10_000)
    with pytest.raises(ValueError, match=r"'positions' must give a page of at most 3 MB. Got 0.. MB with 3 × 2"):
        privlab.share("tradeoff", path=path, **QUICK)
    assert path.read_text() == "what was there"
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]


def test_large_pictures_get_fewer_positions(tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "MOST", 90_000)
    small = {key: value for key, value in QUICK.items() if key != "positions"}
    path = privlab.share("tradeoff", path=tmp_path / "page.html", **small)
    assert len(content(path)["states"]) < 15 * 7
    assert path.stat().st_size <= 90_000


def test_one_slider_and_another_experiment(tmp_path):
    path = privlab.share(
        "where_noise_goes", path=tmp_path / "p.html", over=["epsilon"], positions=[3], view="share", seeds=2
    )
    found = content(path)
    (slider,) = found["sliders"]
    assert float(slider["stops"][slider["at"]]) == where_noise_goes.Settings().epsilon
    assert len(found["states"]) == len(slider["stops"])


def test_names_from_data_stay_text(tmp_path):
    rng = np.random.default_rng(0)
    bad = "</script><img src=x onerror=alert(1)>"
    table = pd.DataFrame({bad: rng.normal(size=80), "y": np.repeat(["<b>no</b>", "yes"], 40)})
    with pytest.warns(privlab.PrivacyLeakWarning):
        mine = privlab.from_frame(table, target="y", name="<i>mine</i>")
    path = privlab.share("tradeoff", path=tmp_path / "p.html", dataset=mine, positions=(2, 2), seeds=2, delta=0.001)
    text = path.read_text("utf-8")
    for tag in ("<img src=x", "<b>no", "<i>mine"):
        assert tag not in text
    assert "&lt;i&gt;mine" in text
