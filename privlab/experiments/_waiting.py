"""Waiting for what takes long without holding anybody up."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from privlab import accounting, dpsgd


def for_the_accountant() -> Iterator[None]:
    """Import dp-accounting, 1–2 s, while the notebook goes on."""
    warming = threading.Thread(target=accounting.warm_up, daemon=True)
    warming.start()
    while warming.is_alive():
        warming.join(dpsgd.PATIENCE)
        yield
