"""Optimisers, learning-rate schedules and number formats, by the names that recipes use."""

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim import lr_scheduler

from facetell.errors import UserError
from facetell.recipe import Recipe

OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter], Recipe], torch.optim.Optimizer]] = {
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
    """The recipe's optimiser over all parameters of the network."""
    _one_of("optimizer", recipe.optimizer, OPTIMIZERS)
    return OPTIMIZERS[recipe.optimizer](network.parameters(), recipe)


class Schedule:
    """Learning rate over steps and epochs; only ``plateau`` looks at the validation loss."""

    NAMES = ("plateau", "onecycle", "constant")

    def __init__(self, opt: torch.optim.Optimizer, recipe: Recipe, steps: int) -> None:
        _one_of("schedule", recipe.schedule, self.NAMES)
        self.optimizer, self.stop_below = opt, recipe.stop_below
        self.plateau = self.by_step = None
        if recipe.schedule == "plateau":
            self.plateau = lr_scheduler.ReduceLROnPlateau(
                opt, factor=0.1, patience=1, threshold=1e-2, cooldown=1
            )
        elif recipe.schedule == "onecycle":
            # momentum stays: cycling it adds nothing for the adaptive optimisers
            self.by_step = lr_scheduler.OneCycleLR(
                opt, recipe.lr, total_steps=max(2, steps), pct_start=0.2, cycle_momentum=False
            )

    @property
    def lr(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def finished(self) -> bool:
        return self.lr < self.stop_below

    def step(self) -> None:
        """After each optimiser step."""
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


def autocast_type(precision: str, device: torch.device) -> torch.dtype:
    """The number format for the forward and backward pass.

    ``auto`` is bfloat16 where the hardware computes in it, float32 elsewhere: a processor without
    it emulates bfloat16 at a fraction of the speed.
    """
    _one_of("precision", precision, ("auto", "float32", "bfloat16"))
    if precision != "auto":
        return getattr(torch, precision)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    native: dict[str, bool] = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # newer than our oldest torch
    has = any(native.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.bfloat16 if has else torch.float32


def _one_of(what: str, name: str, names: Iterable[str]) -> None:
    if name not in names:
        raise UserError(f"{what}: no {name!r}; there are {', '.join(names)}")
