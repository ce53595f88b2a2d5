# SPDX-License-Identifier: Apache-2.0
"""The plan of the rendered demo set: one row for every image before anything is drawn, balanced
so that nothing but the planted artefacts tells the classes apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
import pydantic
from pydantic import ConfigDict, Field, model_validator

from facetell.common.labels import SPLITS

from .accessories import DECOYS
from .artefacts import KINDS
from .camera import PLATFORM_SHARES, PLATFORMS

GENERATORS: dict[str, dict[str, float]] = {
    "upsampler": {"checkerboard": 3.0, "spectral_peak": 3.0, "oversmoothed": 2.0},
    "swapper": {"blend_seam": 3.0, "iris_mismatch": 1.8, "oversmoothed": 2.0},
    "inpainter": {"smeared_background": 3.0, "earring_mismatch": 1.6, "blend_seam": 2.2},
}
DECOY_SHARE = 0.35
IMAGES_PER_PERSON = 4
SMALLEST_SIDE = 32
_PLAN_STREAM = 0


Count = Annotated[int, Field(ge=0)]
Even = Annotated[int, Field(ge=0, multiple_of=2)]  # half real, half fake


@pydantic.dataclasses.dataclass(
    frozen=True, kw_only=True, config=ConfigDict(extra="forbid", strict=True)
)
class RenderedSet:
    """What a rendered set consists of; everything in it follows from these values.

    Wrong values raise pydantic's ValidationError, a ValueError.

    >>> content = RenderedSet(seed=0, train=4, valid=0, test=2, singles_per_kind=0)
    >>> [(spec.split, spec.label) for spec in plan(content) if spec.split == "test"]
    [('test', 1), ('test', 0)]
    """

    seed: Count

    size: Annotated[int, Field(ge=SMALLEST_SIDE)] = 64
    """Side of the pictures in pixels."""

    train: Even = 2000
    """Images of the training split, half of them fake."""

    valid: Even = 400

    test: Even = 400

    singles_per_kind: Count = 20
    """Test fakes with one artefact of each kind, in addition to the others."""

    artefacts_per_fake: Annotated[float, Field(ge=1, le=len(KINDS))] = 3
    """Artefacts of the other fakes on average."""

    @property
    def images(self) -> dict[str, int]:
        """Images by split, without the singles."""
        return {split: getattr(self, split) for split in SPLITS}

    @model_validator(mode="after")
    def _has_persons(self) -> Self:
        if not any(self.images.values()):
            raise ValueError("train, valid and test must not all be 0")
        if self.singles_per_kind and not self.test:
            raise ValueError("singles_per_kind must be 0 when test is 0: singles need test persons")
        return self


@dataclass(frozen=True)
class Spec:
    """One image of the set before it is drawn; `label` is 1 for fake and 0 for real.

    `index` numbers the images, `person` the persons, `scene` the views of them: a fake and a real
    image of one scene are equal but for the artefacts. `artefacts` holds names of `KINDS` in their
    order, `decoy` one of `accessories.DECOYS` or "", `generator` "" for a real image.
    """

    index: int
    scene: int
    split: str
    label: int
    person: int
    generator: str
    platform: str
    artefacts: tuple[str, ...]
    decoy: str

    @property
    def id(self) -> str:
        """The image's name, such as demo-000123."""
        return f"demo-{self.index:06d}"

    @property
    def person_id(self) -> str:
        """The person's name, such as p00123."""
        return f"p{self.person:05d}"

    @property
    def has_twin(self) -> bool:
        """Whether the set holds the same image without its artefacts."""
        return self.split == "test" and self.label == 1


def _quota(rng: np.random.Generator, count: int, names: tuple, shares: tuple) -> list:
    """Return `count` names in random order, each as often as its share says (rounded)."""
    edges = np.cumsum(shares) / sum(shares)
    # A random offset keeps the rounding from always favouring the same name.
    shares_drawn = (np.arange(count) + rng.random()) / max(count, 1)
    drawn = [names[min(int(np.searchsorted(edges, s)), len(names) - 1)] for s in shares_drawn]
    return [drawn[i] for i in rng.permutation(count)]


