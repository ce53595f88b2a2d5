# SPDX-License-Identifier: Apache-2.0
"""Swin: SwinV2-tiny whose attention windows keep their share of the image at any size.

Source: Liu et al., "Swin Transformer V2: Scaling Up Capacity and Resolution" (CVPR 2022), as timm
builds it. Changed: a window spans a quarter of the side in the first stage, which is the published
16 tokens at 256 px, so that a 64 px image is attended to in the same proportions; drop path 0.2.
"""

from typing import Any

import timm
from timm.models import register_model
from torch import nn

from facetell.common.errors import UserError

PATCH = 4  # px


@register_model
def swin(
    pretrained: bool = False, img_size: int = 256, num_classes: int = 2, **_: Any
) -> nn.Module:
    """SwinV2-tiny; 27,579,692 parameters at two classes (the size changes only buffers)."""
    if img_size % 32 or img_size < 32:
        raise UserError(f"swin needs an image size that is a multiple of 32, got {img_size}")
    return timm.create_model(
        "swinv2_tiny_window16_256",
        pretrained=pretrained,
        img_size=img_size,
        window_size=img_size // PATCH // 4,
        drop_path_rate=0.2,
        num_classes=num_classes,
    )
