"""privlab: an interactive privacy lab for Jupyter.

>>> import privlab
>>> privlab.explore("tradeoff")  # doctest: +SKIP

`explore` opens a panel, `run` computes the same without widgets, `sweep` does so at every point of a grid, `share`
writes it into one file to send, `solve` finds the ε for what you need, `verify` puts a promise to the test, `dossier`
records how a model came about. `load` and `from_frame` bring data, `bring` and `declare` a file of your own; `answer`
checks an answer to a notebook's question, and `story` shows all of it to stakeholders.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from privlab import accounting, composition, datasets, experiments, questions
from privlab.datasets import Dataset, from_frame, load
from privlab.experiments import run
from privlab.questions import answer
from privlab.schema import PrivacyLeakWarning, Schema

if TYPE_CHECKING:
    from privlab import anonymity, attacks, audit, consent, intake, minimise
    from privlab.declaring import declare
    from privlab.dossiers import dossier
    from privlab.estimators import DPLinearRegression, DPLogisticRegression, DPMLPClassifier
    from privlab.ledger import Ledger
    from privlab.panel import Panel
    from privlab.panel.bring import Bring
    from privlab.panel.story import Story
    from privlab.policy import Gate, check
    from privlab.sharing import share
    from privlab.solving import solve
    from privlab.sweeping import sweep
    from privlab.verification import verify

LATER = {  # what a first picture does without, and where it is
    "DPLinearRegression": "estimators",
    "DPLogisticRegression": "estimators",
    "DPMLPClassifier": "estimators",
    "Gate": "policy",
    "Ledger": "ledger",
    "anonymity": "",
    "attacks": "",
    "audit": "",
    "check": "policy",
    "consent": "",
    "declare": "declaring",
    "dossier": "dossiers",
    "intake": "",
    "minimise": "",
    "share": "sharing",
    "solve": "solving",
    "sweep": "sweeping",
    "verify": "verification",
}
__version__ = "0.1.0"
__all__ = [
    "DPLinearRegression",
    "DPLogisticRegression",
    "DPMLPClassifier",
    "Dataset",
    "Gate",
    "Ledger",
    "PrivacyLeakWarning",
    "Schema",
    "accounting",
    "anonymity",
    "answer",
    "attacks",
    "audit",
    "bring",
    "check",
    "composition",
    "consent",
    "datasets",
    "declare",
    "dossier",
    "experiments",
    "explore",
    "from_frame",
    "intake",
    "load",
    "minimise",
    "questions",
    "run",
    "share",
    "solve",
    "story",
    "sweep",
    "verify",
]


def explore(experiment: str, *, ledger: Ledger | None = None, gate: Gate | None = None, **values: Any) -> Panel:
    """Open an experiment's panel.

    Parameters
    ----------
    experiment : str
        One of `privlab.experiments.names()`, or a settings code such as ``"tradeoff?epsilon=0.5"``.
    ledger : Ledger, optional
        For private data: every look is charged to it, and only what was released is shown. See `privlab.private`.
    gate : Gate, optional
        With a ledger: a policy that is checked before each training and each release. See `privlab.policy`.
    **values
        Settings to start from; those left out keep their defaults.

    Returns
    -------
    Panel
        Shown when it is a cell's last value. Has `.settings`, `.result`, `.sentence`, `.set()`, `.wait()`, `.close()`.

    Raises
    ------
    ValueError, TypeError
        For an unknown experiment or setting, or a value out of its range.
    BudgetExceededError, PolicyError
        If the ledger's budget, or the gate's policy, does not allow the first look.
    """
    from privlab.panel import Panel

    return Panel(experiment, ledger, gate, **values)


def bring(path: str | os.PathLike[str] | None = None, *, ledger: Ledger | None = None) -> Bring:
    """Open a form for a table of your own: upload it or give its path, say what is public about it, and look at it.

    It is registered with everything declared, and opened in private mode: every look is charged to a ledger. Nothing of
    the rows is shown before. `privlab.declare` does the same in code.

    Parameters
    ----------
    path : path, optional
        A CSV or Parquet file to begin with. See `privlab.intake`.
    ledger : Ledger, optional
        Whose budget pays. Default: one whose file and budget the form asks for.

    Returns
    -------
    Bring
        Shown when it is a cell's last value. Has `.dataset`, `.ledger`, `.panel`, `.close()`.
    """
    from privlab.panel.bring import Bring

    return Bring(path, ledger)


def story() -> Story:
    """Open the story for stakeholders: one question after another, computed as it is shown, with no code.

    Returns
    -------
    Story
        Shown when it is a cell's last value; `python -m privlab demo` serves it as a page.
    """
    from privlab.panel.story import Story

    return Story()


def __getattr__(name: str) -> Any:
    """Import when it is asked for what a first picture does without; scikit-learn alone takes seconds."""
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"privlab.{LATER[name] or name}")
    return getattr(module, name) if LATER[name] else module
