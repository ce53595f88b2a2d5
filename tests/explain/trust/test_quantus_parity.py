# SPDX-License-Identifier: Apache-2.0
"""Our measures of explanations give the numbers of Quantus (Hedström et al. 2023, JMLR) where both
define the same thing; where they differ, the difference is the one that docs/explanations.md names.

What Quantus says is stored in tests/oracles/quantus.json, beside the script that made it.
"""

import json

import numpy as np
import pytest
from oracles import quantus_outputs as oracle

from facetell.explain.trust import faithfulness, planted, sanity, stability

IDS = [str(row) for row in range(oracle.COUNT)]


@pytest.fixture(scope="module")
def said():
    return json.loads(oracle.STORED.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def given():
    return oracle.inputs()


@pytest.fixture(scope="module")
def ranks(given):
    return faithfulness.ranking(given.maps, IDS, seed=0)


def localised(maps, masks):
    return {
        "rma": planted.mass_accuracy(maps, masks),
        "rra": planted.rank_accuracy(maps, masks[:, None])[:, 0],
        "pointing": planted.pointing(maps, masks),
    }


@pytest.mark.parametrize("measure", ["rma", "rra", "pointing"])
def test_positive_relevance_is_localised_as_quantus_says(said, given, measure):
    theirs = np.array(said["localisation"]["positive"][measure])
    assert localised(given.maps, given.masks)[measure] == pytest.approx(theirs, abs=1e-12)
    assert len(set(theirs)) > 1


def test_the_pointing_game_with_tolerance_is_that_of_a_grown_mask(said, given):
    theirs = said["localisation"]["near"]["pointing"]
    found = planted.pointing(given.maps, planted.near(given.masks))
    assert found.tolist() == theirs
    assert 0 < np.mean(theirs) < 1


def test_quantus_lets_negative_relevance_count_in_the_mass(said, given):
    signed = np.array(said["localisation"]["signed"]["rma"])
    inside = (given.maps * given.masks).sum(axis=(1, 2))
    assert signed == pytest.approx(inside / given.maps.sum(axis=(1, 2)), rel=1e-9)
    assert signed.min() < 0 or signed.max() > 1  # no share
    assert np.abs(signed - localised(given.maps, given.masks)["rma"]).max() > 0.1


def test_tied_ranks_are_what_quantus_gives_on_average_over_their_orders(said, given):
    found = localised(given.tied, given.masks)["rra"]
    average = np.array(said["localisation"]["tied_in_all_orders"])
    # of a share of at most 36 pixels, in so many orders, six standard errors
    assert found == pytest.approx(average, abs=6 * 0.5 / np.sqrt(9 * oracle.SHUFFLES))
    assert np.abs(found - said["localisation"]["tied"]["rra"]).max() > 0.02  # one order of them


def test_quantus_counts_a_hit_if_any_of_the_tied_peaks_is_inside(said, given):
    found = localised(given.tied, given.masks)["pointing"]
    assert (found > 0).astype(float).tolist() == said["localisation"]["tied"]["pointing"]
    assert ((found > 0) & (found < 1)).any()


@pytest.mark.parametrize("way", ["deletion", "insertion"])
def test_pixels_are_flipped_as_by_quantus(said, given, ranks, way):
    score = lambda pixels: oracle.margin(given.network, pixels)  # noqa: E731
    curve = getattr(faithfulness, way)(score, given.images, ranks, steps=oracle.STEPS)
    # theirs starts after the first step
    assert curve.probabilities[:, 1:] == pytest.approx(np.array(said["flipping"][way]), abs=1e-5)


def test_road_fills_in_what_quantus_does(said, given):
    theirs = np.array(said["road"]["imputed"])
    removed = given.maps[0] > 0
    found = faithfulness.impute(given.images[0].numpy(), removed)
    assert found == pytest.approx(theirs, abs=1e-6)
    assert np.abs(found - given.images[0].numpy()).max() > 0.1


def test_road_leaves_the_accuracy_that_quantus_says(said, given, ranks, monkeypatch):
    monkeypatch.setattr(faithfulness, "NOISE", 0.0)
    pixels = oracle.SIZE**2  # Quantus rounds their number down
    curve = faithfulness.road(
        lambda images: oracle.margin(given.grey, images), given.images[:, :1], ranks, IDS,
        most_first=True, seed=0,
        fractions=[pixels * share // 100 / pixels for share in oracle.PERCENTAGES],
    )  # fmt: skip
    theirs = [said["road"]["accuracy"][str(share)] for share in oracle.PERCENTAGES]
    assert (curve.margins > 0).mean(axis=0).tolist() == theirs
    assert len(set(theirs)) > 1


def test_quantus_has_no_road_of_colour_images(said):
    assert said["road"]["colour"] == "IndexError"


def test_max_sensitivity_is_that_of_quantus_for_the_same_draws(said, given):
    found = stability.max_sensitivity(
        lambda pixels: {"gradient": oracle.gradient(given.network, pixels)},
        given.images, IDS, draws=oracle.DRAWS, seed=0, radius=oracle.RADIUS,
    )  # fmt: skip
    assert found["gradient"] == pytest.approx(np.array(said["sensitivity"]), rel=1e-3)


def test_randomised_networks_change_maps_as_much_as_quantus_says(said, given, monkeypatch):
    monkeypatch.setattr(sanity, "seed_of", lambda *_: oracle.SEED + 1)  # the same draws
    before = oracle.gradient(given.network, given.images)
    stages = list(said["randomisation"])
    assert stages == ["original", *sanity.stages(given.network)]
    for name, changed in sanity.cascade(given.network, seed=0):
        after = oracle.gradient(changed, given.images)
        found = sanity.rank_correlation(before, after)
        assert found == pytest.approx(np.array(said["randomisation"][name]), abs=1e-4), name
