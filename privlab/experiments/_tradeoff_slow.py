"""What the trade-off fits in worker processes, because one fit takes long and cannot be interrupted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from privlab import cards, models, workers

if TYPE_CHECKING:
    from privlab.experiments.tradeoff import Collector


class Slow:
    """Fits in worker processes: the ceilings, and the catalogue's fitted models, all points of a seed together."""

    def __init__(self, gathered: Collector) -> None:
        self.gathered, s, name = gathered, gathered.settings, gathered.data.name
        self.fitted = [model for model in s.models if models.CATALOGUE[model].fit]
        self.next_seed = dict.fromkeys(self.fitted, 0)
        keys = [self._ceiling(model) for model in models.REFERENCES]
        keys += [key for seed in range(s.seeds) for model in self.fitted for key in self._row(model, seed)]
        source = name if name in cards.SHIPPED else gathered.data
        self.queue = workers.Queue(models.fit, {key: (source, *key[1:]) for key in keys})
        self.take_in()

    def _ceiling(self, model: str) -> workers.Key:
        return self.gathered.data.name, model, math.inf, 0.0, (0, 0)

    def _row(self, model: str, seed: int) -> list[workers.Key]:
        g, s = self.gathered, self.gathered.settings
        return [(g.data.name, model, float(epsilon), s.delta, (s.seed, seed)) for epsilon in g.epsilons]

    def take_in(self) -> bool:
        """Gather what has been computed; whether there is anything new."""
        g, new = self.gathered, False
        for name, model in models.REFERENCES.items():
            losses = workers.recall(self._ceiling(name))
            if losses is not None and model.label not in g.ceilings:
                g.ceilings[model.label] = float(models.score(g.data, losses))
                new = True
        for name in self.fitted:
            while (seed := self.next_seed[name]) < g.settings.seeds:
                row = [workers.recall(key) for key in self._row(name, seed)]
                if any(losses is None for losses in row):
                    break
                stacked = np.stack(row)
                g.add(name, models.score(g.data, stacked), stacked[-1])
                self.next_seed[name] += 1
                new = True
        return new
