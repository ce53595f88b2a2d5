# SPDX-License-Identifier: Apache-2.0
"""SimpleNet: the small course network (three 7x7 convolutions, three linear layers).

Source: the course reports on face-swap and synthetic face detection, layers as in their code.
Changed: the first linear layer follows from the image size instead of being fixed at 256 px.
"""

from typing import Any

import torch
from timm.models import register_model
from torch import nn

from facetell.common.errors import UserError

CHANNELS = (3, 6, 16, 24)
SMALLEST = 50  # px: below it nothing is left after three 7x7 convolutions and poolings


class SimpleNet(nn.Module):
    """Convolutions ``conv1``-``conv3`` (each with ReLU), max-pool after each, then ``head``."""

    pretrained_cfg = {"classifier": "head"}  # noqa: RUF012  (where timm's networks say it)

    def __init__(self, img_size: int = 256, num_classes: int = 2) -> None:
        super().__init__()
        if img_size < SMALLEST:
            raise UserError(f"simplenet needs images of at least {SMALLEST} px, got {img_size}")
        self.feature_info = [{"module": f"conv{index}"} for index in (1, 2, 3)]
        side = img_size
        for index in range(3):
            convolution = nn.Conv2d(CHANNELS[index], CHANNELS[index + 1], kernel_size=7)
            self.add_module(f"conv{index + 1}", nn.Sequential(convolution, nn.ReLU()))
            side = (side - 6) // 2
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Sequential(
            nn.Linear(CHANNELS[3] * side * side, 1024),
            nn.ReLU(),
            nn.Linear(1024, 256),
            nn.ReLU(),
            nn.Linear(256, num_classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for index in (1, 2, 3):
            x = self.pool(self.get_submodule(f"conv{index}")(x))
        return self.head(x.flatten(1))


@register_model
def simplenet(
    pretrained: bool = False, img_size: int = 256, num_classes: int = 2, **_: Any
) -> SimpleNet:
    """SimpleNet; 16,901,762 parameters at 256 px and two classes."""
    if pretrained:
        raise UserError("nobody has published weights of simplenet: say pretrained: PATH or false")
    return SimpleNet(img_size, num_classes)
