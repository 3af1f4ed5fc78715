"""The ledger: nothing is lost, nothing is overspent, and meddling is told and named."""

from __future__ import annotations

import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import privlab
from privlab import chain, heads
from privlab.ledger import BrokenLedgerError, BudgetExceededError, Charge, Ledger
from tests.charging import opened
from tests.test_filters import by_hand

ROOT = Path(__file__).resolve().parent.parent
MEMORY = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        yield Path(place)


@pytest.fixture
def ledger(folder: Path) -> Ledger:
    """Six charges of a budget of 3."""
    made = opened(folder, epsilon=3, delta=1e-5)
    for number in range(1, 7):
        made.charge(epsilon=0.1 * number, what=f"release {number}")
    return made


def process(folder: Path, *words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.charging", str(folder), *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def edit(ledger: Ledger, *statements: str) -> None:
    """Change the file behind the ledger's back."""
    with sqlite3.connect(ledger.path) as file:
        for statement in statements:
            file.execute(statement)
    file.close()


def kinds(ledger: Ledger) -> dict[str, tuple[int, ...]]:
    found = ledger.verify()
    assert bool(found) == (not found.problems)
    return {problem.kind: problem.entries for problem in found.problems}


def test_it_charges_and_tells_what_was_charged(ledger: Ledger) -> None:
    assert privlab.Ledger is Ledger
    entries = ledger.entries()
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert entries[2].what == "release 3"
    assert entries[2].charge == {"epsilon": pytest.approx(0.3), "delta": 0.0}
    assert sum(entry.epsilon for entry in entries) == pytest.approx(ledger.spent())
    assert entries[-1].spent == ledger.spent() == pytest.approx(2.1)
    assert ledger.remaining() == pytest.approx(0.9)
    assert str(ledger.verify()) == "Whole: 6 charges, each sealed and in its place."


def test_what_does_not_fit_is_refused_and_nothing_is_written(ledger: Ledger) -> None:
    before, raw = ledger.spent(), ledger.path.read_bytes()
    with pytest.raises(BudgetExceededError, match=r"does not allow this: 2.1 is spent, and 'large' .* make it 3.1"):
        ledger.charge(epsilon=1, what="large")
    with pytest.raises(BudgetExceededError):
        ledger.charge_all(Charge(what="fits", epsilon=0.5), Charge(what="does not", epsilon=0.5))
    assert ledger.path.read_bytes() == raw
    assert ledger.would_spend(Charge(what="large", epsilon=1)) == pytest.approx(3.1)
    assert ledger.spent() == before
    assert ledger.charge(epsilon=0.5, what="fits").number == 7
    assert ledger.verify()


def test_releases_are_charged_together(ledger: Ledger) -> None:
    pair = ledger.charge_all(Charge(what="a", epsilon=0.1), Charge(what="b", noise_multiplier=50))
    assert [entry.number for entry in pair] == [7, 8]
    assert ledger.entries()[-2:] == pair
    assert pair[1].charge == {"noise_multiplier": 50.0, "sampling_rate": 1.0, "steps": 1}


def test_it_is_the_same_ledger_when_opened_again(ledger: Ledger, folder: Path) -> None:
    again = opened(folder)
    assert (again.epsilon, again.delta, again.name) == (3, 1e-5, ledger.name)
    assert again.entries() == ledger.entries()
    again.charge(epsilon=0.1, what="by the other")
    assert ledger.entries()[-1].what == "by the other"
    for budget, name in (({"epsilon": 4, "delta": 1e-5}, "epsilon"), ({"epsilon": 3, "delta": 1e-6}, "delta")):
        with pytest.raises(ValueError, match=rf"'{name}' must be the ledger's own, .*. Got {budget[name]:g}."):
            opened(folder, **budget)
    with pytest.raises(ValueError, match=r"'epsilon' must be the ledger's own, 3. Got 2."):
        opened(folder, epsilon=2)


def test_its_orders_are_its_own_whatever_is_usual_later(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    place = ledger._head.path
    monkeypatch.setattr("privlab.filters.ORDERS", (5.0, 50.0))
    again = Ledger(ledger.path, key=place.parent / "key", head=place)
    assert again.filter == ledger.filter
    again.charge(noise_multiplier=5, what="goes on")
    assert ledger.verify()
    assert ledger.spent() == again.spent()


def test_a_new_one_needs_a_budget_and_leaves_nothing_without(folder: Path) -> None:
    for budget in ({}, {"epsilon": 1}, {"delta": 1e-5}):
        with pytest.raises(ValueError, match="'epsilon' and 'delta' must be given"):
            opened(folder, **budget)
    with pytest.raises(ValueError, match="'epsilon' must be a number in"):
        opened(folder, epsilon=-1, delta=1e-5)
    with pytest.raises(ValueError, match="'path' must lie in a folder that exists"):
        Ledger(folder / "nowhere" / "a.ledger", epsilon=1, delta=0, key=folder / "elsewhere" / "key")
    assert [path.name for path in folder.rglob("*")] == ["project"]


def test_key_and_head_lie_in_the_users_own_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = folder / "own"
    monkeypatch.setattr(heads.platformdirs, "user_data_dir", lambda *_, **__: str(own))
    (folder / "project").mkdir()
    ledger = Ledger(folder / "project" / "b.ledger", epsilon=1, delta=0)
    ledger.charge(epsilon=0.5, what="a")
    key = own / "ledger.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_bytes()) == 32
    assert len(list((own / "heads").glob("b-*.head"))) == 1
    assert [path.name for path in (folder / "project").iterdir()] == ["b.ledger"]
    assert key.read_bytes().hex().encode() not in ledger.path.read_bytes()
    key.chmod(0o644)
    with pytest.raises(ValueError, match=r"'key' must be a file that its owner alone may read \(0600\)"):
        Ledger(ledger.path)


def test_key_and_head_may_not_lie_beside_the_ledger(folder: Path) -> None:
    for name in ("key", "head"):
        places = {"key": folder / "a" / "k", "head": folder / "a" / "h", name: folder / "here"}
        with pytest.raises(ValueError, match=f"'{name}' must lie in another folder than the ledger."):
            Ledger(folder / "b.ledger", epsilon=1, delta=0, **places)


def test_another_key_is_refused(ledger: Ledger, folder: Path) -> None:
    with pytest.raises(ValueError, match=r"'key' must be the key that the ledger was made with."):
        Ledger(ledger.path, key=folder / "other" / "key", head=folder / "elsewhere" / "a.head")


SWAP = [
    "UPDATE entries SET number = -1 WHERE number = 2",
    "UPDATE entries SET number = 2 WHERE number = 4",
    "UPDATE entries SET number = 4 WHERE number = -1",
]


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (["UPDATE entries SET text = replace(text, 'release 3', 'release x')"], {"edited": (3,)}),
        (["UPDATE entries SET text = replace(text, '\"epsilon\":3.0', '\"epsilon\":9.0')"], {"edited": (0,)}),
        (["UPDATE entries SET seal = 'é' WHERE number = 6"], {"edited": (6,)}),
        (["UPDATE entries SET text = x'ff' WHERE number = 5"], {"edited": (5,)}),
        (["DELETE FROM entries WHERE number = 3"], {"deleted": (3,)}),
        (["DELETE FROM entries WHERE number = 0"], {"deleted": (0,)}),
        (["DELETE FROM entries WHERE number = 3", "UPDATE entries SET number = number - 1 WHERE number > 3"],
         {"deleted": (3,)}),
        (SWAP, {"reordered": (4, 2)}),
        (["DELETE FROM entries WHERE number > 4"], {"truncated": (5, 6)}),
        (["DELETE FROM entries WHERE number > 4", "UPDATE sqlite_sequence SET seq = 4"], {"rolled back": (5, 6)}),
        (["DELETE FROM entries"], {"truncated": (0, 1, 2, 3, 4, 5, 6)}),
        (["DROP TABLE entries"], {"rolled back": (0, 1, 2, 3, 4, 5, 6)}),
        (["DELETE FROM entries WHERE number IN (2, 6)"], {"deleted": (2,), "truncated": (6,)}),
    ],
)  # fmt: skip
def test_meddling_is_named(ledger: Ledger, statements: list[str], found: dict[str, tuple[int, ...]]) -> None:
    edit(ledger, *statements)
    assert kinds(ledger) == found
    for kind in found:
        assert kind.removesuffix(" back") in str(ledger.verify())


