"""Attacks on pseudonyms: each is real, each finds what it should and no more, and no key shows."""

from __future__ import annotations

import base64
import hashlib
import logging
import pickle
import re
from collections import Counter

import numpy as np
import pytest

import privlab
from privlab import pseudonyms, texts
from privlab.experiments import _tokens_attacks as attacks
from privlab.experiments import _tokens_result as results
from privlab.experiments import tokens
from privlab.pseudonyms import Key

SENTINEL = b"sentinel-key-0123456789-abcdefgh"


@pytest.fixture(scope="module")
def key():
    return Key(SENTINEL)


def test_a_plain_hash_falls_to_a_list_and_really_by_hashing(monkeypatch):
    rng = np.random.default_rng(0)
    known, tries = attacks.numbers(50, 4, rng), attacks.attempts(4, rng)
    assert len(set(tries)) == 10_000
    made = []
    hashed = pseudonyms.plain_hash
    monkeypatch.setattr(pseudonyms, "plain_hash", lambda value, salt="": made.append(value) or hashed(value, salt))
    rows = list(attacks.reverse_hashes(known, tries))
    assert len(made) == 50 + 10_000
    assert rows[-1] == (10_000, 50)
    tried, found = rows[2]
    half = set(tries[:tried])
    assert found == sum(number in half for number in known) < 50
    assert hashed(known[0]) == hashlib.sha256(known[0].encode()).hexdigest()


def test_a_salt_makes_each_person_a_search_of_their_own():
    tries = [f"{n}" for n in range(100)]
    known, salts = ["30", "99", "5", "7"], ["a", "b", "c", "d"]
    assert list(attacks.reverse_salted(known, salts, tries, 31)) == [(31, 1)]
    assert list(attacks.reverse_salted(known, salts, tries, 130)) == [(130, 1)]
    assert list(attacks.reverse_salted(known, salts, tries, 131)) == [(131, 2)]
    assert list(attacks.reverse_salted(known, salts, tries, 1000)) == [(31 + 100 + 6 + 8, 4)]


def test_without_the_key_no_token_falls_and_with_it_all_do(key):
    rng = np.random.default_rng(0)
    known, tries = attacks.numbers(20, 3, rng), attacks.attempts(3, rng)
    *_, without = attacks.reverse_tokens(known, key, Key.fresh(), tries)
    *_, within = attacks.reverse_tokens(known, key, key, tries)
    assert without == (1000, 0)
    assert within == (1000, 20)


def test_counting_matches_by_rank_and_needs_no_key(key):
    people, public = list("aaaabbbccd"), list("xxxxxyyyzzw")
    matched = attacks.match_by_frequency(people, public)
    assert matched == {"a": "x", "b": "y", "c": "z", "d": "w"}
    assert attacks.match_by_frequency(list("ab"), list("x")) == {"a": "x"}
    assert attacks.guessed_by_frequency(list("aaabbc"), list("aaaabbbccd"), key) == 1.0
    assert attacks.guessed_by_frequency(list("abbccc"), list("aaabbc"), key) == pytest.approx(2 / 6)
    assert attacks.guessed_blindly(list("aabbb"), list("aab")) == pytest.approx(0.4)


def test_ranks_are_matched_the_likeliest_way(key):
    """No other assignment of tokens to values has a higher likelihood."""
    from itertools import permutations

    rng = np.random.default_rng(1)
    chances = np.array([0.4, 0.3, 0.2, 0.1])
    people = rng.choice(list("abcd"), 40, p=chances).tolist()
    counts = Counter(people)
    public = [letter for letter, often in zip("abcd", (4, 3, 2, 1), strict=True) for _ in range(often)]
    matched = attacks.match_by_frequency(people, public)

    def likelihood(assigned):
        return sum(often * np.log(chances["abcd".index(assigned[token])]) for token, often in counts.items())

    best = max(likelihood(dict(zip("abcd", order, strict=True))) for order in permutations("abcd"))
    assert likelihood(matched) == pytest.approx(best)


def test_two_tables_share_half_of_their_people():
    first, second = attacks.two_tables(500, np.random.default_rng(0))
    assert len(set(first.tolist())) == len(set(second.tolist())) == 500
    assert len(np.intersect1d(first, second)) == 250


def test_tokens_link_under_one_key_and_never_under_two(key):
    first, second = attacks.two_tables(2000, np.random.default_rng(0))
    assert attacks.linked_by_token(first, second, (key, key)) == (1.0, 0.0)
    assert attacks.linked_by_token(first, second, (key, Key.fresh())) == (0.0, 0.0)


def test_columns_link_who_is_alone_in_both(monkeypatch):
    monkeypatch.setattr(attacks, "codes", lambda: np.array([[0, 0], [0, 1], [1, 0], [1, 1], [1, 1], [0, 1]]))
    first, second = np.array([0, 1, 2, 3]), np.array([0, 2, 4, 5])
    assert attacks.linked_by_columns(first, second, 0) == (0.0, 0.0)
    assert attacks.linked_by_columns(first, second, 1) == (0.0, 0.0)
    right, wrong = attacks.linked_by_columns(first, second, 2)
    assert right == 1.0, "0 and 2 are alone and the same"
    assert wrong == 0.5, "1 with 5 and 3 with 4 are taken for the same"


def test_more_columns_link_more_real_people():
    first, second = attacks.two_tables(1000, np.random.default_rng(0))
    found = [attacks.linked_by_columns(first, second, count) for count in range(len(attacks.KEPT) + 1)]
    right = [share for share, _ in found]
    assert right == sorted(right)
    assert right[3] < 0.05
    assert right[-1] > 0.9
    assert all(0 <= wrong < 0.5 for _, wrong in found)


