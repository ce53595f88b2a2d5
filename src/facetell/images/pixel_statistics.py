# SPDX-License-Identifier: Apache-2.0
"""A few numbers of a whole picture: how sharp, how noisy, and of what colour it is."""

from typing import Any

import numpy as np
import torch

from facetell.images import spectra

SIDE = 256  # px: of larger images only the middle is measured, at its own resolution
IMMERKAER = float(np.sqrt(np.pi / 2)) / 6  # of the mean difference: the noise level
MEASURED = ("sharpness", "noise", "red", "green", "blue")


def middle(pixels: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The middle square of (H, W, 3), at most ``side`` px, without resizing."""
    height, width = pixels.shape[:2]
    side = min(side, height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def pixel_statistics(pixels: np.ndarray) -> tuple[float, ...]:
    """``MEASURED`` of uint8 (H, W, 3): log10 variance of the Laplacian of luma, log10 of the noise
    level (levels of 255; Immerkaer 1996), and mean red, green and blue (0 to 255)."""
    colour = pixels.reshape(-1, 3).mean(axis=0)
    y = pixels.astype(np.float32) @ np.array(spectra.LUMA, dtype=np.float32)
    second, fourth = _differences(y)
    sharpness, noise = float(second.var()), float(np.abs(fourth).mean()) * IMMERKAER
    return (float(np.log10(sharpness + 1e-3)), float(np.log10(noise + 1e-3)), *map(float, colour))


def sharpness_and_noise(luma: torch.Tensor) -> torch.Tensor:
    """The first two of ``MEASURED`` for a batch of luma in [0, 1], (B, H, W): (B, 2)."""
    second, fourth = _differences(luma * 255)
    sharpness = second.var(dim=(-2, -1), correction=0)
    noise = fourth.abs().mean(dim=(-2, -1)) * IMMERKAER
    return torch.log10(torch.stack([sharpness, noise], dim=1) + 1e-3)


def _differences(y: Any) -> tuple[Any, Any]:
    """Laplacian of (..., H, W), and the difference of two that is blind to edges."""
    cross = y[..., :-2, 1:-1] + y[..., 2:, 1:-1] + y[..., 1:-1, :-2] + y[..., 1:-1, 2:]
    corners = y[..., :-2, :-2] + y[..., :-2, 2:] + y[..., 2:, :-2] + y[..., 2:, 2:]
    centre = y[..., 1:-1, 1:-1]
    return cross - 4 * centre, corners - 2 * cross + 4 * centre