def test_an_older_copy_is_named_and_nothing_is_charged_to_it(ledger: Ledger, folder: Path) -> None:
    copy = shutil.copy(ledger.path, folder / "copy")
    ledger.charge(epsilon=0.1, what="release 7")
    shutil.copy(copy, ledger.path)
    assert kinds(ledger) == {"rolled back": (7,)}
    for attempt in (lambda: ledger.charge(epsilon=0.1, what="another"), ledger.spent, ledger.remaining):
        with pytest.raises(BrokenLedgerError, match="it ends at entry 6, its head at 7"):
            attempt()
    assert len(ledger.entries()) == 6


def test_a_charge_sees_a_spoilt_end(ledger: Ledger) -> None:
    edit(ledger, "UPDATE entries SET text = replace(text, 'release 6', 'release x')")
    with pytest.raises(BrokenLedgerError, match="entry 6 does not fit its seal: it was edited"):
        ledger.charge(epsilon=0.1, what="a")


def test_an_end_that_was_replaced_is_named(ledger: Ledger, folder: Path) -> None:
    """An older copy goes on with an older head, and then the newer head comes back."""
    copies = [shutil.copy(path, folder / path.name) for path in (ledger.path, folder / "elsewhere" / "a.head")]
    ledger.charge(epsilon=0.1, what="release 7")
    head = shutil.copy(folder / "elsewhere" / "a.head", folder / "newer.head")
    shutil.copy(copies[0], ledger.path)
    shutil.copy(copies[1], folder / "elsewhere" / "a.head")
    ledger.charge(epsilon=0.01, what="another release 7")
    shutil.copy(head, folder / "elsewhere" / "a.head")
    assert kinds(ledger) == {"replaced": (7,)}


