"""The dossier: the same settings give the same hash, nobody's value is in it, and what is missing is said to be."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import mistune
import numpy as np
import pandas as pd
import pytest

import privlab
from privlab import attacks, audit, dossiers
from privlab.flow import Flow
from privlab.ledger import Ledger
from privlab.schema import PrivacyLeakWarning
from tests.charging import opened
from tests.test_ledger import MEMORY

pytestmark = pytest.mark.usefixtures("in_this_process")

CITY, YES, NUMBER, PERSON = "SENTINEL-Zürich-88", "SENTINEL-oui-é", 48151.625, 16234200815
NASTY = [
    "<script>alert(1)</script>",
    '=HYPERLINK("http://evil.example","x")',
    "[x](javascript:alert(1)) ![y](http://evil.example/y.png) | z",
    "'><img src=x onerror=alert(1)>\n# title",
    "`code` <http://evil.example> www.evil.example &lt;b&gt;",
]


class Tags(HTMLParser):
    """The tags of a page, with their attributes, and all its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        yield opened(place, epsilon=6, delta=1e-5)


@pytest.fixture(scope="module")
def own() -> Any:
    """Data with a sentinel planted in each column, nothing of it declared, and a model of it."""
    rng = np.random.default_rng(0)
    n = 200
    table = pd.DataFrame(
        {
            "income": np.append(rng.uniform(0, 100, n - 1).round(2), NUMBER),
            "city": [*rng.choice(["Bern", "Basel"], n - 1), CITY],
            "who": np.append(np.arange(n - 1), PERSON),
            "answer": [*rng.choice(["no", "non"], n - 1), YES],
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrivacyLeakWarning)
        data = privlab.from_frame(table, target="answer", person="who", name="sentinels", test_fraction=0.1)
    model = privlab.DPLogisticRegression(classes=[0, 1, 2], n=200, delta=1e-4)
    return data, model.fit(data.X_train, data.y_train)


def spellings(secret: bytes) -> Iterator[str]:
    """A text as it may hide in another: plain, hexadecimal, or base64 at each of its three places."""
    yield secret.hex()
    yield secret.hex().upper()
    for before in range(3):
        told = base64.b64encode(b"\0" * before + secret).decode()
        yield told[(0, 2, 3)[before] : len(told) - 4].strip("=")


def test_no_value_of_any_column_is_in_it_however_spelled(own: Any, ledger: Ledger, tmp_path: Path) -> None:
    data, model = own
    entry = ledger.charge(epsilon=1, what="a model")
    scores = np.random.default_rng(0).random((1, 400))
    record = privlab.dossier(
        privlab.run("tradeoff", dataset="sentinels", seeds=2, models="dp-sgd-logistic"), path=tmp_path / "own",
        purpose="research", dataset=data, flow=Flow.start("collected", 200), minimisation={"columns kept": 2},
        model=model, audit=audit.lower_bound(scores[0], scores[0] + 1, delta=1e-5),
        attack=attacks.membership(scores, scores > 0.5, kind="loss"), ledger=ledger,
        checks=privlab.check(dataset=data, ledger=ledger), artefacts={"weights": b"some bytes"},
    )  # fmt: skip
    whole = "".join(path.read_text("utf-8") for path in record.paths)
    assert dossiers.NOTHING not in whole, "nothing was left out here"
    assert entry.what in whole
    assert whole.count("Withheld: bounds or categories were read from the data") == 2
    secrets = [CITY, YES, str(NUMBER), str(PERSON)]
    for secret in secrets:
        for told in (secret, json.dumps(secret)[1:-1], *spellings(secret.encode())):
            assert told not in whole, "a person's value"
    numbers = [np.array(number, kind).tobytes() for number in (NUMBER, PERSON) for kind in ("f8", "i8")]
    key = (ledger.path.parent.parent / "elsewhere" / "key").read_bytes()
    for raw in (*numbers, key):
        assert not [told for told in spellings(raw) if told in whole]
    for rounded in (f"{NUMBER:g}", f"{NUMBER:.4g}", f"{NUMBER:,.0f}", "SENTINEL", str(ledger.path.parent)):
        assert rounded not in whole


def test_the_search_for_sentinels_would_find_them() -> None:
    for before in range(5):
        hidden = base64.b64encode(b"x" * before + CITY.encode() + b"yy").decode()
        assert any(told in hidden for told in spellings(CITY.encode()))


def test_declared_bounds_are_told_and_categories_are_counted(tmp_path: Path) -> None:
    words = privlab.dossier(path=tmp_path / "card.md", dataset="german").markdown()
    for column in privlab.datasets.card("german").schema.columns:
        told = f"{len(column.categories)} categories" if column.categories else f"{column.low:g} to {column.high:g}"
        assert f"| column {column.name} | {told} |" in words.replace("\\_", "_")


def test_again_from_its_own_settings_gives_the_same_hash(tmp_path: Path) -> None:
    record = privlab.dossier("lifecycle?seeds=2&k=12", path=tmp_path / "a")
    assert len(record.hash) == 64
    assert [dossiers.read_hash(path) for path in record.paths] == [record.hash] * 2
    (again,) = [line for line in record.markdown().splitlines() if line.startswith("Again: ")]
    call = again.removeprefix("Again: ").replace("\\", "")
    program = f"import privlab\nfrom privlab import dossiers\nprint(dossiers.result_hash({call}))"
    fresh = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert fresh.stdout.strip() == record.hash, "in a process of its own"
    assert dossiers.result_hash(privlab.run("lifecycle", seeds=2, k=12, share=0.5)) != record.hash
    assert dossiers.result_hash(privlab.run("lifecycle", seeds=2, k=12, seed=1)) != record.hash
    result = privlab.run("lifecycle", seeds=2, k=12)
    other = replace(result, settings=type(result.settings).make(result.settings, odds=9))
    assert dossiers.result_hash(result) == record.hash != dossiers.result_hash(other), "settings count, too"


def test_fresh_noise_is_left_out_of_the_hash_and_said_to_be(tmp_path: Path) -> None:
    first, second = (privlab.run("statistics", dataset="german") for _ in range(2))
    assert not first.frame().equals(second.frame())
    assert dossiers.result_hash(first) == dossiers.result_hash(second)
    fresh = privlab.experiments.get("statistics").FRESH
    words = privlab.dossier(first, path=tmp_path / "s.html").html()
    assert f"Left out, for the noise is fresh each time: {', '.join(fresh)}" in words


def test_a_model_is_hashed_by_what_comes_again(own: Any) -> None:
    data, model = own
    fit = {"classes": [0, 1, 2], "n": 200, "delta": 1e-4}
    other = privlab.DPLogisticRegression(**fit).fit(data.X_train, data.y_train)
    assert (model.weights_.first != other.weights_.first).any()
    assert dossiers.result_hash(model=model) == dossiers.result_hash(model=other)
    seeded = [
        privlab.DPLogisticRegression(random_state=seed, **fit).fit(data.X_train, data.y_train) for seed in (1, 1, 2)
    ]
    one, same, another = (dossiers.result_hash(model=each) for each in seeded)
    assert one == same != another
    for each, words in ((model, "the model&#x27;s weights."), (seeded[0], "Nothing of it is left out.")):
        assert words in dossiers.make(model=each).html()
    second = privlab.DPLogisticRegression(**(fit | {"epsilon": 2})).fit(data.X_train, data.y_train)
    assert dossiers.result_hash(model=second) != dossiers.result_hash(model=model)


def test_what_was_released_in_private_mode_never_comes_again(ledger: Ledger) -> None:
    released = privlab.run("tradeoff", ledger=ledger, dataset="adult", epsilon=0.5)
    assert "Left out, for the noise is fresh each time: all that was released" in dossiers.make(released).markdown()
    taught = privlab.run("tradeoff", dataset="german", seeds=2, models="dp-sgd-logistic")
    assert "Nothing of it is left out" in dossiers.make(taught).markdown()


def test_numbers_have_one_spelling() -> None:
    assert dossiers._spelled([1, 1.0, np.float32(1), True]) == ["1"] * 4
    assert dossiers._spelled({"b": -0.0, "a": (0.1 + 0.2, "x", None)}) == {"b": "0", "a": ["0.3", "x", None]}


def test_what_nobody_measured_is_said_and_nothing_made_up(tmp_path: Path) -> None:
    record = privlab.dossier(path=tmp_path / "empty")
    empty = [section.title for section in record.sections if not section.lines and not section.table]
    assert len(empty) == 13
    assert {"Audit", "Attack", "Ledger", "Policy", "Data card", "Result hash"} <= set(empty)
    for path in record.paths:
        assert path.read_text("utf-8").count("Not measured.") == 13
        assert dossiers.read_hash(path) == ""


def test_no_words_given_look_like_the_hash(tmp_path: Path) -> None:
    false = f"SHA-256 of settings and results: {'0' * 64}"
    for words in (false, f"## Result hash\n\n{false}", f"<h2>Result hash</h2>\n<p>{false}"):
        for path in privlab.dossier(path=tmp_path / "a", title=words, purpose=words).paths:
            assert dossiers.read_hash(path) == ""


def test_each_part_is_told(ledger: Ledger, tmp_path: Path) -> None:
    for number in range(25):
        ledger.charge(epsilon=0.01, what=f"look {number}")
    checks = privlab.check(dataset="adult", ledger=ledger, purpose="marketing")
    words = privlab.dossier(path=tmp_path / "a.md", ledger=ledger, checks=checks, artefacts={"x": b"abc"}).markdown()
    assert f"Spent {ledger.spent():.4g} of ε = 6 at δ = 1e-05. Whole: 25 charges" in words
    assert "The last 20 of 25 charges:" in words
    assert "| look 24 |" in words
    assert "| look 4 |" not in words
    assert "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" in words, "SHA-256 of abc"
    for one in checks:
        assert f"| {one.rule} | {'passed' if one.passed else 'BLOCKS'} |" in words
    assert "purpose 'marketing', allowed: teaching, research | 5(1)(b), 6 |" in words
    assert "does not claim that any law is complied with" in words


def test_a_broken_ledger_is_called_broken(ledger: Ledger, tmp_path: Path) -> None:
    for number in range(3):
        ledger.charge(epsilon=0.1, what=f"look {number}")
    with sqlite3.connect(ledger.path) as file:
        file.execute("DELETE FROM entries WHERE number = 3")
    words = privlab.dossier(path=tmp_path / "a.md", ledger=ledger).markdown()
    assert "Spent" not in words
    assert str(ledger.verify()).split(":")[0] in words


def test_a_report_of_a_test_is_told_with_its_verdict() -> None:
    report = privlab.verify(lambda data, rng: data + rng.normal(), 0.0, 9.0, epsilon=0.1, trials=400, seed=0)
    assert not report.ok
    words = dossiers.make(audit=report).markdown()
    assert f"ε is at least {report.lower_bound:.3g} at δ = 0, with 95 % confidence" in words
    assert "The promise of ε = 0.1 is broken" in words


@pytest.mark.parametrize("nasty", NASTY)
def test_names_are_inert(nasty: str, tmp_path: Path) -> None:
    flow = Flow.start(nasty, 2).then("kept", 1, **{nasty: 1})
    record = privlab.dossier(
        path=tmp_path / "a", title=nasty, purpose=nasty, flow=flow, minimisation={nasty: nasty},
        attack={nasty: nasty}, artefacts={nasty: b""},
    )  # fmt: skip
    page, text = (path.read_text("utf-8") for path in record.paths)
    plain = Tags(page)
    known = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "table", "tr", "th", "td"}
    assert {tag for tag, _ in plain.tags} == known
    for tag, given in plain.tags:
        assert not given or tag in ("html", "meta")
    rendered = Tags(str(mistune.create_markdown(escape=False, plugins=["url", "table", "strikethrough"])(text)))
    body = {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td"}
    assert {tag for tag, _ in rendered.tags} <= body
    assert sum(tag == "h1" for tag, _ in rendered.tags) == 1
    for tags in (plain, rendered):
        assert not [words for words in tags.words if words.strip().startswith(("=", "+", "@"))]
        assert any("".join(nasty.split())[:9] in "".join(words.split()) for words in tags.words), "it can still be read"
    cells = [tag for tag, _ in rendered.tags].count("td")
    assert cells == [tag for tag, _ in plain.tags].count("td"), "no cell is split in two"


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = privlab.dossier(path=tmp_path / "a.html", dataset="adult").html()
    assert "default-src 'none'" in page
    for word in ("<script", "src=", "href=", "url(", "@import"):
        assert word not in page


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "a.html"
    privlab.dossier(path=place, title="first")
    before = place.read_text("utf-8")

    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        privlab.dossier(path=place, title="second")
    assert place.read_text("utf-8") == before
    assert list(tmp_path.iterdir()) == [place]


def test_suffixes_say_what_is_written(tmp_path: Path) -> None:
    for name, written in (("a.html", ["a.html"]), ("b.md", ["b.md"]), ("c", ["c.html", "c.md"])):
        assert [path.name for path in privlab.dossier(path=tmp_path / name).paths] == written
    with pytest.raises(ValueError, match=r"'path' must end in .html or .md, or have no suffix for both. Got '.pdf'."):
        privlab.dossier("lifecycle", path=tmp_path / "a.pdf")
    with pytest.raises(ValueError, match="'path' must be in a folder that exists"):
        privlab.dossier("lifecycle", path=tmp_path / "none" / "a.html")
    with pytest.raises(TypeError, match=r"'result' must be an experiment's Result or its name. Got int."):
        privlab.dossier(7, path=tmp_path / "a.html")
