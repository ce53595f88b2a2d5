"""What every curve starts from: checked margins, draws of persons, and points worth keeping."""

import numpy as np
from numpy.typing import ArrayLike

from facetell.common.errors import UserError
from facetell.common.labels import CLASSES
from facetell.metrics.intervals import Resamples
from facetell.metrics.weighing import Ranked

POINTS = 200  # kept per curve: the eye and a text diff need no more
RESAMPLES = 1000

Groups = ArrayLike | Resamples | None


def draws_of(groups: Groups, number: int, resamples: int, seed: int) -> Resamples | None:
    """Bootstrap draws of ``groups``; None where no bands are wanted.

    ``groups`` (N,) names the person of each image; draws that are there already (of the same N
    images) are taken as they are, so that several curves share them.

    Raises
    ------
    UserError : there are not as many groups as images.
    """
    if groups is None:
        return None
    if not isinstance(groups, Resamples):
        groups = Resamples(groups, resamples=resamples, seed=seed)
    if len(groups.member) != number:
        raise UserError(
            f"groups: {len(groups.member)} for {number} images; give the person of every image"
        )
    return groups


def oriented(
    labels: ArrayLike, margins: ArrayLike, threshold: float | None, positive: str, what: str
) -> tuple[Ranked, float | None]:
    """Images ranked so that ``positive`` (a class) stands above, and the threshold in that order.

    With ``real`` the ranking is by the real score, 1 - P(fake). The verdict at the threshold stays
    as it was: an image exactly at it is fake.

    Raises
    ------
    UserError : there is no such class, or all images are of one class.
    """
    if positive not in CLASSES:
        raise UserError(f"positive must be {' or '.join(CLASSES)}, not {positive!r}")
    label, margin = np.asarray(labels), np.asarray(margins, dtype=float)
    if positive == CLASSES[0]:
        # what is negated at the threshold lies just below it
        label, margin = 1 - label, -margin
        threshold = None if threshold is None else float(np.nextafter(-threshold, np.inf))
    ranked = Ranked(label, margin)
    if not ranked.two_classes:
        only = CLASSES[int(np.asarray(labels)[0])]
        raise UserError(
            f"{what} needs real and fake images, and all {len(label)} are {only}: "
            "leave this part out, or add images of the other class"
        )
    return ranked, threshold


def corners(x: np.ndarray, y: np.ndarray, points: int = POINTS) -> np.ndarray:
    """Indices of the corners of a curve of straight pieces, ends included, at most ``points``.

    Of more corners, those are kept that lie evenly by number.
    """
    dx, dy = np.diff(x), np.diff(y)
    turns = np.abs(dx[1:] * dy[:-1] - dx[:-1] * dy[1:]) > 1e-15
    kept = np.unique(np.concatenate([[0], np.flatnonzero(turns) + 1, [len(x) - 1]]))
    if len(kept) > points:
        kept = kept[np.unique(np.linspace(0, len(kept) - 1, points).round().astype(int))]
    return kept
