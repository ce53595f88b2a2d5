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
    >>> sorted((spec.split, spec.label) for spec in plan(content) if spec.split == "test")
    [('test', 0), ('test', 1)]
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

    `index` numbers the images, `person` the persons, `scene` the views of them, and `shot` the
    photographs of a scene, each by a camera of its own: a fake and a real image of one shot are
    equal but for the artefacts. `artefacts` holds names of `KINDS` in their order, `decoy` one of
    `accessories.DECOYS` or "", `generator` "" for a real image.
    """

    index: int
    scene: int
    shot: int
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
        return self.split != "train" and self.label == 1


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


Row = dict[str, Any]


def _scenes(rng: np.random.Generator, count: int, persons: list[int], first: int) -> list[Row]:
    """So many views of persons, two of each, with their decoys."""
    decoys = _decoys(rng, count)
    return [
        {"scene": first + i, "person": persons[i // 2], "decoy": decoy}
        for i, decoy in enumerate(decoys)
    ]


def _real(row: Row) -> Row:
    """The same without artefacts."""
    return row | {"label": 0, "generator": "", "artefacts": ()}


def _fakes(rng: np.random.Generator, scenes: list[Row], mean: float) -> list[Row]:
    """A fake of each scene, of three generators equally often."""
    platforms = _quota(rng, len(scenes), PLATFORMS, PLATFORM_SHARES)
    makers = _quota(rng, len(scenes), tuple(GENERATORS), (1, 1, 1))
    return [
        scene | {"label": 1, "platform": platform, "generator": maker,
                 "artefacts": _kinds(rng, maker, mean)}
        for scene, platform, maker in zip(scenes, platforms, makers, strict=True)
    ]  # fmt: skip


def _singles(rng: np.random.Generator, each: int, scenes: list[Row]) -> list[Row]:
    """Fakes with one artefact, so many of each kind."""
    kinds = [kind for kind in KINDS for _ in range(each)]
    platforms = _quota(rng, len(kinds), PLATFORMS, PLATFORM_SHARES)
    order = rng.permutation(len(kinds)).tolist()
    return [
        scenes[at % len(scenes)] | {"label": 1, "platform": platform,
                                    "generator": f"single-{kind}", "artefacts": (kind,)}
        for kind, platform, at in zip(kinds, platforms, order, strict=True)
    ]  # fmt: skip


def plan(content: RenderedSet) -> list[Spec]:
    """The rows of a rendered set in the order of their index; draws no picture.

    Both classes show the same scenes, so that nothing but artefacts can tell them apart. In the
    training split each fake has its original among the real images, as in sets of swapped faces;
    elsewhere the real image of a scene is another shot of it.
    """
    rng = np.random.default_rng([content.seed, _PLAN_STREAM])
    counts = content.images
    people = {split: math.ceil(count / IMAGES_PER_PERSON) for split, count in counts.items()}
    numbers = rng.permutation(sum(people.values())).tolist()
    shots: list[list[Row]] = []
    first = 0
    for split, count in counts.items():
        mine, numbers = numbers[: people[split]], numbers[people[split] :]
        scenes = _scenes(rng, count // 2, mine, first)
        first += len(scenes)
        fakes = _fakes(rng, scenes, content.artefacts_per_fake)
        reals = [_real(row) for row in fakes]
        singles = _singles(rng, content.singles_per_kind, scenes) if split == "test" else []
        if split == "train":
            taken = [list(pair) for pair in zip(fakes, reals, strict=True)]
        else:
            taken = [[row] for row in (*fakes, *reals, *singles)]
        shots += [[row | {"split": split} for row in shot] for shot in taken]
    rows = [row | {"shot": number} for number, shot in enumerate(shots) for row in shot]
    order = rng.permutation(len(rows)).tolist()
    return [Spec(index=index, **rows[row]) for index, row in enumerate(order)]
