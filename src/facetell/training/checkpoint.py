# SPDX-License-Identifier: Apache-2.0
"""What is saved of a training after every epoch, so that a killed one goes on where it was."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from facetell.common.errors import UserError, brief
from facetell.common.files import whole
from facetell.metrics.losses import log_loss
from facetell.metrics.ranking import auc
from facetell.training.job import Job

FILE = "last.pt"
State = dict[str, Any]


@dataclass
class History:
    """What a training has come to after some epochs."""

    epoch: int = 0  # epochs that are done
    seconds: float = 0.0  # spent in them
    best: tuple[float, float] = (-float("inf"), -float("inf"))  # (recipe.select, - loss)
    best_epoch: int = 0
    log: list[dict[str, float]] = field(default_factory=list)  # a row per epoch
    weights: dict[str, torch.Tensor] = field(default_factory=dict)  # of the best epoch
    watched: list[torch.Tensor] = field(default_factory=list)  # margins of job.watch per epoch

    def validation(self, job: Job, scores: np.ndarray, remedy: str) -> dict[str, float]:
        """The part of the next row that is of validation images: valid_loss, _accuracy and _auc.

        ``scores`` are their margins, float64 (N,). UserError with the ``remedy`` if one of them is
        not finite.
        """
        labels = job.valid_set.labels
        if not np.isfinite(scores).all():
            raise UserError(
                f"{job.title}: the answers on validation images are not finite after epoch "
                f"{self.epoch + 1}: {remedy}"
            )
        return {
            "valid_loss": log_loss(labels, scores),
            "valid_accuracy": float(((scores >= 0) == labels).mean()),
            "valid_auc": auc(labels, scores),
        }

    def add(self, row: dict[str, float], select: str, network: nn.Module) -> None:
        """Note an epoch that is done, and keep the weights after it if they are the best so far.

        ``row`` is that of the log, ``select`` what the recipe chooses by.

        >>> history, layer = History(), nn.Linear(1, 1)
        >>> for loss in (0.5, 0.4, 0.6):
        ...     row = {"valid_loss": loss, "valid_accuracy": 0.9, "valid_auc": 0.95}
        ...     history.add(row, "auc", layer)
        >>> history.epoch, history.best_epoch
        (3, 2)
        """
        self.log.append(row)
        self.epoch += 1
        by = {"auc": row["valid_auc"], "accuracy": row["valid_accuracy"], "loss": 0.0}
        if (key := (by[select], -row["valid_loss"])) > self.best:
            self.best, self.best_epoch = key, self.epoch
            weights = network.state_dict()
            self.weights = {name: one.detach().cpu().clone() for name, one in weights.items()}


class Checkpoint:
    """The file ``last.pt`` in a folder: the state of one training, with a note of whose it is.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Checkpoint(Path(folder), {"seed": 0}).save({"epoch": 2})
    ...     print(Checkpoint(Path(folder), {"seed": 0}).load(print))
    ...     print(Checkpoint(Path(folder), {"seed": 1}).load(lambda line: None))
    {'epoch': 2}
    None
    """

    def __init__(self, folder: Path, owner: State) -> None:
        """``owner`` is what a state must have in common with a training that takes it up."""
        self.file, self.owner = folder / FILE, owner

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the file; whoever is killed here leaves the old one."""
        with whole(self.file) as temporary:
            torch.save({**state, "owner": self.owner}, temporary)

    def load(self, say: Callable[[str], None]) -> State | None:
        """The saved state; None if there is none, if it is damaged, or if it is another owner's."""
        if not self.file.exists():
            return None
        try:
            state = torch.load(self.file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds
            say(f"{self.file} cannot be read ({brief(error)}): training starts anew")
            return None
        if state.pop("owner", None) != self.owner:
            say(f"{self.file} belongs to another recipe or other images: training starts anew")
            return None
        return state


def owner_of(job: Job, dtype: torch.dtype) -> State:
    """Network, recipe, seed, images and number format."""
    sets = (job.train_set, job.valid_set, job.watch)
    return {
        "network": job.network,
        "recipe": {name: str(value) for name, value in asdict(job.recipe).items()},
        "seed": job.seed,
        "data": [part.fingerprint for part in sets if part is not None],
        "numbers": str(dtype),
    }
