"""Sweeps: the same numbers whoever computes them, kept through a kill, and no memory for ten thousand points."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import psutil
import pytest

import privlab
from privlab import datasets, dpsgd, experiments, workers
from privlab.sweeping import SweepError, compute, read

GRID = {"epsilon": [1.0, 10.0], "clip_norm": [0.3, 1, 3], "seed": [0, 1, 2, 3]}
OWN = """
    import privlab
    from privlab import datasets

    german = datasets.load("german")
    own = privlab.from_frame(german.raw, target=german.schema.target.name, schema=german.schema, name="mine", n=1000)
"""
FIXED = {"seeds": 1}


class Counted(Executor):
    """Computes at once and counts."""

    def __init__(self, after=lambda count: None):
        self.count, self.after = 0, after

    def submit(self, fn, /, *args, **kwargs):
        made = Future()
        made.set_result(fn(*args, **kwargs))
        self.count += 1
        self.after(self.count)
        return made


@pytest.fixture(scope="module")
def own():
    namespace = {}
    exec(textwrap.dedent(OWN), namespace)
    yield namespace["own"]
    del datasets._own["mine"]


@pytest.fixture(scope="module")
def usual(own, tmp_path_factory):
    """The grid, computed here, without a stop."""
    path = tmp_path_factory.mktemp("sweep") / "usual.jsonl"
    return privlab.sweep("gradient_clipping", GRID, path=path, executor=Counted(), dataset=own, **FIXED)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """An experiment that costs nothing and fails where its number is in FAIL."""
    (tmp_path / "tiny.py").write_text(
        textwrap.dedent('''
        """What does nothing cost?"""

        from dataclasses import dataclass

        import pandas as pd

        from privlab import workers
        from privlab.settings import Controls, control

        FAIL = set()


        class Settings(Controls):
            number: int = control(default=0, label="number", low=0, high=10**6)


        class Result:
            def __init__(self, settings):
                self.settings = settings
                self.sentence = f"number = {settings.number}"

            def summary(self):
                return pd.DataFrame({"number": [self.settings.number], "twice": [2 * self.settings.number]})


        def run(settings):
            if settings.number in FAIL:
                raise ArithmeticError("no such luck")
            assert workers.is_here(), "slow fits would start processes of their own"
            yield None
            yield Result(settings)
        ''')
    )
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(tmp_path)])
    yield experiments.get("tiny")
    del sys.modules["privlab.experiments.tiny"]


def test_a_point_is_what_run_gives(usual):
    table = usual.frame()
    held = {"epsilon": 10.0, "clip_norm": 0.3, "seed": 1}
    mine = table[(table["epsilon (set)"] == 10.0) & (table["clip_norm (set)"] == 0.3) & (table["seed"] == 1)]
    alone = privlab.run("gradient_clipping", dataset="mine", **FIXED, **held).summary()
    assert mine[alone.columns].values.tolist() == alone.values.tolist()
    assert table["point"].is_monotonic_increasing
    assert (usual.done, usual.points, table["point"].nunique()) == (24, 24, 24)


def test_a_killed_sweep_goes_on_where_it_was_and_ends_with_the_same_numbers(usual, own, tmp_path):
    path = tmp_path / "killed.jsonl"
    script = tmp_path / "sweep.py"  # four worker processes, which get its own data sent
    call = f"privlab.sweep('gradient_clipping', {GRID}, path={str(path)!r}, workers=4, dataset=own, **{FIXED})"
    script.write_text(textwrap.dedent(OWN) + call + "\n")
    running = subprocess.Popen([sys.executable, script])
    try:
        until = time.monotonic() + 60
        while not path.exists() or path.read_bytes().count(b"\n") < 5:
            assert running.poll() is None
            assert time.monotonic() < until
            time.sleep(0.005)
        running.send_signal(signal.SIGSTOP)
        with pytest.raises(ValueError, match="'path' must be free"):
            privlab.sweep("gradient_clipping", GRID, path=path, executor=Counted(), dataset=own, **FIXED)
    finally:
        family = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert len(family) >= 4
    assert not psutil.wait_procs(family, timeout=20)[1], "a worker outlives whoever it worked for"
    kept = path.read_bytes()
    whole = kept[: kept.rindex(b"\n") + 1]
    finished = whole.count(b"\n") - 1
    assert 4 <= finished < 24, "the kill came too late to prove anything"
    assert read(path).done == finished
    with path.open("ab") as file:  # as a kill in the middle of a line would leave it
        file.write(b'{"point": 3, "settings": {"epsi')
    here = Counted()
    again = privlab.sweep("gradient_clipping", GRID, path=path, executor=here, dataset=own, **FIXED)
    assert here.count == 24 - finished
    assert path.read_bytes().startswith(whole)
    assert again.frame().equals(usual.frame()), "four processes and one differ"
    assert privlab.sweep("gradient_clipping", GRID, path=path, executor=here, dataset=own, **FIXED).done == 24
    assert here.count == 24 - finished


def test_dask_workers_get_the_data_and_find_the_same_numbers(usual, own, tmp_path):
    distributed = pytest.importorskip("distributed", reason="pip install privlab[distributed]")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        found = privlab.sweep(
            "gradient_clipping", GRID, path=tmp_path / "dask.jsonl", executor=client.get_executor(), workers=2,
            dataset=own, **FIXED,
        )  # fmt: skip
        assert client.submit(os.getpid).result() != os.getpid()
    assert found.frame().equals(usual.frame())


def test_ten_thousand_points_take_no_memory_and_few_are_in_flight(tiny, tmp_path):
    used, flying, most = {}, set(), 0

    class Watch:
        stopped = False

        def show(self, done, total):
            used[done] = psutil.Process().memory_info().rss

        def close(self):
            pass

    class Pool(ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            nonlocal most
            future = super().submit(fn, *args, **kwargs)
            flying.add(future)
            future.add_done_callback(flying.discard)
            most = max(most, len(flying))
            return future

    with Pool(2) as pool:
        swept = privlab.sweep(
            "tiny", {"number": range(10_000)}, path=tmp_path / "many.jsonl", executor=pool, watch=Watch()
        )
    early = max(size for done, size in used.items() if done <= 1000)
    assert max(used.values()) - early < 2e6
    assert most <= 4
    assert swept.frame()["twice"].sum() == 2 * sum(range(10_000))
    assert sorted(point["sentence"] for point in swept.rows())[:2] == ["number = 0", "number = 1"]


def test_failed_points_are_named_at_the_end_and_tried_again(tiny, tmp_path):
    tiny.FAIL.update({2, 5})
    given = {"experiment": "tiny", "grid": {"number": range(8)}, "path": tmp_path / "some.jsonl"}
    with pytest.raises(SweepError, match=r"^2 of 8 points failed; 6 are kept .*point 2 \(number=2\): Arithm") as failed:
        privlab.sweep(**given, executor=Counted())
    assert failed.value.sweep.frame()["number"].tolist() == [0, 1, 3, 4, 6, 7]
    assert "raise ArithmeticError" in failed.value.__notes__[0]
    tiny.FAIL.clear()
    here = Counted()
    assert privlab.sweep(**given, executor=here).frame()["number"].tolist() == list(range(8))
    assert here.count == 2


def test_stop_and_an_interrupt_keep_what_is_finished(tiny, tmp_path):
    class Watch:
        stopped = closed = False

        def show(self, done, total):
            self.stopped = done >= 6

        def close(self):
            self.closed = True

    path, watch = tmp_path / "stopped.jsonl", Watch()
    stopped = privlab.sweep("tiny", {"number": range(50)}, path=path, executor=Counted(), workers=2, watch=watch)
    assert 6 <= stopped.done < 50
    assert watch.closed
    assert stopped.sentence.endswith("The same call goes on from here.")

    def interrupt(count):
        if count == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # a script ends
        privlab.sweep("tiny", {"number": range(50)}, path=path, executor=Counted(interrupt), workers=1)
    kept = read(path).done
    assert stopped.done < kept < 50
    gone_on = privlab.sweep(  # in a notebook it is a Stop
        "tiny", {"number": range(50)}, path=path, executor=Counted(interrupt), workers=1, watch=type(watch)()
    )
    assert gone_on.done >= kept


@pytest.mark.parametrize(
    ("grid", "fixed", "words"),
    [
        ({"epsilon": [1, 1000]}, {}, r"'epsilon' must be a number in \[0.01, 100\]. Got 1000."),
        ({"delta": [1e-6, 1e-3]}, {}, r"Point 1 \(delta=0.001\): 'delta' must be in \(0, 1/n\)"),
        ({"epsilons": [1]}, {}, r"Settings must be among epsilon, .*Got 'epsilons'"),
        ({"epsilon": 1}, {}, "'epsilon' of the grid must be a list of values. Got int."),
        ({"epsilon": [1, 1.0]}, {}, "'epsilon' of the grid must hold values that all differ. Got 2, 1 different."),
        ({"epsilon": [1]}, {"epsilon": 2}, "'epsilon' must be swept or fixed, not both"),
        ({}, {}, "'grid' must be a mapping of settings to their values"),
        ({"epsilon": [1]}, {"ledger": None}, "'ledger' and 'gate' must be left out of a sweep: every point is another"),
        ({"epsilon": [1]}, {"table": "all"}, "'table' must be among summary, frame. Got 'all'."),
        ({"epsilon": [1]}, {"workers": 0}, "'workers' must be a whole number of at least 1. Got 0."),
        ({"epsilon": [1]}, {"path": "/no/such/folder/x"}, "'path' must be a folder, or a file in one, that exists"),
    ],
)
def test_a_grid_is_checked_whole_before_any_work(grid, fixed, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = Counted()
    with pytest.raises((ValueError, TypeError), match=words):
        privlab.sweep("tradeoff", grid, executor=here, **fixed)
    assert here.count == 0
    assert not list(tmp_path.iterdir())


def test_a_folder_holds_sweeps_side_by_side_and_each_is_read_back(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = Counted()
    for path in (tmp_path, None, "."):
        for grid in ({"number": [1, 2]}, {"number": [2, 1]}):
            found = privlab.sweep("tiny", grid, path=path, executor=here)
            assert found.frame()["number"].tolist() == grid["number"]
    assert here.count == 4
    assert len(list(tmp_path.glob("tiny-sweep-*.jsonl"))) == 2


def test_a_file_of_anything_else_is_refused_and_left_alone(tiny, tmp_path):
    path = tmp_path / "points.jsonl"
    privlab.sweep("tiny", {"number": [1, 2, 3]}, path=path, executor=Counted())
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"'path' must hold points of this very sweep.*are of another grid"):
        privlab.sweep("tiny", {"number": [1, 2]}, path=path, executor=Counted())
    with pytest.raises(ValueError, match="are another experiment's"):
        privlab.sweep("tradeoff", {"steps": [1, 2]}, path=path, executor=Counted())
    for name, words in (("version", "made by another version of privlab"), ("data", "made of other data")):
        header, rest = before.split(b"\n", 1)
        path.write_bytes(json.dumps(json.loads(header) | {name: "other"}).encode() + b"\n" + rest)
        with pytest.raises(ValueError, match=words):
            privlab.sweep("tiny", {"number": [1, 2, 3]}, path=path, executor=Counted())
    lines = before.split(b"\n")
    path.write_bytes(b"\n".join([lines[0], lines[1][:9], *lines[2:]]))
    with pytest.raises(ValueError, match="whose line 2 is damaged"):
        privlab.sweep("tiny", {"number": [1, 2, 3]}, path=path, executor=Counted())
    for foreign in (b"a,b\n1,2\n", b"no end", b'{"kind": "other"}\n'):
        path.write_bytes(foreign)
        with pytest.raises(ValueError, match="'path' must be a sweep's file, or a new one"):
            privlab.sweep("tiny", {"number": [1, 2, 3]}, path=path, executor=Counted())
        assert path.read_bytes() == foreign


def test_a_worker_with_other_data_under_the_name_or_another_privlab_says_so(own):
    values = experiments.get("tradeoff").Settings.make(dataset=own).as_dict()
    kind, (why, _) = compute("tradeoff", values, "summary", "other", None, None)
    assert (kind, why) == ("failed", "RuntimeError: The worker has another version of privlab.")
    version = privlab.sweeping._version()
    kind, (why, _) = compute("tradeoff", values, "summary", version, ("mine", "other"), None)
    assert kind == "failed"
    assert why.startswith("ValueError: 'mine' is the name of other data in this worker")
    assert compute("tradeoff", values, "summary", version, ("theirs", "x"), None) == ("needs data", "theirs")


def test_a_large_table_is_registered_and_hashed_at_once_and_takes_batches_of_two_thousand():
    adult = datasets.load("adult")
    table = adult.raw.iloc[np.arange(200_000) % len(adult.raw)].reset_index(drop=True)
    before = time.perf_counter()
    large = privlab.from_frame(table, target=adult.schema.target.name, schema=adult.schema, n=200_000, name="large")
    try:
        privlab.sweeping._digest_of(large)
        assert time.perf_counter() - before < 5
        rate = experiments.get("tradeoff").Settings.make(dataset=large).sampling_rate
        assert rate * large.n_train == pytest.approx(2000, rel=0.03)
        assert [dpsgd.usual_rate(n) for n in (300, 1000, 32_561, 100_000, 10**6)] == [1, 0.5, 0.02, 0.02, 0.002]
    finally:
        del datasets._own["large"]


def test_a_fit_in_a_worker_is_made_there():
    with workers.here():
        assert workers.get().submit(os.getpid).result() == os.getpid()
        with pytest.raises(ZeroDivisionError):
            workers.get().submit(lambda: 1 / 0).result()
    assert not workers.is_here()


def test_other_rows_make_other_data(own):
    digest = privlab.sweeping._digest_of
    table = own.raw.copy()
    assert digest(own) == digest(replace(own, table=table.copy()))
    table.loc[7, "age"] += 1
    assert digest(own) != digest(replace(own, table=table))
    assert digest(own) != digest(replace(own, is_test=~own.is_test))
