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
}


NARROW = {"rcnn": {"width": 1 / 16}, "sepnet": {"width": 1 / 16}, "vit": {"width": 1 / 4}}
