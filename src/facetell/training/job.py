# SPDX-License-Identifier: Apache-2.0
"""What is trained on which images, and on which machine."""

from dataclasses import dataclass, field

import torch

from facetell.common.machine import default_workers
from facetell.images.packed import Packed
from facetell.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Job:
    """A network, its recipe, and the images that it learns from.

    Training, the choice of the epoch and the threshold depend on ``train_set`` and ``valid_set``
    alone. ``watch`` are images that are scored after every epoch for a figure; their labels are
    never looked at.
    """

    network: str  # a key for facetell.models.build
    recipe: Recipe
    train_set: Packed
    valid_set: Packed
    seed: int
    watch: Packed | None = None
    name: str | None = None  # of the model, for messages; None: the network's key

    @property
    def title(self) -> str:
        return self.name or self.network


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How the machine is used; none of it changes what is learnt, but for rounding.

    ``workers`` are processes that decode images beside the training (None: as the device wants);
    ``deterministic`` allows only algorithms that give the same bits every time, which matters on a
    GPU; ``compile`` passes the network through ``torch.compile`` (needs a C++ compiler).

    >>> Engine(deterministic=True).decoders
    0
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    workers: int | None = None
    deterministic: bool = False
    compile: bool = False

    @property
    def decoders(self) -> int:
        """``workers``, or what the device wants where that is None."""
        return default_workers(self.device) if self.workers is None else self.workers


PROCESSOR = Engine()
