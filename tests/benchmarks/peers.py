"""What other libraries take for the same models: Opacus and diffprivlib, on Adult."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np

from privlab import datasets, dpsgd, models

MISSING = 'The peers are missing. Add them: python -m pip install -c requirements.lock -e ".[test,peers]"'


def opacus_logistic(
    noise_multiplier: float, clip_norm: float, sampling_rate: float, steps: int, learning_rate: float, seed: int
) -> tuple[float, np.ndarray]:
    """(seconds, right answers on Adult's test split) of one logistic model trained by Opacus, Poisson batches.

    `learning_rate` is in units of C, as `dpsgd.Plan` has it; momentum 0.9, and the second half's iterates averaged.
    """
    try:
        import torch
        from opacus import PrivacyEngine
    except ImportError:
        raise ModuleNotFoundError(MISSING) from None
    data = datasets.load("adult")
    prepared = dpsgd.prepare(data)
    torch.manual_seed(seed)
    X, y = torch.from_numpy(prepared.X[:-1].copy()), torch.from_numpy(prepared.y[:-1].copy())
    model: Any = torch.nn.Linear(X.shape[1], 1, bias=False)  # the constant is a feature
    torch.nn.init.zeros_(model.weight)
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=learning_rate / clip_norm, momentum=0.9)
    batches = round(1 / sampling_rate)  # Opacus samples at the rate of one batch in so many
    batch = -(-len(X) // batches)

    class Rows(torch.utils.data.Dataset):
        """Hands out a batch at once: row by row, torch's loader alone would take most of the time."""

        def __len__(self) -> int:
            return len(X)

        def __getitem__(self, index: int) -> Any:
            return X[index], y[index]

        def __getitems__(self, indices: list[int]) -> Any:
            return [(X[indices], y[indices])]

    loader: Any = torch.utils.data.DataLoader(Rows(), batch_size=batch, collate_fn=lambda items: items[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, optimizer, loader = PrivacyEngine(accountant="prv").make_private(
            module=model,
            optimizer=optimizer,
            data_loader=loader,
            noise_multiplier=noise_multiplier,
            max_grad_norm=clip_norm,
            poisson_sampling=True,
        )
        criterion = torch.nn.BCEWithLogitsLoss()
        average, step = torch.zeros_like(model._module.weight), 0
        before = time.perf_counter()
        while step < steps:
            for features, target in loader:
                optimizer.zero_grad()
                criterion(model(features)[:, 0], target).backward()
                optimizer.step()
                if step >= steps // 2:
                    average += model._module.weight.detach()
                step += 1
                if step == steps:
                    break
        seconds = time.perf_counter() - before
    weights = average.numpy()[0]
    features, answers = data.evaluation
    return seconds, (features @ weights[:-1] + weights[-1] > 0) == answers


def diffprivlib_logistic(epsilon: float, seed: int) -> tuple[float, np.ndarray]:
    """(seconds, right answers on Adult's test split) of the catalogue's diffprivlib logistic regression."""
    before = time.perf_counter()
    loss = models.fit("adult", "diffprivlib-logistic", epsilon, 1e-5, (seed, 0))
    return time.perf_counter() - before, loss == 0
