# SPDX-License-Identifier: Apache-2.0
"""The linear spectral baseline: what a detector must beat before its depth means anything."""

import time
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from facetell.common.progress import progress, worked
from facetell.images.loading import Images, to_unit
from facetell.images.spectra import NETWORK, features, length
from facetell.metrics.calibration import temperature
from facetell.metrics.ranking import auc, best_threshold
from facetell.models.detector import Detector
from facetell.models.factory import build, parameter_count
from facetell.models.inference import margins
from facetell.training.cost import machine_name, multiply_adds, peak_memory
from facetell.training.sizes import check_sets

STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # inverse of the ridge penalty; the best on validation is taken
BATCH = 64
LIMIT = 20_000  # training images: a few hundred weights need no more


class Fitted(NamedTuple):
    """The detector, its threshold (a margin), its temperature, its AUC on validation images, its
    settings, and what fitting cost."""

    detector: Detector
    threshold: float
    temperature: float
    valid_auc: float
    recipe: dict[str, Any]
    cost: dict[str, Any]


def fit(train: Images, valid: Images, device: torch.device, *, seed: int) -> Fitted:
    """Logistic regression on ``facetell.images.spectra.features``; penalty and threshold by
    validation.

    At most ``LIMIT`` training images, drawn with ``seed``.

    Raises
    ------
    UserError : a set lacks a class.

    >>> from facetell.dataset.demo import packed_demo
    >>> sets = packed_demo("demo")
    >>> train, valid = (Images(sets[split], size=64) for split in ("train", "valid"))
    >>> fitted = fit(train, valid, torch.device("cpu"), seed=0)
    >>> fitted.recipe["C"] in STRENGTHS
    True
    """
    check_sets(train.packed, valid.packed)
    started = time.perf_counter()
    order = np.random.default_rng(seed).permutation(len(train))[:LIMIT]
    scaler = StandardScaler()
    inputs = scaler.fit_transform(_features(train, np.sort(order), device))
    labels = train.packed.labels[np.sort(order)]
    held_out = scaler.transform(_features(valid, np.arange(len(valid)), device))
    fits = [LogisticRegression(C=c, max_iter=5000).fit(inputs, labels) for c in STRENGTHS]
    areas = [auc(valid.packed.labels, one.decision_function(held_out)) for one in fits]
    best = int(np.argmax(areas))
    detector = _detector(scaler, fits[best], train.size).to(device)
    seconds = time.perf_counter() - started
    scores = margins(detector, valid, device)
    threshold = best_threshold(valid.packed.labels, scores)
    recipe = {"network": NETWORK, "image_size": train.size, "width": 1.0, "C": STRENGTHS[best]}
    cost = {
        "parameters": parameter_count(detector),
        "multiply_adds": multiply_adds(detector, train.size),
        "seconds": round(seconds, 1),
        "images_per_second": round(len(order) / seconds, 1),
        "epochs": None,
        "best_epoch": None,
        "memory_mib": round(peak_memory()),
        "device": machine_name(device),
        "processes": 1,
        "precision": "float32",
    }
    heat = temperature(valid.packed.labels, scores)
    return Fitted(detector, threshold, heat, areas[best], recipe, cost)


def _features(images: Images, indices: np.ndarray, device: torch.device) -> np.ndarray:
    found = np.empty((len(indices), length(images.size)))  # at once: see ``inference.gathered``
    with torch.inference_mode():
        for start in progress(range(0, len(indices), BATCH), "spectra"):
            chosen = indices[start : start + BATCH]
            pixels = torch.stack([images[int(index)][1] for index in chosen])
            found[start : start + BATCH] = features(to_unit(pixels, device)).cpu().double().numpy()
            worked(len(chosen))
    return found


def _detector(scaler: StandardScaler, fitted: LogisticRegression, size: int) -> Detector:
    network = build(NETWORK, image_size=size)
    # the margin is the difference of two logits: half of the weights in each
    weights = np.concatenate([-fitted.coef_, fitted.coef_]) / 2
    bias = np.concatenate([-fitted.intercept_, fitted.intercept_]) / 2
    state = {"centre": scaler.mean_, "scale": scaler.scale_, "head.weight": weights}
    state["head.bias"] = bias
    network.load_state_dict({k: torch.tensor(v, dtype=torch.float32) for k, v in state.items()})
    return Detector(network, (0.0,) * 3, (1.0,) * 3).eval()
