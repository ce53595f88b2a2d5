"""Whether a score means what it says: P(fake) = sigmoid(margin) against the share of fakes.

Expected calibration error over bins of equal width (Naeini et al. 2015) of P(fake), and
temperature scaling (Guo et al. 2017): margins divided by one number fitted on validation images,
which changes no ranking, and no verdict if the threshold is divided as well.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit

BINS = 15  # of P(fake); as in the publication
COOLEST, HOTTEST = 1e-3, 1e3  # temperatures between which the best is looked for


def log_losses(labels: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """Cross-entropy of each image, (N,) nats; infinite where a certain verdict is wrong."""
    return np.logaddexp(0, np.where(labels == 1, -margins, margins))


def squared_errors(labels: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """(P(fake) - label)^2 of each image, (N,); their mean is the Brier score."""
    return np.square(expit(margins) - labels)


def bins(margins: np.ndarray) -> np.ndarray:
    """The bin of each P(fake), (N,), from 0 to ``BINS`` - 1; a bin's upper end belongs to it."""
    return np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], expit(margins))


def calibration_error(
    number: np.ndarray, predicted: np.ndarray, observed: np.ndarray
) -> np.ndarray:
    """Mean gap between predicted and observed share of fakes, weighted by the bins' images.

    Each argument is a sum over the images of a bin, (..., BINS): of ones, of P(fake), of labels.
    """
    return np.abs(predicted - observed).sum(axis=-1) / number.sum(axis=-1)


def temperature(labels: np.ndarray, margins: np.ndarray) -> float:
    """The number by which margins are divided so that the mean log loss is least.

    Above 1 the scores are too sure of themselves. Infinite margins count as the largest finite
    ones. Where scores separate the classes, or say nothing, the least loss lies at the end of the
    range, ``COOLEST`` or ``HOTTEST``. 1 where a class is missing: nothing can be fitted.
    """
    labels = np.asarray(labels)
    if labels.min() == labels.max():
        return 1.0
    finite = margins[np.isfinite(margins)]
    top = float(np.abs(finite).max()) if len(finite) else 1.0
    bounded = np.clip(margins, -top, top)

    def loss(log_temperature: float) -> float:
        return float(log_losses(labels, bounded / np.exp(log_temperature)).mean())

    found = minimize_scalar(
        loss, bounds=(np.log(COOLEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))
