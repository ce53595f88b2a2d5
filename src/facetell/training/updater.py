# SPDX-License-Identifier: Apache-2.0
"""One update of the weights: a batch through the network and back.

A batch may be too large for the memory (it goes through in micro-batches), computed in half
precision (the loss is scaled), or shared by several processes. The gradient is that of the mean
loss of the whole batch each time, but for rounding.
"""

from contextlib import ExitStack
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm
from torch.nn.parallel import DistributedDataParallel

from facetell.common.distributed import ALONE, SynchronisedBatchNorm, World
from facetell.common.machine import pins_memory
from facetell.images.loading import to_unit
from facetell.models.detector import Detector
from facetell.models.factory import head_of
from facetell.training.adapters import is_adapter
from facetell.training.optimisation import Schedule, optimizer
from facetell.training.recipe import Recipe


class Updater:
    """Optimiser, schedule and loss scaling of a detector.

    >>> from facetell.models import build
    >>> network = build("simplenet", image_size=64)
    >>> detector = Detector(network, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    >>> recipe = Recipe(image_size=64, epochs=1, batch_size=4, micro_batch=2, lr=0.1)
    >>> updater = Updater(detector, recipe, steps=1, dtype=torch.float32)
    >>> updater.begin_epoch(0)
    >>> pixels = torch.zeros(4, 3, 64, 64, dtype=torch.uint8)
    >>> loss, hits = updater.update(pixels, torch.tensor([0, 1, 0, 1]), batch=4)
    >>> int(hits)
    2
    """

    def __init__(
        self,
        detector: Detector,
        recipe: Recipe,
        steps: int,
        *,
        dtype: torch.dtype,
        world: World = ALONE,
    ) -> None:
        """``steps`` are the updates per epoch, ``dtype`` is the number format of the forward
        pass."""
        self.detector, self.recipe, self.dtype, self.world = detector, recipe, dtype, world
        self.device = detector.mean.device
        self.optimizer = optimizer(detector, recipe)
        self.schedule = Schedule(self.optimizer, recipe, steps)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=dtype == torch.float16)
        self.model: nn.Module = detector  # with several processes, wrapped anew in each epoch

    def begin_epoch(self, epoch: int) -> None:
        """Training mode; the body, or all of it but its adapters, is frozen as the recipe says."""
        network, recipe = self.detector.network, self.recipe
        body_frozen = epoch < recipe.head_epochs
        heads = tuple(f"{name}." for name in head_of(network))
        self.detector.train()
        for name, parameter in network.named_parameters():
            of_body = is_adapter(name) if recipe.lora else True
            parameter.requires_grad_(name.startswith(heads) or (of_body and not body_frozen))
        if body_frozen:
            self.detector.eval()  # the body's batch norm keeps its statistics
            for name in head_of(network):
                network.get_submodule(name).train()
        elif recipe.lora:
            for module in network.modules():
                if isinstance(module, BatchNorm):
                    module.eval()  # so does that of weights that stay
        if self.world.size > 1:
            self.model = DistributedDataParallel(self.detector)

    def update(
        self, pixels: torch.Tensor, labels: torch.Tensor, batch: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step by a batch of ``batch`` images, of which these fall to this process.

        ``pixels`` are uint8 (B, 3, S, S), ``labels`` int (B,). Returns the summed loss over this
        process's images, and how many of them were right.
        """
        self.optimizer.zero_grad(set_to_none=True)
        parts = self.micro_batches(len(labels), batch)
        losses, hits = [], []
        for number, part in enumerate(parts, start=1):
            inputs = to_unit(pixels[part], self.device)
            truth = labels[part].to(self.device, non_blocking=pins_memory(self.device))
            loss, logits = self._backward(inputs, truth, batch, last=number == len(parts))
            losses.append(loss)
            hits.append((logits.argmax(1) == truth).sum())
        self.scaler.unscale_(self.optimizer)
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.detector.parameters(), self.recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        return torch.stack(losses).sum(), torch.stack(hits).sum()

    def _backward(
        self, inputs: torch.Tensor, truth: torch.Tensor, batch: int, *, last: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add a micro-batch's gradients; only the ``last`` one's are exchanged by processes."""
        with ExitStack() as stack:
            if self.world.size > 1:
                stack.enter_context(SynchronisedBatchNorm())
                if not last:
                    stack.enter_context(self.model.no_sync())  # type: ignore[operator]
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                logits = self.model(inputs).float()
            loss = cross_entropy(
                logits, truth, label_smoothing=self.recipe.label_smoothing, reduction="sum"
            )
            # processes average their gradients: the factor turns that into the batch's mean
            self.scaler.scale(loss * (self.world.size / batch)).backward()
        return loss.detach(), logits

    def micro_batches(self, mine: int, batch: int) -> list[slice]:
        """Slices of a process's ``mine`` images of a batch: equally many in every process."""
        most = -(-batch // self.world.size)
        count = -(-most // min(self.recipe.micro_batch or most, most))
        count = min(count, max(1, batch // self.world.size))
        edges = np.linspace(0, mine, count + 1).round().astype(int)
        return [slice(start, stop) for start, stop in pairwise(edges)]
