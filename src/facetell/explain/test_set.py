# SPDX-License-Identifier: Apache-2.0
"""A detector with the images that it is explained on, of the test or the validation split: what
travels together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import torch

from facetell.common.distributed import ALONE, World
from facetell.common.errors import UserError
from facetell.explain.engine import defined_methods
from facetell.explain.subject import device_of
from facetell.images.loading import Images, batch_of
from facetell.images.packed import planted_mask
from facetell.models.detector import Detector


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """A detector, the images of one split, and how their numbers are drawn.

    detector : in evaluation mode, on the device that everything is computed on.
    images : N packed images at the detector's size.
    manifest : their N rows of the manifest, in the same order.
    threshold : a margin (fake logit - real logit); at or above it the verdict is fake.
    margins : of the images, (N,).
    margins_without : of their twins without artefacts, (N,); None where none were rendered.
    frame : how the faces lie, see ``facetell.explain.survey.regions.FRAMES``; None if unknown.
    resamples : of the bootstrap behind every interval.
    seed : of everything that is drawn.
    world : the processes that share the work.

    Raises
    ------
    UserError : rows, images and margins are not of the same images.
    """

    __test__: ClassVar[bool] = False  # pytest takes classes of this name for tests

    detector: Detector
    images: Images
    manifest: pd.DataFrame
    threshold: float
    margins: np.ndarray
    margins_without: np.ndarray | None = None
    frame: str | None = None
    resamples: int
    seed: int
    world: World = ALONE

    def __post_init__(self) -> None:
        margins = [self.margins]
        if self.margins_without is not None:
            margins.append(self.margins_without)
        if not self.images.packed.ids.equals(pd.Index(self.manifest["id"])) or any(
            len(own) != len(self.images) for own in margins
        ):
            raise UserError(
                "the rows of the manifest, the packed images and the margins of a test set are of "
                "the same images in the same order; these are not: run the pack and predict "
                "stages again"
            )

    @property
    def device(self) -> torch.device:
        """Where the detector computes."""
        return device_of(self.detector)

    @property
    def labels(self) -> np.ndarray:
        """1 for fake, 0 for real, (N,)."""
        return self.manifest["label"].to_numpy()

    @property
    def persons(self) -> np.ndarray:
        """Who is in each image, str (N,)."""
        return self.manifest["person"].astype(str).to_numpy()

    def ids(self, rows: Sequence[int]) -> list[str]:
        """Names of some of the images."""
        return [self.images.packed.ids[row] for row in rows]

    def batch(self, rows: Sequence[int]) -> torch.Tensor:
        """Some of the images, float32 RGB in [0, 1] (B, 3, S, S) on the detector's device."""
        return batch_of(self.images, rows, self.device)

    def row(self, name: str) -> int:
        """The index of the image of this name."""
        return int(self.images.packed.places([name])[0])

    def mask(self, row: int) -> np.ndarray | None:
        """Where artefacts were planted in an image, bool (S, S); None if none are known."""
        return planted_mask(self.images.packed.mask(row), self.images.size)

    def defined_methods(self) -> list[str]:
        """The methods that are defined for the detector at all its listed layers."""
        reasons = defined_methods(self.detector, self.batch([0]))
        return [name for name, reason in reasons.items() if not reason]
