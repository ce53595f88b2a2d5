"""The plan of the rendered demo set: one row for every image before anything is drawn, balanced
so that nothing but the planted artefacts tells the classes apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .accessories import DECOYS
from .artefacts import KINDS
from .camera import PLATFORM_SHARES, PLATFORMS

SPLITS = ("train", "valid", "test")
GENERATORS: dict[str, dict[str, float]] = {
    "upsampler": {"checkerboard": 3.0, "spectral_peak": 3.0, "oversmoothed": 2.0},
    "swapper": {"blend_seam": 3.0, "iris_mismatch": 1.8, "oversmoothed": 2.0},
    "inpainter": {"smeared_background": 3.0, "earring_mismatch": 1.6, "blend_seam": 2.2},
}
DECOY_SHARE = 0.35
IMAGES_PER_PERSON = 4
_PLAN_STREAM = 0


@dataclass(frozen=True)
class Spec:
    """One image of the set before it is drawn; `label` is 1 for fake and 0 for real.

    `index` numbers the images, `person` the persons; `artefacts` holds names of `KINDS` in their
    order, `decoy` one of `accessories.DECOYS` or "", `generator` "" for a real image.
    """

    index: int
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
    places = (np.arange(count) + rng.random()) / max(count, 1)
    drawn = [names[min(int(np.searchsorted(edges, p)), len(names) - 1)] for p in places]
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


def _check(
    seed: int, train: int, valid: int, test: int, singles_per_kind: int, artefacts_per_fake: float
) -> None:
    counts = {"train": train, "valid": valid, "test": test}
    for name, value in {"seed": seed, **counts, "singles_per_kind": singles_per_kind}.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
            raise ValueError(f"{name} must be a whole number of at least 0, got {value!r}")
    for name, value in counts.items():
        if value % 2:
            raise ValueError(f"{name} must be even (half real, half fake), got {value}")
    if sum(counts.values()) == 0:
        raise ValueError("train, valid and test must not all be 0")
    if singles_per_kind and not test:
        raise ValueError("singles_per_kind must be 0 when test is 0: singles need test persons")
    if not 1 <= artefacts_per_fake <= len(KINDS):
        raise ValueError(
            f"artefacts_per_fake must lie in 1..{len(KINDS)}, got {artefacts_per_fake!r}"
        )


def plan(
    *,
    seed: int = 0,
    train: int = 2000,
    valid: int = 400,
    test: int = 400,
    singles_per_kind: int = 20,
    artefacts_per_fake: float = 3,
) -> list[Spec]:
    """Return the rows of the rendered set in the order of their index; draws no picture.

    `train`, `valid` and `test` count images, half of them fake; the test split also gets
    `singles_per_kind` fakes with one artefact of each kind. Bad values raise ValueError.
    """
    _check(seed, train, valid, test, singles_per_kind, artefacts_per_fake)
    rng = np.random.default_rng([seed, _PLAN_STREAM])
    counts = {"train": train, "valid": valid, "test": test}
    people = {split: math.ceil(count / IMAGES_PER_PERSON) for split, count in counts.items()}
    numbers = rng.permutation(sum(people.values())).tolist()
    rows: list[tuple] = []
    for split, count in counts.items():
        mine, numbers = numbers[: people[split]], numbers[people[split] :]
        for label in (0, 1):
            half = count // 2
            platforms = _quota(rng, half, PLATFORMS, PLATFORM_SHARES)
            makers = _quota(rng, half, tuple(GENERATORS), (1, 1, 1)) if label else [""] * half
            decoys = _decoys(rng, half)
            for i in range(half):
                kinds = _kinds(rng, makers[i], artefacts_per_fake) if label else ()
                rows.append((split, label, mine[i // 2], makers[i], platforms[i], kinds, decoys[i]))
        if split == "test" and singles_per_kind:
            singles = [kind for kind in KINDS for _ in range(singles_per_kind)]
            platforms = _quota(rng, len(singles), PLATFORMS, PLATFORM_SHARES)
            decoys, order = _decoys(rng, len(singles)), rng.permutation(len(singles))
            for i, kind in enumerate(singles):
                person = mine[int(order[i]) % len(mine)]
                rows.append(("test", 1, person, f"single-{kind}", platforms[i], (kind,), decoys[i]))
    order = rng.permutation(len(rows))
    return [Spec(index, *rows[int(row)]) for index, row in enumerate(order)]
