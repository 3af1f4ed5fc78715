"""Flower runs the same clients and the same server as the simulator, and comes to the same models."""

import importlib.util
import json
import math
import os
import warnings

import numpy as np
import pytest

from privlab import cli, datasets, deployment, federated

with warnings.catch_warnings():  # of what Flower imports
    warnings.simplefilter("ignore")
    from privlab import flower  # first, for it turns telemetry off

    from flwr.app import Context, Error, Message, RecordDict  # isort: skip
    from flwr.serverapp import Grid  # isort: skip
    from flwr.supercore.task_identity import TaskIdentity  # isort: skip

# What a process of Flower's own is told when it starts: whose messages it sends.
TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(flower, "PAUSE", 0.0)


class Room(Grid):
    """Flower's grid with all nodes in this process: messages go to the client app as a SuperNode would hand them on."""

    def __init__(self, told, late=0):
        self.told, self.late = told, late
        self.contexts = {
            1000 + k: Context(1, 1000 + k, {"partition-id": k, "num-partitions": told["clients"]}, RecordDict(), told)
            for k in range(told["clients"])
        }

    def set_run(self, run):
        """Nothing to do: there is one run."""

    @property
    def run(self):
        """There is one run."""

    def create_message(self, content, message_type, dst_node_id, group_id, ttl=None):
        return Message(content, dst_node_id=dst_node_id, message_type=message_type, group_id=group_id, ttl=ttl)

    def get_node_ids(self):
        self.late -= 1
        return list(self.contexts)[: None if self.late < 0 else 1]

    def push_messages(self, messages):
        self.asked = {str(number): message for number, message in enumerate(messages)}
        return list(self.asked)

    def pull_messages(self, message_ids):
        """Answers one by one, in another order than the questions, each after a look in vain."""
        self.looks = not getattr(self, "looks", False)
        if self.looks:
            return []
        number = max(message_ids)
        answer = flower.client_app(self.asked[number], self.contexts[self.asked[number].metadata.dst_node_id])
        answer.metadata.__dict__["_reply_to_message_id"] = number
        return [answer]

    def send_and_receive(self, messages, *, timeout=None):
        pytest.fail("the app must send and look again, or a late client would hold everybody up")


def both(tmp_path, **chosen):
    """The report of a run on Flower, and the simulator's history of the same."""
    told = deployment.configuration(report=str(tmp_path / "report.json"), **chosen)
    flower.server_app(Room(told, late=2), Context(1, 0, {}, RecordDict(), told))
    found = json.loads((tmp_path / "report.json").read_text("utf-8"))
    _, rows, plan, seed = deployment.prepared(json.dumps({k: v for k, v in told.items() if k != "report"}), server=True)
    *_, history = federated.train(rows, plan, [seed])
    assert deployment.difference(found, **chosen) == np.abs(history.weights[..., 0] - found["weights"]).max()
    X, y = datasets.load("adult").evaluation
    right = [((X @ model[:-1] + model[-1] > 0)[:, 0] == y).mean() for model in history.models]
    np.testing.assert_allclose(found["accuracy"], right, atol=1e-3)
    return found, history, plan


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"protect": "central", "epsilon": 4.0, "clients": 6},
        {"protect": "local", "epsilon": 20.0, "seed": 5},
        {"participation": 0.5, "dropout": 0.3, "protect": "central", "clients": 7, "local_epochs": 2},
    ],
)
def test_flower_and_the_simulator_agree(tmp_path, chosen):
    found, history, plan = both(tmp_path, rounds=5, **chosen)
    np.testing.assert_allclose(found["weights"], history.weights[..., 0], atol=2e-5)
    assert np.abs(history.weights[-1]).max() > 0.1
    np.testing.assert_array_equal(found["reports"], history.reports[:, 0])
    epsilon = chosen.get("epsilon", 8.0) if plan.protect != "none" else math.inf
    if math.isinf(epsilon):
        assert math.isinf(found["epsilon"])
    else:
        assert 0.99 * epsilon < found["epsilon"] <= epsilon, "of all rounds together"


def test_another_seed_gives_another_model(tmp_path):
    one, *_ = both(tmp_path, rounds=2, protect="central", seed=1)
    other, *_ = both(tmp_path, rounds=2, protect="central", seed=2)
    assert np.abs(np.subtract(one["weights"], other["weights"])).max() > 0.01


