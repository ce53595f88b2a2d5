# SPDX-License-Identifier: Apache-2.0
"""What a detector says of photos, and how far that can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import expit

from facetell.common.labels import CLASSES
from facetell.images.familiarity import Familiarity, Novelty, seen_in_part
from facetell.images.loading import fit, to_unit
from facetell.images.photos import Photo
from facetell.models.detector import Card, Detector
from facetell.models.inference import evaluating, margin_of, to_numpy

MEANING = (
    "score: sigmoid of the margin, at or above the threshold the verdict is fake. probability: the "
    "same after temperature scaling, calibrated where half of the images are fake, as on the "
    "validation images. Neither is a proof."
)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The verdict on one photo.

    ``margin`` is the fake logit minus the real logit, ``score`` its sigmoid, and ``threshold`` is
    on the scale of the score: from there on the verdict is fake. ``probability`` is the score after
    temperature scaling on validation images. ``novelty`` is how unlike the photo is to validation
    images, beyond 1 more than all but a few of them; NaN: not known. ``unlike`` says it in
    sentences; none if nothing speaks against the verdict.
    """

    name: str
    verdict: str
    margin: float
    score: float
    probability: float
    threshold: float
    novelty: float
    unlike: tuple[str, ...]

    @property
    def fake(self) -> bool:
        return self.verdict == CLASSES[1]


def predicted(detector: Detector, photos: Sequence[Photo]) -> list[Prediction]:
    """Judge photos in one batch, on the device where the detector is.

    Each is fitted as every image is that is trained on or scored.
    """
    if not photos:
        return []
    card = detector.card
    seen = torch.stack([fit(photo.pixels, card.image_size) for photo in photos])
    device = next(detector.buffers()).device
    with evaluating(detector), torch.inference_mode():
        margins = to_numpy(margin_of(detector, to_unit(seen, device)))
    return interpreted(card, photos, seen.numpy(), margins)


def interpreted(
    card: Card, photos: Sequence[Photo], seen: np.ndarray, margins: np.ndarray
) -> list[Prediction]:
    """What margins (N,) mean for photos of which the network saw ``seen``, uint8 (N, 3, S, S)."""
    familiar = Familiarity.of(card.familiar)
    sizes = [(photo.width, photo.height) for photo in photos]
    unknown = [Novelty(float("nan"), ())] * len(photos)
    novelties = unknown if familiar is None else familiar.novelties(sizes, seen)
    return [
        _prediction(photo, float(margin), card, novelty)
        for photo, margin, novelty in zip(photos, margins, novelties, strict=True)
    ]


def _prediction(photo: Photo, margin: float, card: Card, novelty: Novelty) -> Prediction:
    return Prediction(
        name=photo.name,
        verdict=CLASSES[margin >= card.threshold],
        margin=margin,
        score=float(expit(margin)),
        probability=float(expit(margin / card.temperature)),
        threshold=float(expit(card.threshold)),
        novelty=novelty.score,
        unlike=(*seen_in_part(photo.width, photo.height, card.image_size), *novelty.said),
    )
