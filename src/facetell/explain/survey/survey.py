# SPDX-License-Identifier: Apache-2.0
"""What a whole test set says of a detector: class means, face regions, examples.

Images are explained once, batch by batch, and only sums and numbers are kept: memory does not grow
with their number.
"""

from dataclasses import dataclass, field

import numpy as np
import torch

from facetell.common.labels import CLASSES
from facetell.common.progress import progress, worked
from facetell.explain.engine import explain
from facetell.explain.layers import layers, map_layers
from facetell.explain.maps import INPUT, Explanation
from facetell.explain.survey.class_means import ClassMeans, Labellings
from facetell.explain.survey.examples import CAM, GROUPS, Example, examples
from facetell.explain.survey.regions import RegionShares
from facetell.explain.test_set import TestSet
from facetell.images.loading import to_unit
from facetell.models.detector import Detector

BATCH = 32
CELLS = 7  # a side of fewer cells says little about where; Grad-CAM has 7 at 224 px


@dataclass
class Survey:
    """Of one detector on one test set.

    layer : the one at which Grad-CAM was made.
    per_group : examples of each class and verdict, at most.
    counts : images by class.
    means : class means by method; none for a set of one class.
    regions : relevance by face region; None where the set's faces have no known frame.
    examples : the first images of each group in the packed order, so not picked for looks.
    """

    layer: str
    per_group: int
    counts: dict[str, int]
    means: dict[str, ClassMeans]
    regions: RegionShares | None = None
    examples: list[Example] = field(default_factory=list)

    def first_of_each_class(self) -> dict[str, Example]:
        """The first example of fake and of real, by class, where there is one: a fake that was
        found comes before one that was missed, a real one that passed before one accused."""
        first: dict[str, Example] = {}
        for example in self.examples:
            first.setdefault(CLASSES[int(example.label or 0)], example)
        return first


def survey(tested: TestSet, *, per_group: int, permutations: int) -> Survey:
    """Explain every image once, by saliency and by Grad-CAM at the finest deep layer.

    Parameters
    ----------
    per_group : examples that are kept of each class and verdict.
    permutations : of the test of class means.

    Relevance by region is what speaks for an image's own class.
    """
    found = _empty(tested, per_group, permutations)

    def look(rows: list[int]) -> tuple[torch.Tensor, Explanation]:
        pixels = torch.stack([tested.images[row][1] for row in rows])
        batch = to_unit(pixels, tested.device)
        return pixels, explain(
            tested.detector, batch, methods=(CAM,), layers=found.layer, seed=tested.seed
        )

    every = list(range(len(tested.images)))
    parts = [every[at : at + BATCH] for at in range(0, len(every), BATCH)]
    looked = progress(tested.world.dealt(look, parts), "explaining", len(parts))
    for rows, (pixels, seen) in zip(parts, looked, strict=True):
        maps = {"saliency": {INPUT: seen.saliency}, CAM: {found.layer: seen.maps[CAM][found.layer]}}
        for name, means in found.means.items():
            means.add(next(iter(maps[name].values())), rows)
        own = np.where(tested.labels[rows] == 1, 1, -1)[:, None, None]
        maps[CAM] = {found.layer: own * maps[CAM][found.layer]}  # speaks for the image's own class
        _by_region(found, maps, rows, tested)
        _keep_examples(found, seen, pixels, rows, tested)
        worked(len(rows))
    order = list(GROUPS.values())
    found.examples.sort(key=lambda example: order.index(example.group))
    return found


def finest(detector: Detector, images: torch.Tensor) -> str:
    """The deepest listed layer with at least 7x7 cells; without one, that with the most."""
    sides = {name: min(cells) for name, cells in map_layers(detector, images).items()}
    names = [name for name in layers(detector) if name in sides]
    fine = [name for name in names if sides[name] >= CELLS]
    return fine[-1] if fine else max(reversed(names), key=lambda name: sides[name])


def _empty(tested: TestSet, per_group: int, permutations: int) -> Survey:
    """A survey that has seen no image yet."""
    labels, frame = tested.labels, tested.frame
    draws = {"resamples": tested.resamples, "seed": tested.seed}
    means = {}
    if len(set(labels.tolist())) == 2:
        labellings = Labellings(
            labels, tested.persons.tolist(), permutations=permutations, seed=tested.seed
        )
        means = {name: ClassMeans(labellings) for name in ("saliency", CAM)}
    return Survey(
        finest(tested.detector, tested.batch([0])),
        per_group,
        {name: int((labels == value).sum()) for value, name in enumerate(CLASSES)},
        means,
        RegionShares(tested.images.size, frame, **draws) if frame else None,
    )


def _by_region(
    found: Survey, maps: dict[str, dict[str, np.ndarray]], rows: list[int], tested: TestSet
) -> None:
    """Relevance of one batch by region."""
    if found.regions is not None:
        classes = [CLASSES[label] for label in tested.labels[rows]]
        found.regions.add(maps, classes, tested.persons[rows].tolist())


def _keep_examples(
    found: Survey, seen: Explanation, pixels: torch.Tensor, rows: list[int], tested: TestSet
) -> None:
    """Those of one batch whose groups have room."""
    for example in examples(
        seen,
        pixels.permute(0, 2, 3, 1).numpy(),
        tested.ids(rows),
        tested.threshold,
        labels=tested.labels[rows].tolist(),
        masks=[tested.mask(row) for row in rows],
    ):
        if sum(kept.group == example.group for kept in found.examples) < found.per_group:
            found.examples.append(example)
