# SPDX-License-Identifier: Apache-2.0
"""Small detectors in files, for tests of what people call."""

from pathlib import Path

import torch
from torch import nn

from facetell.models import build
from facetell.models.detector import Card, Detector, save


def saved(path: Path, size: int = 56, seed: int = 0, **facts: object) -> Path:
    """A SimpleNet that was not trained, whose verdicts differ from image to image."""
    torch.manual_seed(seed)
    card = Card(
        network="simplenet", width=1.0, image_size=size, mean=(0.5,) * 3, std=(0.5,) * 3,
        **{"threshold": 0.01, "data": "none", **facts},
    )  # fmt: skip
    network = build("simplenet", width=1.0, image_size=size)
    with torch.no_grad():  # untrained logits hardly differ
        [module for module in network.modules() if isinstance(module, nn.Linear)][-1].weight.mul_(
            40
        )
    save(Detector(network, card.mean, card.std), card, path)
    return path
