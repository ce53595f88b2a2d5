"""Explanations over a whole test set: class means, examples to draw, and what masks catch."""

from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
import torch
from PIL import Image

from facetell.detector import Detector
from facetell.explain.engine import explain
from facetell.explain.layers import layers, map_layers
from facetell.explain.maps import enlarge
from facetell.explain.planted import mass_accuracy
from facetell.labels import CLASSES
from facetell.loading import Images, scoring_batches, to_unit
from facetell.progress import progress

BATCH = 32
CELLS = 7  # a side of fewer cells says little about where; Grad-CAM has 7 at 224 px
VERDICTS = {  # (label, verdict) to the name of the group in figures
    (1, 1): "fake, found",
    (1, 0): "fake, missed",
    (0, 0): "real, passed",
    (0, 1): "real, accused",
}


@dataclass
class Example:
    """One image with its maps: RGB uint8 (S, S, 3), saliency (S, S), signed cam (h, w)."""

    group: str
    image: np.ndarray
    saliency: np.ndarray
    cam: np.ndarray
    score: float
    mask: np.ndarray | None = None  # bool (S, S): where artefacts were planted


@dataclass
class Survey:
    """Mean saliency (S, S) and count per class, examples per verdict, shares in the masks."""

    layer: str
    means: dict[str, np.ndarray]
    counts: dict[str, int]
    examples: list[Example]
    planted: dict[str, list[float]] = field(default_factory=dict)


def survey(
    detector: Detector, images: Images, threshold: float, *, per_group: int, device: torch.device
) -> Survey:
    """Explain every image once; memory does not grow with their number.

    The examples of a group are its first images in the packed order, so they are not picked for
    looks. ``planted`` has, for fakes with a mask, the share of relevance inside the mask for
    ``saliency`` and ``gradcam``, and the mask's share of the area, which is chance.
    """
    size = images.size
    sums = {name: np.zeros((size, size)) for name in CLASSES}
    found = Survey("", {}, dict.fromkeys(CLASSES, 0), [], {})
    drawn = dict.fromkeys(VERDICTS, 0)
    for indices, pixels, labels in progress(scoring_batches(images, BATCH), "explaining"):
        batch = to_unit(pixels, device)
        found.layer = found.layer or finest(detector, batch)
        maps = explain(detector, batch, layers=found.layer)
        cams = maps.maps["gradcam"][found.layer]
        for row, (index, label) in enumerate(zip(indices.tolist(), labels.tolist(), strict=True)):
            sums[CLASSES[label]] += maps.saliency[row]
            found.counts[CLASSES[label]] += 1
            mask = _mask(images.packed.mask(index), size)
            if mask is not None:
                wide = enlarge(cams[row], size)
                _score(found.planted, maps.saliency[row], wide, mask)
            group = (label, int(maps.margin[row] >= threshold))
            if drawn[group] < per_group:
                drawn[group] += 1
                found.examples.append(
                    Example(
                        VERDICTS[group],
                        pixels[row].permute(1, 2, 0).numpy(),
                        maps.saliency[row],
                        cams[row],
                        float(1 / (1 + np.exp(-float(maps.margin[row])))),
                        mask,
                    )
                )
    found.means = {name: sums[name] / max(1, found.counts[name]) for name in CLASSES}
    order = list(VERDICTS.values())
    found.examples.sort(key=lambda example: order.index(example.group))
    return found


def finest(detector: Detector, images: torch.Tensor) -> str:
    """The deepest listed layer with at least 7x7 cells; without one, that with the most."""
    sides = {name: min(cells) for name, cells in map_layers(detector, images).items()}
    names = [name for name in layers(detector) if name in sides]
    fine = [name for name in names if sides[name] >= CELLS]
    return fine[-1] if fine else max(reversed(names), key=lambda name: sides[name])


def planted_scores(planted: dict[str, list[float]]) -> dict[str, float]:
    """Means over fakes, each with a normal 95% interval (``_low``, ``_high``), and their count."""
    scores: dict[str, float] = {}
    for name, values in planted.items():
        half = 1.96 * np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
        mean = float(np.mean(values))
        scores |= {name: mean, f"{name}_low": mean - half, f"{name}_high": mean + half}
        scores["n"] = len(values)
    return {name: float(value) for name, value in scores.items()}


def _mask(png: bytes | None, size: int) -> np.ndarray | None:
    if png is None:
        return None
    image = Image.open(BytesIO(png)).resize((size, size), Image.Resampling.NEAREST)
    mask = np.asarray(image) > 0
    return mask if mask.any() else None


def _score(
    planted: dict[str, list[float]], saliency: np.ndarray, cam: np.ndarray, mask: np.ndarray
) -> None:
    masks = mask[None]
    for name, map_ in (("saliency", saliency), ("gradcam", cam)):
        planted.setdefault(name, []).append(float(mass_accuracy(map_[None], masks)[0]))
    planted.setdefault("chance", []).append(float(mask.mean()))
