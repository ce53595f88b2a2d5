# SPDX-License-Identifier: Apache-2.0
"""Spectral: a linear classifier on the power spectrum and the DCT, the baseline for all others.

Source of the features: see ``facetell.images.spectra``. It is fitted by
``facetell.training.spectral_baseline``, not by gradient descent, and has 2 x (features + 1)
parameters.
"""

from typing import Any

import torch
from timm.models import register_model
from torch import nn

from facetell.common.errors import UserError
from facetell.images.spectra import features, length


class Spectral(nn.Module):
    """Fixed features, standardised, then ``head``; takes RGB in [0, 1] (B, 3, S, S)."""

    pretrained_cfg = {"classifier": "head"}  # noqa: RUF012  (where timm's networks say it)
    centre: torch.Tensor
    scale: torch.Tensor

    def __init__(self, img_size: int = 256, num_classes: int = 2) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(length(img_size)))
        self.register_buffer("scale", torch.ones(length(img_size)))
        self.head = nn.Linear(length(img_size), num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head((features(x) - self.centre) / self.scale)


@register_model
def spectral(
    pretrained: bool = False, img_size: int = 256, num_classes: int = 2, **_: Any
) -> Spectral:
    """Spectral; 578 parameters from 64 px on."""
    if pretrained:
        raise UserError("nobody has published weights of spectral: say pretrained: PATH or false")
    return Spectral(img_size, num_classes)
