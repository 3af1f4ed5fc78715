"""Encoded data that is kept between starts: the same data, never stale, and nothing is lost without it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from privlab import datasets, kept

FIELDS = ("X_train", "X_test", "y_train", "y_test", "people_train", "is_test")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache folder of our own, and nothing loaded yet."""
    monkeypatch.setattr(kept.platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    datasets._load.cache_clear()
    yield tmp_path / "cache"
    datasets._load.cache_clear()


def again(name):
    datasets._load.cache_clear()
    return datasets.load(name)


@pytest.mark.parametrize("name", ["adult", "rand", "german", "digits", "diabetes"])
def test_what_is_kept_is_what_was_parsed(folder, name, monkeypatch):
    parsed = datasets.load(name)
    assert [path.name.partition("-")[0] for path in folder.iterdir()] == [name]
    with monkeypatch.context() as patch:
        patch.setattr(datasets.cards, "read_table", None)
        read = again(name)
    for field in FIELDS:
        one, other = getattr(parsed, field), getattr(read, field)
        assert type(one) is type(other)
        if one is not None:
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)
    assert read.frame.equals(parsed.frame)
    assert read.card.split not in read.raw.columns
    assert np.array_equal(read.train_rows, parsed.train_rows)


@pytest.mark.parametrize("change", ["schema", "code", "file"])
def test_what_it_was_made_from_is_in_its_name(folder, change, monkeypatch, tmp_path):
    card = datasets.card("german")
    copy = tmp_path / card.file.paths[0].name
    copy.write_bytes(card.file.paths[0].read_bytes())
    card = replace(card, file=replace(card.file, paths=(copy,)))
    before = kept._place(card)
    if change == "schema":
        column = replace(card.schema.columns[1], high=99.0) if card.schema.columns[1].high else card.schema.columns[0]
        columns = (replace(card.schema.columns[0], name="other"), column, *card.schema.columns[2:])
        card = replace(card, schema=replace(card.schema, columns=columns))
    elif change == "code":
        monkeypatch.setattr(kept, "_code", lambda: b"other code")
    else:
        copy.write_bytes(copy.read_bytes() + b"\n")
    assert kept._place(card) != before


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a whole archive", b"no archive at all"])
def test_a_damaged_file_is_made_anew(folder, damage):
    whole = datasets.load("german")
    (file,) = folder.iterdir()
    size = file.stat().st_size
    file.write_bytes(damage)
    assert np.array_equal(again("german").X_train, whole.X_train)
    assert file.stat().st_size == size


def test_a_folder_that_cannot_be_made_only_costs_time(folder):
    folder.write_text("a file stands where the folder should be")
    assert datasets.load("german").n == 1000
    assert folder.is_file()


def test_nothing_half_written_is_left(folder):
    datasets.load("german")
    assert [path.suffix for path in folder.iterdir()] == [".npz"]


def test_own_tables_are_never_kept(folder):
    frame = datasets.load("german").raw
    for path in folder.iterdir():
        path.unlink()
    schema = datasets.card("german").schema
    own = datasets.from_frame(frame, target=schema.target.name, schema=schema, n=1000)
    assert own.raw is frame
    assert list(folder.iterdir()) == []


def test_the_first_picture_needs_no_pandas():
    datasets.load("adult")
    program = (
        "import sys, privlab; panel = privlab.explore('tradeoff', seeds=2); assert panel.result.count >= 32\n"
        "assert 'pandas' not in sys.modules\n"
        "print(len(panel.result.frame()), 'pandas' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["34", "True"]
