"""Small networks of every family, and an independent view of their layers."""

import torch
from torch import nn

from facetell.detector import Detector
from facetell.models import build

HALF = (0.5, 0.5, 0.5)
NARROW = {"rcnn": {"width": 1 / 16}, "sepnet": {"width": 1 / 6},
          "vit": {"width": 1 / 12, "patch_size": 8}, "vgg19": {"mlp_ratio": 1 / 64}}  # fmt: skip
CONVOLUTIONAL = ("simplenet", "rcnn", "sepnet", "resnet50", "densenet121", "mnasnet_100",
                 "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "mobilenetv2_100",
                 "vgg19", "xception_based")  # fmt: skip
NETWORKS = (*CONVOLUTIONAL, "vit", "swin")


def detector(key: str, size: int = 64) -> Detector:
    """Random weights, and random statistics too: a norm must not be the identity."""
    torch.manual_seed(0)
    network = build(key, image_size=size, **NARROW.get(key, {}))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
        if isinstance(module, nn.LayerNorm) and key == "swin":  # starts as zero in residuals
            module.weight.data.uniform_(0.5, 1.5)
    return Detector(network, HALF, HALF).eval()


def pixels(count: int, size: int = 64, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, size, size, generator=generator)


def channels_first(model, name, values, images):
    """The outputs of these networks by hand: (B, C, h, w) from each of their layouts."""
    module = model.network.get_submodule(name)
    if values.ndim == 3:  # square patches, after a class token where there is one
        side = int(values.shape[1] ** 0.5)
        values = values[:, -side * side :]
        return values.transpose(1, 2).reshape(len(values), -1, side, side)
    if getattr(model.network, "output_fmt", "") == "NHWC" and not isinstance(module, nn.Conv2d):
        return values.permute(0, 3, 1, 2)
    return values
