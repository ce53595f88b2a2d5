# SPDX-License-Identifier: Apache-2.0
"""Sharpness, noise and colour of pictures whose values are known."""

import numpy as np
import pytest

from facetell.images.pixel_statistics import middle, pixel_statistics


def test_pixel_statistics_by_hand():
    noise = np.random.default_rng(0).normal(128, 5, (200, 200, 1)).repeat(3, axis=2)
    sharpness, level, *colour = pixel_statistics(noise.round().clip(0, 255).astype(np.uint8))
    assert 10**level == pytest.approx(5, rel=0.1)
    assert 10**sharpness == pytest.approx(20 * 25, rel=0.1)  # 4^2 + 4 times the variance
    assert colour == pytest.approx([128] * 3, abs=0.5)
    flat = pixel_statistics(np.full((20, 20, 3), (10, 20, 30), dtype=np.uint8))
    assert flat == pytest.approx((-3, -3, 10, 20, 30))


def test_of_larger_images_the_middle_is_measured():
    pixels = np.zeros((300, 500, 3), dtype=np.uint8)
    pixels[22:278, 122:378] = 1
    assert middle(pixels).shape == (256, 256, 3)
    assert middle(pixels).all()
    assert middle(pixels[:100, :80]).shape == (80, 80, 3)
