# SPDX-License-Identifier: Apache-2.0
"""Perturbations that move pixels: crops, rotation, mirror."""

import math

import torch
from torch.nn.functional import affine_grid, grid_sample

from facetell.common.vision import functional as F
from facetell.evaluation.perturbations.registry import Ids, perturbation, within

SIDE = 224  # px of the input for which a crop's side is given
SMALLEST = 16  # px


@perturbation("Centre crop enlarged again, side (px)", level="pixels")
def crop(images: torch.Tensor, ids: Ids, *, pixels: int) -> torch.Tensor:
    """The middle, ``pixels`` on a side (16 to 224), enlarged to the full size again (bilinear).

    The UIUC report crops 160 px after its resize to 224 px, SWIN's to 256 px: of an input of
    224 px or more, ``pixels`` are meant literally, and of a smaller one that share of 224.
    """
    size = images.shape[-1]
    middle = F.center_crop(images, [_side(pixels, size)] * 2)
    return F.resize(middle, [size, size], antialias=True).clamp(0, 1)


@perturbation("Centre crop on grey, side (px)", level="pixels")
def crop_unscaled(images: torch.Tensor, ids: Ids, *, pixels: int) -> torch.Tensor:
    """The same middle as ``crop`` at its own scale, with mid-grey (0.5) around it.

    A network has one size of input, so that what is cut off must be filled: with what carries no
    information and, in the middle of the range, no strong edge for dark or bright images alike.
    """
    size = images.shape[-1]
    side = _side(pixels, size)
    start = round((size - side) / 2)  # as torchvision's center_crop has it
    inside = (..., slice(start, start + side), slice(start, start + side))
    framed = torch.full_like(images, 0.5)
    framed[inside] = images[inside]
    return framed


def _side(pixels: int, size: int) -> int:
    within("pixels", pixels, SMALLEST, SIDE, whole=True)
    return pixels if size >= SIDE else max(1, round(size * pixels / SIDE))


@perturbation("Rotation (degrees)", level="degrees", neutral=0)
def rotate(images: torch.Tensor, ids: Ids, *, degrees: float) -> torch.Tensor:
    """Rotation about the centre, counter-clockwise, -180 to 180 degrees; bilinear.

    What comes in from outside is mirrored at the edges: black corners would be a mark by which
    every rotated image could be told.
    """
    within("degrees", degrees, -180, 180)
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    # from coordinates in the result to those in the image, rows downwards
    back = images.new_tensor([[cosine, -sine, 0], [sine, cosine, 0]])
    grid = affine_grid(back[None], [1, *images.shape[1:]], align_corners=False)
    return grid_sample(
        images, grid.expand(len(images), -1, -1, -1), "bilinear", "reflection", align_corners=False
    ).clamp(0, 1)


@perturbation("Mirrored left to right")
def flip(images: torch.Tensor, ids: Ids) -> torch.Tensor:
    """The mirror image, left to right."""
    return images.flip(-1)
