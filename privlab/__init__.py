"""privlab: an interactive privacy lab for Jupyter.

>>> import privlab
>>> privlab.explore("tradeoff")  # doctest: +SKIP

`explore` opens a panel, `run` computes the same without widgets, `solve` finds the ε for what you need, `verify` puts
a promise to the test, `load` and `from_frame` bring data, `answer` checks an answer to a notebook's question.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from privlab import accounting, audit, composition, datasets, experiments, questions
from privlab.datasets import Dataset, from_frame, load
from privlab.experiments import run
from privlab.questions import answer
from privlab.schema import PrivacyLeakWarning, Schema
from privlab.solving import solve
from privlab.verification import verify

if TYPE_CHECKING:
    from privlab.estimators import DPLinearRegression, DPLogisticRegression, DPMLPClassifier
    from privlab.panel import Panel

__version__ = "0.1.0"
__all__ = [
    "DPLinearRegression",
    "DPLogisticRegression",
    "DPMLPClassifier",
    "Dataset",
    "PrivacyLeakWarning",
    "Schema",
    "accounting",
    "answer",
    "audit",
    "composition",
    "datasets",
    "experiments",
    "explore",
    "from_frame",
    "load",
    "questions",
    "run",
    "solve",
    "verify",
]


def explore(experiment: str, **values: Any) -> Panel:
    """Open an experiment's panel.

    Parameters
    ----------
    experiment : str
        One of `privlab.experiments.names()`, or a settings code such as ``"tradeoff?epsilon=0.5"``.
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
    """
    from privlab.panel import Panel

    return Panel(experiment, **values)


def __getattr__(name: str) -> Any:
    """Bring scikit-learn, which takes seconds to import, only with the estimators that need it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("privlab.estimators"), name)
