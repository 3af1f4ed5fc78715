"""Tables from outside: right ones are read as they are; what is too large, broken or no table is refused in time."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import privlab
from privlab import intake
from privlab.intake import Limits

SMALL = Limits(file=10_000, text=4_000, rows=50, columns=9, cells=120, cell=40, name=30)


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


@pytest.mark.parametrize(
    "raw",
    [
        b'name,age\n"Roe, ""R.""\nof York",34\nLee,\n',
        b'\xef\xbb\xbfname;age\r\n"Roe, ""R.""\nof York";34\r\n\r\nLee;\r\n',
        b'name\tage\n"Roe, ""R.""\nof York"\t34\nLee\t',
        gzip.compress(b'name,age\n"Roe, ""R.""\nof York",34\nLee,'),
        gzip.compress(b'name,age\n"Roe, ""R.""\n') + gzip.compress(b'of York",34\nLee,'),
    ],
    ids=["commas", "semicolons", "tabs", "gzip", "gzip in two parts"],  # a gzip file holds the second it was made in
)
def test_every_dialect_reads_the_same(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in (1 << 20, 7):  # whatever falls on the border of two blocks
        monkeypatch.setattr(intake, "BLOCK", block)
        table = intake.read(raw)
        assert list(table.columns) == ["name", "age"]
        assert table["name"].tolist() == ['Roe, "R."\nof York', "Lee"]
        assert table["age"].iloc[0] == "34"
        assert table["age"].isna().tolist() == [False, True]


def test_parquet_is_read_as_it_is() -> None:
    job = pa.array(["a", None, "b"]).dictionary_encode()
    table = intake.read(parquet(age=[1.5, None, 3], job=job, word=["x", "y", None], old=[True, False, True]))
    assert table["age"].tolist()[::2] == [1.5, 3]
    assert table["job"].isna().tolist() == [False, True, False]
    assert table["word"].tolist()[:2] == ["x", "y"]
    assert table["old"].tolist() == [True, False, True]


def test_parquet_without_pyarrow_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = parquet(a=[1])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install -c requirements.lock -e "\.\[parquet\]"'):
        intake.read(raw)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "must hold a table. Got an empty file."),
        (b"a,b\n", "at least one row below its names. Got none."),
        (b"a,b\n1,2,3\n", "must have 2 cells in every line, as in its first. Got 3 in line 2."),
        (b"a,b\n1,2\n1\n", "must have 2 cells in every line, as in its first. Got 1 in line 3."),
        (b"a,a\n1,2\n", "different names of columns. Got column 2 like an earlier one."),
        (b"a, \n1,2\n", "must name every column in its first line. Got no name for column 2."),
        (b"a,3.5\n1,2\n", "must begin with a line of names. Got an entry instead of a name in column 2"),
        (b"ann,b\n1,2\nann,4\n", "must begin with a line of names. Got an entry instead of a name in column 1"),
        (b"a,split\n1,2\n", "must not have a column 'split'"),
        (b'a,b\n1,"2\n', "must close every quotation mark. Got one left open after line 2."),
        (b'a,b\n1,2\n5" p,7" q\n', "Got 1 in line 3."),
        (b'a,b\n1,2\nx"y",2\n', "quotation marks around whole cells, and those inside doubled. Got others in line 3."),
        (b'a,b\n1,2\n"y"x,2\n', "quotation marks around whole cells, and those inside doubled. Got others in line 3."),
        ("a,b\n1,2\né,2\n".encode("latin-1"), "must be UTF-8 text. Got another encoding in line 3."),
        ("a,b\n1,2\n".encode("utf-16"), "Got UTF-16 text; save it as UTF-8."),
        (b"a,b\n1,\x002\n", "Got something that is no text."),
        (b"PK\x03\x04rest", "Got a ZIP archive or a spreadsheet"),
        (pickle.dumps([1]), "Got a pickle, which would run code."),
        (gzip.compress(pickle.dumps([1])), "Got a pickle, which would run code."),
        (gzip.compress(b"a,b\n1,2\n" * 9)[:-9], "Got a gzip file that is cut off or damaged."),
        (b"a" * 10_001, "must have at most 10,000 bytes. Got 10,001."),
        (gzip.compress(b"a,b\n" + 49 * (b"x" * 40 + b"," + b"y" * 40 + b"\n")), "bytes once unpacked. Got more."),
        (b"a\n" + b"1\n" * 51, "must have at most 50 rows. Got more."),
        (b"a,b,c\n" + b"1,2,3\n" * 41, "must have at most 120 cells. Got more."),
        (b"a,b\n1," + b"x" * 41 + b"\n", "must have at most 40 bytes in a cell. Got 41 in line 2, column 2."),
        (b",".join(b"c%d" % i for i in range(10)) + b"\n", "must have at most 9 columns. Got 10."),
        (b"a" * 31 + b",b\n1,2\n", "must have at most 30 letters in a column's name. Got 31 in column 1."),
        ("a\u202eb,c\n1,2\n".encode(), "must have printable names of columns. Got another letter in column 1."),
        (parquet(a=list(range(51))), "must have at most 50 rows. Got 51."),
        (parquet(**{f"c{i}": [1] for i in range(10)}), "must have at most 9 columns. Got 10."),
        (parquet(a=range(41), b=range(41), c=range(41)), "must have at most 120 cells. Got 123."),
        (parquet(a=["x" * 41]), "must have at most 40 bytes in a cell. Got 41 in column 1"),
        (parquet(a=[f"{i:>40}" for i in range(49)], b=[f"{i:<40}" for i in range(49)]), "bytes once unpacked. Got 4,"),
        (parquet(a=[[1]]), "must hold numbers, text or true and false. Got list"),
        (parquet(a=[1])[:-9], "Got a Parquet file that is cut off"),
    ],
    ids=range(35),
)
def test_what_is_no_table_or_too_large_is_refused(raw: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=r"^'file' must") as error:
        intake.read(raw, SMALL)
    assert words in str(error.value)


def test_a_path_must_name_a_regular_file(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none.csv", Path("/dev/zero")):
        with pytest.raises(ValueError, match=r"^'path' must name a file .* Got '"):
            intake.read(place)


BOMBS = """
import json, pathlib, sys, threading, time
import numpy, pandas, psutil, pyarrow, pyarrow.parquet
from privlab import intake