def test_a_sum_that_is_wrong_is_named_even_with_a_sound_seal(ledger: Ledger, folder: Path) -> None:
    """As whoever has the key could write it."""
    with ledger._locked() as file:
        last, head = ledger._end(file)
        cost = ledger.filter.cost(Charge(what="a", epsilon=0.1))
        content = {"time": "2026-01-01T00:00:00.000+00:00", "what": "a", "charge": {"epsilon": 0.1, "delta": 0.0}}
        row = chain.write(ledger._key, 7, last.seal, content, cost, cost)
        ledger._append(file, head.intending(7, row.seal), [row])
    assert kinds(ledger) == {"replaced": (7,)}


def test_an_older_head_and_a_lost_one_are_named(ledger: Ledger, folder: Path) -> None:
    place = folder / "elsewhere" / "a.head"
    head = place.read_bytes()
    for number in (7, 8):
        ledger.charge(epsilon=0.01, what=f"release {number}")
    place.write_bytes(head)
    assert kinds(ledger) == {"head older": (8,)}
    place.write_bytes(b"x" * len(head))
    assert kinds(ledger) == {"head lost": ()}
    place.unlink()
    assert kinds(ledger) == {"head lost": ()}
    with pytest.raises(BrokenLedgerError, match="its head, kept elsewhere, is missing"):
        opened(folder).charge(epsilon=0.1, what="a")


def test_a_deleted_ledger_is_missed(ledger: Ledger, folder: Path) -> None:
    ledger.path.unlink()
    with pytest.raises(BrokenLedgerError, match=r"A ledger of 6 charges was here and is gone: it was deleted."):
        opened(folder, epsilon=3, delta=1e-5)
    ledger.path.write_bytes(b"")
    assert kinds(opened(folder, epsilon=3, delta=1e-5)) == {"rolled back": (0, 1, 2, 3, 4, 5, 6)}


