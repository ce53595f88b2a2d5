# SPDX-License-Identifier: Apache-2.0
"""RCNN and SepNet: the UIUC report's residual networks, of dense and of separable convolutions.

Source: Keriotis, Jin and Bauer, "Explainability of Deep Computer Vision Models for AI-Generated
Faces" (University of Illinois), layout as in their code. Changed: ``width`` and ``depth``
multiply the channels and the blocks of a stage, and residual branches may start at zero.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from timm.models import register_model
from torch import nn

from facetell.common.errors import UserError

# channels of each block by stage, at width 1; the first six stages end with a pooling
RCNN = (
    *((4,), (8,), (16, 32), (64, 128, 128), (256,) * 3, (512,) * 3),
    *((1024,) * 6, (2048,) * 4, (4096,) * 3),
)
SEPNET = (
    *((18,), (36,), (72,), (144,), (288,), (576,)),
    *((1152,) * 7, (2304,) * 7, (4608,) * 9),
)
POOLED = 6  # 224 px become 3
SMALLEST = 2**POOLED  # px: below it a pooling would leave nothing


class DenseUnit(nn.Module):
    """3x3 convolution, batch norm, GELU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)
        self.act = nn.GELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.norm(self.mix(x)))


class SeparableUnit(nn.Module):
    """3x1 then 1x3 depthwise convolution, batch norm, 1x1 convolution, batch norm, GELU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.rows = nn.Conv2d(
            channels_in, channels_in, (3, 1), padding=(1, 0), groups=channels_in, bias=False
        )
        # widens as well: each input channel yields channels_out / channels_in outputs
        self.columns = nn.Conv2d(
            channels_in, channels_out, (1, 3), padding=(0, 1), groups=channels_in, bias=False
        )
        self.inner_norm = nn.BatchNorm2d(channels_out)
        self.mix = nn.Conv2d(channels_out, channels_out, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)
        self.act = nn.GELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.inner_norm(self.columns(self.rows(x)))
        return self.act(self.norm(self.mix(x)))


Unit = Callable[[int, int], nn.Module]  # channels in, channels out


class Block(nn.Module):
    """Two units and a skip (1x1 convolution where the channels change), normalised at the end."""

    def __init__(self, unit: Unit, channels_in: int, channels_out: int, zero_init: bool) -> None:
        super().__init__()
        self.unit1 = unit(channels_in, channels_out)
        self.unit2 = unit(channels_out, channels_out)
        self.skip: nn.Module = nn.Identity()
        if channels_in != channels_out:
            self.skip = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out)
            )
        self.norm = nn.BatchNorm2d(channels_out)
        if zero_init:
            nn.init.zeros_(self.unit2.get_parameter("norm.weight"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.unit2(self.unit1(x)) + self.skip(x))


class ResidualPool(nn.Module):
    """Halves the side: max-pool of the input plus max-pool of a block of it, normalised."""

    def __init__(self, unit: Unit, channels: int, zero_init: bool) -> None:
        super().__init__()
        self.block = Block(unit, channels, channels, zero_init)
        self.pool = nn.MaxPool2d(2)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.pool(x) + self.pool(self.block(x)))


class ResidualNet(nn.Module):
    """``stages.N`` are blocks followed by a pooling where the side halves; ``head`` classifies."""

    pretrained_cfg = {"classifier": "head"}  # noqa: RUF012  (where timm's networks say it)

    def __init__(
        self, unit: Unit, stages: Sequence[Sequence[int]], head: nn.Module, zero_init: bool
    ) -> None:
        super().__init__()
        built: list[nn.Module] = []
        channels_in = 3
        for widths in stages:
            modules: list[nn.Module] = []
            for channels in widths:
                modules.append(Block(unit, channels_in, channels, zero_init))
                channels_in = channels
            if len(built) < POOLED:
                modules.append(ResidualPool(unit, channels_in, zero_init))
            built.append(nn.Sequential(*modules))
        self.stages = nn.Sequential(*built)
        # the last block before the last pooling (7x7 at 224 px) says most: later ones have 3x3
        finest = f"stages.{POOLED - 1}.{len(stages[POOLED - 1]) - 1}"
        names = [f"stages.{i}.{at}" for i, stage in enumerate(built) for at in stage._modules]
        self.feature_info = [{"module": name, "default": name == finest} for name in names]
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.stages(x)).flatten(1))


def _head(
    sizes: Sequence[int], num_classes: int, after: Callable[[int], list[nn.Module]]
) -> nn.Module:
    layers: list[nn.Module] = []
    for size_in, size_out in pairwise(sizes):
        layers += [nn.Linear(size_in, size_out), *after(size_out)]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], num_classes))


def _check(name: str, pretrained: bool, width: float, depth: float, img_size: int) -> None:
    if pretrained:
        raise UserError(f"nobody has published weights of {name}: say pretrained: PATH or false")
    if width <= 0:
        raise UserError(f"{name}'s width must be above 0, got {width}")
    if not 0 < depth <= 1:
        raise UserError(f"{name}'s depth must be above 0 and at most 1, got {depth}")
    if img_size < SMALLEST:
        raise UserError(f"{name} needs images of at least {SMALLEST} px, got {img_size}")


@register_model
def rcnn(
    pretrained: bool = False,
    width: float = 1.0,
    depth: float = 1.0,
    img_size: int = 224,
    num_classes: int = 2,
    zero_init: bool = False,
    **_: Any,
) -> ResidualNet:
    """RCNN; 1,267,544,682 parameters at width 1 and two classes.

    A narrow network keeps up to 32 channels per layer as published: the first layers have few.
    """
    _check("rcnn", pretrained, width, depth, img_size)
    stages = [
        _shallower([max(min(c, 32), round(c * width)) for c in stage], depth) for stage in RCNN
    ]
    last = stages[-1][-1]
    sizes = (last, last // 2, last // 4, max(2, round(512 * width)))
    head = _head(sizes, num_classes, lambda size: [nn.ReLU(), nn.LayerNorm(size)])
    return ResidualNet(DenseUnit, stages, head, zero_init)


@register_model
def sepnet(
    pretrained: bool = False,
    width: float = 1.0,
    depth: float = 1.0,
    img_size: int = 224,
    num_classes: int = 2,
    zero_init: bool = False,
    **_: Any,
) -> ResidualNet:
    """SepNet; 506,403,033 parameters at width 1 and two classes.

    ``zero_init`` starts each residual branch at zero (Goyal et al., "Accurate, Large Minibatch
    SGD", 2017), without which so deep a network learns nothing in a few epochs; the report did not.
    """
    _check("sepnet", pretrained, width, depth, img_size)
    stages = [_shallower(stage, depth) for stage in _groupable(width)]
    last = stages[-1][-1]
    sizes = (last, last // 2, last // 4, max(2, round(512 * width)))
    head = _head(sizes, num_classes, lambda size: [nn.LayerNorm(size), nn.GELU()])
    return ResidualNet(SeparableUnit, stages, head, zero_init)


def _shallower(stage: list[int], depth: float) -> list[int]:
    """The last blocks of a stage, one at least."""
    return stage[-max(1, round(len(stage) * depth)) :]


def _groupable(width: float) -> list[list[int]]:
    """SepNet's channels, doubling at width 1, else the nearest that grouped convolutions allow.

    Each stage must have a multiple of the last one's channels, the first of the 3 colours. Narrow
    networks keep half of the stem: with fewer, little is left there to learn with.
    """
    stem = SEPNET[0][0]
    channels = 3 * max(stem // 6, round(stem / 3 * width))
    stages = []
    for published in SEPNET:
        channels *= max(1, round(published[0] * width / channels))
        stages.append([channels] * len(published))
    return stages
