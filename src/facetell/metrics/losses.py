# SPDX-License-Identifier: Apache-2.0
"""Proper scoring rules: what each image's score costs, given what the image is.

Labels: 1 = fake, 0 = real. Margins: fake logit - real logit; P(fake) is their sigmoid.
"""

import numpy as np
from scipy.special import expit


def log_losses(labels: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """Cross-entropy of each image, (N,) nats; infinite where a certain verdict is wrong.

    The cross-entropy of two logits depends on their difference alone. Labels and margins: (N,).

    >>> log_losses(np.array([1, 0]), np.array([0.0, -np.inf])).round(4).tolist()
    [0.6931, 0.0]
    """
    return np.logaddexp(0, np.where(labels == 1, -margins, margins))


def log_loss(labels: np.ndarray, margins: np.ndarray) -> float:
    """Mean cross-entropy, nats per image; labels and margins as of ``log_losses``.

    >>> round(log_loss(np.array([1, 0]), np.array([0.0, -np.inf])), 4)
    0.3466
    """
    return float(log_losses(labels, margins).mean())


def squared_errors(labels: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """(P(fake) - label)^2 of each image, (N,); their mean is the Brier score.

    >>> squared_errors(np.array([1, 0]), np.array([0.0, -np.inf])).tolist()
    [0.25, 0.0]
    """
    return np.square(expit(margins) - labels)
