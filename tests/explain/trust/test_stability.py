# SPDX-License-Identifier: Apache-2.0
"""Max-sensitivity of models whose change is known, and change of maps beside change of margins."""

import numpy as np
import pytest
import torch

from facetell.explain.trust import stability
from facetell.explain.trust.stability import relative_change, under_change


def max_sensitivity(maps, images, ids, draws=10, seed=0, **options):
    return stability.max_sensitivity(maps, images, ids, draws=draws, seed=seed, **options)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def linear(images: torch.Tensor) -> dict[str, np.ndarray]:
    """Gradient of a linear model (constant), and gradient x input (moves with the pixels)."""
    return {
        "gradient": np.ones((len(images), 6, 6)),
        "input": images.double().sum(dim=1).numpy(),
        "zero": np.zeros((len(images), 6, 6)),
    }


def test_a_constant_map_does_not_move(images):
    found = max_sensitivity(linear, images, range(4))
    assert (found["gradient"] == 0).all()
    assert np.isnan(found["zero"]).all()


def test_sensitivity_is_within_its_bound_and_grows_with_the_radius(images):
    small = max_sensitivity(linear, images, range(4), radius=0.01)["input"]
    large = max_sensitivity(linear, images, range(4), radius=0.02)["input"]
    assert large == pytest.approx(2 * small, rel=1e-4)
    length = np.linalg.norm(linear(images)["input"].reshape(4, -1), axis=1)
    expected = 0.01 * np.sqrt(3 * 36 / 3) / length  # root of the sum of 36 variances of 3 / 3
    assert (small < 0.01 * 3 * 6 / length).all()  # every pixel at the radius
    assert (small > expected).all()  # the largest of ten
    assert (small < 1.5 * expected).all()


def test_more_draws_never_lower_it_and_batches_have_no_say(images):
    few = max_sensitivity(linear, images, "abcd", draws=3)["input"]
    many = max_sensitivity(linear, images, "abcd", draws=8)["input"]
    assert (many >= few).all()
    assert (many > few).any()
    one = max_sensitivity(linear, images[2:3], "c", draws=8)["input"]
    assert one[0] == pytest.approx(many[2])
    assert (max_sensitivity(linear, images, "abcd", draws=8, seed=1)["input"] != many).any()


def test_relative_change():
    one = np.array([[[3.0, 4.0]], [[0.0, 0.0]]])
    found = relative_change(one, one + np.array([[[0.0, 1.0]]]))
    assert found[0] == pytest.approx(1 / 5)
    assert np.isnan(found[1])


def test_change_of_maps_stands_beside_that_of_the_margin(images):
    def score(pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean(dim=(1, 2, 3)) - 0.5

    maps, margins = under_change(linear, score, images, images + 0.3, threshold=0.0)
    assert maps["gradient"]["change"] == pytest.approx(0)
    assert maps["input"]["spearman"] == pytest.approx(1)
    assert margins["margin_change"] == pytest.approx(0.3, abs=1e-6)
    assert (margins["flipped"] == (margins["margin"] < 0)).all()
    assert margins["flipped"].sum() > 0
