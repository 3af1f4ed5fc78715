"""The dossier: one file that records how a model came about, for those who must answer for it.

It holds words, settings, counts and hashes: no row, no key, and no person's value. What nobody measured is said to be
not measured. It needs no network and no script.

The *result hash* is SHA-256 over the settings and the results that they bring back: whoever runs the same settings
again, with the same versions, gets the same hash. Noise from the system's entropy never comes twice; what was drawn
with it is left out of the hash, and the dossier says so.
"""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privlab import datasets, experiments
from privlab import dossier_sections as say
from privlab.dossier_sections import Row, Section
from privlab.tables import FORMULA

if TYPE_CHECKING:
    from privlab.attacks import Attack
    from privlab.audit import Bound
    from privlab.datasets import Dataset
    from privlab.flow import Flow
    from privlab.ledger import Ledger
    from privlab.policy import Check
    from privlab.release import Private
    from privlab.verification import Report

NOTHING = "Not measured."
NUMBER = re.compile(r"[+-]?[\d.,]+(e[+-]?\d+)?")
# Below its own heading, on a line of its own: words from elsewhere have no line ends and cannot look like it.
SEAL = re.compile(r"^(?:## Result hash\n\n|<h2>Result hash</h2>\n<p>)SHA-256 of settings and results: (\w{64})", re.M)
CLOSING = (
    "This record gives evidence to people who must judge. It does not claim that any law is complied with, and what it "
    "does not mention nobody looked at."
)
STYLE = (
    "body{font:16px/1.5 system-ui,'DejaVu Sans',sans-serif;color:#111;background:#fff;max-width:60em;margin:2em auto;"
    "padding:0 1em}h1{font-size:1.6em}h2{font-size:1.2em;margin-top:1.6em;border-bottom:1px solid #bbb}"
    "table{border-collapse:collapse}th,td{text-align:left;vertical-align:top;padding:.2em .8em .2em 0;"
    "border-bottom:1px solid #ddd;overflow-wrap:anywhere}"
)


