# SPDX-License-Identifier: Apache-2.0
"""Spectral features: against gratings, scipy, and white noise."""

import numpy as np
import pytest
import torch
from scipy.fft import dctn

from facetell.images.spectra import RADII, azimuthal, bands, cosine, features, length, luma, power


def grating(size: int, frequency: float, angle: float) -> torch.Tensor:
    """Luma of a plane wave of so many cycles per pixel, (1, 3, size, size)."""
    place = torch.arange(size, dtype=torch.float32)
    phase = frequency * (place[:, None] * np.sin(angle) + place * np.cos(angle))
    return (0.5 + 0.4 * torch.cos(2 * np.pi * phase)).expand(1, 3, size, size)


@pytest.mark.parametrize("size", [64, 96, 256])
@pytest.mark.parametrize("frequency", [0.1, 0.23, 0.4])
@pytest.mark.parametrize("angle", [0.0, 0.7, np.pi / 2])
def test_a_grating_has_its_power_in_its_ring(size, frequency, angle):
    noise = 0.05 * torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    # one coefficient of a ring is a small part of its mean of logs: compare with no grating
    rise = azimuthal(power(noise + grating(size, frequency, angle))) - azimuthal(power(noise))
    # the lowest ring holds what the window leaves of the mean
    assert abs(int(rise[0, 1:].argmax()) + 1 - int(frequency * 2 * RADII)) <= 1


@pytest.mark.parametrize("size", [16, 64, 100])
def test_the_dct_is_that_of_scipy(size):
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(size))
    grey = luma(images).double().numpy()
    expected = np.log(dctn(grey, axes=(1, 2), norm="ortho") ** 2 + 1e-8)
    large = expected > -6  # below, float32 rounds
    assert np.abs(cosine(images).numpy() - expected)[large].max() < 2e-2
    assert np.median(np.abs(cosine(images).numpy() - expected)) < 1e-4


def test_white_noise_has_a_flat_spectrum():
    images = torch.rand(16, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    rings = azimuthal(power(images)).mean(dim=0)[1:]
    assert (rings.max() - rings.min()) < 0.4
    level = luma(images).var().log() - np.euler_gamma  # mean log of an exponential variable
    assert rings.mean() == pytest.approx(float(level), abs=0.1)


@pytest.mark.parametrize("size", [16, 33, 64, 256])
def test_features_are_finite_and_of_the_said_length(size):
    images = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    found = features(torch.cat([images, torch.full((1, 3, size, size), 0.5)]))
    assert found.shape == (4, length(size))
    assert found.isfinite().all()
    alone = torch.cat([features(image[None]) for image in images])
    assert torch.allclose(found[:3], alone, atol=1e-3)
    assert torch.allclose(
        azimuthal(power(images)), azimuthal(power(images * 1 + 0.25)), atol=1e-3
    ), "brightness is not in the power spectrum"


def test_bands_are_means_of_squares_of_coefficients():
    logs = torch.arange(64.0).reshape(1, 8, 8)
    assert bands(logs, 2)[0, 0, 0] == logs[0, :4, :4].mean()


def test_gradients_reach_the_pixels():
    images = torch.rand(2, 3, 64, 64).requires_grad_()
    features(images).sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert images.grad.abs().sum() > 0
