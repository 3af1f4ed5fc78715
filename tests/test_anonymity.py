"""Groups of people who look alike: numbers from the papers, against a plain count, and never from the data."""

import collections
import math

import numpy as np
import pytest

from privlab import anonymity, datasets, minimise
from privlab.anonymity import Coarse, Grouped
from privlab.columns import Column

SHIPPED = sorted(anonymity.KNOWN)


def grouped(groups, secret, values, **named):
    return Grouped.make([np.asarray(groups)], np.asarray(secret), values, **named)


def test_t_closeness_is_the_papers():
    """Li, Li and Venkatasubramanian 2007, section 5: of nine salaries, 3k to 11k, the lowest three are 0.375 away."""
    assert grouped([0, 0, 0, 1, 1, 1, 2, 2, 2], range(9), 9, ordered=True).t == pytest.approx(0.375)
    # Their second group, 6k, 8k and 11k, is 0.167 away; beside it, three groups that are no farther.
    spread = grouped([0, 0, 0, 1, 1, 1, 2, 2, 2], [3, 5, 8, 0, 4, 7, 1, 2, 6], 9, ordered=True)
    far = [grouped([0] * 3 + [1] * 6, [3, 5, 8, *rest], 9, ordered=True).t for rest in ([0, 1, 2, 4, 6, 7],)]
    assert far == [pytest.approx(0.167, abs=5e-4)]
    assert spread.t >= far[0]


def test_t_without_an_order_is_half_the_summed_differences():
    assert grouped([0, 0, 1, 1], [0, 0, 1, 2], 3).t == pytest.approx(0.5)
    assert grouped([0, 0, 1, 1], [0, 1, 0, 1], 2).t == 0


def test_entropy_l_counts_equally_likely_secrets():
    assert grouped([0] * 6, [0, 0, 1, 1, 2, 2], 4).entropy == pytest.approx(3)
    mixed = grouped([0] * 4, [0, 0, 0, 1], 2)
    assert mixed.entropy == pytest.approx(math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25))))
    assert mixed.distinct == 2
    assert mixed.entropy < mixed.distinct


@pytest.mark.parametrize("seed", range(4))
def test_measures_are_those_of_a_plain_count(seed):
    rng = np.random.default_rng(seed)
    codes = [rng.integers(0, size, 300) for size in (4, 3, 2)]
    secret = rng.integers(0, 5, 300)
    found = Grouped.make(codes, secret, 5)
    members = collections.defaultdict(list)
    for row, key in enumerate(zip(*codes, strict=True)):
        members[key].append(int(secret[row]))
    assert found.k == min(map(len, members.values()))
    assert found.distinct == min(len(set(told)) for told in members.values())
    assert found.share(found.found)[0] == pytest.approx(len(members) / 300)
    commonest = sum(max(collections.Counter(told).values()) for told in members.values())
    assert found.share(found.guessed)[0] == pytest.approx(commonest / 300)
    for out in (0, 1, 2):
        sure = sum(len(told) for told in members.values() if len(set(told)) <= 1 + out)
        assert found.share(found.certain(out))[0] == pytest.approx(sure / 300)
    whole = np.bincount(secret, minlength=5) / 300
    far = max(np.abs(np.bincount(told, minlength=5) / len(told) - whole).sum() / 2 for told in members.values())
    assert found.t == pytest.approx(far)


@pytest.mark.parametrize("k", [1, 2, 5, 13, 400])
def test_suppression_reaches_k_and_counts_whom_it_leaves_out(k):
    rng = np.random.default_rng(0)
    codes = [rng.integers(0, 6, 300), rng.integers(0, 5, 300)]
    whole = Grouped.make(codes, rng.integers(0, 3, 300), 3)
    left, gone = whole.at_least(k)
    sizes = np.bincount(codes[0] * 5 + codes[1])
    assert left.rows == sizes[sizes >= k].sum()
    assert left.rows + gone == 300
    assert left.k >= k or left.rows == 0
    np.testing.assert_array_equal(np.bincount(left.of, minlength=len(left.sizes)), left.sizes)


def test_nobody_left_is_said_without_a_warning():
    left, gone = grouped([0, 1, 2], [0, 1, 0], 2).at_least(2)
    assert (gone, left.k, left.distinct, left.entropy, left.t) == (3, 0, 0, 0, 0)
    assert math.isnan(left.share(left.found)[0])


@pytest.mark.parametrize("bad", [0, -1, 2.0, True, "2"])
def test_k_is_a_whole_number_from_1(bad):
    with pytest.raises(ValueError, match=r"'k' must be a whole number of at least 1. Got "):
        grouped([0, 1], [0, 1], 2).at_least(bad)