@dataclass(frozen=True)
class Dossier:
    """A record of a model.

    Attributes
    ----------
    title : str
    hash : str
        Of the result, hexadecimal; see `result_hash`. Empty if there is no result and no model.
    sections : tuple of Section
    paths : tuple of Path
        Where it was written.
    """

    title: str
    hash: str
    sections: tuple[Section, ...]
    paths: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        where = ", ".join(path.name for path in self.paths) or "nowhere yet"
        return f"Dossier of {self.title!r}, result hash {self.hash or 'none'}, written to {where}"

    def html(self) -> str:
        """The record as one HTML page: no script, nothing fetched."""
        parts = [
            "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'>",
            # a page may be opened where scripts run: this one asks for none, nor for anything from elsewhere
            "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{_safe(self.title)}</title><style>{STYLE}</style></head><body><h1>{_safe(self.title)}</h1>",
        ]
        for section in self.sections:
            parts.append(f"<h2>{_safe(section.title)}</h2>")
            parts += [f"<p>{_safe(line)}</p>" for line in _lines(section)]
            if section.table:
                rows = [
                    "".join(f"<{tag}>{_safe(cell)}</{tag}>" for cell in row)
                    for tag, row in zip(["th", *["td"] * len(section.table)], section.table, strict=False)
                ]
                parts.append(f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>")
        return "\n".join([*parts, "</body></html>", ""])

    def markdown(self) -> str:
        """The same record as Markdown."""
        parts = [f"# {_marked(self.title)}"]
        for section in self.sections:
            parts.append(f"## {_marked(section.title)}")
            parts += [_marked(line) for line in _lines(section)]
            if section.table:
                head, *body = [f"| {' | '.join(map(_marked, row))} |" for row in section.table]
                parts.append("\n".join([head, f"|{' --- |' * len(section.table[0])}", *body]))
        return "\n\n".join(parts) + "\n"

    def write(self, path: str | os.PathLike[str]) -> Dossier:
        """Write it and return it with its paths: ``.html`` or ``.md`` by suffix, without a suffix both.

        Each file is replaced at the end and in one go.

        Raises
        ------
        ValueError
            For another suffix, or a folder that does not exist.
        """
        places = check_path(path)
        for place in places:
            _replace(place, self.html() if place.suffix == ".html" else self.markdown())
        return Dossier(self.title, self.hash, self.sections, places)


def dossier(
    result: Any = None,
    *,
    path: str | os.PathLike[str],
    title: str | None = None,
    purpose: str = "",
    dataset: str | Dataset | None = None,
    flow: Flow | None = None,
    minimisation: Mapping[str, object] | None = None,
    model: Private | None = None,
    audit: Report | Bound | None = None,
    attack: Attack | Mapping[str, object] | None = None,
    ledger: Ledger | None = None,
    checks: Sequence[Check] | None = None,
    artefacts: Mapping[str, bytes | os.PathLike[str]] | None = None,
) -> Dossier:
    """Write a record of a model. Every part may be left out, and is then said to be not measured.

    Words that you give, such as the names of a flow's stages or of a ledger's charges, are shown as they are.

    Parameters
    ----------
    result : Result or str, optional
        Of an experiment, or what to run: a name or a settings code such as ``"lifecycle?epsilon=0.5"``. An experiment
        that knows of the parts below brings its own; those given here go before them.
    path : path
        Where to write: ``.html`` or ``.md`` by suffix, without a suffix both. What is there is replaced.
    title, purpose : str, optional
        What the record is called, and what the data is used for.
    dataset : str or Dataset, optional
        Of which the card is shown, and of that no bound or category that was read from the data.
    flow : Flow, optional
        Where the people went.
    minimisation : mapping, optional
        Figures on what was left out, by name.
    model : estimator, optional
        One of privlab's, fitted.
    audit : Report or Bound, optional
        From `privlab.verify` or `privlab.audit`.
    attack : Attack or mapping, optional
        From `privlab.attacks`; or figures by name.
    ledger : Ledger, optional
        Its budget, the last entries and whether it is whole.
    checks : sequence of Check, optional
        From `privlab.check`.
    artefacts : mapping, optional
        Files or bytes by name, of which the SHA-256 is told. Not for small private files: who can guess what is in
        one can check the guess by its hash.

    Returns
    -------
    Dossier
        With `.hash`, `.paths`, `.html()` and `.markdown()`.

    Raises
    ------
    ValueError, TypeError
        Before any work, for a path that cannot be written or parts of the wrong kind.

    Examples
    --------
    ``privlab.dossier("lifecycle?epsilon=0.5", path="adult.html")``
    """
    check_path(path)
    if isinstance(result, str):
        result = experiments.run(result)
    given = {
        "title": title, "purpose": purpose or None, "dataset": dataset, "flow": flow, "minimisation": minimisation,
        "model": model, "audit": audit, "attack": attack, "ledger": ledger, "checks": checks, "artefacts": artefacts,
    }  # fmt: skip
    return make(result, **{name: value for name, value in given.items() if value is not None}).write(path)


def make(result: Any = None, **given: Any) -> Dossier:
    """The record that `dossier` writes, unwritten."""
    module = None if result is None else _module(result)
    known = getattr(module, "evidence", lambda _: {})(result) | given
    data = known.get("dataset", getattr(getattr(result, "settings", None), "dataset", None))
    card = None if data is None else datasets.card(data) if isinstance(data, str) else data.card
    model, name = known.get("model"), "" if module is None else _name(module)
    seal = "" if result is None and model is None else result_hash(result, model)
    fresh = [*_fresh(result, module), *(["the model's weights"] if model is not None and model.privacy_.fresh else [])]
    shown = None if say.shows_values(card) else result
    return Dossier(
        known.get("title") or f"Dossier: {name or ('no model' if model is None else type(model).__name__)}",
        seal,
        (
            Section("Purpose", (known["purpose"],) if known.get("purpose") else ()),
            say.finding(shown) if shown is result else Section("Finding", (say.WITHHELD,)),
            say.settings(name, result, model),
            say.card(card),
            say.flow(known.get("flow")),
            Section("Minimisation", (), say.pairs(known.get("minimisation"))),
            say.promise(known.get("privacy"), model, shown),
            say.audit(known.get("audit")),
            say.attack(known.get("attack")),
            say.ledger(known.get("ledger")),
            say.checks(known.get("checks")),
            say.artefacts(known.get("artefacts"), model),
            say.versions(result, model),
            say.seal(seal, fresh),
            Section("What this is not", (CLOSING,)),
        ),
    )


def result_hash(result: Any = None, model: Private | None = None) -> str:
    """SHA-256 of settings and results, in one spelling: numbers to four digits, names sorted.

    Of an experiment's result: its name, all settings and its table, without the columns whose noise is fresh. Of a
    model: its parameters and what it spent; its weights too if it has a `random_state`, for else they never come again.
    """
    content: dict[str, Any] = {}
    if result is not None:
        module = _module(result)
        content |= {"experiment": _name(module), "settings": _spelled(result.settings.as_dict())}
        if not _is_release(result):
            table = result.frame().drop(columns=_fresh(result, module))
            content["columns"] = [str(column) for column in table.columns]
            content["rows"] = [_spelled(row) for row in table.itertuples(index=False)]
    if model is not None:
        content |= {
            "model": type(model).__name__,
            "parameters": _spelled(model.get_params()),
            "spent": _spelled(vars(model.privacy_)),
        }
        if not model.privacy_.fresh:
            content["weights"] = _spelled(model.weights_.first.ravel().tolist())
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_hash(path: str | os.PathLike[str]) -> str:
    """The result hash that a written dossier names; empty if it names none."""
    found = SEAL.search(Path(path).read_text("utf-8"))
    return found[1] if found else ""


def check_path(path: str | os.PathLike[str]) -> tuple[Path, ...]:
    """The files that a path stands for."""
    place = Path(path)
    if place.suffix not in ("", ".html", ".md"):
        raise ValueError(f"'path' must end in .html or .md, or have no suffix for both. Got '{place.suffix}'.")
    if not place.parent.is_dir():
        raise ValueError("'path' must be in a folder that exists. Got another.")
    return (place,) if place.suffix else (place.with_suffix(".html"), place.with_suffix(".md"))


def _replace(place: Path, text: str) -> None:
    """Write a file in one go, or leave all as it was."""
    handle, part = tempfile.mkstemp(dir=place.parent, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(part, place)
    except BaseException:
        os.unlink(part)
        raise


def _module(result: Any) -> Any:
    """The experiment that a result is of."""
    name = type(result.settings).__module__.rpartition(".")[2] if hasattr(result, "settings") else ""
    if name not in experiments.names():
        raise TypeError(f"'result' must be an experiment's Result or its name. Got {type(result).__name__}.")
    return experiments.get(name)


def _name(module: Any) -> str:
    return str(module.__name__.rpartition(".")[2])


def _is_release(result: Any) -> bool:
    """Whether it was paid for in private mode: then all of its noise is fresh."""
    return hasattr(result, "bill")


def _fresh(result: Any, module: Any) -> list[str]:
    """The parts of a result that never come again."""
    return ["all that was released"] if _is_release(result) else list(getattr(module, "FRESH", ()))


def _spelled(value: Any) -> Any:
    """One spelling of a setting or a result: four digits, and no difference between 1 and 1.0 or 0 and -0."""
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): _spelled(one) for key, one in value.items()}
    if isinstance(value, Iterable):
        return [_spelled(one) for one in value]
    return f"{float(value) + 0.0:.4g}"  # -0 + 0 is 0


def _plain(raw: object) -> str:
    """Text from anywhere on one line, and none that a spreadsheet would take for a formula."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in str(raw)).split())
    return f"'{words}" if words[:1] in FORMULA and not NUMBER.fullmatch(words) else words


def _safe(raw: object) -> str:
    """Text made safe for HTML: the one place where that happens here."""
    return html.escape(_plain(raw), quote=True)


def _marked(raw: object) -> str:
    """Text made safe for Markdown: no tag, link, picture or table comes of it."""
    words = re.sub(r"([\\`*_\[\]<>!|~&@$])", r"\\\1", _plain(raw))
    return re.sub(r"^#", r"\#", words).replace("://", r":\/\/").replace("www.", r"www\.")


def _lines(section: Section) -> Row:
    return section.lines if section.lines or section.table else (NOTHING,)