def test_a_round_that_a_node_misses_stops_the_run(tmp_path, monkeypatch):
    told = deployment.configuration(rounds=2, report=str(tmp_path / "report.json"))
    room = Room(told)
    room.pull_messages = lambda message_ids: [Message(Error(8, "no memory"), reply_to=room.asked["0"])]
    with pytest.raises(RuntimeError, match=r"^All 4 nodes must answer a round\. One failed: no memory"):
        flower.server_app(room, Context(1, 0, {}, RecordDict(), told))
    found = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert found["stage"] == deployment.FAILED
    assert "All 4 nodes must answer" in found["why"]
    monkeypatch.setattr(flower, "PATIENCE", 0.3)
    room.pull_messages = lambda message_ids: []
    with pytest.raises(TimeoutError, match=r"^4 nodes must answer within 0\.3 seconds\. Got 0\."):
        flower.server_app(room, Context(1, 0, {}, RecordDict(), told))
    with pytest.raises(TimeoutError, match=r"^4 nodes must join within 0\.3 seconds\. Got 1\."):
        flower.server_app(Room(told, late=10**9), Context(1, 0, {}, RecordDict(), told))


def test_an_unknown_setting_is_refused():
    with pytest.raises(TypeError, match=r"^Settings of a run must be among dataset, .* Got 'epochs'"):
        deployment.configuration(epochs=3)


def test_nothing_is_reported_to_anybody():
    assert os.environ["FLWR_TELEMETRY_ENABLED"] == "0"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    from flwr.supercore import telemetry

    assert telemetry.FLWR_TELEMETRY_ENABLED == "0"


def test_flower_takes_the_app_that_is_written_for_it(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from flwr.cli.config_utils import load_and_validate
    told = deployment.configuration(clients=3, protect="local")
    deployment._write(tmp_path, told, [12345])
    config, complaints = load_and_validate(tmp_path / "app" / "pyproject.toml")
    assert not complaints
    assert config["tool"]["flwr"]["app"]["config"] == told
    assert config["project"]["dependencies"] == []
    assert "127.0.0.1:12345" in (tmp_path / "superlink" / "config.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("absent", "engine", "extra"),
    [("flwr", "processes", "federated"), ("flwr", "simulation", "simulation"), ("ray", "simulation", "simulation")],
)
def test_what_is_missing_is_said_with_what_adds_it(monkeypatch, capsys, absent, engine, extra):
    here = {"flwr", "ray"} - {absent}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in here or None)
    assert cli.main(["federated", "--engine", engine]) == 1
    assert f"pip install -c requirements.lock -e '.[{extra}]'" in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError, match=rf"pip install .*{extra}"):
        deployment.train(engine=engine)


def test_without_fork_it_is_said_where_it_works(monkeypatch):
    monkeypatch.delattr(os, "fork")
    assert deployment.missing() == deployment.NO_FORK


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"engine": "ray"}, r"^'engine' must be among processes, simulation\. Got 'ray'"),
        ({"epsilon": -1.0}, r"^'epsilon' must be in \(0, 100\]\. Got -1\."),
        ({"epsilon": math.nan}, r"^'epsilon' must be in \(0, 100\]\. Got nan\."),
        ({"patience": 0}, r"^'patience' must be more than 0 seconds\. Got 0\."),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(monkeypatch, given, message):
    monkeypatch.setattr(deployment, "_opened", None)
    with pytest.raises(ValueError, match=message):
        deployment.train(**given)


def test_the_command_trains_and_tells(monkeypatch, capsys):
    asked = {}

    def train(*, tell, **chosen):
        asked.update(chosen)
        tell({"stage": "1 of 3 nodes have joined"})
        for scores in ([0.8], [0.8, 0.84], [0.8, 0.84]):
            found = {"stage": "", "accuracy": scores, "reports": [3, 2][: len(scores)], "epsilon": 1.99}
            tell(found)
        return found

    monkeypatch.setattr(deployment, "train", train)
    monkeypatch.setattr(deployment, "difference", lambda found, **_: 2e-7)
    assert cli.main(["federated", "--clients", "3", "--rounds", "2", "--protect", "central", "--epsilon", "2"]) == 0
    chosen = {"clients": 3, "rounds": 2, "protect": "central", "epsilon": 2.0}
    assert asked == chosen | {"engine": "processes", "patience": None}
    said = capsys.readouterr().out
    assert "1 of 3 nodes have joined" in said
    assert said.count("round 2 of 2: 84.0 % right on unseen people, 2 updates") == 1
    assert "1.99" in said
    assert "differs by more than 2e-07" in said
    for words in (["--clients", "0"], ["--rounds", "x"], ["--engine", "ray"]):
        with pytest.raises(SystemExit):
            cli.main(["federated", *words])


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (TimeoutError("too late"), 1)])
def test_a_command_that_is_stopped_says_so(monkeypatch, capsys, error, code):
    def train(**_):
        raise error

    monkeypatch.setattr(deployment, "train", train)
    assert cli.main(["federated"]) == code
    assert ("Stopped" if code == 130 else "too late") in capsys.readouterr().err
