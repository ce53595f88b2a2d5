# SPDX-License-Identifier: Apache-2.0
"""Augmentations of training images, by the names that recipes use.

Each takes and returns uint8 (3, S, S). A recipe that names several applies them in turn.
"""

from collections.abc import Callable, Sequence

import torch

from facetell.common.vision import v2

Augment = Callable[[torch.Tensor], torch.Tensor]

AUGMENTATIONS: dict[str, Callable[[int], Augment]] = {
    "flip": lambda size: v2.RandomHorizontalFlip(),
    # the UIUC report (S0), figure 4, after the resize that every image goes through
    "s0": lambda size: v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomResizedCrop(size, scale=(0.7, 1.0), antialias=True),
            v2.RandomGrayscale(0.05),
            v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.1, hue=0.02),
        ]
    ),
    # the course reports (S2, S4)
    "course": lambda size: v2.Compose([v2.RandomCrop(size, padding=4), v2.RandomHorizontalFlip()]),
    # left out by S0 on purpose and named as its future work; half of the images, sigma up to the
    # robustness tests' 2 px at 224 px, and in proportion at other sizes
    "blur": lambda size: v2.RandomApply(
        [v2.GaussianBlur(_odd(17 * size / 224), sigma=(0.1 * size / 224, 2.0 * size / 224))], 0.5
    ),
}


def augmentation(names: str | Sequence[str] | None, size: int) -> Augment | None:
    """One callable for ``names`` (none, one, or several in turn) at a side of ``size`` px.

    ``names`` are those of ``AUGMENTATIONS``, as ``facetell.training.recipe.Recipe`` checks.

    >>> image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    >>> augmentation(("flip", "blur"), 64)(image).shape
    torch.Size([3, 64, 64])
    >>> augmentation(None, 64) is None
    True
    """
    chosen = [names] if isinstance(names, str) else list(names or ())
    made = [AUGMENTATIONS[name](size) for name in chosen]
    return v2.Compose(made) if made else None


def _odd(value: float) -> int:
    return max(3, 2 * round((value - 1) / 2) + 1)
