"""Data cards: what is public about a data set, and where its rows lie.

A shipped set is ``data/NAME.toml`` beside ``NAME.csv.gz``; scikit-learn's own sets are read from
the files it installs, found without importing it.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from privlab.columns import Column
from privlab.schema import Schema
from privlab.tables import pd

SHIPPED = ("adult", "credit", "german", "rand", "votes", "breast_cancer", "digits", "diabetes")


@dataclass(frozen=True)
class Source:
    """Where the rows lie.

    Attributes
    ----------
    paths : tuple of Path
        Delimited text files, plain or gzip, whose columns stand side by side.
    sha256 : str
        Of their text, one after the other, with Unix line ends.
    header : bool
        Whether the first line names the columns; else they are the card's, target last.
    skip : int
        Lines to leave out at the start.
    separator : str
    target_codes : bool
        Whether the file gives a class as its position among the classes.
    """

    paths: tuple[Path, ...]
    sha256: str
    header: bool = True
    skip: int = 0
    separator: str = ","
    target_codes: bool = False


@dataclass(frozen=True)
class Card:
    """Everything public about a data set; holds no row.

    Attributes
    ----------
    name, title : str
    schema : Schema
        Bounds, categories, target and classes.
    unit : {"person", "row"}
        What privacy protects.
    n : int
        Declared number of protected units in the whole set.
    n_train : int
        Declared number of protected units in the training split.
    rows : int
        Rows in the whole set.
    score : str
        What the score on the test split is, in words.
    score_range : (float, float)
        The score axis of a picture.
    sensitive : tuple of str
        Columns about what people may wish to hide.
    person : str, optional
        The column that tells whose row it is; without it each row is a unit of its own.
    max_rows_per_person : int
        Public bound on the rows of one person.
    split : str, optional
        The column that holds "train" or "test"; without it the split is pseudo-random by unit.
    source, licence, citation : str
    file : Source, optional
        None for own data.
    leaks : tuple of str
        What was read from the data instead of declared.
    words : tuple of (str, str)
        Columns whose names tell people little, with what they hold; see `call`.
    """

    name: str
    title: str
    schema: Schema
    unit: str
    n: int
    n_train: int
    rows: int
    score: str
    score_range: tuple[float, float]
    sensitive: tuple[str, ...] = ()
    person: str | None = None
    max_rows_per_person: int = 1
    split: str | None = None
    source: str = ""
    licence: str = ""
    citation: str = ""
    file: Source | None = None
    leaks: tuple[str, ...] = ()
    words: tuple[tuple[str, str], ...] = ()

    def call(self, column: str) -> str:
        """A column as people read it; one's own columns keep their names."""
        return column if self.file is None else dict(self.words).get(column, column.replace("_", " ").replace("-", " "))

    @property
    def short(self) -> str:
        """The data set's name in words, without its question."""
        return self.title.partition(":")[0]


def folder() -> Path:
    """Return the folder of the shipped data: inside the package, or beside it in a checkout."""
    inside = Path(__file__).parent / "data"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "data"


@cache
def read_card(name: str) -> Card:
    """Read the card of a shipped data set."""
    text = tomllib.loads((folder() / f"{name}.toml").read_text(encoding="utf-8"))
    schema = Schema.from_dict({"target": text.pop("target"), "columns": text.pop("columns")})
    return Card(
        name=name,
        schema=schema,
        file=_source(**text.pop("file")),
        score_range=tuple(text.pop("score_range")),
        sensitive=tuple(text.pop("sensitive")),
        words=tuple(text.pop("words", {}).items()),
        **text,
    )


def _source(*, path: str | list[str], package: str | None = None, **rest: Any) -> Source:
    root = folder()
    if package is not None:
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            raise ModuleNotFoundError(f"No module named '{package}', whose data files are needed.")
        root = Path(found.origin).parent
    names = [path] if isinstance(path, str) else path
    return Source(paths=tuple(root / name for name in names), **rest)


def read_table(card: Card, *, split: bool = True) -> pd.DataFrame:
    """Read the rows of a shipped data set, with or without its column of splits, and check them against the card.

    Raises
    ------
    ValueError
        If the files are not those that the card describes.
    """
    source = card.file
    assert source is not None
    texts = [_text(path) for path in source.paths]
    if hashlib.sha256(b"".join(texts)).hexdigest() != source.sha256:
        raise ValueError(f"The data of '{card.name}' must match the SHA-256 on its card.")
    schema, target = card.schema, card.schema.target
    known = {column.name: _dtype(column) for column in (*schema.columns, target)}
    parts = [
        pd.read_csv(
            io.BytesIO(text),
            sep=source.separator,
            skiprows=source.skip,
            header=0 if source.header else None,
            dtype=known if source.header else None,
            keep_default_na=False,
            na_values=[""],
        )
        for text in texts
    ]
    table = parts[0] if source.header else pd.concat(parts, axis=1).set_axis([*known], axis=1)
    if source.target_codes:
        table[target.name] = pd.Categorical.from_codes(
            table[target.name].to_numpy(), dtype=pd.CategoricalDtype(list(target.categories))
        )
    return table if split or card.split is None else table.drop(columns=card.split)


def _dtype(column: Column) -> Any:
    return pd.CategoricalDtype(list(column.categories)) if column.categories else "float32"


def _text(path: Path) -> bytes:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).replace(b"\r\n", b"\n")
