# SPDX-License-Identifier: Apache-2.0
"""ViT: DeiT-base with its 1000-way head kept and a small classifier stacked on it.

Source: Touvron et al., "Training data-efficient image transformers & distillation through
attention" (ICML 2021), as timm builds it, with the classifier of the UIUC report. Changed: a
``width`` multiplier (channels and heads; 1/4 is DeiT-tiny), and a choice of patch size, depth,
channels, heads and classifier.
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
    embed_dim: int | None = None,
    num_heads: int | None = None,
    stacked: bool = True,
    **_: Any,
) -> nn.Module:
    """DeiT-base/16 with the report's head; 86,826,938 parameters at 224 px and two classes.

    ``embed_dim`` and ``num_heads`` take the place of ``width``, which keeps 64 channels per head.
    ``stacked=False`` puts a single linear layer in the place of the report's stacked classifier,
    through which little reaches a network that starts from random weights.
    """
    heads = round(12 * width)
    if heads < 1 or abs(12 * width - heads) > 1e-6:
        raise UserError(f"vit's width must be a multiple of 1/12 (whole heads), got {width}")
    if img_size % patch_size:
        raise UserError(f"vit needs an image size that is a multiple of {patch_size} (patch_size)")
    network: Any = timm.create_model(
        "deit_base_patch16_224",
        num_classes=1000 if stacked else num_classes,
        pretrained=pretrained,
        img_size=img_size,
        patch_size=patch_size,
        depth=depth,
        embed_dim=embed_dim or 64 * heads,
        num_heads=num_heads or heads,
    )
    if stacked:
        network.head = nn.Sequential(
            network.head,  # to ImageNet's 1000 classes
            nn.LayerNorm(1000),
            nn.ReLU(),
            nn.Linear(1000, 256),
            nn.LayerNorm(256),
            nn.ReLU(),
            nn.Linear(256, num_classes),
        )
    return network
