# SPDX-License-Identifier: Apache-2.0
"""Exact parameter counts of the networks, and the arguments that make them small."""

PARAMETERS = {
    "rcnn": (224, 1_267_544_682),
    "sepnet": (224, 506_403_033),
    "vit": (224, 86_826_938),
    "swin": (256, 27_579_692),
    "simplenet": (256, 16_901_762),
    "xception_based": (299, 23_128_786),
    "vgg19": (224, 139_578_434),
    "resnet50": (224, 23_512_130),
    "densenet121": (224, 6_955_906),
    "mnasnet_100": (224, 3_104_874),
    "efficientnet_b0": (224, 4_010_110),
    "efficientnet_b1": (240, 6_515_746),
    "efficientnet_b2": (260, 7_703_812),
    "mobilenetv2_100": (224, 2_226_434),
    "vit_large_patch14_clip_quickgelu_224.openai": (224, 303_181_826),
    "vit_small_patch14_dinov2.lvd142m": (224, 21_629_570),
    "vit_base_patch14_dinov2.lvd142m": (224, 85_726_466),
    "vit_small_patch16_dinov3.lvd1689m": (256, 21_587_714),
    "convnext_tiny.fb_in22k": (224, 27_821_666),
}


_SMALL = {"patch_size": 8, "depth": 2, "embed_dim": 24, "num_heads": 2}
NARROW = {
    "rcnn": {"width": 1 / 16},
    "sepnet": {"width": 1 / 16},
    "vit": {"width": 1 / 4},
    "vit_large_patch14_clip_quickgelu_224.openai": _SMALL,
    "vit_small_patch14_dinov2.lvd142m": _SMALL,
    "vit_base_patch14_dinov2.lvd142m": _SMALL,
    "vit_small_patch16_dinov3.lvd1689m": _SMALL,
}