def _decoys(rng: np.random.Generator, count: int) -> list[str]:
    share = DECOY_SHARE / len(DECOYS)
    return _quota(rng, count, ("", *DECOYS), (1 - DECOY_SHARE, *[share] * len(DECOYS)))


def _kinds(rng: np.random.Generator, generator: str, mean: float) -> tuple[str, ...]:
    """Draw a generator's artefacts, `mean` on average: one fewer or one more in 3 of 10 images."""
    spread = rng.choice((-1, 0, 1), p=(0.15, 0.7, 0.15)) if 1 < mean < len(KINDS) else 0
    base = math.floor(mean) + (rng.random() < mean - math.floor(mean))
    count = int(np.clip(base + spread, 1, len(KINDS)))
    weights = np.array([GENERATORS[generator].get(kind, 1.0) for kind in KINDS])
    chosen = rng.choice(len(KINDS), size=count, replace=False, p=weights / weights.sum())
    return tuple(KINDS[i] for i in sorted(chosen))


def _views(rng: np.random.Generator, count: int) -> list[dict[str, str]]:
    """Platform and decoy of so many images, alike in both classes."""
    platforms, decoys = _quota(rng, count, PLATFORMS, PLATFORM_SHARES), _decoys(rng, count)
    return [{"platform": p, "decoy": d} for p, d in zip(platforms, decoys, strict=True)]


def _real(view: dict[str, Any], person: int) -> dict[str, Any]:
    return view | {"label": 0, "person": person, "generator": "", "artefacts": ()}


def _fakes(
    rng: np.random.Generator, views: list[dict[str, str]], persons: list[int], mean: float
) -> list[dict[str, Any]]:
    makers = _quota(rng, len(views), tuple(GENERATORS), (1, 1, 1))
    return [
        view | {"label": 1, "person": persons[i // 2], "generator": maker,
                "artefacts": _kinds(rng, maker, mean)}
        for i, (view, maker) in enumerate(zip(views, makers, strict=True))
    ]  # fmt: skip


def _singles(rng: np.random.Generator, each: int, persons: list[int]) -> list[dict[str, Any]]:
    kinds = [kind for kind in KINDS for _ in range(each)]
    views, order = _views(rng, len(kinds)), rng.permutation(len(kinds)).tolist()
    return [
        view | {"label": 1, "person": persons[at % len(persons)], "generator": f"single-{kind}",
                "artefacts": (kind,)}
        for kind, view, at in zip(kinds, views, order, strict=True)
    ]  # fmt: skip


def plan(content: RenderedSet) -> list[Spec]:
    """The rows of a rendered set in the order of their index; draws no picture.

    In the training split each fake has its original among the real images, as in sets of swapped
    faces; elsewhere every image is a scene of its own.
    """
    rng = np.random.default_rng([content.seed, _PLAN_STREAM])
    counts = content.images
    people = {split: math.ceil(count / IMAGES_PER_PERSON) for split, count in counts.items()}
    numbers = rng.permutation(sum(people.values())).tolist()
    scenes: list[list[dict[str, Any]]] = []
    for split, count in counts.items():
        mine, numbers = numbers[: people[split]], numbers[people[split] :]
        fakes = _fakes(rng, _views(rng, count // 2), mine, content.artefacts_per_fake)
        paired = split == "train"
        views = fakes if paired else _views(rng, count // 2)
        reals = [_real(view, mine[i // 2]) for i, view in enumerate(views)]
        if split == "test" and content.singles_per_kind:
            fakes += _singles(rng, content.singles_per_kind, mine)
        groups = zip(fakes, reals, strict=True) if paired else ([row] for row in fakes + reals)
        scenes += [[row | {"split": split} for row in group] for group in groups]
    rows = [row | {"scene": scene} for scene, group in enumerate(scenes) for row in group]
    order = rng.permutation(len(rows)).tolist()
    return [Spec(index=index, **rows[row]) for index, row in enumerate(order)]
