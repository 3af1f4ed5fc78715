"""Flower runs the same clients and the same server as the simulator, and comes to the same models."""

import json
import math
import os
import sys
import warnings

import numpy as np
import pytest

from privlab import cli, deployment, federated

with warnings.catch_warnings():  # of what Flower imports
    warnings.simplefilter("ignore")
    from privlab import flower  # first, for it turns telemetry off

    from flwr.app import Context, Message, RecordDict  # isort: skip
    from flwr.serverapp import Grid  # isort: skip
    from flwr.supercore.task_identity import TaskIdentity  # isort: skip

# What a process of Flower's own is told when it starts: whose messages it sends.
TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1


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
        raise NotImplementedError

    def pull_messages(self, message_ids):
        raise NotImplementedError

    def send_and_receive(self, messages, *, timeout=None):
        """Answers in another order than the questions."""
        return [flower.client_app(m, self.contexts[m.metadata.dst_node_id]) for m in reversed(list(messages))]


def both(tmp_path, **chosen):
    """The report of a run on Flower, and the simulator's history of the same."""
    told = flower.configuration(report=str(tmp_path / "report.json"), **chosen)
    flower.server_app(Room(told, late=2), Context(1, 0, {}, RecordDict(), told))
    found = json.loads((tmp_path / "report.json").read_text("utf-8"))
    _, rows, plan, seed = flower._everything(json.dumps({k: v for k, v in told.items() if k != "report"}), server=True)
    *_, history = federated.train(rows, plan, [seed])
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


def test_a_round_that_a_node_misses_stops_the_run(tmp_path):
    told = flower.configuration(rounds=2, report=str(tmp_path / "report.json"))
    room = Room(told)
    room.send_and_receive = lambda messages, timeout=None: []
    with pytest.raises(RuntimeError, match=r"^All 4 nodes must answer a round\. Got 0\."):
        flower.server_app(room, Context(1, 0, {}, RecordDict(), told))
    assert "All 4 nodes must answer" in json.loads((tmp_path / "report.json").read_text("utf-8"))["failed"]


def test_an_unknown_setting_is_refused():
    with pytest.raises(TypeError, match=r"^Settings of a run must be among dataset, .* Got 'epochs'"):
        flower.configuration(epochs=3)


def test_nothing_is_reported_to_anybody():
    assert os.environ["FLWR_TELEMETRY_ENABLED"] == "0"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    from flwr.supercore import telemetry

    assert telemetry.FLWR_TELEMETRY_ENABLED == "0"


def test_flower_takes_the_app_that_is_written_for_it(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from flwr.cli.config_utils import load_and_validate
    told = flower.configuration(clients=3, protect="local")
    deployment._write(tmp_path, told, 12345)
    config, _ = load_and_validate(tmp_path / "app" / "pyproject.toml")
    assert config["tool"]["flwr"]["app"]["config"] == told
    assert config["project"]["dependencies"] == []
    assert "127.0.0.1:12345" in (tmp_path / "home" / "config.toml").read_text("utf-8")


def test_ports_are_different_and_free():
    ports = deployment._free_ports(5)
    assert len(set(ports)) == 5
    assert not any(map(deployment._answers, ports))


def test_processes_are_ended_and_their_failures_told(tmp_path):
    with deployment._processes(tmp_path) as started:
        started.start(sys.executable, "-c", "import time; time.sleep(60)")
        started.check()
        assert started.environment["FLWR_TELEMETRY_ENABLED"] == "0"
        process = started.running[0][1]
        with pytest.raises(RuntimeError, match=r"failed: .*no such thing"):
            started.call(sys.executable, "-c", "raise SystemExit('no such thing')")
        with pytest.raises(TimeoutError, match=r"within 0\.3 seconds"):
            deployment._until(lambda: False, started, 0.3)
    assert process.returncode is not None
    with pytest.raises(RuntimeError, match=r"has ended"):
        started.check()


def test_without_flower_it_is_said_what_adds_it(monkeypatch, capsys):
    monkeypatch.setattr(deployment, "is_there", lambda: False)
    assert cli.main(["federated"]) == 1
    assert ".[federated]" in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError, match=r"pip install .*federated"):
        deployment.train()


def test_the_command_trains_and_tells(monkeypatch, capsys):
    asked = {}

    def train(**chosen):
        asked.update(chosen)
        return {"accuracy": [0.8, 0.84], "reports": [3, 2], "epsilon": 1.99}

    monkeypatch.setattr(deployment, "train", train)
    assert cli.main(["federated", "--clients", "3", "--rounds", "2", "--protect", "central", "--epsilon", "2"]) == 0
    assert asked == {"clients": 3, "rounds": 2, "protect": "central", "epsilon": 2.0}
    said = capsys.readouterr().out
    assert "round 2: 84.0 % right on unseen people, 2 updates" in said
    assert "1.99" in said
    for words in (["--clients", "0"], ["--rounds", "x"]):
        with pytest.raises(SystemExit):
            cli.main(["federated", *words])