def test_many_wide_columns_do_not_run_over():
    most = 2**32 - 1  # three columns of 2³² codes are 2⁹⁶ cells: the first would be lost in 64 bits
    codes = [np.array(one) for one in ([0, 1, 0, most], [most, most, 0, most], [most, most, 0, most])]
    assert len(np.unique(anonymity.alike(codes, 4))) == 4


def test_the_interval_holds_what_other_groups_would_show():
    """Groups drawn anew, with a number of each: the truth is inside 95 % intervals about 95 times in 100."""
    rng, inside, p = np.random.default_rng(0), 0, np.linspace(0, 1, 40)
    for _ in range(300):
        sizes = rng.integers(1, 6, 500)
        one = grouped(np.repeat(np.arange(500), sizes), np.zeros(sizes.sum(), int), 1)
        _, low, high = one.share(rng.choice(p, 500))
        inside += low <= 0.5 <= high
    assert 270 <= inside <= 297


def test_one_group_is_never_certain_and_many_nearly_are():
    alone = grouped([0] * 50, [0] * 50, 2)
    mean, low, high = alone.share(alone.certain())
    assert mean == high == 1
    assert low < 0.3
    many = grouped(np.arange(5000) // 5, np.zeros(5000, int), 2)
    assert 0.995 < many.share(many.certain())[1] < 1


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("level", range(5))
def test_steps_come_from_the_card_and_get_coarser(name, level):
    for column in datasets.card(name).schema.columns:
        one = anonymity.coarse(name, column, level)
        if column.kind == "number":
            cuts = anonymity.edges(column, level)
            assert (cuts > column.low).all()
            assert (cuts < column.high).all()
            assert (np.diff(cuts) > 0).all()
            assert len(cuts) < max(anonymity.BINS[level], 1) or level == 0
            if level and len(cuts):
                middles = one.middles()
                assert len(middles) == len(cuts) + 1
                own = np.searchsorted(cuts, middles, "right")
                np.testing.assert_array_equal(own, np.arange(len(middles)), "a middle lies within its step")
        elif one.told is not None:
            assert len(one.told.categories) <= len(column.categories)


def test_ages_are_cut_at_round_years():
    age = next(column for column in datasets.card("adult").schema.columns if column.name == "age")
    for level, width in ((1, 5), (2, 10), (3, 25), (4, 50)):
        cuts = anonymity.edges(age, level)
        assert set(np.diff(cuts)) <= {width}
        assert (cuts % width == 0).all()
    years = np.arange(17, 91)
    codes = Coarse(age, 2).codes(age.scale(years))
    np.testing.assert_array_equal(
        codes, np.minimum(years // 10, 8) - 1, "a person of 30 is in the thirties, one of 29 is not"
    )
    assert Coarse(age, 2).middles()[1] == 25


@pytest.mark.parametrize("name", SHIPPED)
def test_what_a_stranger_knows_and_public_groups_are_columns_of_the_card(name):
    columns = {column.name: column for column in datasets.card(name).schema.columns}
    assert set(anonymity.KNOWN[name]) <= set(columns)
    for column, groups in anonymity.GROUPS.get(name, {}).items():
        Coarse(columns[column], 2, groups)


def test_groups_must_hold_every_category_once():
    one = Column("c", categories=("a", "b", "c"))
    for groups in ((("a", "b"),), (("a", "b"), ("b", "c")), (("a", "b", "c"), ("d",))):
        with pytest.raises(ValueError, match="'groups' of 'c' must hold each of its categories once"):
            Coarse(one, 2, groups)


@pytest.mark.parametrize("bad", [-1, 5, 1.0, True])
def test_a_level_exists(bad):
    with pytest.raises(ValueError, match=r"'level' must be a whole number in \[0, 4\]"):
        Coarse(Column("c", 0, 1), bad)


@pytest.mark.parametrize(("name", "level"), [("adult", 1), ("adult", 2), ("german", 3), ("rand", 1)])
def test_a_coarser_table_has_larger_groups(name, level):
    data = datasets.load(name)
    parts = minimise.encoded(data, data.X_train)
    columns = [column for column in data.schema.columns if column.name in anonymity.KNOWN[name]]
    found = []
    for one in (level - 1, level):
        codes = [anonymity.coarse(name, column, one).codes(parts[column.name]) for column in columns]
        found.append(Grouped.make(codes, data.y_train.astype(int), 2))
    fine, rough = found
    assert rough.share(rough.found)[0] < fine.share(fine.found)[0]
    assert rough.at_least(5)[1] < fine.at_least(5)[1]
