"""Federated learning on Flower: the client and the server of `privlab.federated`, in processes of their own.

Needs the extra ``federated``. The apps below do what `federated.train` does, with the same coins, dropouts and noise
for a seed, so their models agree up to rounding. A client throws its own coins, trains on its own rows, shortens its
update, weighs it, adds its own noise where privacy is local, and sends nothing else; the server adds up, adds noise
where privacy is central, and divides.

What is for teaching: every node finds its rows by dealing the whole public data set and keeping its part; connections
stay on this machine and are not encrypted; the coins of all and all noise come from the run's seed, which every node
is told, where real ones would draw them in secret: ε is that of such a run, not of this one.

Flower brings privacy parts of its own. They are not used, each for a reason that ``tests/test_flower_parts.py`` shows
of Flower 1.41. The ε of its `LocalDpMod` covers one round, and holds for small ε only; ours covers all rounds. The
noise of its central wrappers is too small once clients weigh differently or drop out, for they divide by those who
came; they have an accountant that composes, but only without the gain from sampling. The masks of its SecAgg+ come
from 32 bits and a generator that is no cipher, and its client hands out both shares of another one if a server asks
for both; `secure_aggregation` is the lab's.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # before Flower is imported, which reads them then
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from privlab import deployment, federated
from privlab.deployment import DELTA, DONE, FAILED
from privlab.dpsgd import Array

__all__ = ["client_app", "server_app"]

PATIENCE = 600.0  # seconds that the server waits for nodes, and for the answers of a round
PAUSE = 0.1  # seconds between two looks for nodes and answers


def _told(context: Context) -> str:
    return json.dumps({name: context.run_config[name] for name in deployment.configuration() if name != "report"})


def make_client() -> ClientApp:
    """The app that runs at every node: one client, that of the node's partition."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        """Answer a round with an update, or say that this client is not in it."""
        _, rows, plan, seed = deployment.prepared(_told(context), server=False)
        told: Any = message.content
        own, step = int(context.node_config["partition-id"]), int(told["round"]["number"])
        weights = told["model"].to_numpy_ndarrays()[0][:, None]
        update, weight = np.zeros(rows.width, np.float32), 0.0
        if federated.answered(plan, rows.clients, seed)[step, own]:
            mine = rows.only(np.array([own]))
            weight = float(federated.weigh(mine.sizes, plan)[0])
            sent = federated.clipped(federated.local_updates(mine, weights, plan), plan)[0, :, 0]
            update = (sent * np.float32(weight)).astype(np.float32)
            if plan.protect == "local":
                update = update + federated.local_noise(plan, rows.clients, rows.width, seed, step)[own]
        content = RecordDict({"update": ArrayRecord([update]), "sums": MetricRecord({"weight": weight})})
        return Message(content, reply_to=message)

    return app


def make_server() -> ServerApp:
    """The app of the server: all rounds, then a report."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        """Lead the rounds and write what came of them, or why nothing did."""
        path = str(context.run_config["report"])
        try:
            _write(_lead(grid, context, path), path)
        except Exception as error:
            _write({"stage": FAILED, "why": f"{type(error).__name__}: {error}"}, path)
            raise

    return app


def _lead(grid: Grid, context: Context, path: str) -> dict[str, Any]:
    """All rounds: the accuracy after each, ε over all, the updates that came, and the models; told as they come."""
    data, rows, plan, seed = deployment.prepared(_told(context), server=True)
    found: dict[str, Any] = {
        "accuracy": [], "epsilon": plan.epsilon(DELTA, rows.clients), "reports": [], "weights": [[0.0] * rows.width],
    }  # fmt: skip

    def tell(*stage: str) -> None:
        _write(found | {"stage": ", ".join(stage)}, path)

    nodes = _nodes(grid, rows.clients, tell)
    noise = federated.server_noise(plan, rows.width, seed)
    weights = np.zeros((plan.rounds + 1, rows.width, 1), np.float32)
    none = np.zeros((0, rows.width, 1), np.float32)
    X, y = data.evaluation
    for step in range(plan.rounds):
        asked = _calls(nodes, weights[step, :, 0], step)
        contents = _answers(grid, asked, partial(tell, f"round {step + 1} of {plan.rounds}"))
        updates = [content["update"].to_numpy_ndarrays()[0] for content in contents]
        heavy = [float(content["sums"]["weight"]) for content in contents]
        total = np.sum(updates, axis=0) + noise[step]
        weight = np.array([sum(heavy)])
        weights[step + 1] = federated.moved(weights[step], total[:, None], weight, plan, rows.clients, rows.total)
        model = federated.History(weights[: step + 2], none, none, none).models[-1]
        found["accuracy"].append(float(((X @ model[:-1] + model[-1] > 0)[:, 0] == y).mean()))
        found["reports"].append(sum(one > 0 for one in heavy))
        found["weights"].append(weights[step + 1, :, 0].tolist())
    return found | {"stage": DONE}


def _nodes(grid: Grid, number: int, tell: Callable[[str], None]) -> list[int]:
    """The nodes, once all of them are there."""
    end = time.monotonic() + PATIENCE
    here = -1
    while len(nodes := sorted(grid.get_node_ids())) < number:
        if len(nodes) > here:
            here = len(nodes)
            tell(f"{here} of {number} nodes have joined")
        if time.monotonic() > end:
            raise TimeoutError(f"{number} nodes must join within {PATIENCE:g} seconds. Got {here}.")
        time.sleep(PAUSE)
    return nodes


def _calls(nodes: list[int], weights: Array, step: int) -> list[Message]:
    content = RecordDict({"model": ArrayRecord([weights]), "round": ConfigRecord({"number": step})})
    return [Message(content, dst_node_id=node, message_type="train", group_id=str(step)) for node in nodes]


def _answers(grid: Grid, asked: list[Message], tell: Callable[[str], None]) -> list[Any]:
    """What all nodes answer. Flower's own `send_and_receive` looks for answers every three seconds only."""
    waiting = set(grid.push_messages(asked))
    contents: list[Any] = []
    end = time.monotonic() + PATIENCE
    while True:
        tell(f"{len(contents)} of {len(asked)} nodes have answered")
        while not (answers := list(grid.pull_messages(waiting))):
            if time.monotonic() > end:
                raise TimeoutError(f"{len(asked)} nodes must answer within {PATIENCE:g} seconds. Got {len(contents)}.")
            time.sleep(PAUSE)
        for answer in answers:
            if answer.has_error():
                raise RuntimeError(f"All {len(asked)} nodes must answer a round. One failed: {answer.error.reason}")
            contents.append(answer.content)
            waiting.discard(answer.metadata.reply_to_message_id)
        if not waiting:
            return contents


def _write(found: dict[str, Any], path: str) -> None:
    """Write a report as JSON, so that whoever sees the file sees all of it."""
    if path:
        half = Path(path).with_suffix(".part")
        half.write_text(json.dumps(found), encoding="utf-8")
        half.replace(path)


client_app, server_app = make_client(), make_server()
