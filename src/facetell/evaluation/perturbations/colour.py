# SPDX-License-Identifier: Apache-2.0
"""Perturbations of colour and light, pixel by pixel; definitions as in torchvision and Pillow."""

import torch

from facetell.common.seeding import seed_of
from facetell.common.vision import functional as F
from facetell.evaluation.perturbations.registry import Ids, perturbation, within

STRONGEST = 10.0  # factor


@perturbation("Grayscale")
def grayscale(images: torch.Tensor, ids: Ids) -> torch.Tensor:
    """ITU-R 601 luma in all three channels. One of the UIUC report's five."""
    return F.rgb_to_grayscale(images, num_output_channels=3)


@perturbation("Random hue, largest turn (share of the circle)", level="amount", neutral=0)
def hue(images: torch.Tensor, ids: Ids, *, amount: float) -> torch.Tensor:
    """Hue turned by a share of the colour circle that is uniform in +-``amount`` (0 to 0.5) for
    each image. One of the UIUC report's five, at 0.2."""
    within("amount", amount, 0, 0.5)
    turns = []
    for name in ids:
        draw = torch.Generator().manual_seed(seed_of("hue", amount, name))
        turns.append((2 * torch.rand((), generator=draw).item() - 1) * amount)
    return turned(images, torch.tensor(turns))


@perturbation("Hue, turn (share of the circle)", level="turn", neutral=0)
def hue_turn(images: torch.Tensor, ids: Ids, *, turn: float) -> torch.Tensor:
    """Hue of all images turned by the same share of the colour circle, -0.5 to 0.5."""
    within("turn", turn, -0.5, 0.5)
    return turned(images, torch.full((len(images),), turn))


@perturbation("Brightness, factor", level="factor", neutral=1)
def brightness(images: torch.Tensor, ids: Ids, *, factor: float) -> torch.Tensor:
    """All values times ``factor`` (0: black)."""
    within("factor", factor, 0, STRONGEST)
    return F.adjust_brightness(images, factor)


@perturbation("Contrast, factor", level="factor", neutral=1)
def contrast(images: torch.Tensor, ids: Ids, *, factor: float) -> torch.Tensor:
    """Distance from the image's mean luma times ``factor`` (0: all grey)."""
    within("factor", factor, 0, STRONGEST)
    return F.adjust_contrast(images, factor)


@perturbation("Saturation, factor", level="factor", neutral=1)
def saturation(images: torch.Tensor, ids: Ids, *, factor: float) -> torch.Tensor:
    """Distance of each pixel from its luma times ``factor`` (0: no colour)."""
    within("factor", factor, 0, STRONGEST)
    return F.adjust_saturation(images, factor)


def turned(images: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Hue turned in HSV by ``turns`` (B,), shares of the circle; (B, 3, S, S) in [0, 1].

    Value and saturation stay, so a turn keeps the largest and the smallest channel of a pixel. With
    channels r, g, b brought to the range 0 to 1, its hue lies 1 - r + g + b sixths of the circle
    away from red, on the side of green where g > b: no sectors need to be told apart, and
    comparisons are what would take long.
    """
    images = images.contiguous()
    red, green, blue = images.unbind(1)
    high = torch.maximum(torch.maximum(red, green), blue)
    low = torch.minimum(torch.minimum(red, green), blue)
    chroma = high - low
    hues = (green + blue).sub_(red).sub_(low)
    hues.div_(chroma.clamp(min=torch.finfo(images.dtype).tiny)).add_(1)
    hues.copysign_(green - blue).add_(6 * turns.to(images)[:, None, None])
    turned_images = torch.empty_like(images)
    for channel, angle in enumerate((0, 2, 4)):  # of red, green and blue, in sixths of the circle
        away = hues - angle
        away.sub_((away / 6).round_(), alpha=6).abs_()
        # full up to one sixth away, and nothing from two on
        torch.sub(high, away.sub_(1).clamp_(0, 1).mul_(chroma), out=turned_images[:, channel])
    return turned_images
