# SPDX-License-Identifier: Apache-2.0
"""Small networks of every family, and an independent view of their layers."""

import copy

import torch
from torch import nn

from facetell.models import build
from facetell.models.detector import Detector

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


class Linear(nn.Module):
    """Two logits from a weighted sum of pixels, through one listed layer."""

    feature_info = ({"module": "body"},)

    def __init__(self):
        super().__init__()
        self.body = nn.Identity()
        self.weight = nn.Parameter(torch.randn(2, 3, 16, 16, dtype=torch.float64))

    def forward(self, x):
        return (self.body(x)[:, None] * self.weight).sum((2, 3, 4))


class Pooled(nn.Sequential):
    """Convolution, ReLU in place, global average pooling, linear head; float64."""

    def __init__(self, act=None):
        torch.manual_seed(0)
        super().__init__(
            nn.Conv2d(3, 8, 5, stride=2),
            act or nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 2),
        )
        self.double()


def doubles(count: int, size: int = 16) -> torch.Tensor:
    return pixels(count, size).double()


def state(model):
    return (
        copy.deepcopy(model.state_dict()),
        [module.training for module in model.modules()],
        [parameter.requires_grad for parameter in model.parameters()],
        [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        [
            len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks)
            for m in model.modules()
        ],
        [id(tensor) for tensor in (*model.parameters(), *model.buffers())],
    )


def same(before, after):
    assert before[0].keys() == after[0].keys()
    assert all(torch.equal(value, after[0][name]) for name, value in before[0].items())
    for one, other in zip(before[3], after[3], strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)
    return before[1:3] == after[1:3] and before[4:] == after[4:]


class Margin(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model.margin(x)
