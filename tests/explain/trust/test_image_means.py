# SPDX-License-Identifier: Apache-2.0
"""Tables of numbers per image: means, intervals by person, what is undefined."""

import numpy as np
import pytest

from facetell.common.errors import UserError
from facetell.explain.trust.image_means import ImageMeans


def empty(*columns: str, seed: int = 0) -> ImageMeans:
    return ImageMeans(columns, resamples=1000, seed=seed)


def test_means_do_not_depend_on_batches_and_intervals_contain_them():
    values = np.random.default_rng(0).normal(3, 1, 60)
    persons = [f"p{index // 2}" for index in range(60)]
    whole, parts = empty("map", seed=1), empty("map", seed=1)
    whole.add(("a",), {"score": values}, persons)
    for at in range(0, 60, 7):
        parts.add(("a",), {"score": values[at : at + 7]}, persons[at : at + 7])
    one, other = (means.table().iloc[0] for means in (whole, parts))
    assert one.equals(other)
    assert one["score"] == pytest.approx(values.mean())
    assert (one["n"], one["persons"]) == (60, 30)
    half = 1.96 * values.reshape(30, 2).mean(axis=1).std() / 30**0.5
    assert one["score_high"] - one["score"] == pytest.approx(half, rel=0.15)


def test_intervals_are_those_of_persons_not_of_images():
    values = np.repeat(np.random.default_rng(1).normal(0, 1, 12), 10)  # ten alike per person
    by_person, by_image = empty("map"), empty("map")
    by_person.add(("a",), {"score": values}, list(np.repeat(np.arange(12), 10)))
    by_image.add(("a",), {"score": values}, list(range(120)))
    wide, narrow = (
        means.table()["score_high"][0] - means.table()["score_low"][0]
        for means in (by_person, by_image)
    )
    assert wide / narrow == pytest.approx(10**0.5, rel=0.2)


def test_undefined_values_are_left_out_and_counted():
    means = empty("map")
    means.add(("a",), {"x": np.array([1.0, np.nan, 3.0]), "y": np.full(3, np.nan)}, [0, 1, 2])
    row = means.table().iloc[0]
    assert row["x"] == 2
    assert row["x_undefined"] == 1
    assert np.isnan(row["y"])
    assert row["y_undefined"] == 3
    assert np.isfinite([row["x_low"], row["x_high"]]).all()


def test_bad_batches_are_refused():
    means = empty("map", "layer")
    with pytest.raises(UserError, match="map, layer"):
        means.add(("a",), {"x": np.zeros(2)}, [0, 1])
    with pytest.raises(UserError, match="x of"):
        means.add(("a", "b"), {"x": np.zeros(3)}, [0, 1])
    means.add(("a", "b"), {"x": np.zeros(2)}, [0, 1])
    with pytest.raises(UserError, match="before"):
        means.add(("a", "b"), {"y": np.zeros(2)}, [0, 1])
    assert empty("map").table().empty
