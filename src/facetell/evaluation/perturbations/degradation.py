# SPDX-License-Identifier: Apache-2.0
"""Perturbations that lose detail: blur, noise, fewer pixels, JPEG, and platforms' uploads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import numpy as np
import simplejpeg
import torch
from PIL import Image

from facetell.common.errors import UserError
from facetell.common.seeding import seed_of
from facetell.common.vision import functional as F
from facetell.evaluation.perturbations.registry import Ids, perturbation, within
from facetell.evaluation.perturbations.separable import separable
from facetell.images.loading import fit
from facetell.images.reencoding import PLATFORMS, encoded, upload

T = TypeVar("T")

RADIUS = 8  # px: of the UIUC report's kernel of 17


@perturbation("Gaussian blur, standard deviation (px)", level="sigma", neutral=0)
def blur(images: torch.Tensor, ids: Ids, *, sigma: float) -> torch.Tensor:
    """Gaussian blur of standard deviation ``sigma`` (0.1 to 30 px), edges mirrored.

    The kernel is cut at three standard deviations, but never below the UIUC report's 17 px: its
    two, sigma 1 and 2, have 17 exactly. At sigma 6 a kernel of 17 would leave out 16% of the
    weight, and spread by 4.4 px only. An image may be smaller than the kernel.
    """
    within("sigma", sigma, 0.1, 30)
    matrix = _gaussian(images.shape[-1], float(sigma)).to(images)
    return separable(images, matrix).clamp_(0, 1)


@cache
@torch.inference_mode(False)  # kept for calls that want gradients, too
def _gaussian(size: int, sigma: float) -> torch.Tensor:
    """The blur of a row of ``size`` px as a matrix; a mirror that does not repeat the edge."""
    radius = max(RADIUS, int(np.ceil(3 * sigma)))
    offsets = torch.arange(-radius, radius + 1)
    weights = torch.exp(-0.5 * (offsets.double() / sigma) ** 2)
    pixel = (torch.arange(size)[:, None] + offsets).remainder(2 * (size - 1))
    pixel = torch.minimum(pixel, 2 * (size - 1) - pixel)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    matrix.scatter_add_(1, pixel, (weights / weights.sum()).expand(size, -1))
    return matrix.float()


@perturbation(
    "Gaussian noise, standard deviation (share of the range)", level="deviation", neutral=0
)
def noise(images: torch.Tensor, ids: Ids, *, deviation: float) -> torch.Tensor:
    """Gaussian noise, apart for every pixel and channel, of standard deviation ``deviation`` (0 to
    1: share of the range)."""
    within("deviation", deviation, 0, 1)

    def draw(index: int) -> torch.Tensor:
        # on the processor always: a GPU would draw other numbers
        random = torch.Generator().manual_seed(seed_of("noise", deviation, ids[index]))
        return torch.randn(images.shape[1:], generator=random)

    return torch.stack(_each(draw, len(ids))).to(images).mul_(deviation).add_(images).clamp_(0, 1)


@perturbation("Shrunk and enlarged again, share of the side", level="share", neutral=1)
def resize(images: torch.Tensor, ids: Ids, *, share: float) -> torch.Tensor:
    """Down to ``share`` of the side (0.02 to 1), with antialiasing, and up again; bilinear."""
    within("share", share, 0.02, 1)
    size = images.shape[-1]
    small = [max(1, round(size * share))] * 2
    images = F.resize(images.contiguous(), small, antialias=True)
    return F.resize(images, [size, size], antialias=True).clamp_(0, 1)


@perturbation("JPEG quality", level="quality", neutral=100)
def jpeg(images: torch.Tensor, ids: Ids, *, quality: int) -> torch.Tensor:
    """JPEG of ``quality`` 1 to 100 as Pillow writes it: the standard's tables, and chroma at half
    resolution (4:2:0), which is all that is lost at 100."""
    within("quality", quality, 1, 100, whole=True)

    def through(pixels: np.ndarray, index: int) -> np.ndarray:
        # simplejpeg would encode with a coarser DCT; it decodes to the same pixels as Pillow
        return simplejpeg.decode_jpeg(encoded(Image.fromarray(pixels), quality))

    return _in_8_bits(images, through)


@perturbation("Platform", level="platform")
def launder(images: torch.Tensor, ids: Ids, *, platform: str) -> torch.Tensor:
    """Up to a platform and back, as ``facetell.images.reencoding`` has it: one of its
    ``PLATFORMS``.

    Its JPEG is brought to the input's size as that of any image is.
    """
    if platform not in PLATFORMS:
        raise UserError(f"no platform {platform!r}; there are {', '.join(PLATFORMS)}")
    size = images.shape[-1]

    def uploaded(pixels: np.ndarray, index: int) -> np.ndarray:
        data = upload(Image.fromarray(pixels), platform, ids[index])
        return fit(simplejpeg.decode_jpeg(data), size).permute(1, 2, 0).numpy()

    return _in_8_bits(images, uploaded)


def _in_8_bits(
    images: torch.Tensor, treat: Callable[[np.ndarray, int], np.ndarray]
) -> torch.Tensor:
    """``treat`` takes the pixels of an image, uint8 (S, S, 3), and its index in the batch."""
    rows = images.permute(0, 2, 3, 1).mul(255).round_().to("cpu", torch.uint8).contiguous().numpy()
    treated = np.stack(_each(lambda index: treat(rows[index], index), len(rows)))
    back = torch.from_numpy(treated).to(images.device).permute(0, 3, 1, 2)
    return back.to(images.dtype).div_(255)


def _each(function: Callable[[int], T], count: int) -> list[T]:
    """The function of 0, 1, ... ``count`` - 1, on as many threads as torch may use."""
    return list(_pool(torch.get_num_threads()).map(function, range(count)))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)
