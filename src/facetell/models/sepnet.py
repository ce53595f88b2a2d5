"""SepNet: a residual network of doubly separable convolutions (depthwise and by axis).

Source: Keriotis, Jin and Bauer, "Explainability of Deep Computer Vision Models for AI-Generated
Faces" (University of Illinois), layout as in their code. Changed: a ``width`` multiplier,
and residual branches that may start at zero.
"""

from itertools import pairwise
from typing import Any

import torch
from timm.models import register_model
from torch import nn

from facetell.errors import UserError

STEM = 18  # channels after the first block at width 1; must stay a multiple of the 3 colours
STAGES = (1, 1, 1, 1, 1, 1, 7, 7, 9)  # blocks per stage; channels double from stage to stage
POOLED = 6  # the first stages end with a pooling each: 224 px become 3
SMALLEST = 2**POOLED  # px: below it a pooling would leave nothing


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
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.mix = nn.Conv2d(channels_out, channels_out, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.act = nn.GELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm1(self.columns(self.rows(x)))
        return self.act(self.norm2(self.mix(x)))


class SeparableBlock(nn.Module):
    """Two units and a skip (1x1 convolution where the channels change), normalised at the end."""

    def __init__(self, channels_in: int, channels_out: int, zero_init: bool) -> None:
        super().__init__()
        self.unit1 = SeparableUnit(channels_in, channels_out)
        self.unit2 = SeparableUnit(channels_out, channels_out)
        self.skip: nn.Module = nn.Identity()
        if channels_in != channels_out:
            self.skip = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out)
            )
        self.norm = nn.BatchNorm2d(channels_out)
        if zero_init:
            nn.init.zeros_(self.unit2.norm2.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.unit2(self.unit1(x)) + self.skip(x))


class ResidualPool(nn.Module):
    """Halves the side: max-pool of the input plus max-pool of a block of it, normalised."""

    def __init__(self, channels: int, zero_init: bool) -> None:
        super().__init__()
        self.block = SeparableBlock(channels, channels, zero_init)
        self.pool = nn.MaxPool2d(2)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.pool(x) + self.pool(self.block(x)))


class SepNet(nn.Module):
    """``stages.N`` are blocks followed by a pooling where the side halves; ``head`` classifies."""

    def __init__(
        self,
        width: float = 1.0,
        img_size: int = 224,
        num_classes: int = 2,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        if width <= 0:
            raise UserError(f"sepnet's width must be above 0, got {width}")
        if img_size < SMALLEST:
            raise UserError(f"sepnet needs images of at least {SMALLEST} px, got {img_size}")
        stages: list[nn.Module] = []
        channels_in = 3
        for blocks, channels in zip(STAGES, _channels(width), strict=True):
            modules: list[nn.Module] = []
            for _ in range(blocks):
                modules.append(SeparableBlock(channels_in, channels, zero_init))
                channels_in = channels
            if len(stages) < POOLED:
                modules.append(ResidualPool(channels, zero_init))
            stages.append(nn.Sequential(*modules))
        self.stages = nn.Sequential(*stages)
        # blocks before their pooling: there a map is finest for its depth
        self.feature_info = [
            {"module": f"stages.{index}.{blocks - 1}"} for index, blocks in enumerate(STAGES)
        ]
        self.pool = nn.AdaptiveAvgPool2d(1)
        last = max(2, round(512 * width))
        sizes = (channels_in, channels_in // 2, channels_in // 4, last)
        layers: list[nn.Module] = []
        for size_in, size_out in pairwise(sizes):
            layers += [nn.Linear(size_in, size_out), nn.LayerNorm(size_out), nn.GELU()]
        self.head = nn.Sequential(*layers, nn.Linear(last, num_classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.stages(x)).flatten(1))


def _channels(width: float) -> list[int]:
    """Channels per stage: doubling at width 1, else the nearest that grouped convolutions allow.

    Each stage must have a multiple of the last one's channels. Narrow networks keep the 18 of the
    stem: with fewer, nothing was left in the first layers to learn with.
    """
    channels = [3 * max(STEM // 3, round(STEM / 3 * width))]
    for stage in range(1, len(STAGES)):
        wanted = STEM * 2**stage * width
        channels.append(channels[-1] * max(1, round(wanted / channels[-1])))
    return channels


@register_model
def sepnet(
    pretrained: bool = False,
    width: float = 1.0,
    img_size: int = 224,
    num_classes: int = 2,
    zero_init: bool = False,
    **_: Any,
) -> SepNet:
    """SepNet; 506,403,033 parameters at width 1 and two classes.

    ``zero_init`` starts each residual branch at zero (Goyal et al., "Accurate, Large Minibatch
    SGD", 2017), without which so deep a network learns nothing in a few epochs; the report did not.
    """
    return SepNet(width, img_size, num_classes, zero_init)
