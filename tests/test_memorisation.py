"""The counting language model, its privacy, and what attackers get of planted secrets."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image
from scipy import stats
from stdnum import luhn

import privlab
from privlab import accounting, ngrams, texts
from privlab.experiments import _memorisation_secrets as secrets
from privlab.experiments import memorisation
from privlab.panel.figure import Canvas


@pytest.fixture(scope="module")
def model():
    return ngrams.Model.learn([ngrams.simplify(line) for line in texts.lines("plays")[:2000]], 48)


def row(which, text):
    """The cell of a letter after the letters before it."""
    code = 0
    for letter in text:
        code = code * ngrams.SIZE + ngrams.ALPHABET.index(letter)
    assert len(text) == ngrams.BEFORE[which] + 1
    return np.array([code])


def test_the_text_is_the_one_on_its_card():
    card, lines = texts.card("plays"), texts.lines("plays")
    assert len(lines) == card.n == 14_785
    assert card.licence == "public domain"
    assert "To be, or not to be,--that is the question:--" in lines
    assert not any(letter.isdigit() or letter == "@" for line in lines for letter in line)
    with pytest.raises(ValueError, match=r"'text' must be among notes, plays\. Got 'poems'"):
        texts.lines("poems")


def test_a_text_that_is_not_on_its_card_is_refused(monkeypatch, tmp_path):
    (tmp_path / "texts").mkdir()
    for path in (texts.folder() / "texts").iterdir():
        raw = path.read_bytes()
        (tmp_path / "texts" / path.name).write_bytes(raw if path.suffix == ".toml" else b"\x1f\x8b" + raw[2:])
    card = (tmp_path / "texts" / "plays.toml").read_text("utf-8")
    (tmp_path / "texts" / "plays.toml").write_text(card.replace('sha256 = "3', 'sha256 = "4'), "utf-8")
    monkeypatch.setattr(texts, "folder", lambda: tmp_path)
    texts.card.cache_clear()
    with pytest.raises(ValueError, match="The text of 'plays' must match the SHA-256 on its card"):
        texts.lines.__wrapped__("plays")
    texts.card.cache_clear()


def test_lines_are_simplified_to_the_public_alphabet():
    assert ngrams.simplify("  To be--or NOT;  é1 ~ 'tis! ") == "to be or not, 1 'tis."
    assert set(ngrams.simplify("".join(map(chr, range(300))))) <= set(ngrams.ALPHABET)


def test_counts_are_of_lines_not_of_occurrences():
    found = ngrams.Model.learn(["aaaaaab", "aab", "b"], 48)
    assert found.counts(0, row(0, "aaa")) == 1
    assert found.counts(0, row(0, "aab")) == 2
    assert found.counts(0, row(0, "\n\nb")) == 1
    assert found.counts(0, row(0, "\nb\n")) == 1
    assert found.counts(1, row(1, "aaaab")) == 1
    assert found.counts(1, row(1, "\n\naab")) == 1
    assert found.counts(1, row(1, "bbbbb")) == 0


def test_a_line_with_more_copies_is_the_same_as_learning_it_again(model):
    told, lines = "my bank pin code 4821", ["aab", "to be or not"]
    again, more = ngrams.Model.learn([*lines, told, told, told], 48), ngrams.Model.learn(lines, 48).with_line(told, 3)
    for (cells, counts), (cells_more, counts_more) in zip(again.tables, more.tables, strict=True):
        np.testing.assert_array_equal(cells, cells_more)
        np.testing.assert_array_equal(counts, counts_more)


@pytest.mark.parametrize("length", [40, 48, 64])
def test_no_line_moves_the_counts_further_than_the_sensitivity(length):
    rng, farthest = np.random.default_rng(0), 0.0
    letters = list(ngrams.ALPHABET[1:])
    lines = ["a" * 200, "", "ab" * 100, *("".join(rng.choice(letters, 200)) for _ in range(20))]
    for line in lines:
        moved = sum(first.sum() for _, first in ngrams.held([line], length))
        farthest = max(farthest, math.sqrt(moved))
    assert farthest == pytest.approx(ngrams.sensitivity(length)), "a line of varied letters reaches it, none passes"


def test_noise_is_normal_and_belongs_to_seed_and_cell():
    cells = np.arange(200_000)
    z = ngrams.noise((1,), 4, cells)
    assert stats.kstest(z, "norm").pvalue > 1e-6
    assert abs(np.corrcoef(z[:-1], z[1:])[0, 1]) < 5 / math.sqrt(len(z))
    for other in (ngrams.noise((2,), 4, cells), ngrams.noise((1,), 2, cells), ngrams.noise((1, 0, 1), 4, cells)):
        assert abs(np.corrcoef(z, other)[0, 1]) < 5 / math.sqrt(len(z))
    np.testing.assert_array_equal(ngrams.noise((1,), 4, cells[::-7]), z[::-7])
    far = ngrams.noise((1,), 4, ngrams.SIZE**5 - 1 - cells)
    assert stats.kstest(far, "norm").pvalue > 1e-6


def test_every_count_gets_the_whole_noise_also_where_it_is_zero(model):
    sigma = accounting.gaussian_noise_multiplier(epsilon=1, delta=1e-6)
    noisy = model.noisy(sigma, (3,))
    scale = sigma * math.sqrt(2 * 48)
    for which, before in enumerate(ngrams.BEFORE):
        anywhere = np.random.default_rng(0).integers(0, ngrams.SIZE ** (before + 1), 20_000)
        for cells in (anywhere, model.tables[which][0][:5000]):
            added = noisy.counts(which, cells) - model.counts(which, cells)
            spread = math.sqrt(2 / len(cells)) * 5
            assert added.var() == pytest.approx(scale**2, rel=spread)
    assert len(model.tables[1][0]) > 5000


def test_chances_add_up_and_follow_the_longer_context():
    found = ngrams.Model.learn(["abcdx", "abcdx", "zzcdy", "zzcdy", "zzcdy", "zzcdy"], 48)
    codes = np.array([[ngrams.ALPHABET.index(letter) for letter in text] for text in ("abcd", "zzcd", "qqcd", "qqqq")])
    chances = found.chances(codes)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert [ngrams.ALPHABET[k] for k in chances[:3].argmax(axis=1)] == ["x", "y", "y"]
    np.testing.assert_allclose(chances[3], 1 / ngrams.SIZE)
    short = (4 + 3 / ngrams.SIZE) / (6 + 3)
    assert chances[2, ngrams.ALPHABET.index("y")] == pytest.approx(short)
    assert chances[1, ngrams.ALPHABET.index("y")] == pytest.approx((4 + 3 * short) / 7)
    assert found.complete("ab") == "cdx"
    assert found.complete("qqqq") == ""
    assert found.accuracy(["abcdx", "zzcdy"]) == pytest.approx(11 / 12), "only one first letter is foreseen"


def test_secrets_are_made_up_and_only_cards_can_be_found():
    rng = np.random.default_rng(0)
    for value in rng.integers(secrets.POSSIBLE, size=30).tolist():
        told = secrets.line("card", value)
        digits = "".join(filter(str.isdigit, told))
        assert len(digits) == 16
        assert digits[0] == "9"
        assert digits[11:15] == f"{value:04d}"
        assert luhn.is_valid(digits)
        assert secrets.tokenised(told) == "my bank number <card:1>"
        assert told.startswith(secrets.prompt("card", value, "digits"))
        pin = secrets.line("pin", value)
        assert secrets.tokenised(pin) == pin
        assert pin.startswith(secrets.prompt("pin", value, "digits"))


@pytest.mark.parametrize("kind", ["card", "pin"])
def test_overlap_and_noise_are_those_of_the_models_own_counts(kind, model):
    """What the attacker adds up is what the released tables hold."""
    found, secret, copies, sigma = secrets.candidates(kind, 48), 4821, 7, 2.0
    told = secrets.line(kind, secret)
    released = model.with_line(told, copies).noisy(sigma, (5,))
    overlap, noise = found.overlap(told, 48), found.noise((5,))
    assert overlap.argmax() == secret
    for other in (4821, 4820, 17, 9999):
        text, scored, background = secrets.line(kind, other), 0.0, 0.0
        for which, (rows, first) in enumerate(ngrams.held([text], 48)):
            own = rows[first][np.isin(rows[first], found.ids[which])]
            scored += released.counts(which, own).sum()
            background += model.counts(which, own).sum()
        expected = copies * overlap[other] + sigma * math.sqrt(96) * noise[other]
        assert scored - background == pytest.approx(expected)


def test_the_attack_is_the_likelihood():
    """Ranking by the score is ranking by the Gaussian density of all noisy counts."""
    found = secrets.candidates("pin", 48)
    width = sum(map(len, found.ids))
    rng, copies, scale, secret = np.random.default_rng(1), 5, 20.0, 1234
    some = np.append(rng.choice(secrets.POSSIBLE, 600, replace=False), secret)
    for seed in range(4):
        noises = [ngrams.noise((seed,), b, ids) for b, ids in zip(ngrams.BEFORE, found.ids, strict=True)]
        seen = scale * np.concatenate(noises)
        seen[found.members[secret][found.members[secret] < width]] += copies
        density = []
        for candidate in some:
            mean = np.zeros(width)
            mean[found.members[candidate][found.members[candidate] < width]] = copies
            density.append(-((seen - mean) ** 2).sum() / (2 * scale**2))
        expected = 1 + (np.array(density) > density[-1]).sum()
        parts = found.overlap(secrets.line("pin", secret), 48)[some], found.noise((seed,))[some], found.sizes[some]
        got = secrets.ranks(*parts, np.array([copies]), np.array([scale]), len(some) - 1, 0.0)
        assert got.tolist() == [expected]


def test_lines_with_fewer_cells_are_not_held_against_them():
    sizes = secrets.candidates("pin", 48).sizes
    assert sizes[1111] < sizes[1234] == 10
    even, shorter = np.array([2, 2]), np.array([2, 1])
    assert secrets.ranks(even, np.zeros(2), shorter, np.ones(1), np.ones(1), 0, 0.0).tolist() == [2]


def test_ranks_of_a_secret_that_was_never_told_are_guesses():
    nothing = np.zeros(secrets.POSSIBLE)
    rng = np.random.default_rng(0)
    rank = np.array(
        [secrets.ranks(nothing, nothing, nothing, np.zeros(1), np.zeros(1), 3, rng.random())[0] for _ in range(2000)]
    )
    assert rank.min() >= 1
    assert rank.max() <= secrets.POSSIBLE
    assert stats.kstest(rank / secrets.POSSIBLE, "uniform").pvalue > 1e-6
    assert secrets.guessing() == pytest.approx(1 / math.log(2), abs=0.002)
    assert secrets.exposure(np.array([1, 10_000])).tolist() == [math.log2(10_000), 0.0]


def test_the_limit_is_tight_for_the_best_attack_there_could_be():
    """One shifted normal among 9,999 others has the mean exposure that is said to be the most, and no more."""
    rng = np.random.default_rng(0)
    others = np.sort(rng.standard_normal((40, secrets.POSSIBLE - 1)), axis=1)
    for shift in (0.25, 1.0, 2.5):
        own = shift + rng.standard_normal((40, 50))
        rank = 1 + np.array([len(row) - np.searchsorted(row, one) for row, one in zip(others, own, strict=True)])
        bits = secrets.exposure(rank)
        error = 5 * bits.std() / math.sqrt(bits.size)
        assert secrets.limit(np.array([shift]), np.array([1.0]))[0] == pytest.approx(bits.mean(), abs=error)
    assert secrets.limit(np.array([0.0]), np.array([1.0]))[0] == pytest.approx(secrets.guessing())
    pure = secrets.guessing() + np.array([0.5, 1.0]) / math.log(2)
    assert (secrets.limit(np.array([1, 1]), np.array([8.0, 4.2])) < pure).all()


@pytest.mark.parametrize("settings", [{"epsilon": 1}, {"epsilon": 8}, {"view": "epsilon", "copies": 10}])
def test_no_attack_passes_the_limit_and_it_comes_near(settings):
    found = privlab.run("memorisation", seeds=120, secret="pin", **settings)
    mean = found.estimate("private").mean
    error = 5 * secrets.exposure(found.ranks["private"]).std(axis=0) / math.sqrt(120)
    assert (mean <= found.limit + error + 1e-9).all()
    assert mean.max() > 13, "told often enough, or with little noise, it is out"
    assert mean.min() < 4


def test_tokens_protect_what_is_found_and_noise_the_rest():
    card, pin = (privlab.run("memorisation", secret=kind, copies=3, seeds=60) for kind in ("card", "pin"))
    for found in (card, pin):
        assert (found.ranks["plain"] == 1).all(), "a single copy is remembered for good"
        assert found.estimate("private").mean[found.held] < 3.5
    assert (pin.ranks["tokens"] == 1).all()
    assert card.estimate("tokens").mean == pytest.approx(secrets.guessing(), abs=5 * 1.44 / math.sqrt(60))
    assert card.completions["plain"] == card.missing
    assert card.completions["tokens"] == card.completions["private"] == ""
    assert pin.completions["tokens"] == pin.missing
    assert card.accuracy["plain"] == pytest.approx(card.accuracy["tokens"], abs=0.001)
    assert card.accuracy["plain"] > card.accuracy["private"] + 0.1


def test_words_alone_bring_out_what_was_told_often():
    once, often = (privlab.run("memorisation", prompt="words", copies=k, seeds=2) for k in (1, 40))
    assert once.completions["plain"] != once.missing
    assert often.completions["plain"] == often.missing == "9021 4657 382" + often.missing[13:]
    assert often.completions["tokens"] == "<card:1>"
    crowd = privlab.run("memorisation", prompt="words", copies=1000, seeds=2)
    assert crowd.completions["private"] == crowd.missing


def test_results_come_early_and_get_better():
    results = [item for item in memorisation.run(memorisation.Settings(seeds=6)) if item is not None]
    assert [len(one.ranks["private"]) for one in results] == [1, 2, 3, 4, 6, 6]
    progress = [one.progress for one in results]
    assert progress == sorted(progress)
    assert progress[-1] == 1
    assert not results[0].accuracy
    assert set(results[-1].accuracy) == {"plain", "tokens", "private"}
    assert "Of unseen letters" in results[-1].sentence
    assert "Of unseen letters" not in results[0].sentence
    table = results[-1].summary()
    assert (table["low"] >= 0).all()
    assert (table["high"] <= math.log2(secrets.POSSIBLE) + 1e-9).all()


def test_the_frame_is_the_ranks():
    found = privlab.run("memorisation", seeds=3, view="epsilon", epsilon=0.7)
    frame = found.frame()
    assert len(frame) == 3 * 3 * len(found.x)
    assert found.x[found.held] == 0.7
    one = frame[(frame["way"] == "private") & (frame["repeat"] == 2) & (frame["epsilon"] == 0.7)]
    assert one["rank"].tolist() == [found.ranks["private"][2, found.held]]
    assert one["exposure"].tolist() == [math.log2(10_000 / one["rank"].iloc[0])]


def test_lines_that_lie_on_each_other_are_all_seen():
    """Far to the right everything is out whatever protects: the broad line, the fine one and the dotted one."""
    canvas = Canvas(memorisation.Picture)
    canvas.draw(privlab.run("memorisation", seeds=2))
    picture = canvas.picture
    pixels = np.asarray(Image.open(io.BytesIO(canvas.export("png"))).convert("RGB")).astype(int)
    scale = pixels.shape[0] / picture.ax.figure.bbox.height
    x, y = scale * picture.ax.transData.transform((400, np.log2(secrets.POSSIBLE)))
    row, column = round(pixels.shape[0] - y), round(x)
    around = pixels[row - 14 : row + 15, column - 40 : column + 40].reshape(-1, 3)
    for line in (picture.ways["plain"].line, picture.ways["private"].line, picture.limit):
        cover = line.get_alpha() or 1
        ink = 255 * (cover * np.array(to_rgb(line.get_color())) + 1 - cover)
        assert (np.abs(around - ink).max(axis=1) < 20).sum() > 40, line.get_color()
