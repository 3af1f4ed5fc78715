"""Tokens, keys and vaults; and what finds personal data in a text."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import itertools
import json
import logging
import os
import pickle
import stat
import subprocess
import sys

import pytest
from stdnum import luhn

from privlab import personal, pseudonyms
from privlab.pseudonyms import Key, Vault, plain_hash, translation

SENTINEL = b"sentinel-key-0123456789-abcdefgh"


@pytest.fixture
def stored(tmp_path):
    return Key.stored("mine", where=tmp_path / "keys")


def forms(secret):
    """How a secret may turn up in a text."""
    plain = secret.decode("latin-1")
    return {plain, secret.hex(), base64.b64encode(secret).decode().rstrip("="), json.dumps(plain)[1:-1], repr(secret)}


def test_a_token_is_the_hmac_of_kind_and_value():
    digest = hmac.new(SENTINEL, b"5:phone+442079460123", hashlib.sha256).digest()
    expected = base64.b32encode(digest[:10]).decode().lower()
    assert Key(SENTINEL).token("phone", "+442079460123") == expected
    assert len(expected) == 16


def test_tokens_are_equal_for_equal_values_only():
    key = Key(SENTINEL)
    values = [f"+4420794{n:05d}" for n in range(20_000)]
    tokens = {key.token("phone", value) for value in values}
    assert len(tokens) == len(values)
    assert key.token("phone", values[3]) in tokens
    assert key.token("name", values[3]) not in tokens
    assert key.token("a", "bc") != key.token("ab", "c"), "where the kind ends is part of it"


def test_tokens_of_two_keys_have_nothing_in_common():
    one, other = Key.fresh(), Key.fresh()
    values = [str(n) for n in range(5000)]
    assert not {one.token("id", v) for v in values} & {other.token("id", v) for v in values}
    pairs = [(one.token("id", v), other.token("id", v)) for v in values[:2000]]
    same = sum(a == b for pair in pairs for a, b in zip(*pair, strict=True)) / (16 * len(pairs))
    assert same == pytest.approx(1 / 32, abs=0.006), "letters agree as often as by chance"


def test_a_stored_key_is_made_once_for_the_user_alone(stored, tmp_path):
    assert stored.path == tmp_path / "keys" / "mine.key"
    if os.name == "posix":
        assert stat.S_IMODE(stored.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(stored.path.parent.stat().st_mode) == 0o700
    assert len(stored.path.read_bytes()) == 32
    again = Key.stored("mine", where=tmp_path / "keys")
    assert again.token("x", "y") == stored.token("x", "y")
    assert Key.stored("other", where=tmp_path / "keys").token("x", "y") != stored.token("x", "y")


def test_keys_lie_outside_the_project_unless_told_otherwise():
    from platformdirs import user_data_path

    assert pseudonyms.folder() == user_data_path("privlab") / "keys"
    assert not pseudonyms.folder().is_relative_to(os.path.realpath(os.path.dirname(os.path.dirname(__file__))))


def test_a_key_that_others_may_read_is_refused(stored, monkeypatch):
    monkeypatch.setattr(os, "name", "posix")
    monkeypatch.setattr(stat, "S_IMODE", lambda mode: 0o640)
    with pytest.raises(PermissionError, match="The file of the key 'mine' must have mode 0600: others may read it"):
        Key.stored("mine", where=stored.path.parent)


@pytest.mark.parametrize("name", ["", "../mine", "a/b", "a" * 41, "k.key", "ä"])
def test_a_name_that_could_leave_the_folder_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match="'name' must be 1 to 40 letters, digits, '-' and '_'"):
        Key.stored(name, where=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_key_is_refused_without_showing_it(stored):
    stored.path.write_bytes(SENTINEL + b"more")
    with pytest.raises(ValueError, match=r"'secret' must have 32 bytes\. Got 36") as error:
        Key.stored("mine", where=stored.path.parent)
    assert "sentinel" not in str(error.value)


def test_a_key_never_shows_itself(caplog, capsys):
    key = Key(SENTINEL)
    caplog.set_level(logging.DEBUG)
    logging.getLogger("test").warning("%s %r", key, [key])
    shown = f"{key} {key!r} {dir(key)} {key.path}" + caplog.text + capsys.readouterr().out
    assert "Key(hidden)" in shown
    for form in forms(SENTINEL):
        assert form not in shown
    assert not hasattr(key, "__dict__")
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy, lambda k: pickle.dumps({"k": k})):
        with pytest.raises(TypeError, match="must not be copied or pickled"):
            attempt(key)
    with pytest.raises(TypeError):
        json.dumps(key)


def test_rotation_makes_another_key_and_tables_can_be_brought_over(stored):
    before = stored.token("id", "7")
    new = stored.rotate()
    assert stat.S_IMODE(new.path.stat().st_mode) & 0o077 == 0 or os.name != "posix"
    assert new.path == stored.path
    assert [path.name for path in new.path.parent.iterdir()] == ["mine.key"], "the old key is nowhere"
    assert Key.stored("mine", where=new.path.parent).token("id", "7") == new.token("id", "7") != before
    assert stored.token("id", "7") == before, "as long as it is at hand"
    assert translation(stored, new, "id", ["7", "8"]) == {stored.token("id", v): new.token("id", v) for v in ("7", "8")}


def test_a_deleted_key_makes_its_tokens_mute(stored):
    path, before = stored.path, stored.token("id", "7")
    stored.delete()
    assert not path.exists()
    assert stored.path is None
    assert stored.token("id", "7") != before
    assert Key.stored("mine", where=path.parent).token("id", "7") != before
    for act in (stored.delete, stored.rotate, Key.fresh().rotate):
        with pytest.raises(ValueError, match="The key must be in a file"):
            act()


def test_two_processes_get_the_same_key(tmp_path):
    code = f"from pathlib import Path; from privlab.pseudonyms import Key; print(Key.stored('k', where=Path({str(tmp_path)!r})).token('a', 'b'))"  # noqa: E501
    told = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert told[0].stdout == told[1].stdout != ""


def test_a_vault_leads_back_until_it_forgets():
    vault = Vault()
    token = vault.token("phone", "+442079460123")
    assert vault.token("phone", "+442079460123") == token != Vault().token("phone", "+442079460123")
    assert vault.token("name", "+442079460123") != token
    assert vault.value("phone", token) == "+442079460123"
    assert len(vault) == 2
    assert repr(vault) == "Vault(2 values)"
    vault.forget("phone", "+442079460123")
    vault.forget("phone", "never there")
    with pytest.raises(KeyError, match="The vault has no such token of kind 'phone'") as error:
        vault.value("phone", token)
    assert token not in str(error.value)
    assert error.value.__cause__ is None
    assert len(vault) == 1


def test_a_vault_can_keep_the_format_and_no_card_of_it_checks():
    vault = Vault(like=True)
    cards = [vault.token("card", f"90214657382{n:05d}") for n in range(300)]
    assert all(len(card) == 16 and card.isdigit() and not luhn.is_valid(card) for card in cards)
    assert len(set(cards)) == 300
    mixed = vault.token("id", "Ab-12 c")
    assert [c.isdigit() for c in mixed] == [c.isdigit() for c in "Ab-12 c"]
    assert mixed[0].isupper()
    assert mixed[1].islower()
    assert mixed[2] == "-"
    digits = {vault.token("digit", str(n)) for n in range(5)}
    assert len(digits) == 5, "no token twice"
    with pytest.raises(ValueError, match="The format of a 'sign' leaves no free token"):
        vault.token("sign", "--")


def test_a_plain_hash_is_sha256():
    assert plain_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert plain_hash("c", "ab") == plain_hash("abc")


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("card 9021 4657 3821 2340, thanks", "card", "9021465738212340"),
        ("card 9021-4657-3821-2340", "card", "9021465738212340"),
        ("9021465738212340", "card", "9021465738212340"),
        ("pay GB82 WEST 1234 5698 7654 32 PLEASE", "iban", "GB82WEST12345698765432"),
        ("pay gb82west12345698765432 by noon", "iban", "GB82WEST12345698765432"),
        ("to Viola.Orsino@Example.ORG.", "email", "viola.orsino@example.org"),
        ("ring 020 7946 0123!", "phone", "+442079460123"),
        ("ring +44 (0)20 7946 0123", "phone", "+442079460123"),
        ("ring +1 212 555 0187", "phone", "+12125550187"),
    ],
)
def test_it_finds_what_passes_its_check_in_one_spelling(text, kind, value):
    (found,) = personal.find(text)
    assert (found.kind, found.value) == (kind, value)
    assert personal.replace(text, lambda k, v: f"{k}-{v}") == text.replace(
        text[found.start : found.end], f"<{kind}:{kind}-{value}>"
    )
    assert value not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        "card 9021 4657 3821 2341",
        "pay GB83 WEST 1234 5698 7654 32",
        "order 902146, seats 3 to 7, 14:30 on 12.10.2026, £12.50",
        "follow @players, or a@b",
        "Juliet Capulet, 12 Verona Road, PIN 4821",
        "version 1.2.3 of 1603",
        "",
    ],
)
def test_what_has_no_check_or_fails_it_stays(text):
    assert personal.find(text) == []
    assert personal.replace(text, lambda kind, value: "gone") == text


def test_several_finds_come_in_order_and_do_not_overlap():
    text = "a@example.org or 020 7946 0123, card 9021 4657 3821 2340, b@example.org"
    found = personal.find(text)
    assert [one.kind for one in found] == ["email", "phone", "card", "email"]
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    key = Key(SENTINEL)
    clean = personal.replace(text, key.token)
    assert personal.find(clean) == []
    assert clean.count(key.token("card", "9021465738212340")) == 1


def test_where_two_kinds_overlap_the_first_is_taken():
    (found,) = personal.find("write to 020.7946.0123@example.org now")
    assert found.kind == "email"
    (found,) = personal.find("write to 9021465738212340@example.org now")
    assert found.kind == "card"


def test_an_unknown_region_is_refused():
    with pytest.raises(ValueError, match=r"'region' must be a country's two letters, such as 'GB'\. Got 'XX'"):
        personal.find("020 7946 0123", region="XX")
    assert personal.find("030 12345678", region="DE")[0].value == "+493012345678"
