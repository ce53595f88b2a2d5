# SPDX-License-Identifier: Apache-2.0
"""XceptionBased: Xception with three further linear layers on top of its 1000-way classifier.

Source: Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions" (CVPR 2017), as
timm builds it (``legacy_xception``), with the classifier of the course reports.
"""

from typing import Any

import timm
import torch
from timm.models import register_model
from torch import nn


@register_model
def xception_based(pretrained: bool = False, num_classes: int = 2, **_: Any) -> nn.Module:
    """XceptionBased; 23,128,786 parameters with two classes, at any input size."""
    network: Any = timm.create_model("legacy_xception", pretrained=pretrained)
    network.fc = nn.Sequential(
        network.fc,  # to ImageNet's 1000 classes
        nn.ReLU(),
        nn.Linear(1000, 256),
        nn.ReLU(),
        nn.Linear(256, 64),
        nn.ReLU(),
        nn.Linear(64, num_classes),
    )
    network.checkpoint_filter = modern_names
    return network


def modern_names(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Older Xception files say ``last_linear``, and leave out the sides of 1x1 kernels."""
    renamed = {}
    for name, value in weights.items():
        if ".pointwise." in name and value.ndim == 2:
            value = value[:, :, None, None]
        renamed[name.replace("last_linear.", "fc.")] = value
    return renamed
