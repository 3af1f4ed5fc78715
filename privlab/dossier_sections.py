"""The parts of a dossier: what each kind of evidence says in sentences and in a table."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from privlab.cards import Card
    from privlab.flow import Flow
    from privlab.ledger import Ledger
    from privlab.policy import Check

LAST = 20  # entries of a ledger that are shown
ALARM = 0.01  # the share of false alarms at which an attack is told of
PACKAGES = ("numpy", "pandas", "scikit-learn", "dp-accounting", "opendp")
COUNTS = ("n", "max_rows_per_person")  # leaks that are numbers of people and show no value
WITHHELD = "Withheld: bounds or categories were read from the data, and these words might show them."
Row = tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """One part of a dossier: sentences, then a table whose first row is its head. Neither: it was not measured."""

    title: str
    lines: Row = ()
    table: tuple[Row, ...] = ()


def pairs(found: Mapping[str, object] | None) -> tuple[Row, ...]:
    """A table of two columns."""
    return (("what", "value"), *((str(name), str(value)) for name, value in found.items())) if found else ()


def shows_values(card: Card | None) -> bool:
    """Whether something of a card came from people's values, so that words made with it might show one."""
    return card is not None and bool(set(card.leaks) - set(COUNTS))


def finding(result: Any) -> Section:
    """The result's sentence, and its table in short."""
    if result is None:
        return Section("Finding")
    table = result.summary()
    rows = [tuple(_cell(value) for value in row) for row in table.itertuples(index=False)]
    return Section("Finding", (result.sentence,), (tuple(map(str, table.columns)), *rows))


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def settings(name: str, result: Any, model: Any) -> Section:
    """What was chosen, and how to do it again."""
    rows = [] if result is None else list(result.settings.as_dict().items())
    if model is not None:
        rows += [(key, value) for key, value in model.get_params().items() if key != "classes"]
    if not rows:
        return Section("Settings")
    again = () if result is None else (f"Again: privlab.run({f'{name}?{result.settings.code()}'.rstrip('?')!r})",)
    return Section("Settings", again, (("setting", "value"), *((key, str(value)) for key, value in rows)))


def card(card: Card | None) -> Section:
    """What is public about the data; no bound that was read from them, and no category at all."""
    if card is None:
        return Section("Data card")
    rows = {
        "title": card.title,
        "protected": f"{card.n:,}, by {card.unit}",
        "rows": f"{card.rows:,}",
        "source": card.source,
        "licence": card.licence,
        "citation": card.citation,
        "target": card.schema.target.name,
        "sensitive columns": ", ".join(card.sensitive),
        "read from the data": "; ".join(card.leaks) or "nothing",
    }
    for column in card.schema.columns:
        told = f"{len(column.categories)} categories" if column.categories else f"{column.low:g} to {column.high:g}"
        rows[f"column {column.name}"] = "withheld, for it was read from the data" if shows_values(card) else told
    return Section("Data card", (), pairs({name: words or "not stated" for name, words in rows.items()}))


def flow(flow: Flow | None) -> Section:
    """How many people went where."""
    title = "Consent: where the people went"
    if flow is None:
        return Section(title)
    rows = [(stage, f"{became} {which}".strip(), f"{n:,}") for stage, became, which, n in flow.frame().to_numpy()]
    return Section(title, (f"Every person is found again: {flow}.",), (("stage", "became", "people"), *rows))


def promise(words: str | None, model: Any, result: Any) -> Section:
    """What ε is upheld, and what that rests on."""
    lines = [words] if words else []
    if model is not None:
        lines.append(str(model.privacy_))
    points = () if result is None else result.assumptions
    return Section("ε and what it assumes", (*lines, *points))


def audit(found: Any) -> Section:
    """How large ε must at least be."""
    if found is None:
        return Section("Audit")
    bound = getattr(found, "bound", found)
    lines = [
        f"ε is at least {bound.lower_bound:.3g} at δ = {bound.delta:g}, with {100 * bound.confidence:g} % confidence; "
        f"so many runs could have shown {bound.ceiling:.3g}. Of {bound.without_trials:,} runs without the person "
        f"{bound.false_positives:,} were taken for runs with them, of {bound.with_trials:,} with them "
        f"{bound.false_negatives:,} for runs without."
    ]
    return Section("Audit", (*lines, *([found.words] if hasattr(found, "words") else [])))


