# SPDX-License-Identifier: Apache-2.0
"""Streaming moments against numpy, the permutation test's labels, power and false alarms."""

import numpy as np
import pytest

from facetell.common.errors import UserError
from facetell.explain.survey.class_means import ClassMeans, Labellings, Running, pooled


def test_running_mean_and_variance_are_numpys():
    maps = np.random.default_rng(0).normal(1e4, 1, (50, 4, 5)).astype(np.float32)
    running = Running()
    for at in (0, 1, 8, 8, 30, 50):  # batches of one and of none among them
        running.add(maps[running.n : at])
    exact = maps.astype(np.float64)
    assert running.n == 50
    np.testing.assert_allclose(running.mean, exact.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(running.variance, exact.var(axis=0, ddof=1), rtol=1e-9)
    one = Running()
    one.add(maps[:1])
    assert np.isnan(one.variance).all()


def test_pooling_takes_whole_pixels():
    maps = np.arange(2 * 4 * 6, dtype=float).reshape(2, 4, 6)
    assert pooled(maps, 2)[0, 0, 0] == maps[0, :2, :3].mean()
    assert (pooled(maps, 16) == maps).all()
    assert pooled(maps, 4).shape == (2, 4, 4)
    assert pooled(np.ones((1, 50, 50)), 16) == pytest.approx(np.ones((1, 16, 16)))


def test_persons_keep_their_images_together():
    labels = [0, 0, 1, 1, 0, 1, 0, 1, 1]
    persons = ["a", "a", "b", "b", "c", "c", "d", "d", "e"]
    drawn = Labellings(labels, persons, permutations=200, seed=1)
    assert drawn.fake[:, 0].tolist() == [bool(label) for label in labels]
    assert (drawn.fake[0] == drawn.fake[1]).all()  # all of one label: moved as one
    assert (drawn.fake[2] == drawn.fake[3]).all()
    assert (drawn.fake[4] != drawn.fake[5]).all()  # of both labels: shuffled within
    pure = drawn.fake[[0, 2, 8]].sum(axis=0)
    assert (pure == 2).all()
    assert drawn.fake[0].mean() == pytest.approx(2 / 3, abs=0.1)
    assert drawn.fake[4, 1:].mean() == pytest.approx(0.5, abs=0.1)
    again = Labellings(labels, persons, permutations=200, seed=1)
    assert (drawn.fake == again.fake).all()


def made(shift: float, seed: int, persons: int = 20, permutations: int = 99) -> ClassMeans:
    """Two images of each class per person, alike within a person; fakes differ in one corner."""
    rng = np.random.default_rng(seed)
    labels = np.tile([0, 0, 1, 1], persons)
    people = np.repeat(np.arange(persons), 4)
    maps = rng.normal(size=(4 * persons, 8, 8)) + rng.normal(size=(persons, 8, 8))[people]
    maps[labels == 1, :2, :2] += shift
    means = ClassMeans(Labellings(labels, people, permutations=permutations, seed=seed), grid=4)
    for at in range(0, len(maps), 13):
        means.add(maps[at : at + 13], np.arange(at, min(at + 13, len(maps))))
    np.testing.assert_allclose(
        means.difference().map, maps[labels == 1].mean(axis=0) - maps[labels == 0].mean(axis=0)
    )
    return means


def test_a_difference_is_found_where_it_is():
    found = made(2.0, 0).difference()
    assert found.p[0, 0] == found.p_any == 0.01  # 1 of 100 labellings: the true one
    assert found.cells[0, 0] == np.abs(found.cells).max()
    assert (found.p.ravel()[1:] > 0.05).all()
    assert (found.n_real, found.n_fake, found.permutations) == (40, 40, 99)


def test_cells_are_differences_in_standard_deviations():
    means = made(1.0, 3)
    found = means.difference()
    sums = pooled(found.map[None], 4)[0] / np.sqrt(means.everyone.variance)
    np.testing.assert_allclose(found.cells, sums, rtol=1e-9)


@pytest.mark.parametrize("design", ["paired", "separate"])
def test_without_a_difference_one_test_in_twenty_is_significant(design):
    """Binomial with 400 trials at 5%: 7 to 36 in 99.9%, for either design of persons."""
    significant = 0
    for seed in range(400):
        rng = np.random.default_rng([seed, 1])
        people = np.repeat(np.arange(12), 3)
        labels = np.tile([0, 1, 1], 12) if design == "paired" else (people % 2)
        maps = rng.normal(size=(36, 4, 4)) + 2 * rng.normal(size=(12, 4, 4))[people]
        means = ClassMeans(Labellings(labels, people, permutations=59, seed=seed))
        means.add(maps, np.arange(36))
        significant += means.difference().p_any <= 0.05
    assert 7 <= significant <= 36


def test_bad_input():
    with pytest.raises(UserError, match="both"):
        Labellings([1, 1], ["a", "b"], permutations=9, seed=0)
    labellings = Labellings([0, 1], ["a", "b"], permutations=9, seed=0)
    means = ClassMeans(labellings)
    with pytest.raises(UserError, match="both"):
        means.difference()
    means.add(np.ones((1, 2, 2)), [0])
    with pytest.raises(UserError, match="twice"):
        means.add(np.ones((1, 2, 2)), [0])
    with pytest.raises(UserError, match="not finite"):
        means.add(np.full((1, 2, 2), np.nan), [1])
    means.add(np.ones((1, 2, 2)), [1])
    assert (means.difference().p == 1).all()  # nothing varies, so nothing differs
