# SPDX-License-Identifier: Apache-2.0
"""Scores of every variant of the test images: perturbed copies, and twins without artefacts."""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from facetell.common.distributed import ALONE, World
from facetell.common.progress import progress, worked
from facetell.evaluation.predictions import CONTROL
from facetell.images.decoding import decode_inspected
from facetell.images.loading import Images, fit, scoring_batches, to_unit
from facetell.models.detector import Detector
from facetell.models.inference import evaluating, gathered, margin_of, to_numpy

Perturb = Callable[[torch.Tensor, list[str]], torch.Tensor]

# A processor scores ResNet50 at the same rate in batches of 4 to 64, so there the batch that needs
# less memory at 224 px. Small images of narrow networks, and accelerators, want more at once.
BATCH, AT = 16, 224
LARGEST_BATCH = 64


def batch_size(device: torch.device, size: int) -> int:
    """How many images of ``size`` px are scored at once on a device.

    >>> batch_size(torch.device("cpu"), 224), batch_size(torch.device("cpu"), 64)
    (16, 64)
    """
    if device.type != "cpu":
        return LARGEST_BATCH
    return max(BATCH, min(LARGEST_BATCH, BATCH * AT**2 // size**2))


def variant_margins(
    detector: Detector,
    images: Images,
    variants: Mapping[str, Perturb],
    device: torch.device,
    *,
    workers: int = 0,
    world: World = ALONE,
) -> dict[str, np.ndarray]:
    """Margins by variant, each float64 (N,), ``clean`` first: every image is decoded once, then
    perturbed in memory.

    ``variants`` take float RGB in [0, 1] (B, 3, S, S) on the device and the images' ids. Where the
    packed file has twins, a variant ``without_artefacts`` scores them instead of their
    images: the same rendering, without what was planted. The processes of ``world`` share the
    batches, and each gets the margins of all.

    >>> from facetell.dataset.demo import packed_demo
    >>> from facetell.evaluation.perturbations import suite
    >>> from facetell.models import build
    >>> network = build("simplenet", image_size=64)
    >>> detector = Detector(network, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    >>> variants = suite({"mine": {"flip": {}}}, "mine")
    >>> images = Images(packed_demo("demo")["test"], 64)
    >>> list(variant_margins(detector, images, variants, torch.device("cpu")))
    ['clean', 'flip', 'without_artefacts']
    """
    ids, twins_seen = images.packed.ids, False
    size = batch_size(device, images.size)
    batches = scoring_batches(images, size, workers, world)
    names = ("clean", *variants, CONTROL)
    scores = np.empty((len(names), len(images)))
    total = len(images) * (1 + len(variants))
    with (
        evaluating(detector),
        torch.inference_mode(),
        progress(None, "scoring images x variants", total) as bar,
    ):
        for indices, pixels, _ in batches:
            clean, here = to_unit(pixels, device), indices.tolist()
            chosen = [ids[index] for index in here]
            rows = [margin_of(detector, clean)]
            bar.update(len(here) * world.size)
            for perturb in variants.values():
                # an accelerator still computes the last variant while the next one is perturbed
                rows.append(margin_of(detector, perturb(clean, chosen)))
                bar.update(len(here) * world.size)
            scores[:-1, here] = to_numpy(torch.stack(rows))
            twins = [images.packed.twin(index) for index in here]
            scores[-1, here] = _with_twins(detector, images.size, scores[0, here], twins, device)
            twins_seen |= any(twins)
            worked(len(here) * world.size)
    found = dict(zip(names, gathered(scores, batches, world), strict=True))
    if not any(world.interleaved([twins_seen])):
        del found[CONTROL]
    return found


def _with_twins(
    detector: Detector,
    size: int,
    clean: np.ndarray,
    twins: list[bytes | None],
    device: torch.device,
) -> np.ndarray:
    """The margins ``clean`` (B,), but of what has a twin that of its twin."""
    at = [index for index, twin in enumerate(twins) if twin]
    if not at:
        return clean
    pixels = torch.stack([fit(decode_inspected(twin), size) for twin in twins if twin])
    replaced = clean.copy()
    replaced[at] = to_numpy(margin_of(detector, to_unit(pixels, device)))
    return replaced
