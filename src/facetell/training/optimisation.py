# SPDX-License-Identifier: Apache-2.0
"""Optimisers and learning-rate schedules, by the names that recipes use."""

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim import lr_scheduler

from facetell.common.errors import UserError
from facetell.training.recipe import OptimizerName, Recipe

OPTIMIZERS: dict[
    OptimizerName, Callable[[Iterable[nn.Parameter], Recipe], torch.optim.Optimizer]
] = {
    "sgd": lambda parameters, r: torch.optim.SGD(
        parameters, r.lr, momentum=r.momentum, nesterov=True, weight_decay=r.weight_decay
    ),
    "adam": lambda parameters, r: torch.optim.Adam(
        parameters, r.lr, weight_decay=r.weight_decay, fused=True
    ),
    "adamw": lambda parameters, r: torch.optim.AdamW(
        parameters, r.lr, weight_decay=r.weight_decay, fused=True
    ),
    "nadam": lambda parameters, r: torch.optim.NAdam(parameters, r.lr, weight_decay=r.weight_decay),
}


def optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser over all parameters of the network.

    >>> recipe = Recipe(image_size=64, epochs=1, batch_size=8, lr=0.1, optimizer="sgd")
    >>> optimizer(nn.Linear(2, 2), recipe).defaults["nesterov"]
    True
    """
    return OPTIMIZERS[recipe.optimizer](network.parameters(), recipe)


RISE = 0.2  # of all updates, in which ``onecycle`` rises


class Schedule:
    """Learning rate over updates and epochs; only ``plateau`` looks at the validation loss.

    >>> recipe = Recipe(image_size=64, epochs=2, batch_size=8, lr=0.1, schedule="cosine")
    >>> opt = optimizer(nn.Linear(2, 2), recipe)
    >>> schedule = Schedule(opt, recipe, steps=2)
    >>> for _ in range(4):
    ...     print(f"{schedule.lr:.3f}")
    ...     opt.step()
    ...     schedule.step()
    0.100
    0.085
    0.050
    0.015
    """

    def __init__(self, opt: torch.optim.Optimizer, recipe: Recipe, steps: int) -> None:
        """``steps`` is the number of updates per epoch."""
        self.optimizer, self.stop_below = opt, recipe.stop_below
        self.plateau: lr_scheduler.ReduceLROnPlateau | None = None
        self.by_step: lr_scheduler.LRScheduler | None = None
        total = max(2, recipe.epochs * steps)  # torch's schedules divide by total - 1
        if recipe.schedule == "plateau":
            self.plateau = lr_scheduler.ReduceLROnPlateau(
                opt, factor=0.1, patience=1, threshold=1e-2, cooldown=1
            )
        elif recipe.schedule == "onecycle":
            # momentum stays: cycling it adds nothing for the adaptive optimisers; of five updates
            # or fewer none is left to rise in, so the rate only falls
            rise = RISE if RISE * total > 1 else 0.0
            self.by_step = lr_scheduler.OneCycleLR(
                opt, recipe.lr, total_steps=total, pct_start=rise, cycle_momentum=False
            )
        elif recipe.schedule == "cosine":
            updates = recipe.epochs * steps
            self.by_step = _cosine(opt, round(recipe.warmup * steps), updates)

    @property
    def lr(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def finished(self) -> bool:
        """The learning rate has fallen below the recipe's floor."""
        return self.lr < self.stop_below

    def step(self) -> None:
        """After each update."""
        if self.by_step:
            self.by_step.step()

    def epoch(self, valid_loss: float) -> None:
        """After each epoch."""
        if self.plateau:
            self.plateau.step(valid_loss)

    def state_dict(self) -> dict[str, object]:
        inner = self.plateau or self.by_step
        return inner.state_dict() if inner else {}

    def load_state_dict(self, state: dict[str, object]) -> None:
        if inner := self.plateau or self.by_step:
            inner.load_state_dict(state)


def _cosine(opt: torch.optim.Optimizer, warmup: int, total: int) -> lr_scheduler.LRScheduler:
    if warmup >= total:
        raise UserError(
            f"warmup: {warmup} of {total} updates leave none to train with; lower warmup, or raise "
            "epochs"
        )
    fall = lr_scheduler.CosineAnnealingLR(opt, total - warmup)
    if not warmup:
        return fall
    rise = lr_scheduler.LinearLR(opt, 1 / (warmup + 1), 1.0, warmup)
    return lr_scheduler.SequentialLR(opt, [rise, fall], [warmup])