def test_a_damaged_file_is_named(ledger: Ledger) -> None:
    ledger.path.write_bytes(b"no database at all" * 500)
    assert kinds(ledger) == {"damaged": ()}
    with pytest.raises(BrokenLedgerError, match="it was damaged"):
        ledger.charge(epsilon=0.1, what="a")


def test_one_half_written_head_does_no_harm(ledger: Ledger, folder: Path) -> None:
    place = folder / "elsewhere" / "a.head"
    raw, count = place.read_bytes(), len(place.read_bytes()) // 2
    for start in (0, count):
        place.write_bytes(raw[:start] + b"torn" + raw[start + 4 :])
        head = ledger._head.read()
        assert head is not None
        assert head.intent == 6, "the confirmed slot, or the intent before it"
        assert ledger.verify()


class CrashError(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize(
    ("where", "entries", "intent"),
    [("intent", 6, False), ("insert", 6, True), ("confirm", 7, True)],
)
def test_a_crash_between_two_steps_is_seen_to(
    ledger: Ledger, folder: Path, monkeypatch: pytest.MonkeyPatch, where: str, entries: int, intent: bool
) -> None:
    write, calls = heads.HeadFile.write, []

    def crash(self: heads.HeadFile, head: heads.Head, *, durable: bool) -> None:
        calls.append(durable)
        if where == "intent" or (where == "confirm" and len(calls) == 2):
            raise CrashError
        write(self, head, durable=durable)
        if where == "insert":
            raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(heads.HeadFile, "write", crash)
        with pytest.raises(CrashError):
            ledger.charge(epsilon=0.1, what="cut short")
    found = ledger.verify()
    assert found
    assert (found.entries, found.intent) == (entries, intent)
    assert ("A charge was begun" in str(found)) == intent
    assert ledger.spent() == pytest.approx(2.1 + 0.1 * (entries - 6))
    opened(folder).charge(epsilon=0.1, what="goes on")
    assert (ledger.verify().entries, ledger.verify().intent) == (entries + 1, False)


def test_only_while_the_intent_is_open_may_the_end_be_missing(ledger: Ledger) -> None:
    edit(ledger, "DELETE FROM entries WHERE number = 6")
    assert kinds(ledger) == {"truncated": (6,)}


def test_a_crash_while_a_ledger_is_made_leaves_a_beginning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> None:
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_append", crash)
        with pytest.raises(CrashError):
            opened(folder, epsilon=1, delta=0)
    assert opened(folder, epsilon=1, delta=0).verify()


def test_two_processes_lose_nothing_and_never_overspend(folder: Path) -> None:
    ledger = opened(folder, epsilon=1, delta=0)
    both = [process(folder, 60, 0.0101) for _ in range(2)]
    told = [line for one in both for line in one.communicate()[0].split()]
    assert [one.returncode for one in both] == [0, 0]
    numbers = sorted(int(line) for line in told if line != "refused")
    assert numbers == list(range(1, 100)), "99 times 0.0101 is the last that fits"
    assert told.count("refused") == 120 - 99
    assert len(ledger.entries()) == 99
    assert ledger.spent() <= 1
    assert ledger.verify()


def test_kills_at_any_moment_leave_it_whole_and_lose_no_charge(folder: Path) -> None:
    ledger = opened(folder, epsilon=500, delta=0)
    killer = process(folder, 0, 0.01, 15)
    lines = [line.split() for line in killer.communicate()[0].splitlines()]
    assert len(lines) == 15
    for told, entries, whole, _, _ in lines:
        assert whole == "True"
        assert int(told) <= int(entries), "whatever was answered is written"
    spent = [float(line[-1]) for line in lines]
    assert spent == sorted(spent)
    ledger.charge(epsilon=0.01, what="goes on")
    assert ledger.verify()


def test_threads_may_share_it(ledger: Ledger) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda _: ledger.charge(epsilon=0.001, what="a").number, range(40)))
    assert sorted(numbers) == list(range(7, 47))
    assert ledger.verify()


