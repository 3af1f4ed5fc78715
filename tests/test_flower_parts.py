"""What Flower's own privacy parts do, and why the lab's federation does without them; see `privlab.flower`.

A test here that turns red with another version of Flower says that this, and what is told of it, must be thought again.
"""

import warnings

import numpy as np
import pytest

from privlab import composition, federated

with warnings.catch_warnings():  # of what Flower imports
    warnings.simplefilter("ignore")
    from privlab import flower  # noqa: F401 -- first, for it turns telemetry off

    from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict  # isort: skip
    from flwr.client.mod.secure_aggregation.secaggplus_mod import SecAggPlusState, _unmask  # isort: skip
    from flwr.clientapp.mod import LocalDpMod  # isort: skip
    from flwr.common.secure_aggregation.crypto import shamir  # isort: skip
    from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen  # isort: skip
    from flwr.serverapp import GaussianPrivacyEvent, NeighboringRelation, PrivacyConfig, SamplingMethod  # isort: skip
    from flwr.serverapp.strategy import DifferentialPrivacyServerSideFixedClipping, FedAvg  # isort: skip
    from flwr.supercore.privacy_accounting.rdp_accountant import RdpAccountant  # isort: skip
    from flwr.supercore.task_identity import TaskIdentity  # isort: skip

DELTA, CLIP = 1e-5, 0.5


@pytest.fixture(autouse=True)
def somebody():
    """Whose messages these are."""
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1


def noise_of_a_message(epsilon, step):
    """The standard deviation that Flower's local mod adds to an update in some round."""
    model, size = ArrayRecord([np.zeros(40_000)]), 40_000
    asked = Message(RecordDict({"model": model}), dst_node_id=7, message_type="train", group_id=str(step))
    asked.metadata.__dict__["_message_id"] = "asked"
    update = np.full(size, CLIP / np.sqrt(size))

    def answer(message, context):
        return Message(RecordDict({"model": ArrayRecord([update])}), reply_to=asked)

    mod = LocalDpMod(clipping_norm=CLIP, sensitivity=2 * CLIP, epsilon=epsilon, delta=DELTA)
    sent = mod(asked, Context(1, 7, {}, RecordDict(), {}), answer)
    return float((sent.content["model"].to_numpy_ndarrays()[0] - update).std())


def test_flower_s_local_epsilon_is_that_of_one_round_and_ours_of_all():
    rounds, epsilon = 20, 0.9
    first, last = (noise_of_a_message(epsilon, step) for step in (0, rounds - 1))
    assert first == pytest.approx(last, rel=0.02), "it asks for no number of rounds, and adds no more for many"
    one, all_rounds = (composition.gaussian(2 * CLIP * np.sqrt(n) / first, DELTA) for n in (1, rounds))
    assert one < epsilon, "of one round it holds"
    assert all_rounds > 3.5 * epsilon, "of all rounds together it does not"
    ours = federated.Plan(rounds=rounds, protect="local", clip_norm=CLIP).calibrated(epsilon, DELTA, 100)
    assert 0.99 * epsilon < ours.epsilon(DELTA, 100) <= epsilon
    assert ours.noise_multiplier * CLIP > 3 * first


def test_flower_s_local_epsilon_does_not_hold_where_it_is_large():
    """Its formula, √(2 ln(1.25/δ))/ε, is proven for ε below 1 only."""
    assert composition.gaussian(2 * CLIP / noise_of_a_message(30.0, 0), DELTA) > 30 * 1.1


def test_flower_s_central_noise_falls_short_when_clients_weigh_differently_or_drop_out():
    """It is σ·C over the number of clients asked, where one client can move the mean by more than C over it."""

    def moved(rows, asked):
        wrapped = DifferentialPrivacyServerSideFixedClipping(FedAvg(), 0.0, CLIP, asked)
        wrapped.current_arrays = ArrayRecord([np.zeros(4)])
        answers = []
        for number, count in enumerate(rows):
            own = np.zeros(4)
            own[number] = 10.0
            content = {"arrays": ArrayRecord([own]), "metrics": MetricRecord({"num-examples": count})}
            asking = Message(RecordDict({}), dst_node_id=number + 5, message_type="train", group_id="0")
            asking.metadata.__dict__["_message_id"] = "asked"
            answers.append(Message(RecordDict(content), reply_to=asking))
        arrays, _ = wrapped.aggregate_train(1, answers)
        return arrays.to_numpy_ndarrays()[0].max()

    assert moved([1, 1], 2) == pytest.approx(CLIP / 2)
    assert moved([1, 99], 2) == pytest.approx(0.99 * CLIP)
    assert moved([1], 2) == pytest.approx(CLIP)
    plan = federated.Plan(protect="central", participation=0.5)
    assert {federated.divisor(plan, 8, 100, weight) for weight in (1.0, 4.0)} == {4.0}


def test_flower_s_accountant_composes_but_counts_no_sampling():
    """Its central wrapper takes only an accountant without amplification; ours counts the coins."""
    plan = federated.Plan(rounds=50, participation=0.1, protect="central", noise_multiplier=2.0)
    relation = NeighboringRelation.ADD_OR_REMOVE_ONE

    def spent(sampling):
        accountant = RdpAccountant(PrivacyConfig(DELTA, 200, relation, sampling))
        accountant.compose(GaussianPrivacyEvent(2.0, 20, 200), 50)
        return accountant, accountant.get_epsilon(DELTA)

    accountant, theirs = spent(SamplingMethod.NO_AMPLIFICATION)
    DifferentialPrivacyServerSideFixedClipping(FedAvg(), 2.0, CLIP, 20, accountant=accountant)
    ours = plan.epsilon(DELTA, 200)
    assert theirs > 5 * ours
    with_coins, by_rdp = spent(SamplingMethod.POISSON)
    assert ours < by_rdp < 1.5 * ours
    with pytest.raises(ValueError, match="no-amplification"):
        DifferentialPrivacyServerSideFixedClipping(FedAvg(), 2.0, CLIP, 20, accountant=with_coins)


def test_flower_s_masks_have_32_bits_and_another_seed_makes_the_same():
    """Of a seed's 256 bits its mask takes the exclusive or of eight words, for a generator that is no cipher."""
    seed = bytes(range(32))
    turned = seed[4:] + seed[:4]
    one, other = (pseudo_rand_gen(key, 1 << 32, [(50,)])[0] for key in (seed, turned))
    assert turned != seed
    np.testing.assert_array_equal(one, other)
    small = np.random.RandomState(int(np.bitwise_xor.reduce(np.frombuffer(seed, "<u4"))))
    np.testing.assert_array_equal(small.randint(0, (1 << 32) - 1, 50, dtype=np.int64), one)


def test_flower_s_client_gives_both_shares_of_one_when_asked_to():
    """A server that names a client both as there and as gone gets its own mask and its key: what it sent lies open."""
    secrets = {"rd_seed_share_dict": b"own mask", "sk1_share_dict": b"key for masks"}
    state = SecAggPlusState(
        current_stage="collect_masked_vectors", threshold=2, nid=1,
        **{name: {n: shamir.create_shares(secret, 2, 3)[0] for n in (1, 2, 3)} for name, secret in secrets.items()},
    )  # fmt: skip
    asked = ConfigRecord({"active_nids": [1, 2], "dead_nids": [2]})
    given = _unmask(state, asked)
    assert given["nids"] == [1, 2, 2]
    assert given["shares"][1:] == [state.rd_seed_share_dict[2], state.sk1_share_dict[2]]
