# SPDX-License-Identifier: Apache-2.0
"""A user's own photo: verdict, and where the detector looked, as in the evaluation."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.special import expit

from facetell.common.errors import UserError, printable, remedied
from facetell.common.figure_style import legible, save
from facetell.common.machine import device
from facetell.evaluation.perturbations.degradation import blur
from facetell.explain import INPUT, METHODS, defined_methods, explain
from facetell.explain.registry import methods_named
from facetell.explain.subject import device_of
from facetell.explain.survey.examples import Example, examples
from facetell.images.decoding import Unusable, decode
from facetell.images.loading import fit, to_unit
from facetell.models.detector import Card, Detector, load
from facetell.report.figures.layers import every_layer
from facetell.report.figures.sheets import methods_side_by_side

FIGURES = (".png", ".pdf", ".svg")
SIGMAS = (1.0, 2.0)  # px of the network's input, those of the UIUC report
LONGEST_STEM = 180  # bytes of a photo's name in that of its figure; systems take 255 in all
SEEN = 2 / 3  # of the photo's area: if the network sees less, the user is told


@dataclass(frozen=True)
class Photo:
    """A photo as the network sees it, uint8 (3, S, S), with warnings for the user."""

    path: Path
    pixels: torch.Tensor
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Explained:
    """Where the figure is, and the verdicts on the photo: first clean, then blurred if asked."""

    photo: Photo
    target: Path
    rows: list[Example]

    def lines(self) -> list[str]:
        """A verdict a line, with P(fake) and the threshold that it was compared with."""
        first, *others = self.rows
        limit = float(expit(first.threshold))
        lines = [f"{printable(self.photo.path)}: {first.verdict}, P(fake) {first.score:.3f} "
                 f"(fake from {limit:.3f} on)"]  # fmt: skip
        lines += [f"  {row.name}: {row.verdict}, P(fake) {row.score:.3f}" for row in others]
        return [*lines, f"  figure: {printable(self.target)}"]


def explain_photos(
    weights: Path,
    photos: Sequence[Path],
    *,
    methods: Sequence[str] = ("gradcam",),
    layers: Sequence[str] = (),
    out: Path | None = None,
    blurred: bool = False,
) -> Iterator[Explained]:
    """Explain each photo and write its figure: every layer of one method, or methods side by side.

    Parameters
    ----------
    methods : one, at all the ``layers`` ("all", "default" or names; all if empty); or several, at
        one layer (the default if empty). "all" stands for every method that is defined for the
        network, except the costly ones.
    out : the figure; with several photos, each photo's name is appended. By default
        PHOTO_explained.png in the working folder.
    blurred : also show maps and verdicts after Gaussian blur.

    Raises
    ------
    UserError : a photo, the weights, a method, a layer or a target that cannot be used; photos,
        methods and targets are checked before the first figure is written.
    """
    named = [] if list(methods) == ["all"] else [m.name for m in methods_named(methods)]
    targets = _targets(photos, out)
    detector, card = load(weights)
    read = [read_photo(path, card.image_size) for path in photos]
    detector.to(device())
    names = named or _cheap(detector, to_unit(read[0].pixels[None], device_of(detector)))
    by_layer = len(names) == 1 and METHODS[names[0]].of_layers
    wanted = list(layers) or (["all"] if by_layer else ["default"])
    if not by_layer and (len(wanted) > 1 or wanted == ["all"]):
        raise UserError(
            f"{', '.join(names)} side by side are drawn at one layer, not at {', '.join(wanted)}; "
            "name one layer, or take one method of layers"
        )
    sigmas = () if not blurred else SIGMAS if by_layer else SIGMAS[-1:]
    for photo, target in zip(read, targets, strict=True):
        rows = _rows(detector, card, photo, names, wanted, sigmas)
        save(_figure(rows, names, by_layer, weights.stem, photo.path.name), target)
        yield Explained(photo, target, rows)


def read_photo(path: Path, size: int) -> Photo:
    """Decode and fit as every image is that is trained on or scored.

    Raises
    ------
    UserError : the file is missing or is no image that can be decoded whole.
    """
    try:
        pixels = decode(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {printable(path)}: {remedied(error)}") from error
    except Unusable as reason:
        raise UserError(
            f"{printable(path)} cannot be used: {reason}; give a whole JPEG, PNG, WebP, BMP, TIFF "
            "or GIF"
        ) from reason
    return Photo(path, fit(pixels, size), tuple(_unlike(pixels.shape[0], pixels.shape[1], size)))


def _unlike(height: int, width: int, size: int) -> Iterator[str]:
    """What is known to be unlike the training images: the weights' card only has their size."""
    shorter, longer = sorted((height, width))
    if shorter < size:
        yield (
            f"{width}x{height} px is smaller than the network's input and was enlarged to "
            f"{size}x{size}: it has less detail than the training images, and that alone may "
            "decide the verdict"
        )
    if shorter < SEEN * longer:
        yield (
            f"the network sees only the square in the middle, {shorter / longer:.0%} of the photo: "
            "crop it to the face, as the training images were"
        )


