# SPDX-License-Identifier: Apache-2.0
"""A few numbers of a whole picture: how sharp, how noisy, and of what colour it is."""

import numpy as np

from facetell.images import spectra

SIDE = 256  # px: of larger images only the middle is measured, at its own resolution
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
    cross = y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:]
    corners = y[:-2, :-2] + y[:-2, 2:] + y[2:, :-2] + y[2:, 2:]
    centre = y[1:-1, 1:-1]
    sharpness = float((cross - 4 * centre).var())
    noise = float(np.abs(corners - 2 * cross + 4 * centre).mean()) * np.sqrt(np.pi / 2) / 6
    return (float(np.log10(sharpness + 1e-3)), float(np.log10(noise + 1e-3)), *map(float, colour))
