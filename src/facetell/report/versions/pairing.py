# SPDX-License-Identifier: Apache-2.0
"""One model in two versions on the same test images: how much it differs, and on which images."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from facetell.common.errors import UserError
from facetell.common.labels import CLASSES
from facetell.evaluation.model_scores import margins_of
from facetell.evaluation.predictions import Predictions
from facetell.metrics import paired_tests
from facetell.metrics.intervals import Resamples
from facetell.report.versions.version import Version

TESTS = {"auc": "delong_p", "accuracy": "mcnemar_p"}


@dataclass(frozen=True)
class Difference:
    """New minus old, of one number in [0, 1].

    low, high : of the 95% interval; p : two-sided. None where the versions cannot be paired.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class Turned:
    """One image whose verdict changed.

    old, new : margins, relative to the threshold of their version: fake from 0 on.
    right : whether the new verdict is.
    """

    id: str
    label: str
    generator: str
    old: float
    new: float
    right: bool

    @property
    def change(self) -> float:
        """How far the margin moved, in logits."""
        return abs(self.new - self.old)


@dataclass(frozen=True)
class Pair:
    """One model, paired by image: differences by number, and the images whose verdict changed,
    those whose margin moved most first.

    images : how many were paired.
    """

    images: int
    differences: dict[str, Difference]
    turned: tuple[Turned, ...]

    @property
    def righted(self) -> int:
        """Verdicts that were wrong and are right now."""
        return sum(image.right for image in self.turned)

    @property
    def spoilt(self) -> int:
        """Verdicts that were right and are wrong now."""
        return len(self.turned) - self.righted

    def as_json(self) -> dict[str, Any]:
        return {
            "images": self.images,
            "differences": {name: asdict(found) for name, found in self.differences.items()},
            "turned": [asdict(image) for image in self.turned],
        }


def unlike(old: Version, new: Version) -> str:
    """Why the test images of two versions cannot be paired; "" where they can.

    Paired are images of the same names and labels. That they are the same files is not asked for:
    a version may have encoded them anew, which is then what is compared.
    """
    tests = [labels_of(version) for version in (old, new)]
    if tests[0].equals(tests[1]):
        return ""
    shared = len(tests[0].index.intersection(tests[1].index))
    return (
        f"{old.name} and {new.name} have other test images ({len(tests[0]):,} and "
        f"{len(tests[1]):,}, of which {shared:,} bear the same name)"
    )


def labels_of(version: Version) -> "pd.Series[int]":
    """The labels of a version's test images by id; none where its manifest is not at hand."""
    if version.test is None:
        return pd.Series(dtype=int)
    return version.test.set_index("id")["label"].sort_index()


def draws_of(version: Version, resamples: int, seed: int) -> Resamples:
    """Bootstrap draws of the persons of a version's test images."""
    assert version.test is not None
    return Resamples(version.test["person"], resamples=resamples, seed=seed)


def paired(test: pd.DataFrame, old: Predictions, new: Predictions, draws: Resamples) -> Pair | None:
    """One model in two versions. None where its predictions are of other images.

    ``test`` are the rows of the test images, ``draws`` are of their persons.
    """
    labels = test["label"].to_numpy()
    try:
        margins = {"new": margins_of(new, test, "clean"), "old": margins_of(old, test, "clean")}
    except UserError:
        return None
    thresholds = {"new": new.threshold, "old": old.threshold}
    row = paired_tests.compare(labels, margins, thresholds, draws).iloc[0]
    differences = {
        name: Difference(*(float(row[key]) for key in _keys(name, p)))
        for name, p in TESTS.items()
        if p in row
    }
    return Pair(len(test), differences, tuple(_turned(test, margins, thresholds)))


def _keys(name: str, p: str) -> tuple[str, ...]:
    return (f"{name}_difference", f"{name}_low", f"{name}_high", p)


def _turned(
    test: pd.DataFrame, margins: dict[str, np.ndarray], thresholds: dict[str, float]
) -> list[Turned]:
    beyond = {side: margin - thresholds[side] for side, margin in margins.items()}
    verdicts = {side: margin >= thresholds[side] for side, margin in margins.items()}
    found = [
        Turned(
            str(test["id"][row]),
            CLASSES[test["label"][row]],
            str(test["generator"][row]),
            float(beyond["old"][row]),
            float(beyond["new"][row]),
            bool(verdicts["new"][row] == (test["label"][row] == 1)),
        )
        for row in np.flatnonzero(verdicts["old"] != verdicts["new"])
    ]
    return sorted(found, key=lambda image: (-image.change, image.id))
