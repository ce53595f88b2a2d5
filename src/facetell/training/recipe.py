"""A training recipe: every knob of ``facetell.training.trainer``, with what each means."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from facetell.common.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one network is trained, and how images reach it.

    The input: ``image_size`` is its side in pixels; ``mean`` and ``std`` normalise RGB in [0, 1];
    ``augment`` names one of ``facetell.training.augmentations``, or several to be applied in turn.

    The network: ``width`` multiplies the channels of networks that allow it, ``options`` are
    arguments of its own. ``pretrained`` is false (random weights), true (timm's hub), or the path
    of a file; in the first ``head_epochs`` only the classifier is trained, then everything.

    The steps: an update takes ``batch_size`` images, of which ``micro_batch`` at a time go through
    the network (null: all; fewer need less memory, and their gradients are accumulated).
    ``schedule`` is ``plateau`` (as in the UIUC report: factor 0.1, patience 1, threshold 1e-2,
    cooldown 1, on the validation loss), ``onecycle``, ``cosine`` (to zero, after ``warmup`` epochs
    of linear rise) or ``constant``. ``clip`` bounds the gradient norm (null: no bound). Training
    ends early when the learning rate falls below ``stop_below``. ``select`` is what the best epoch
    is best by, on validation images: ``auc``, ``accuracy`` or ``loss``.

    ``precision`` is ``float32``, ``bfloat16``, ``float16``, or ``auto``: see
    ``facetell.training.precision``.
    """

    image_size: int
    epochs: int
    batch_size: int
    lr: float
    micro_batch: int | None = None
    optimizer: str = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "plateau"
    warmup: float = 0.0
    clip: float | None = 1.0
    stop_below: float = 0.0
    label_smoothing: float = 0.0
    select: str = "auc"
    augment: str | tuple[str, ...] | None = None
    precision: str = "auto"
    width: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)
    pretrained: bool | str = False
    head_epochs: int = 0
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    @classmethod
    def of(cls, settings: Mapping[str, Any], where: str) -> "Recipe":
        """Build from plain settings; UserError names ``where`` and the settings that exist."""
        names = [entry.name for entry in fields(cls)]
        if unknown := sorted(set(settings) - set(names)):
            raise UserError(f"{where}: unknown {', '.join(unknown)}; there are {', '.join(names)}")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in settings.items()
        }
        try:
            recipe = cls(**values)
        except TypeError as error:
            raise UserError(f"{where}: {error}") from error
        recipe._check(where)
        return recipe

    def _check(self, where: str) -> None:
        whole = {"image_size": 1, "epochs": 1, "batch_size": 1, "head_epochs": 0}
        if self.micro_batch is not None:
            whole["micro_batch"] = 1
        for name, least in whole.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise UserError(
                    f"{where}: {name} must be a whole number, {least} or more, got {value!r}"
                )
        for name in ("lr", "width"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not value > 0:
                raise UserError(f"{where}: {name} must be a number above 0, got {value!r}")
        for name in ("momentum", "weight_decay", "warmup", "stop_below", "label_smoothing"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not value >= 0:
                raise UserError(f"{where}: {name} must be a number, 0 or more, got {value!r}")
        if self.select not in ("auc", "accuracy", "loss"):
            raise UserError(f"{where}: select must be auc, accuracy or loss, got {self.select!r}")
