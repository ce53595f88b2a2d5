# SPDX-License-Identifier: Apache-2.0
"""ViT: DeiT-base with its 1000-way head kept and a small classifier stacked on it.

Source: Touvron et al., "Training data-efficient image transformers & distillation through
attention" (ICML 2021), as timm builds it, with the classifier of the UIUC report. Changed: a
``width`` multiplier (channels, heads and classifier; 1/4 has DeiT-tiny's body) and a choice of patch size and depth.
"""

from typing import Any

import timm
from timm.models import register_model
from torch import nn

from facetell.common.errors import UserError


@register_model
def vit(
    pretrained: bool = False,
    width: float = 1.0,
    img_size: int = 224,
    num_classes: int = 2,
    patch_size: int = 16,
    depth: int = 12,
    **_: Any,
) -> nn.Module:
    """DeiT-base/16 with the report's head; 86,826,938 parameters at 224 px and two classes."""
    heads = round(12 * width)
    if heads < 1 or abs(12 * width - heads) > 0.01:
        raise UserError(f"vit's width must be a multiple of 1/12 (whole heads), got {width}")
    if img_size % patch_size:
        raise UserError(f"vit needs an image size that is a multiple of {patch_size} (patch_size)")
    # ImageNet's classes, and the report's layer behind them: a narrow network has fewer of both
    classes, hidden = round(1000 * width), round(256 * width)
    network: Any = timm.create_model(
        "deit_base_patch16_224",
        num_classes=classes,
        pretrained=pretrained,
        img_size=img_size,
        patch_size=patch_size,
        depth=depth,
        embed_dim=64 * heads,
        num_heads=heads,
    )
    network.head = nn.Sequential(
        network.head,
        nn.LayerNorm(classes),
        nn.ReLU(),
        nn.Linear(classes, hidden),
        nn.LayerNorm(hidden),
        nn.ReLU(),
        nn.Linear(hidden, num_classes),
    )
    return network
