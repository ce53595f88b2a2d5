# SPDX-License-Identifier: Apache-2.0
"""Networks that torchvision and timm both have, and how timm names what torchvision names."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

POSITIONS = "encoder.pos_embedding"  # ViT's, (1, 1 + tokens, channels): they follow the image size


@dataclass(frozen=True)
class Family:
    """Networks of torchvision with one way to name their tensors.

    ``signs`` are names that no other family has together. ``timm`` has timm's architectures, as
    patterns, by torchvision's name. ``rename`` gives a name of timm's, None for what timm does not
    store; None instead of a function: the order says it.
    """

    signs: tuple[str, ...]
    timm: Mapping[str, tuple[str, ...]]
    rename: Callable[[str], str | None] | None = None


def swin_name(name: str) -> str | None:
    """timm's name of a tensor of torchvision's Swin, of either version.

    >>> swin_name("features.1.0.mlp.3.weight"), swin_name("features.2.norm.bias")
    ('layers.0.blocks.0.mlp.fc2.weight', 'layers.1.downsample.norm.bias')
    """
    if name.endswith(("relative_position_index", "relative_coords_table")):
        return None  # they follow from the window
    name = name.replace(".mlp.0.", ".mlp.fc1.").replace(".mlp.3.", ".mlp.fc2.")
    for ours, timms in (("0.0", "proj"), ("0.2", "norm")):
        name = name.replace(f"features.{ours}.", f"patch_embed.{timms}.")
    if found := re.match(r"features\.(\d+)\.", name):
        stage, merging = divmod(int(found[1]), 2)
        part = f"layers.{stage}.blocks." if merging else f"layers.{stage}.downsample."
        name = part + name[found.end() :]
    return re.sub(r"^head\.", "head.fc.", name)


VIT = {
    "class_token": "cls_token",
    "conv_proj.": "patch_embed.proj.",
    POSITIONS: "pos_embed",
    "encoder.layers.encoder_layer_": "blocks.",
    "encoder.ln.": "norm.",
    ".ln_1.": ".norm1.",
    ".ln_2.": ".norm2.",
    ".self_attention.in_proj_": ".attn.qkv.",
    ".self_attention.out_proj.": ".attn.proj.",
    ".mlp.0.": ".mlp.fc1.",
    ".mlp.3.": ".mlp.fc2.",
    "heads.head.": "head.",
}


def vit_name(name: str) -> str:
    """timm's name of a tensor of torchvision's ViT.

    >>> vit_name("encoder.layers.encoder_layer_3.self_attention.in_proj_weight")
    'blocks.3.attn.qkv.weight'
    """
    for theirs, timms in VIT.items():
        name = name.replace(theirs, timms)
    return name


def vgg_name(name: str) -> str:
    """As it is: timm converts VGG's own names, and linear layers to convolutions."""
    return name


VGG = ("vgg11", "vgg13", "vgg16", "vgg19")
FAMILIES = (
    Family(
        ("features.0.0.weight", "features.1.conv.0.0.weight"),
        {"mobilenet_v2": ("mobilenetv2_100",)},
    ),
    Family(
        ("features.1.0.block.0.0.weight", "features.0.1.running_mean"),
        {f"efficientnet_b{n}": (f"efficientnet_b{n}",) for n in range(5)},
    ),
    Family(
        ("layers.0.weight", "layers.8.0.layers.0.weight"),
        {
            "mnasnet0_5": ("mnasnet_050",),
            "mnasnet0_75": ("mnasnet_075",),
            "mnasnet1_0": ("mnasnet_100",),
        },
    ),
    Family(
        ("features.0.weight", "classifier.0.weight"),
        {name: (name,) for one in VGG for name in (one, f"{one}_bn")},
        vgg_name,
    ),
    Family(
        ("features.0.2.weight", "features.1.0.attn.relative_position_bias_table"),
        {
            "swin_t": ("swin_tiny_patch4_window7_224",),
            "swin_s": ("swin_small_patch4_window7_224",),
            "swin_b": ("swin_base_patch4_window7_224",),
        },
        swin_name,
    ),
    Family(
        ("features.0.2.weight", "features.1.0.attn.cpb_mlp.0.weight"),
        {
            "swin_v2_t": ("swinv2_tiny_window*",),
            "swin_v2_s": ("swinv2_small_window*",),
            "swin_v2_b": ("swinv2_base_window*",),
        },
        swin_name,
    ),
    Family(
        ("conv_proj.weight", POSITIONS),
        {
            "vit_b_16": ("vit_base_patch16_224", "vit_base_patch16_384", "deit_base_patch16_*"),
            "vit_b_32": ("vit_base_patch32_224", "vit_base_patch32_384"),
            "vit_l_16": ("vit_large_patch16_224", "vit_large_patch16_384"),
            "vit_l_32": ("vit_large_patch32_224", "vit_large_patch32_384"),
        },
        vit_name,
    ),
    Family(
        ("features.1.0.layer_scale", "features.1.0.block.5.weight"),
        {f"convnext_{size}": (f"convnext_{size}",) for size in ("tiny", "small", "base", "large")},
    ),
)
