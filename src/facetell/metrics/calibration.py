# SPDX-License-Identifier: Apache-2.0
"""Whether a score means what it says: P(fake) = sigmoid(margin) against the share of fakes.

Expected calibration error over bins of equal width (Naeini et al. 2015) of P(fake), and
temperature scaling (Guo et al. 2017): margins divided by one number fitted on validation images,
which changes no ranking, and no verdict if the threshold is divided as well.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit

from facetell.metrics.losses import log_loss

BINS = 15  # of P(fake); as in the publication
COOLEST, HOTTEST = 1e-3, 1e3  # temperatures between which the best is looked for


def bins(margins: np.ndarray) -> np.ndarray:
    """The bin of each P(fake), (N,), from 0 to ``BINS`` - 1; a bin's upper end belongs to it.

    >>> bins(np.array([-np.inf, 0.0, np.inf])).tolist()
    [0, 7, 14]
    """
    return np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], expit(margins))


def calibration_error(
    number: np.ndarray, predicted: np.ndarray, observed: np.ndarray
) -> np.ndarray:
    """Mean gap between predicted and observed share of fakes, weighted by the bins' images.

    Each argument is a sum over the images of a bin, (..., BINS): of ones, of P(fake), of labels.

    >>> number, predicted, observed = np.array([10, 30]), np.array([1.0, 27.0]), np.array([2, 24])
    >>> round(float(calibration_error(number, predicted, observed)), 4)  # 10 x 0.1 and 30 x 0.1
    0.1
    """
    return np.abs(predicted - observed).sum(axis=-1) / number.sum(axis=-1)


def temperature(labels: np.ndarray, margins: np.ndarray) -> float:
    """The number by which to divide margins, (N,), so that the mean log loss is lowest.

    Above 1, the scores are overconfident. Infinite margins count as the largest finite ones. Where
    scores separate the classes, or say nothing, the lowest loss lies at an end of the range,
    ``COOLEST`` or ``HOTTEST``. The result is 1 where a class is missing, as nothing can be fitted.

    >>> labels = np.array([1, 1, 1, 0] * 2 + [0, 0, 0, 1] * 2)  # three of four are right
    >>> margins = np.where(np.arange(16) < 8, 1.0, -1.0) * 2 * np.log(3)  # certainty of 0.9
    >>> round(temperature(labels, margins), 3)
    2.0
    """
    labels = np.asarray(labels)
    if labels.min() == labels.max():
        return 1.0
    finite = margins[np.isfinite(margins)]
    top = float(np.abs(finite).max()) if len(finite) else 1.0
    bounded = np.clip(margins, -top, top)
    found = minimize_scalar(
        lambda log_temperature: log_loss(labels, bounded / np.exp(log_temperature)),
        bounds=(np.log(COOLEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))
