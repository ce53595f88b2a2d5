# SPDX-License-Identifier: Apache-2.0
"""A user's own photo: verdict, and where the detector looked, as in the evaluation."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.special import expit

from facetell.app.prediction import Prediction, predicted
from facetell.common.errors import UserError, printable
from facetell.common.figure_style import legible, save
from facetell.common.machine import device
from facetell.evaluation.perturbations.degradation import blur
from facetell.explain import INPUT, METHODS, defined_methods, explain
from facetell.explain.registry import methods_named
from facetell.explain.subject import device_of
from facetell.explain.survey.examples import Example, examples
from facetell.images.faces import aligned_faces, caution
from facetell.images.loading import fit, to_unit
from facetell.images.photos import Photo, read_photo
from facetell.models.detector import Detector
from facetell.report.figures.layers import every_layer
from facetell.report.figures.sheets import methods_side_by_side

FIGURES = (".png", ".pdf", ".svg")
SIGMAS = (1.0, 2.0)  # px of the network's input, those of the UIUC report
LONGEST_STEM = 180  # bytes of a photo's name in that of its figure; systems take 255 in all


@dataclass(frozen=True)
class Shown:
    """What is explained: a photo, or a face in it. ``stem`` begins the name of its figure."""

    name: str
    title: str
    stem: str
    photo: Photo


@dataclass(frozen=True)
class Explained:
    """Where the figure is, and the verdicts on the photo, or on one face in it: first clean, then
    blurred if asked."""

    name: str
    prediction: Prediction
    target: Path
    rows: list[Example]

    def lines(self) -> list[str]:
        """A verdict a line, with P(fake) and the threshold that it was compared with."""
        first, *others = self.rows
        limit = self.prediction.threshold
        lines = [f"{printable(self.name)}: {first.verdict}, P(fake) {first.score:.3f} "
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
    crop: bool = False,
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
    crop : find the faces, and explain each of them, cut out as the training images were.

    Raises
    ------
    UserError : a photo, the weights, a method, a layer or a target that cannot be used; photos,
        methods and targets are checked before the first figure is written.
    """
    named = [] if list(methods) == ["all"] else [m.name for m in methods_named(methods)]
    detector = Detector.load(weights).to(device())
    frame = detector.card.frame
    shown = [one for path in photos for one in _shown(path, frame, crop=crop)]
    targets = _targets([one.stem for one in shown], out)
    seen = [fit(one.photo.pixels, detector.card.image_size)[None] for one in shown]
    cautions = [words] if crop and (words := caution(frame)) else []
    names = named or _cheap(detector, to_unit(seen[0], device_of(detector)))
    by_layer = len(names) == 1 and METHODS[names[0]].of_layers
    wanted = list(layers) or (["all"] if by_layer else ["default"])
    if not by_layer and (len(wanted) > 1 or wanted == ["all"]):
        raise UserError(
            f"{', '.join(names)} side by side are drawn at one layer, not at {', '.join(wanted)}; "
            "name one layer, or take one method of layers"
        )
    sigmas = () if not blurred else SIGMAS if by_layer else SIGMAS[-1:]
    for one, pixels, target in zip(shown, seen, targets, strict=True):
        rows = _rows(detector, pixels, one.title, names, wanted, sigmas)
        save(_figure(rows, names, by_layer, weights.stem, one.title), target)
        (said,) = predicted(detector, [one.photo])
        said = replace(said, unlike=(*cautions, *said.unlike))
        yield Explained(one.name, said, target, rows)


def _shown(path: Path, frame: str | None, *, crop: bool) -> list[Shown]:
    photo = read_photo(path)
    if not crop:
        return [Shown(str(path), path.name, path.stem, photo)]
    return [
        Shown(
            f"{path}, face {at}",
            f"{path.name}, face {at}",
            f"{path.stem}_face{at}",
            Photo(photo.name, found.pixels),
        )
        for at, found in enumerate(aligned_faces(photo.pixels, frame, name=photo.name), start=1)
    ]


def _targets(stems: Sequence[str], out: Path | None) -> list[Path]:
    """A file for each photo or face."""
    if out is not None and out.suffix.lower() not in FIGURES:
        raise UserError(
            f"{printable(out)}: a figure is one of {', '.join(f'*{end}' for end in FIGURES)}"
        )
    if out is None:
        targets = [Path(f"{_fitting(stem)}_explained.png") for stem in stems]
    elif len(stems) == 1:
        targets = [out]
    else:
        targets = [out.with_stem(f"{out.stem}_{_fitting(stem)}") for stem in stems]
    for index, target in enumerate(targets):
        if target in targets[:index]:
            raise UserError(
                f"two photos are named {printable(stems[index])} and would both be written "
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
    seen: torch.Tensor,
    photo: str,
    methods: Sequence[str],
    layers: Sequence[str],
    sigmas: Sequence[float],
) -> list[Example]:
    """The photo as the network sees it, uint8 (1, 3, S, S), and blurred by each of ``sigmas``,
    explained."""
    clean = to_unit(seen, device_of(detector))
    batch = torch.cat([clean, *(blur(clean, [0], sigma=sigma) for sigma in sigmas)])
    wanted = layers[0] if len(layers) == 1 else layers
    explanation = explain(detector, batch, methods=methods, layers=wanted)
    shown = batch.mul(255).round().to("cpu", torch.uint8).permute(0, 2, 3, 1)
    names = [photo if not sigmas else "clean", *(f"blur {s:g} px" for s in sigmas)]
    return examples(
        explanation, np.ascontiguousarray(shown.numpy()), names, detector.card.threshold
    )


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
