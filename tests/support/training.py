# SPDX-License-Identifier: Apache-2.0
"""Short trainings on the packed set of the tests."""

from pathlib import Path

import torch
from torch import nn

from facetell.images.packed import Packed
from facetell.training.job import Job
from facetell.training.recipe import Recipe
from facetell.training.trainer import Fit, silent, train

CPU = torch.device("cpu")
RECIPE = Recipe(
    image_size=64, epochs=3, batch_size=8, lr=1e-3, schedule="onecycle", augment="flip",
    precision="float32",
)  # fmt: skip


def job(home: Path, recipe: Recipe = RECIPE, network: str = "simplenet", **changes) -> Job:
    """The job of learning from ``home/{train,valid}``."""
    sets = {f"{split}_set": Packed(home / split) for split in ("train", "valid")}
    return Job(network=network, recipe=recipe, **sets | {"seed": 0} | changes)


def run(
    home: Path,
    state: Path,
    recipe: Recipe = RECIPE,
    network: str = "simplenet",
    *,
    changes: dict | None = None,
    **options,
) -> Fit:
    """Train; ``changes`` are of the job, ``options`` of ``train``."""
    return train(
        job(home, recipe, network, **changes or {}), state=state, **{"say": silent} | options
    )


def same(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks have the same bits."""
    return all(
        torch.equal(a, b)
        for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )
