# SPDX-License-Identifier: Apache-2.0
"""Deletion, insertion and ROAD against closed forms and a dense solution; ties; seeds."""

import numpy as np
import pytest
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer

from facetell.common.errors import UserError
from facetell.explain.trust import faithfulness
from facetell.explain.trust.faithfulness import blurred, deletion, impute, insertion, road

SIZE = 12
WEIGHTS = torch.from_numpy(np.random.default_rng(0).random((SIZE, SIZE))).float()


def ranking(maps: np.ndarray, ids, seed: int = 0) -> np.ndarray:
    return faithfulness.ranking(maps, ids, seed=seed)


def measure(score, images: torch.Tensor, ranks: np.ndarray, ids) -> dict[str, np.ndarray]:
    return faithfulness.measure(
        score, images, ranks, ids, steps=16, fractions=np.arange(1, 10) / 10, seed=0
    )


def score(images: torch.Tensor) -> torch.Tensor:
    """A linear model: what a pixel adds to the margin is known."""
    return (images * WEIGHTS).sum(dim=(1, 2, 3)) / 30


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def test_a_ranking_is_a_permutation_that_sorts_the_map():
    maps = np.random.default_rng(2).normal(size=(2, 5, 5))
    ranks = ranking(maps, ["a", "b"])
    for map_, rank in zip(maps, ranks, strict=True):
        assert sorted(rank.ravel()) == list(range(25))
        assert (np.diff(map_.ravel()[np.argsort(rank.ravel())]) <= 0).all()


def test_exactly_the_asked_share_goes_though_most_of_the_map_is_zero():
    """70% zeros: a threshold at the median would remove all of them."""
    maps = np.zeros((2, 20, 20))
    maps[:, :6] = np.random.default_rng(3).random((2, 6, 20)) + 0.1
    ranks = ranking(maps, ["a", "b"])
    assert ((ranks < 200).sum(axis=(1, 2)) == 200).all()
    assert (ranks[:, :6] < 120).all()  # what is relevant goes first
    tied = ranks[0, 6:] < 200  # the rest of the half is anywhere, not in reading order
    assert abs(tied[:7].mean() - tied[7:].mean()) < 0.2
    assert (ranks[0, 6:] != ranks[1, 6:]).any()
    assert (ranking(maps[1:], ["b"]) == ranks[1:]).all()  # the batch has no say
    assert (ranking(maps, ["a", "b"], seed=1) != ranks).any()


def test_deletion_of_a_linear_model_is_the_running_sum(images):
    blur = blurred(images)
    maps = ((images - blur) * WEIGHTS).sum(dim=1).numpy()  # what blurring a pixel takes away
    curve = deletion(score, images, ranking(maps, range(3)), steps=SIZE * SIZE)
    parts = -np.sort(-maps.reshape(3, -1), axis=1) / 30
    left = score(images).numpy()[:, None] - np.cumsum(parts, axis=1)
    np.testing.assert_allclose(curve.margins[:, 1:], left, atol=1e-5)
    np.testing.assert_allclose(curve.margins[:, -1], score(blur), atol=1e-5)
    np.testing.assert_allclose(curve.margins[:, 0], score(images), rtol=1e-6)
    assert curve.area() == pytest.approx(
        np.trapezoid(curve.margins, dx=1 / SIZE**2, axis=1), rel=1e-9
    )
    np.testing.assert_allclose(curve.probabilities, 1 / (1 + np.exp(-curve.margins)))


def test_insertion_is_deletion_of_the_reverse_order(images):
    ranks = ranking(np.random.default_rng(4).random((3, SIZE, SIZE)), range(3))
    back = insertion(score, images, ranks, steps=8)
    out = deletion(score, images, SIZE * SIZE - 1 - ranks, steps=8)
    np.testing.assert_allclose(back.margins, out.margins[:, ::-1], atol=1e-6)


def test_the_true_order_beats_a_random_one_and_the_reverse_is_worse(images):
    true = ((images - blurred(images)) * WEIGHTS).sum(dim=1).numpy()
    orders = {
        "true": ranking(true, range(3)),
        "random": faithfulness.random_order(range(3), SIZE, seed=0),
        "reverse": ranking(-true, range(3)),
    }
    found = {
        name: {
            key: values.mean() for key, values in measure(score, images, ranks, range(3)).items()
        }
        for name, ranks in orders.items()
    }
    for key, higher in faithfulness.HIGHER_IS_BETTER.items():
        values = [found[name][key] for name in ("true", "random", "reverse")]
        assert values == sorted(values, reverse=higher), key
    assert set(found["true"]) == set(faithfulness.HIGHER_IS_BETTER)