def test_labels_are_taken_out_of_the_text():
    found = attacks.read_labels("a {pin|4821} b {name|Tom Snout}.")
    assert found.text == "a 4821 b Tom Snout."
    assert [(found.text[start:end], kind) for start, end, kind in found.labels] == [
        ("4821", "pin"), ("Tom Snout", "name"),
    ]  # fmt: skip


def test_finds_are_judged_by_what_they_cover():
    message = attacks.read_labels("ring {phone|020 7946 0123}, {name|Tom Snout}, order 9021465738212340")
    covered, right = attacks.search(message)
    assert covered == {"phone": [True], "name": [False]}
    assert right == {"phone": [True], "card": [False]}
    assert attacks.search(attacks.read_labels("{street|020 7946 0123 Verona Road}")) == (
        {"street": [False]},
        {"phone": [True]},
    ), "half of a label is not found, though the find is right"


def test_the_messages_are_made_up_and_labelled():
    card, messages = texts.card("notes"), attacks.notes()
    assert len(messages) == card.n == 900
    assert "made up" in card.source
    kinds = Counter(kind for message in messages for _, _, kind in message.labels)
    assert set(kinds) == set(attacks.TEXT_KINDS)
    assert min(kinds.values()) >= 64
    assert not any("{" in message.text or "|" in message.text for message in messages)
    bare = [message for message in messages if not message.labels]
    assert len(bare) == 450
    assert sum(any(c.isdigit() for c in message.text) for message in bare) > 300, "other numbers lead astray"
    for message in messages:
        for start, end, kind in message.labels:
            value = message.text[start:end]
            if kind == "email":
                assert re.search(r"example( dot |\.)(org|com|net)$", value)
            if kind == "card":
                assert value[0] == "9"
            if kind == "iban":
                assert value[5:9] == "PLAY"


def test_the_attack_by_list_is_told_with_its_time():
    found = privlab.run("tokens", people=100, digits=4)
    assert found.tried["hash"][1][-1] == 100
    assert found.tried["token"][1].max() == 0
    for tried, people, seconds in found.tried.values():
        for column in (tried, people, seconds):
            assert (np.diff(column) >= 0).all()
        assert seconds[0] > 0
    assert found.needed("salted") == pytest.approx(50 * 10_000 / found.speed("salted"))
    assert found.needed("hash") == pytest.approx(10_000 / found.speed("hash"))
    assert "finds 100 % of the people" in found.sentence
    assert "n = 100 people" in found.sentence
    assert found.count == sum(int(tried[-1]) for tried, _, _ in found.tried.values())


def test_counting_and_linking_are_as_told():
    few, many = (privlab.run("tokens", view="frequency", people=n, seeds=6) for n in (100, 20_000))
    token = [one.estimate("token").mean[one.held] for one in (few, many)]
    assert token[0] < 0.8 < 0.95 < token[1]
    blind = many.estimate("fresh").mean[many.held]
    assert blind == pytest.approx(np.mean(np.array(attacks.column("education-num", "train")) == "9.0"), abs=0.01)
    assert f"{100 * token[1]:.0f} % of the people right" in many.sentence
    link = privlab.run("tokens", view="link", people=300, seeds=3)
    assert (link.shares["same"] == 1).all()
    assert (link.shares["other"][:, 0] == 0).all()
    assert link.shares["other"][:, -1].min() > 0.9
    for found in (few, many, link):
        again = privlab.run("tokens", **found.settings.changed())
        assert again.frame().equals(found.frame()), "keys are new each time; what they leave open is the same"


def test_precision_and_recall_are_those_of_the_messages():
    found = privlab.run("tokens", view="text")
    assert found.progress == 1
    table = found.summary().set_index("what")
    assert table.loc[list(results.FOUND), "share"].between(0.55, 0.85).all()
    assert (table.loc[["pin", "street", "name"], "right"] == 0).all()
    assert table.loc["precision", "share"] > 0.9
    assert (table["low"] <= table["share"]).all()
    assert (table["high"] >= table["share"]).all()
    assert table["of"].drop("precision").sum() == 450
    covered = sum(all(attacks.search(m)[0].get("phone", [False])) for m in attacks.notes())
    assert table.loc["phone", "right"] == covered


@pytest.mark.parametrize("view", ["reverse", "frequency", "link", "text"])
def test_no_key_is_in_anything_that_is_shown_or_kept(view, monkeypatch, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    used = []
    monkeypatch.setattr(Key, "fresh", classmethod(lambda cls: used.append(1) or cls(SENTINEL)))
    last = None
    for found in tokens.run(tokens.Settings(view=view, people=30, digits=3, seeds=2)):
        last = found or last
    assert bool(used) == (view != "text")
    shown = "".join((
        repr(last), last.frame().to_csv(), last.summary().to_csv(), last.sentence, *last.assumptions,
        last.settings.to_json(), last.settings.code(), caplog.text, *capsys.readouterr(),
    ))  # fmt: skip
    raw = pickle.dumps(last) + shown.encode()
    for form in (SENTINEL, SENTINEL.hex().encode(), base64.b64encode(SENTINEL).rstrip(b"="), SENTINEL[::-1]):
        assert form not in raw


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.214, "0.21 seconds"),
        (73, "73 seconds"),
        (118, "120 seconds"),
        (150, "2.5 minutes"),
        (7300, "2 hours"),
        (3e5, "3.5 days"),
        (1e9, "32 years"),
    ],
)
def test_times_are_told_in_plain_words(seconds, words):
    assert results.duration(seconds) == words