def attack(found: Any) -> Section:
    """What an attacker got."""
    if found is None or isinstance(found, Mapping):
        return Section("Attack", (), pairs(found))
    (low, high), hits, (least, most) = found.auc_interval, float(found.hits(ALARM)), found.interval(ALARM)
    told = "too few people to say" if hits != hits else f"{100 * hits:.1f} % ({100 * least:.1f} to {100 * most:.1f})"
    return Section(
        "Attack", (),
        (("what", "value"), ("membership, AUC (0.5 is a coin)", f"{found.auc:.3f} ({low:.3f} to {high:.3f})"),
         (f"members found at {100 * ALARM:g} % false alarms", told), ("intervals are for", found.covers)),
    )  # fmt: skip


def ledger(ledger: Ledger | None) -> Section:
    """The budget, the last charges, and whether the book is whole."""
    if ledger is None:
        return Section("Ledger")
    found = ledger.verify()
    if not found:  # whose end is spoilt does not know what was spent
        return Section("Ledger", (str(found),))
    entries = ledger.entries()
    lines = (
        f"Spent {ledger.spent():.4g} of ε = {ledger.epsilon:g} at δ = {ledger.delta:g}. {found}",
        f"The last {min(LAST, len(entries))} of {len(entries)} charges:",
    )
    rows = [(str(e.number), e.time, e.what, f"{e.epsilon:.4g}", f"{e.spent:.4g}") for e in entries[-LAST:]]
    return Section("Ledger", lines, (("number", "time", "what", "ε more", "ε spent"), *rows))


def checks(checks: Sequence[Check] | None) -> Section:
    """What became of each rule of a policy."""
    if not checks:
        return Section("Policy")
    blocks = [one.rule for one in checks if not one.passed]
    verdict = f"Blocks: {', '.join(blocks)}." if blocks else f"All {len(checks)} rules passed."
    rows = [
        (one.rule, "passed" if one.passed else "BLOCKS", one.evidence, ", ".join(one.articles),
         "" if one.passed else one.remedy)
        for one in checks
    ]  # fmt: skip
    return Section("Policy", (verdict,), (("rule", "", "evidence", "for GDPR Art.", "remedy"), *rows))


def artefacts(artefacts: Mapping[str, Any] | None, model: Any) -> Section:
    """Hashes of files, and of the weights."""
    raw = {name: one if isinstance(one, bytes) else Path(one).read_bytes() for name, one in (artefacts or {}).items()}
    if model is not None:
        raw["the model's weights"] = model.weights_.first.tobytes() + (
            b"" if model.weights_.second is None else model.weights_.second.tobytes()
        )
    return Section(
        "Artefacts", (), pairs({name: f"SHA-256 {hashlib.sha256(one).hexdigest()}" for name, one in raw.items()})
    )


def versions(result: Any, model: Any) -> Section:
    """With what it was made, and from which seeds."""
    from privlab import __version__

    rows = {"privlab": __version__, "Python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}"}  # fmt: skip
    rows |= {name: version(name) for name in PACKAGES}
    seed = getattr(getattr(result, "settings", None), "seed", None)
    seeds = [] if seed is None else [f"{seed} (experiment)"]
    if model is not None:
        own = model.random_state
        seeds.append("the system's entropy, fresh at every fit (model)" if own is None else f"{own} (model)")
    rows["seeds"] = ", ".join(seeds) or "none"
    rows["written"] = datetime.now(UTC).isoformat(timespec="seconds")
    return Section("Versions and seeds", (), pairs(rows))


def seal(seal: str, fresh: Sequence[str]) -> Section:
    """The result hash, and what it leaves out."""
    if not seal:
        return Section("Result hash")
    left_out = (
        f"Left out, for the noise is fresh each time: {', '.join(fresh)}." if fresh else "Nothing of it is left out."
    )
    return Section(
        "Result hash",
        (
            f"SHA-256 of settings and results: {seal}",
            "The same settings, run again with these versions, give the same hash; numbers count to four digits. "
            f"{left_out}",
        ),
    )
