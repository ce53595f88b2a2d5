# SPDX-License-Identifier: Apache-2.0
"""What a picture's frequencies say: azimuthal power spectrum and log-DCT bands.

Generators leave traces in the spectrum (Durall, Keuper and Keuper 2020, the azimuthal average;
Frank et al. 2020, the log-scaled DCT), which even a linear classifier can read. Everything is of
luma, and frequencies are relative to the sampling rate, so that sizes can be compared.
"""

import math
from functools import cache

import torch

NETWORK = "spectral"  # name of the linear classifier on these features
RADII, BANDS = 32, 16
LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue, ITU-R BT.601
FLOOR = 1e-8  # of power, for luma in [0, 1]: below a step of 8 bits in one coefficient


def luma(images: torch.Tensor) -> torch.Tensor:
    """ITU-R BT.601 luma: (B, 3, H, W) in [0, 1] to (B, H, W).

    >>> luma(torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1))
    tensor([[[0.5925]]])
    """
    return torch.einsum("bchw,c->bhw", images, images.new_tensor(LUMA))


def power(images: torch.Tensor) -> torch.Tensor:
    """Natural log of the power spectrum of luma under a Hann window, (B, S, S), zero frequency
    at [0, 0]; ``images`` (B, 3, S, S) in [0, 1]."""
    size = images.shape[-1]
    window = torch.hann_window(size, periodic=False, dtype=images.dtype, device=images.device)
    window = window[:, None] * window
    grey = luma(images)
    grey = (grey - grey.mean(dim=(1, 2), keepdim=True)) * window / window.square().sum().sqrt()
    return torch.log(torch.fft.fft2(grey).abs().square() + FLOOR)


def azimuthal(logs: torch.Tensor, radii: int = RADII) -> torch.Tensor:
    """Mean over rings of equal frequency, (B, radii): ring i ends at (i + 1) / (2 * radii) cycles
    per pixel; ``logs`` (B, S, S) of ``power``. Beyond the Nyquist frequency nothing is used."""
    rings, counts = _rings(logs.shape[-1], radii, logs.device)
    sums = logs.new_zeros(len(logs), radii + 1)
    sums.index_add_(1, rings, logs.flatten(1))
    return sums[:, :radii] / counts.to(logs)


def cosine(images: torch.Tensor) -> torch.Tensor:
    """Natural log of the squared orthonormal DCT-II of luma, (B, S, S), lowest at [0, 0]."""
    basis = dct_matrix(images.shape[-1], images.device).to(images)
    grey = luma(images)
    return torch.log((basis @ grey @ basis.T).square() + FLOOR)


def bands(logs: torch.Tensor, number: int = BANDS) -> torch.Tensor:
    """Mean over ``number`` x ``number`` bands of frequency, (B, number, number)."""
    return torch.nn.functional.adaptive_avg_pool2d(logs[:, None], number)[:, 0]


def features(images: torch.Tensor) -> torch.Tensor:
    """What the linear baseline sees of (B, 3, S, S) in [0, 1]: (B, ``length(S)``).

    >>> features(torch.rand(2, 3, 64, 64)).shape
    torch.Size([2, 288])
    """
    radii, number = _resolution(images.shape[-1])
    rings = azimuthal(power(images), radii)
    return torch.cat([rings, bands(cosine(images), number).flatten(1)], dim=1)


def length(size: int) -> int:
    """Number of features of a picture of ``size`` px."""
    radii, number = _resolution(size)
    return radii + number**2


def _resolution(size: int) -> tuple[int, int]:
    return min(RADII, size // 2), min(BANDS, size)


@cache
@torch.inference_mode(False)  # kept for calls that want gradients, too
def _rings(size: int, radii: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    axis = torch.fft.fftfreq(size, device=device)
    radius = torch.sqrt(axis[:, None] ** 2 + axis**2).flatten()
    rings = torch.clamp((radius * 2 * radii - 1e-6).floor().long(), 0, radii)
    return rings, torch.bincount(rings, minlength=radii + 1)[:radii].clamp(min=1)


@cache
@torch.inference_mode(False)  # kept for calls that want gradients, too
def dct_matrix(size: int, device: torch.device) -> torch.Tensor:
    """The orthonormal DCT-II of ``size`` points, float32 (size, size), lowest frequency first.

    >>> matrix = dct_matrix(8, torch.device("cpu"))
    >>> bool(torch.allclose(matrix @ matrix.T, torch.eye(8), atol=1e-6))
    True
    """
    index = torch.arange(size, dtype=torch.float64)  # which not every device has
    basis = torch.cos(math.pi / size * (index + 0.5) * index[:, None]) * math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    return basis.float().to(device)