def _targets(photos: Sequence[Path], out: Path | None) -> list[Path]:
    """A file for each photo."""
    if out is not None and out.suffix.lower() not in FIGURES:
        raise UserError(
            f"{printable(out)}: a figure is one of {', '.join(f'*{end}' for end in FIGURES)}"
        )
    if out is None:
        targets = [Path(f"{_fitting(photo.stem)}_explained.png") for photo in photos]
    elif len(photos) == 1:
        targets = [out]
    else:
        targets = [out.with_stem(f"{out.stem}_{_fitting(photo.stem)}") for photo in photos]
    for index, target in enumerate(targets):
        if target in targets[:index]:
            raise UserError(
                f"two photos are named {printable(photos[index].stem)} and would both be written "
                f"to {printable(target)}; "
                "explain them one at a time, each with its --out"
            )
    return targets


def _fitting(stem: str) -> str:
    """What a figure's name takes over of a photo's: the first bytes of one that is very long."""
    return os.fsdecode(os.fsencode(stem)[:LONGEST_STEM])


def _cheap(detector: Detector, images: torch.Tensor) -> list[str]:
    """The methods that are defined for the network, except those of many forward passes, and
    saliency, which is drawn anyway."""
    reasons = defined_methods(detector, images, "default")
    return [
        name
        for name, reason in reasons.items()
        if not reason and not METHODS[name].costly and name != "saliency"
    ]


def _rows(
    detector: Detector,
    card: Card,
    photo: Photo,
    methods: Sequence[str],
    layers: Sequence[str],
    sigmas: Sequence[float],
) -> list[Example]:
    """The photo, and blurred by each of ``sigmas``, explained."""
    clean = to_unit(photo.pixels[None], device_of(detector))
    batch = torch.cat([clean, *(blur(clean, [0], sigma=sigma) for sigma in sigmas)])
    wanted = layers[0] if len(layers) == 1 else layers
    explanation = explain(detector, batch, methods=methods, layers=wanted)
    shown = batch.mul(255).round().to("cpu", torch.uint8).permute(0, 2, 3, 1)
    names = [photo.path.name if not sigmas else "clean", *(f"blur {s:g} px" for s in sigmas)]
    return examples(explanation, np.ascontiguousarray(shown.numpy()), names, card.threshold)


def _figure(
    rows: list[Example], methods: Sequence[str], by_layer: bool, model: str, photo: str
) -> Figure:
    limit = float(expit(rows[0].threshold))
    verdict = f"{legible(photo)}: {rows[0].verdict} to {legible(model)}"
    title = f"{verdict}\nverdict: fake from P(fake) = {limit:.2f} on"
    if by_layer:
        return every_layer(rows, methods[0], title)
    at = [layer for maps in rows[0].maps.values() for layer in maps]
    layer = next((name for name in at if name != INPUT), INPUT)
    return methods_side_by_side(rows, layer, title)
