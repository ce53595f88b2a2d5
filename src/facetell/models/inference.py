# SPDX-License-Identifier: Apache-2.0
"""Scores of a detector, as margins: the fake logit minus the real logit."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import DataLoader

from facetell.common.distributed import ALONE, World
from facetell.common.machine import memory_format
from facetell.common.progress import worked
from facetell.images.loading import Images, scoring_batches, to_unit
from facetell.models.detector import Detector

BATCH = 64


def margins(
    detector: Detector,
    images: Images,
    device: torch.device,
    *,
    dtype: torch.dtype = torch.float32,
    workers: int = 0,
    world: World = ALONE,
) -> np.ndarray:
    """Margins of all images in their order, float64 (N,); the detector's mode is restored.

    The processes of ``world`` share the batches, and each gets the margins of all.

    >>> from facetell.dataset.demo import packed_demo
    >>> from facetell.models import build
    >>> network = build("simplenet", image_size=64)
    >>> detector = Detector(network, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    >>> margins(detector, Images(packed_demo("demo")["test"], 64), torch.device("cpu")).shape
    (8,)
    """
    found, batches = np.empty((1, len(images))), scoring_batches(images, BATCH, workers, world)
    with evaluating(detector), torch.inference_mode():
        for indices, pixels, _ in batches:
            found[0, indices] = to_numpy(margin_of(detector, to_unit(pixels, device), dtype))
            worked(len(pixels) * world.size)
    return gathered(found, batches, world)[0]


def gathered(mine: np.ndarray, batches: DataLoader, world: World) -> np.ndarray:
    """The numbers of all processes, (K, N), of which each has those of its own ``batches``.

    They are written into one array from the start: small arrays that are kept while large ones
    come and go would tear the memory to pieces, which then grows with the images.
    """
    if world.size == 1:
        return mine
    assert batches.batch_sampler is not None, "scoring_batches gives one"
    parts = [mine[:, batch] for batch in batches.batch_sampler]
    return np.concatenate([mine[:, :0], *world.interleaved(parts)], axis=1)


def margin_of(
    detector: Detector, inputs: torch.Tensor, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Margins of one batch in [0, 1] (B, 3, S, S), float32 (B,), on the device of the batch."""
    inputs = inputs.contiguous(memory_format=memory_format(inputs.device))
    with torch.autocast(inputs.device.type, dtype, enabled=dtype != torch.float32):
        return detector.margin(inputs)


def to_numpy(margin: torch.Tensor) -> np.ndarray:
    """Margins as float64 in memory; waits until an accelerator has computed them."""
    return margin.cpu().double().numpy()


@contextmanager
def evaluating(detector: Detector) -> Iterator[None]:
    """Evaluation mode inside the block, whatever it was before."""
    training = detector.training
    detector.eval()
    try:
        yield
    finally:
        detector.train(training)
