"""Scores of every variant of the test images: perturbed copies, and twins without artefacts."""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from facetell.detector import Detector
from facetell.images import decode
from facetell.loading import Images, fit, scoring_batches, to_unit
from facetell.predictions import CONTROL
from facetell.progress import progress
from facetell.scoring import BATCH, evaluating, margin_of

Variant = Callable[[torch.Tensor, list[str]], torch.Tensor]


def variant_margins(
    detector: Detector,
    images: Images,
    variants: Mapping[str, Variant],
    device: torch.device,
    *,
    workers: int = 0,
) -> dict[str, np.ndarray]:
    """Margins per variant, each float64 (N,): images are decoded once, then perturbed in memory.

    Where the packed file has twins, a variant ``without_artefacts`` scores them in the place of
    their images: the same rendering, without what was planted.
    """
    ids = images.packed.ids
    found: dict[str, list[np.ndarray]] = {name: [] for name in variants}
    control = []
    with evaluating(detector), torch.inference_mode():
        batches = scoring_batches(images, BATCH, workers)
        for indices, pixels, _ in progress(batches, "scoring"):
            clean = to_unit(pixels, device)
            names = [ids[index] for index in indices.tolist()]
            for name, perturb in variants.items():
                found[name].append(margin_of(detector, perturb(clean, names)))
            twins = [images.packed.twin(index) for index in indices.tolist()]
            control.append(_with_twins(detector, images.size, found["clean"][-1], twins, device))
    scores = {name: np.concatenate(parts) for name, parts in found.items()}
    if any(part is not None for part in control):
        scores[CONTROL] = np.concatenate(
            [found["clean"][i] if part is None else part for i, part in enumerate(control)]
        )
    return scores


def _with_twins(
    detector: Detector,
    size: int,
    clean: np.ndarray,
    twins: list[bytes | None],
    device: torch.device,
) -> np.ndarray | None:
    at = [index for index, twin in enumerate(twins) if twin]
    if not at:
        return None
    pixels = torch.stack([fit(decode(twin), size) for twin in twins if twin])
    replaced = clean.copy()
    replaced[at] = margin_of(detector, to_unit(pixels, device))
    return replaced
