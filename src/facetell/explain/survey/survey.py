"""What a whole test set says of one detector: class means, face regions, planted truth, examples.

Images are explained once, batch by batch, and only sums and numbers are kept: memory does not grow
with their number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
import pandas as pd
import torch
from PIL import Image

from facetell.common.labels import CLASSES
from facetell.common.progress import progress
from facetell.explain.engine import explain
from facetell.explain.layers import layers, map_layers
from facetell.explain.maps import INPUT
from facetell.explain.survey.class_means import ClassMeans, Labellings
from facetell.explain.survey.examples import GROUPS, Example, examples
from facetell.explain.survey.regions import RegionTally, replaced
from facetell.explain.trust.image_means import Tally
from facetell.explain.trust.planted import Leaderboard, baselines, gated, model_gate
from facetell.explain.trust.sanity import cascade, stages
from facetell.images.loading import Images, scoring_batches, to_unit
from facetell.models.detector import Detector

BATCH = 32
CELLS = 7  # a side of fewer cells says little about where; Grad-CAM has 7 at 224 px
CAM = "gradcam"
OTHERS = 4  # masks of other persons' fakes that say what a map gets for nothing
LEAST = 8  # fakes that must pass the gate before their maps are ranked


@dataclass
class Survey:
    """Of one detector on one test set.

    ``layer`` is the one at which ``gradcam`` was made; ``means`` by method; ``examples`` the first
    images of each group in the packed order, so not picked for looks; ``regions`` None where the
    set's faces have no known frame; ``replaced`` of sets that say what was replaced.
    """

    layer: str
    means: dict[str, ClassMeans]
    examples: list[Example]
    counts: dict[str, int]
    regions: RegionTally | None = None
    replaced: Tally | None = None


@dataclass
class Planted:
    """The planted-artefact benchmark of one detector.

    ``gate`` says whether the model uses the artefacts at all; ``fakes`` are the indices of those
    that it tells by them, by kind (``single`` artefact, ``several``); ``boards`` by kind too,
    without those of which too few pass.
    """

    gate: dict[str, float | bool]
    fakes: dict[str, list[int]] = field(default_factory=dict)
    boards: dict[str, Leaderboard] = field(default_factory=dict)

    def table(self, *, resamples: int, seed: int) -> pd.DataFrame:
        """The leaderboards of all kinds, see ``Leaderboard.table``."""
        parts = [board.table(resamples=resamples, seed=seed) for board in self.boards.values()]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def survey(
    detector: Detector,
    images: Images,
    threshold: float,
    test: pd.DataFrame,
    *,
    per_group: int,
    frame: str | None,
    seed: int,
    permutations: int,
    device: torch.device,
) -> Survey:
    """Explain every image once, by saliency and by Grad-CAM at the finest deep layer.

    ``test`` has the rows of the manifest in the images' order: label, person, regions. Relevance
    by region is what speaks for an image's own class.
    """
    labels, persons = test["label"].to_numpy(), test["person"].astype(str).tolist()
    layer = finest(detector, batch_of(images, [0], device))
    both = len(set(labels.tolist())) == 2
    labellings = Labellings(labels, persons, permutations=permutations, seed=seed) if both else None
    found = Survey(
        layer,
        {name: ClassMeans(labellings) for name in ("saliency", CAM)} if labellings else {},
        [],
        {name: int((labels == value).sum()) for value, name in enumerate(CLASSES)},
        RegionTally(images.size, frame) if frame else None,
        Tally(("method", "layer")) if frame and (test["regions"] != "").any() else None,
    )
    drawn = dict.fromkeys(GROUPS.values(), 0)
    for indices, pixels, _ in progress(scoring_batches(images, BATCH), "explaining"):
        rows = indices.tolist()
        seen = explain(detector, to_unit(pixels, device), methods=(CAM,), layers=layer)
        maps = {"saliency": {INPUT: seen.saliency}, CAM: {layer: seen.maps[CAM][layer]}}
        for name, means in found.means.items():
            means.add(next(iter(maps[name].values())), rows)
        own = np.where(labels[rows] == 1, 1, -1)[:, None, None]
        maps[CAM] = {layer: own * maps[CAM][layer]}  # now what speaks for the image's own class
        _by_region(found, maps, images.size, test.iloc[rows], frame)
        shown = pixels.permute(0, 2, 3, 1).numpy()
        masks = [planted_mask(images.packed.mask(index), images.size) for index in rows]
        names = [images.packed.ids[index] for index in rows]
        for example in examples(
            seen, shown, names, threshold, labels=labels[rows].tolist(), masks=masks
        ):
            if drawn[example.group] < per_group:
                drawn[example.group] += 1
                found.examples.append(example)
    order = list(GROUPS.values())
    found.examples.sort(key=lambda example: order.index(example.group))
    return found


def planted(
    detector: Detector,
    images: Images,
    threshold: float,
    test: pd.DataFrame,
    with_: np.ndarray,
    without: np.ndarray,
    *,
    methods: Sequence[str],
    most: int,
    seed: int,
    device: torch.device,
) -> Planted:
    """Score maps of all layers against the masks of what was planted.

    Parameters
    ----------
    with_, without : margins (N,) of the test images and of their twins without artefacts.
    methods : one-pass methods.
    most : fakes of a kind at most; where more pass the gate, the first of them.

    Beside the trained network stand the same network with random weights, and maps that know
    nothing of any model, all on the same fakes.
    """
    masks = {
        index: mask
        for index in np.flatnonzero(test["label"].to_numpy() == 1).tolist()
        if (mask := planted_mask(images.packed.mask(index), images.size)) is not None
    }
    real = with_[test["label"].to_numpy() == 0]
    if not masks or not len(real):
        return Planted({})
    single = ~test["artefacts"].str.contains("+", regex=False).to_numpy()
    gating = [index for index in masks if not single[index]] or list(masks)
    found = Planted(model_gate(real, with_[gating], without[gating], threshold))
    passed = gated(with_, without, threshold)
    persons = test["person"].astype(str).to_numpy()
    networks = {"trained": detector, "untrained": untrained(detector, seed)}
    for kind, of_kind in {"single": single, "several": ~single}.items():
        found.fakes[kind] = [index for index in masks if of_kind[index] and passed[index]]
        chosen = found.fakes[kind][:most]
        if len(chosen) < LEAST or len(set(persons[chosen])) < 2:
            continue
        pool = np.stack([masks[index] for index in chosen])
        board = Leaderboard(pool, persons[chosen].tolist(), others=OTHERS, seed=seed)
        parts = [chosen[at : at + BATCH] for at in range(0, len(chosen), BATCH)]
        for rows in progress(parts, f"planted artefacts, {kind}"):
            batch = batch_of(images, rows, device)
            names, own = [images.packed.ids[index] for index in rows], persons[rows].tolist()
            truth = np.stack([masks[index] for index in rows])
            told = {"fakes": kind}
            for source, network in networks.items():
                maps = explain(network, batch, methods=methods).maps
                board.add(_finite(maps), truth, names, own, source=source, **told)
            blind = baselines(batch.cpu().numpy(), names, seed=seed)
            alone = {name: {INPUT: values} for name, values in blind.items()}
            board.add(alone, truth, names, own, source="baseline", **told)
        found.boards[kind] = board
    return found


def _finite(maps: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    """Maps with zeros for what is not finite: nothing was found there."""
    return {
        method: {
            layer: np.nan_to_num(values, nan=0, posinf=0, neginf=0)
            for layer, values in layers.items()
        }
        for method, layers in maps.items()
    }


def untrained(detector: Detector, seed: int) -> Detector:
    """A copy with all weights drawn anew."""
    (changed,) = (
        network for _, network in cascade(detector, stops=stages(detector)[-1:], seed=seed)
    )
    assert isinstance(changed, Detector)
    return changed.eval()


def finest(detector: Detector, images: torch.Tensor) -> str:
    """The deepest listed layer with at least 7x7 cells; without one, that with the most."""
    sides = {name: min(cells) for name, cells in map_layers(detector, images).items()}
    names = [name for name in layers(detector) if name in sides]
    fine = [name for name in names if sides[name] >= CELLS]
    return fine[-1] if fine else max(reversed(names), key=lambda name: sides[name])


def planted_mask(png: bytes | None, size: int) -> np.ndarray | None:
    """Where artefacts were planted, bool (size, size); None where none were or none is known."""
    if png is None:
        return None
    image = Image.open(BytesIO(png)).resize((size, size), Image.Resampling.NEAREST)
    mask = np.asarray(image) > 0
    return mask if mask.any() else None


def batch_of(images: Images, rows: Sequence[int], device: torch.device) -> torch.Tensor:
    """Some of the images, float RGB in [0, 1] (B, 3, S, S)."""
    return to_unit(torch.stack([images[row][1] for row in rows]), device)


def _by_region(
    found: Survey,
    maps: dict[str, dict[str, np.ndarray]],
    size: int,
    rows: pd.DataFrame,
    frame: str | None,
) -> None:
    """Relevance of one batch by region, and in the regions that were replaced."""
    persons = rows["person"].astype(str).tolist()
    if found.regions is not None:
        classes = [CLASSES[label] for label in rows["label"]]
        found.regions.add(maps, classes, persons)
    known = (rows["regions"] != "").to_numpy()
    if found.replaced is not None and frame and known.any():
        names = rows.loc[known, "regions"].tolist()
        for method, by_layer in maps.items():
            for layer, values in by_layer.items():
                shares = replaced(values[known], names, size=size, frame=frame)
                theirs = [
                    person for person, is_known in zip(persons, known, strict=True) if is_known
                ]
                found.replaced.add((method, layer), shares, theirs)
