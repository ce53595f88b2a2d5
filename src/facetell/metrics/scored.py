# SPDX-License-Identifier: Apache-2.0
"""What a detector said of labelled images: the one value that every curve is computed from."""

from dataclasses import dataclass, field

import numpy as np

from facetell.common.errors import UserError
from facetell.common.labels import CLASSES
from facetell.metrics.intervals import Resamples
from facetell.metrics.ranking import Ranking


@dataclass(frozen=True, eq=False)
class Scored:
    """N images with their labels and margins.

    Parameters
    ----------
    labels : (N,), 1 = fake, or 1 = real in what ``positive("real")`` returns.
    margins : (N,), which rise with P(label = 1); infinite ones are allowed.
    threshold : a margin; at or above it the verdict is 1. None: there are no verdicts.
    groups : bootstrap draws of the persons of these images. None: no intervals are wanted.
    ranking : the images in the order of their margins, made here.

    Raises
    ------
    ValueError : labels or margins are not as ``facetell.metrics.ranking.Ranking`` needs them.
    UserError : ``groups`` are of another number of images.

    >>> scored = Scored(np.array([0, 1, 1]), np.array([-1.0, 0.5, 2.0]), threshold=0.0)
    >>> scored.ranking.two_classes
    True
    >>> scored.positive("real").labels.tolist()
    [1, 0, 0]
    """

    labels: np.ndarray
    margins: np.ndarray
    threshold: float | None = None
    groups: Resamples | None = None
    ranking: Ranking = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ranking = Ranking(self.labels, self.margins)
        if self.groups is not None and len(self.groups.member) != len(ranking.labels):
            raise UserError(
                f"groups: {len(self.groups.member)} for {len(ranking.labels)} images; "
                "give the person of every image"
            )
        checked = {"labels": ranking.labels, "margins": ranking.margins, "ranking": ranking}
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def positive(self, which: str) -> "Scored":
        """The same images and verdicts, ranked so that the class ``which`` stands above.

        With ``real`` the ranking is by the real score, 1 - P(fake). The verdict at the threshold
        stays as it was: an image exactly at it is fake.

        Raises
        ------
        UserError : there is no such class.
        """
        if which not in CLASSES:
            raise UserError(f"positive must be {' or '.join(CLASSES)}, not {which!r}")
        if which == CLASSES[1]:
            return self
        # what is negated at the threshold lies just below it
        cut = None if self.threshold is None else float(np.nextafter(-self.threshold, np.inf))
        return Scored(1 - self.labels, -self.margins, cut, self.groups)

    def with_temperature(self, temperature: float) -> "Scored":
        """Margins and threshold divided by ``temperature``; every verdict stays as it was."""
        cut = None if self.threshold is None else self.threshold / temperature
        return Scored(self.labels, self.margins / temperature, cut, self.groups)