def walk(moment: np.random.Generator) -> list[Charge]:
    """Moves of a slider: looks at a model, of a few noises that come again, with plain answers in between."""
    noises = moment.choice([0.9, 1.1, 1.5, 2.2, 4.0], moment.integers(2, 7))
    looks = [Charge(what="look", noise_multiplier=float(s), sampling_rate=0.02, steps=60) for s in noises]
    return [*looks, Charge(what="answer", epsilon=float(moment.uniform(0.01, 0.6)))]


def test_readings_of_500_walks_are_the_filters_and_within_the_budget(folder: Path) -> None:
    moment, refused, told = np.random.default_rng(0), 0, []
    for number in range(500):
        epsilon = float(moment.choice([1.5, 3.0, 6.0]))
        ledger = opened(folder, epsilon=epsilon, delta=1e-5)
        accepted = []
        for charge in walk(moment):
            try:
                ledger.charge_all(charge)
                accepted.append(charge)
            except BudgetExceededError:
                refused += 1
        logged = [Charge(what=entry.what, **entry.charge) for entry in ledger.entries()]
        assert logged == accepted
        assert ledger.spent() <= epsilon
        spent = ledger.filter.nothing
        for charge in logged:
            spent = ledger.filter.add(spent, ledger.filter.cost(charge))
        assert ledger.spent() == ledger.filter.reading(spent)
        if number % 25 == 0 and logged:
            assert ledger.spent() == pytest.approx(by_hand(ledger.filter, logged), rel=1e-6)
        told.append(len(logged))
        for path in (ledger.path, folder / "elsewhere" / "a.head"):
            path.unlink()
    assert 100 < refused < sum(told)


def many(ledger: Ledger, count: int) -> None:
    """Write entries as charges do, all in one go."""
    cost = ledger.filter.cost(Charge(what="a", epsilon=1e-4))
    with ledger._locked() as file:
        last, head = ledger._end(file)
        rows, total = [last], ledger.filter.nothing
        for _ in range(count):
            total = ledger.filter.add(total, cost)
            content = {"time": "2026-01-01T00:00:00.000+00:00", "what": "a", "charge": {"epsilon": 1e-4, "delta": 0.0}}
            rows.append(chain.write(ledger._key, rows[-1].number + 1, rows[-1].seal, content, total, cost))
        ledger._append(file, head.intending(rows[-1].number, rows[-1].seal), rows[1:])


def test_a_long_ledger_is_appended_to_and_inspected_quickly(tmp_path: Path) -> None:
    ledger = opened(tmp_path, epsilon=500, delta=1e-5)
    many(ledger, 20_000)
    begun = time.process_time()
    assert ledger.verify().entries == 20_000
    assert time.process_time() - begun < 1, "a fifth of 100,000, on a busy machine"
    bare = sqlite3.connect(tmp_path / "bare", isolation_level=None)
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE entries (number INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT, seal TEXT)")

    def timed(act: Callable[[], object]) -> float:
        begun = time.perf_counter()
        act()
        return time.perf_counter() - begun

    row = ("x" * 600, "y" * 64)
    insert = "INSERT INTO entries(text, seal) VALUES (?, ?)"
    pairs = [
        (timed(lambda: bare.execute(insert, row)), timed(lambda: ledger.charge(epsilon=1e-4, what="a")))
        for _ in range(15)
    ]
    bare.close()
    plain, charged = map(statistics.median, zip(*pairs, strict=True))
    assert charged < 3 * plain + 0.003, "3 ms, where the disk need not be waited for"


def test_the_file_is_a_plain_sqlite_file_with_full_synchronisation(ledger: Ledger) -> None:
    with ledger._locked() as file:
        assert file.execute("PRAGMA synchronous").fetchone() == (2,)
        assert file.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    edit(ledger, "PRAGMA journal_mode = WAL")
    ledger.charge(epsilon=0.1, what="a")
    assert sorted(path.name for path in ledger.path.parent.iterdir()) == ["a.ledger"]