def test_deleted_pixels_are_blurred(images):
    assert blurred(images).shape == images.shape
    assert blurred(images).std() < images.std()
    even = torch.full((1, 3, 4, 4), 0.3)
    assert torch.allclose(blurred(even), even)


def dense(image: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """The imputation written as it reads, one equation a pixel, solved densely."""
    rows, columns = removed.shape
    places = [tuple(place) for place in np.argwhere(removed)]
    matrix, right = np.zeros((len(places),) * 2), np.zeros((len(places), len(image)))
    for number, (row, column) in enumerate(places):
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                near = (row + down, column + across)
                if near == (row, column) or not (0 <= near[0] < rows and 0 <= near[1] < columns):
                    continue
                weight = 1 / 6 if down == 0 or across == 0 else 1 / 12
                matrix[number, number] += weight
                if removed[near]:
                    matrix[number, places.index(near)] -= weight
                else:
                    right[number] += weight * image[:, near[0], near[1]]
    result = image.astype(float).copy()
    result[:, removed] = np.linalg.solve(matrix, right).T
    return result


@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_imputation_solves_its_equations(share):
    rng = np.random.default_rng(5)
    image = rng.random((3, 9, 13))
    removed = rng.random((9, 13)) < share
    removed[0, 0], removed[8, 12] = True, False  # a corner has fewer neighbours
    np.testing.assert_allclose(impute(image, removed), dense(image, removed), atol=1e-10)


def test_imputation_is_that_of_gradcam():
    image = np.random.default_rng(9).random((3, 16, 16)).astype(np.float32)
    removed = ranking(np.random.default_rng(10).random((1, 16, 16)), "a")[0] < 180
    theirs = NoisyLinearImputer(noise=0.0)(
        torch.from_numpy(image), torch.from_numpy((~removed).astype(np.float32))
    )
    np.testing.assert_allclose(impute(image, removed), theirs.numpy(), atol=1e-6)


def test_one_removed_pixel_is_the_weighted_mean_of_its_neighbours():
    image = np.random.default_rng(6).random((1, 3, 3))
    removed = np.zeros((3, 3), bool)
    removed[1, 1] = True
    straight = image[0, [0, 1, 1, 2], [1, 0, 2, 1]].sum() / 6
    diagonal = image[0, [0, 0, 2, 2], [0, 2, 0, 2]].sum() / 12
    assert impute(image, removed)[0, 1, 1] == pytest.approx(straight + diagonal)
    assert (impute(image, np.zeros((3, 3), bool)) == image).all()
    with pytest.raises(UserError, match="nothing"):
        impute(image, np.ones((3, 3), bool))


def test_road_removes_what_it_should_and_leaves_the_rest(images):
    seen = []

    def watch(batch: torch.Tensor) -> torch.Tensor:
        seen.append(batch.clone())
        return score(batch)

    ranks = ranking(np.random.default_rng(7).random((3, SIZE, SIZE)), range(3))
    curve = road(watch, images, ranks, range(3), most_first=True, fractions=(0.25, 0.5), seed=0)
    batch = torch.cat(seen).reshape(2, 3, 3, SIZE, SIZE)
    for step, part in enumerate((0.25, 0.5)):
        changed = (batch[step] != images).any(dim=1).numpy()
        assert (changed == (ranks < part * SIZE * SIZE)).all()
    noise = batch[0, 0] - torch.from_numpy(impute(images[0].numpy(), ranks[0] < 36)).float()
    assert float(noise[:, ranks[0] < 36].std()) == pytest.approx(0.01, rel=0.2)
    assert curve.margins.shape == (3, 2)


def test_batch_is_a_loop_of_one_and_two_runs_are_equal(images):
    ranks = ranking(np.random.default_rng(8).random((3, SIZE, SIZE)), "abc")
    whole = measure(score, images, ranks, "abc")
    again = measure(score, images, ranks, "abc")
    for row, name in enumerate("abc"):
        part = slice(row, row + 1)
        one = measure(score, images[part], ranks[part], name)
        for key, values in whole.items():
            assert values[row] == pytest.approx(one[key][0], abs=1e-6)
            assert (again[key] == values).all()


def test_maps_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match="not finite"):
        ranking(np.full((1, 3, 3), np.inf), ["a"])
