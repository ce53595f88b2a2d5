# SPDX-License-Identifier: Apache-2.0
"""What all curves share: how they are computed from predictions, and what they offer."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from facetell.metrics.intervals import RESAMPLES, Groups, draws_of
from facetell.metrics.scored import Scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Curve(ABC):
    """A curve that is computed once, then drawn, stored or compared.

    >>> from facetell.curves import DetCurve
    >>> issubclass(DetCurve, Curve)
    True
    >>> curve = DetCurve.from_predictions([0, 0, 1, 1], [-1.0, 0.5, 0.5, 2.0], name="mine")
    >>> curve.name, curve.eer
    ('mine', 0.25)
    """

    @classmethod
    def from_predictions(
        cls,
        labels: ArrayLike,
        margins: ArrayLike,
        *,
        threshold: float | None = None,
        groups: Groups = None,
        resamples: int = RESAMPLES,
        seed: int = 0,
        **options: Any,
    ) -> Self:
        """Compute the curve, once.

        Parameters
        ----------
        labels, margins : (N,), 1 = fake; fake logit - real logit, or what else rises with P(fake).
        threshold : of the verdicts, in the margins' unit: at or above it is fake.
        groups : (N,), the person of each image, for intervals and bands; or ``Resamples``.
        resamples, seed : of the bootstrap; without effect where ``groups`` is ``Resamples``.
        options : those of the class's ``from_scored``. ``name``, of the model, is one of all
            curves; ``positive`` is one of ROC and precision-recall curves: ``fake`` for the fake
            score, ``real`` for the real score, P(real); ``number``, of bins, is one of histograms.

        Raises
        ------
        UserError : all images are of one class, and the curve needs two; or there are not as many
            groups as images. ValueError : labels are not 0 or 1, margins are NaN, or they are not
            two vectors of one length.
        """
        draws = draws_of(groups, resamples=resamples, seed=seed)
        scored = Scored(np.asarray(labels), np.asarray(margins, dtype=float), threshold, draws)
        return cls.from_scored(scored, **options)

    @classmethod
    @abstractmethod
    def from_scored(cls, scored: Scored, *args: Any, **options: Any) -> Self:
        """Compute the curve of images that are put together already; see ``from_predictions``."""

    @abstractmethod
    def to_frame(self) -> pd.DataFrame:
        """The curve as a table."""

    @abstractmethod
    def plot(self, ax: "Axes | None" = None, **style: Any) -> "Axes":
        """Draw into ``ax`` (None: a new figure) and return it."""


def legend_label(name: str | None, what: str, value: float, interval: list[float] | None) -> str:
    """A curve's entry in a legend: name, number and interval, as far as there are any.

    >>> legend_label("swin", "AUC", 0.9, [0.875, 0.92])
    'swin, AUC 0.900 [0.875, 0.920]'
    """
    said = f"{what} {value:.3f}"
    if interval:
        said += f" [{interval[0]:.3f}, {interval[1]:.3f}]"
    return f"{name}, {said}" if name else said
