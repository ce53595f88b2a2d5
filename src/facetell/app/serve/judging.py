# SPDX-License-Identifier: Apache-2.0
"""From the bytes of photos to verdicts, maps and figures: what the computing thread does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from facetell.app.prediction import interpreted
from facetell.app.serve.answers import (
    Explained,
    ExplainedFace,
    Explanations,
    JudgedFace,
    JudgedPhoto,
    Map,
    Predictions,
    Verdict,
)
from facetell.app.serve.asked import Changes, ForMaps, ForPrediction
from facetell.app.serve.crops import Crop, crops
from facetell.app.serve.models import Models
from facetell.app.serve.pictures import coloured, jpeg, png
from facetell.app.serve.refusals import Code, Refused
from facetell.app.serve.worker import Job
from facetell.common.errors import UserError
from facetell.explain import METHODS, explain
from facetell.explain.maps import OK
from facetell.explain.subject import device_of
from facetell.images.decoding import NotAnImage, TooLarge, Unusable, decode
from facetell.images.faces import caution
from facetell.images.loading import fit, to_unit
from facetell.images.photos import Photo
from facetell.models.detector import Card, Detector
from facetell.models.inference import margin_of


@dataclass(frozen=True)
class Seen:
    """What a model sees of a crop: float RGB in [0, 1] (1, 3, S, S), changed.

    ``photo`` is the crop as it was cut for the model, and ``caution`` what its cutting means.
    """

    photo: Photo
    images: torch.Tensor
    caution: str | None

    @property
    def pixels(self) -> np.ndarray:
        """The same as uint8 (S, S, 3)."""
        rows = self.images[0].mul(255).round().to("cpu", torch.uint8).permute(1, 2, 0)
        return np.ascontiguousarray(rows.numpy())


@dataclass(frozen=True)
class Look:
    """What a model makes of what it sees: its margin, and a map (h, w) at a layer or, without one,
    the reason as ``status``."""

    margin: float
    layer: str | None
    values: np.ndarray | None
    title: str
    status: str


def predictions(
    models: Models, photos: Sequence[bytes], asked: ForPrediction, pixels: int, job: Job[Any]
) -> Predictions:
    """The verdicts of the models that are asked for; at most so many ``pixels`` a photo."""
    found = []
    for number, data in enumerate(photos):
        photo = opened(data, pixels, f"Photo {number + 1}" if len(photos) > 1 else "The photo")
        faces = []
        for crop in crops(photo, find=asked.find_faces):
            verdicts = []
            for name in models.check(asked.models):
                job.step()
                detector = models.get(name)
                seen = see(detector, crop, asked)
                with torch.inference_mode():
                    margin = float(margin_of(detector, seen.images))
                verdicts.append(Verdict(**said(name, detector, seen, margin)))
            faces.append(JudgedFace(box=crop.box, models=verdicts))
        found.append(JudgedPhoto(width=photo.width, height=photo.height, faces=faces))
    return Predictions(photos=found)


def explanations(
    models: Models, data: bytes, asked: ForMaps, pixels: int, job: Job[Any]
) -> Explanations:
    """Verdicts and maps of one photo."""
    photo = opened(data, pixels)
    faces = []
    for crop in crops(photo, find=asked.find_faces):
        shown: dict[str, str] = {}
        verdicts = []
        for name in models.check(asked.models):
            job.step()
            detector = models.get(name)
            seen = see(detector, crop, asked)
            found = look(detector, seen, asked)
            verdict = said(name, detector, seen, found.margin)
            view = view_of(detector.card, crop)
            map_ = drawn(found, seen, asked.method)
            verdicts.append(Explained(**verdict, view=view, map=map_))
            if view not in shown:
                shown[view] = png(seen.pixels)
        faces.append(ExplainedFace(box=crop.box, seen=shown, models=verdicts))
    return Explanations(width=photo.width, height=photo.height, faces=faces)


def view_of(card: Card, crop: Crop) -> str:
    """What tells apart what detectors see of one crop: size, and how a face is cut out."""
    return str(card.image_size) if crop.face is None else f"{card.image_size}-{card.frame}"


def opened(data: bytes, pixels: int, name: str = "The photo") -> Photo:
    """The photo in some bytes, by the decoder that all images of facetell go through.

    Raises
    ------
    Refused : it is no image, has more than so many ``pixels``, or cannot be decoded whole.
    """
    try:
        return Photo(name, decode(data, largest=pixels))
    except TooLarge as reason:
        raise Refused(
            Code.TOO_MANY_PIXELS, f"{name} is {reason}; at most {pixels / 1e6:g} megapixels."
        ) from reason
    except NotAnImage as reason:
        raise Refused(
            Code.NOT_AN_IMAGE,
            f"{name} cannot be read: {reason}; send a JPEG, PNG, WebP, BMP, TIFF or GIF.",
        ) from reason
    except Unusable as reason:
        raise Refused(Code.UNUSABLE_PHOTO, f"{name} cannot be used: {reason}.") from reason


def see(detector: Detector, crop: Crop, changes: Changes) -> Seen:
    """The crop fitted as every image is that the detector was trained on, then changed."""
    card = detector.card
    photo = crop.framed(card.frame)
    images = to_unit(fit(photo.pixels, card.image_size)[None], device_of(detector))
    words = None if crop.face is None else caution(card.frame)
    return Seen(photo, changes.apply(images), words)


def said(name: str, detector: Detector, seen: Seen, margin: float) -> dict[str, Any]:
    """The fields of a verdict."""
    if not np.isfinite(margin):
        raise Refused(Code.MODEL_UNUSABLE, f"The model {name} gives no finite score.")
    card, pixels = detector.card, seen.pixels.transpose(2, 0, 1)
    (found,) = interpreted(card, [seen.photo], pixels[None], np.array([margin]))
    return {
        "model": name,
        "image_size": card.image_size,
        "verdict": found.verdict,
        "margin": found.margin,
        "score": found.score,
        "probability": found.probability,
        "threshold": found.threshold,
        "novelty": found.novelty if np.isfinite(found.novelty) else None,
        "unlike": [*found.unlike, *([seen.caution] if seen.caution else [])],
    }


def look(detector: Detector, seen: Seen, asked: ForMaps) -> Look:
    """The margin and the map that is asked for, of one pass where that is possible."""
    try:
        found = explain(
            detector,
            seen.images,
            methods=str(asked.method),
            layers=asked.layer or "default",
            saliency=False,
        )
    except UserError as reason:  # not defined for this network, or it has no such layer
        with torch.inference_mode():
            margin = float(margin_of(detector, seen.images))
        return Look(margin, None, None, METHODS[asked.method].title, str(reason).partition(";")[0])
    ((layer, maps),) = found.maps[asked.method].items()
    status = str(found.status[asked.method][layer][0])
    title = found.titles[asked.method]
    return Look(float(found.margin[0]), layer, maps[0] if status == OK else None, title, status)


def drawn(found: Look, seen: Seen, method: str) -> Map:
    """The map as an answer has it."""
    signed = METHODS[method].signed
    return Map(
        method=method,
        title=found.title,
        layer=found.layer,
        signed=signed,
        status=found.status,
        picture=None if found.values is None else jpeg(coloured(found.values, seen.pixels, signed)),
    )
