"""A training recipe: every knob of ``facetell.training``, with what each means."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from facetell.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one network is trained, and how images reach it.

    ``image_size`` is the side of the square input in pixels; ``mean`` and ``std`` normalise RGB in
    [0, 1]; ``width`` multiplies the channels of networks that allow it, and ``options`` are
    arguments of the network's own. ``schedule`` is
    ``plateau`` (as in the UIUC report: factor 0.1, patience 1, threshold 1e-2, cooldown 1, on
    the validation loss), ``onecycle`` or ``constant``. ``clip`` bounds the gradient norm (None: no
    bound). Training ends early when the learning rate falls below ``stop_below``. ``precision``
    is ``float32``, ``bfloat16``, or ``auto``: bfloat16 where the processor computes in it.
    """

    image_size: int
    epochs: int
    batch_size: int
    lr: float
    optimizer: str = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "plateau"
    clip: float | None = 1.0
    stop_below: float = 0.0
    label_smoothing: float = 0.0
    augment: str = "none"
    precision: str = "auto"
    width: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)
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
        for name in ("image_size", "epochs", "batch_size"):
            value = getattr(recipe, name)
            if not isinstance(value, int) or value < 1:
                raise UserError(f"{where}: {name} must be a whole number above 0, got {value!r}")
        if not recipe.lr > 0:
            raise UserError(f"{where}: lr must be above 0, got {recipe.lr!r}")
        return recipe
