"""Long work, watched: a progress bar with Stop in a notebook, nothing elsewhere."""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """Something that shows how far work is and may stop it."""

    def show(self, done: int, total: int) -> None:
        """Tell how much of the work is done."""
        ...

    @property
    def stopped(self) -> bool:
        """Whether somebody wants it to end."""
        ...

    def close(self) -> None:
        """Go away."""
        ...


class Silent:
    """A watch that shows nothing."""

    stopped = False

    def show(self, done: int, total: int) -> None:
        """Tell nobody."""

    def close(self) -> None:
        """Do nothing."""


def bar(title: str) -> Watch:
    """A progress bar with Stop in a notebook, else nothing."""
    try:
        from IPython import get_ipython
    except ImportError:
        return Silent()
    if getattr(get_ipython(), "kernel", None) is None:
        return Silent()
    from privlab.panel.progress import Progress

    return Progress(title)
