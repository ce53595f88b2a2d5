# SPDX-License-Identifier: Apache-2.0
"""Swin: SwinV2-tiny whose attention windows keep their share of the image at any size.

Source: Liu et al., "Swin Transformer V2: Scaling Up Capacity and Resolution" (CVPR 2022), as timm
builds it. Changed: a window spans a quarter of the side in the first stage, which is the published
16 tokens at 256 px, so that a 64 px image is attended to in the same proportions; drop path 0.2.
"""

from collections.abc import Sequence
from typing import Any

import timm
from timm.models import register_model
from torch import nn

from facetell.common.errors import UserError

PATCH = 4  # px


@register_model
def swin(
    pretrained: bool = False,
    img_size: int = 256,
    num_classes: int = 2,
    embed_dim: int = 96,
    depths: Sequence[int] = (2, 2, 6, 2),
    num_heads: Sequence[int] = (3, 6, 12, 24),
    window_size: int | None = None,
    drop_path_rate: float = 0.2,
    **_: Any,
) -> nn.Module:
    """SwinV2-tiny; 27,579,692 parameters at two classes (the size changes only buffers).

    ``embed_dim`` are the channels of the first stage, which double at each; ``depths`` and
    ``num_heads`` hold a number of blocks and of attention heads per stage; ``window_size`` is the
    side of a window in tokens of 4 px (None: a quarter of the image's side).
    """
    if img_size % 32 or img_size < 32:
        raise UserError(f"swin needs an image size that is a multiple of 32, got {img_size}")
    return timm.create_model(
        "swinv2_tiny_window16_256",
        pretrained=pretrained,
        img_size=img_size,
        embed_dim=embed_dim,
        depths=tuple(depths),
        num_heads=tuple(num_heads),
        window_size=window_size or img_size // PATCH // 4,
        drop_path_rate=drop_path_rate,
        num_classes=num_classes,
    )