process, peak, done = psutil.Process(), 0, False

def watch():
    global peak
    while not done:
        peak = max(peak, process.memory_info().rss)
        time.sleep(0.001)

sampler = threading.Thread(target=watch)
sampler.start()

folder = pathlib.Path(sys.argv[1])
for path in sorted(folder.iterdir()):
    peak = before = process.memory_info().rss
    start, said = time.process_time(), "read"
    try:
        intake.read(path)
    except ValueError as error:
        said = str(error)
    print(json.dumps([path.name, time.process_time() - start, (peak - before) / 1e6, said]))
done = True
"""


class Dropped:
    """Unpickled, it would leave a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def repeated(path: Path, head: bytes, part: bytes, times: int) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(head)
        for _ in range(times):
            file.write(part)


def test_bombs_are_refused_quickly_in_little_memory(tmp_path: Path) -> None:
    folder, trap = tmp_path / "bombs", tmp_path / "run"
    folder.mkdir()
    with (folder / "over-limit").open("wb") as file:
        file.truncate(intake.LIMITS.file + 1)
    repeated(folder / "one-line", b"a,b\n", b"0" * 10**7, 4)
    repeated(folder / "many-rows", b"a,b\n", b"1,2\n" * 10**6, 3)
    repeated(folder / "commas", b",".join(b"c%d" % i for i in range(1000)) + b"\n", (b"," * 999 + b"\n") * 2000, 11)
    repeated(folder / "cell", b"a,b\n" + b"1,2\n" * 1000, b'"' + b"x\n" * 5_000_000 + b'",2\n', 1)
    (folder / "columns").write_bytes(b",".join(b"c%d" % i for i in range(10**5)) + b"\n" + b"1," * 99_999 + b"1\n")
    (folder / "pickle.csv").write_bytes(pickle.dumps(Dropped(trap)))
    (folder / "zip.csv").write_bytes(b"PK\x03\x04" + b"\0" * 1000)
    index = pa.array(np.zeros(3_000_000, np.int32))
    repeats = pa.DictionaryArray.from_arrays(index, pa.array(["x" * 9000]))
    pq.write_table(pa.table({"a": repeats}), folder / "parquet-rows")
    long = pa.DictionaryArray.from_arrays(index[:100_000], pa.array(["x" * 10**7]))
    pq.write_table(pa.table({"a": long, "b": index[:100_000]}), folder / "parquet-cell")
    assert all(path.stat().st_size < intake.LIMITS.file + 2 for path in folder.iterdir())
    command = [sys.executable, "-c", BOMBS, str(folder)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found = {name: rest for name, *rest in map(json.loads, lines)}
    assert found.keys() == {path.name for path in folder.iterdir()}
    for name, (seconds, grown, said) in found.items():
        assert said.startswith("'file' must"), (name, said)
        assert grown < 300, (name, grown)
        assert seconds < 2, (name, seconds)
    assert not trap.exists()


PUBLIC: dict[str, Any] = {"age": "18 to 100", "job": ["a", "b, c"], "vote": "no, yes"}


def people(**columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    made = {"who": [f"id{i}" for i in range(100)], "age": rng.integers(18, 90, 100), "job": ["a", "b, c"] * 50}
    return pd.DataFrame(made | {"vote": rng.choice(["no", "yes"], 100)} | columns)


def test_declared_in_code_and_nothing_read() -> None:
    csv = people().to_csv(index=False).encode()
    mine = privlab.declare(csv, target="vote", columns=PUBLIC, n=100, name="intake-plain")
    assert mine.leaks == ()
    assert mine.schema.feature_names == ("age", "job=a", "job=b, c")
    assert (mine.n, mine.max_rows_per_person, mine.classes) == (100, 1, ("no", "yes"))
    first = int(people()["age"].iloc[int(mine.train_rows[0])])
    assert mine.X_train[0, 0] == pytest.approx(2 * (first - 18) / 82 - 1, abs=1e-6)
    assert mine.raw["age"].dtype == np.float64
    outsider = privlab.run("minimise", dataset=mine, seeds=2, view="groups", secret="other")
    assert outsider.kept == ("age", "job") or outsider.kept == ("job", "age")
    assert "age, job" in " ".join(outsider.assumptions), "an outsider is taken to know all that was declared"


def test_several_rows_of_one_person_stay_together() -> None:
    table = people(who=np.repeat(np.arange(40), [3] * 30 + [1] * 10))
    mine = privlab.declare(
        table, target="vote", columns=PUBLIC, n=40, person="who", max_rows_per_person=4, name="intake-people"
    )
    assert (mine.unit, mine.n, mine.max_rows_per_person, mine.leaks) == ("person", 40, 4, ())
    whose = table["who"].to_numpy()
    assert not set(whose[mine.is_test]) & set(whose[~mine.is_test])
    with pytest.raises(ValueError, match="'max_rows_per_person' must be at least the rows of every person"):
        privlab.declare(table, target="vote", columns=PUBLIC, n=40, person="who", max_rows_per_person=2)


def test_whole_numbers_may_be_categories_and_public_fills_stand_in() -> None:
    grade = np.tile([1.0, 2.0, np.nan, 2.0], 25)
    public = PUBLIC | {"grade": privlab.datasets.Column("grade", categories=("1", "2"), fill="2")}
    mine = privlab.declare(people(grade=grade), target="vote", columns=public, n=100, name="intake-grades")
    assert mine.raw["grade"].tolist()[:2] == ["1", "2"]
    assert mine.X_train[:, -2].mean() == pytest.approx(0.25, abs=0.1)


@pytest.mark.parametrize(
    ("table", "columns", "words"),
    [
        (people(), {"job": "a, c"}, "'job' must hold one of its 2 declared categories in every row. Got another value"),
        (people(age=["x1x", *range(99)]), {}, "'age' must hold a finite number in every row. Got text in row 0"),
        (
            people(age=[None, *range(99)]),
            {},
            "'age' must hold a finite number in every row. Got a missing value in row",
        ),
        (people(vote="yes"), {}, "'vote' must hold at least 2 classes"),
        (people()[:0], {}, "'df' must hold at least one row."),
        (people(), {"age": "18"}, "'age' must have at least 2 categories"),
        (people(), {"age": "90 to 18"}, "'age' must have finite bounds, low < high."),
        (people(), {"height": "0 to 3"}, "'file' must have the column 'height'. Got none of that name."),
        (
            people(),
            {"vote": ""},
            "'vote' must have bounds, such as 0 to 100, or categories, such as yes, no. Got none.",
        ),
    ],
    ids=["category", "text", "missing", "one class", "empty", "one bound", "turned", "unknown", "nothing"],
)
def test_what_does_not_fit_its_declaration_is_told_before_work(
    table: pd.DataFrame, columns: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match="must") as error:
        privlab.declare(table, target="vote", columns=PUBLIC | columns, n=100)
    assert str(error.value).startswith(words)
    assert "x1x" not in str(error.value)
