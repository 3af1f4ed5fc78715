"""The experiments: one file each, found by looking into this folder.

An experiment's module holds `Settings`, `Result`, `run(settings)` and `Picture`; its docstring's first line is the
question it answers. It may hold `prepare(settings)`, a generator for idle moments; `compare(pinned, result)`, words on
two results, which brings the panel's Pin; `evidence(result)`, what a dossier says of it, which brings the panel's
Dossier; and `FRESH`, the columns of its table that are drawn with the system's entropy, so that no seed brings them
back.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from privlab.settings import Controls
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.ledger import Ledger
    from privlab.policy import Gate


@runtime_checkable
class Result(Protocol):
    """What an experiment found so far."""

    settings: Any
    progress: float  # from 0 to 1: how much of what was asked for is in it
    count: int  # models, or releases, that it is made of

    def frame(self) -> pd.DataFrame:
        """The table: a tidy DataFrame."""
        ...

    def summary(self) -> pd.DataFrame:
        """The table's digest, short enough to read."""
        ...

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the finding rests on, in sentences."""
        ...

    @property
    def sentence(self) -> str:
        """The finding in words, naming the settings it belongs to."""
        ...


class Experiment(Protocol):
    """What the module of an experiment holds."""

    __name__: str
    __doc__: str | None
    Settings: type[Controls]
    Picture: type[Any]

    def run(self, settings: Any) -> Iterator[Any]:
        """Yield better and better results, or None, at least every 30 ms."""
        ...


def names() -> tuple[str, ...]:
    """The names of all experiments."""
    return tuple(sorted(m.name for m in iter_modules(__path__) if not m.name.startswith("_")))


def get(name: str) -> Any:
    """The module of an experiment."""
    if name not in names():
        raise ValueError(f"'experiment' must be among {', '.join(names())}. Got {name!r}.")
    return import_module(f"{__name__}.{name}")


def run(experiment: str, *, ledger: Ledger | None = None, gate: Gate | None = None, **values: Any) -> Any:
    """Run an experiment to its end and return its final Result, with no widgets.

    Parameters
    ----------
    experiment : str
        One of `names()`, or a settings code such as ``"tradeoff?epsilon=0.5"``.
    ledger : Ledger, optional
        For private data: every look is charged to it, and only what was released is shown. See `privlab.private`.
    gate : Gate, optional
        With a ledger: a policy that is checked before each training and each release. See `privlab.policy`.
    **values
        Its settings; those left out keep their defaults.

    Raises
    ------
    ValueError, TypeError
        For an unknown experiment or setting, or a value out of its range, before any work starts.
    BudgetExceededError, PolicyError
        If the ledger's budget, or the gate's policy, does not allow the look.
    """
    module, settings = read(experiment, values)
    last = None
    for result in opened(module, ledger, gate).run(settings):
        last = last if result is None else result
    return last


def opened(module: Any, ledger: Ledger | None, gate: Gate | None, rest: float = 0.0) -> Any:
    """An experiment in private mode if there is a ledger, else as it is, in teaching mode; see `privlab.private`."""
    if ledger is not None:
        from privlab.private import Private

        return Private(module, ledger, gate, rest)
    if gate is not None:
        raise ValueError("'gate' must come with 'ledger', for teaching mode releases nothing. Got it alone.")
    return module


def read(experiment: str, values: dict[str, Any]) -> tuple[Any, Any]:
    """The module and the settings that a name or a settings code, with values over it, stands for."""
    name, _, code = experiment.strip().partition("?")
    module = get(name)
    base = module.Settings.from_code(code) if code else None
    return module, module.Settings.make(base, **values)


def script(experiment: str, settings: Controls, ledger: Ledger | None = None) -> str:
    """A short program that computes a result again, without widgets; with a ledger, at its expense."""
    given = "".join(f"    {name}={value!r},\n" for name, value in settings.changed().items())
    if ledger is not None:
        given = f"    ledger=privlab.Ledger({str(ledger.path)!r}),\n{given}"
    call = f'privlab.run(\n    "{experiment}",\n{given})' if given else f'privlab.run("{experiment}")'
    return f"import privlab\n\nresult = {call}\nprint(result.sentence)\nprint(result.frame())\n"
