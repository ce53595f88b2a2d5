# SPDX-License-Identifier: Apache-2.0
"""Weights files of networks that have learnt nothing, for what takes as long with any weights."""

from pathlib import Path

import torch

from facetell.images.familiarity import Familiarity
from facetell.models import build
from facetell.models.detector import Card, Detector, save
from facetell.models.preprocessing import HALF


def untrained(
    path: Path,
    network: str,
    size: int,
    *,
    threshold: float = 0.0,
    familiar: Familiarity | None = None,
) -> Path:
    """Save a network with random weights for images of ``size`` px, and what it knows of photos."""
    torch.manual_seed(0)
    card = Card(
        network=network,
        width=1.0,
        image_size=size,
        mean=HALF,
        std=HALF,
        threshold=threshold,
        data="",
        familiar=familiar.stored() if familiar else {},
    )
    save(Detector(build(network, image_size=size), HALF, HALF), card, path)
    return path
