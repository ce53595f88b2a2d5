# SPDX-License-Identifier: Apache-2.0
"""Closed forms of the measures against planted truth, ties, gates, baselines and the table."""

import itertools

import numpy as np
import pytest
from support.boards import enter

from facetell.common.errors import UserError
from facetell.explain.trust import planted
from facetell.explain.trust.leaderboard import Leaderboard
from facetell.explain.trust.planted import gated, model_gate, near

PLACE = {"source": "trained", "fakes": "all"}


def scores(maps: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """With one mask for each map."""
    found = planted.scores(maps, truth[:, None], near(truth)[:, None])
    return {name: values[:, 0] for name, values in found.items()}


def baselines(images: np.ndarray, ids) -> dict[str, np.ndarray]:
    return planted.baselines(images, ids, seed=0)


def leaderboard(truth: np.ndarray, persons, others: int = 8, seed: int = 0) -> Leaderboard:
    return Leaderboard(truth, persons, others=others, resamples=1000, seed=seed)


def masks(count: int, size: int = 16, seed: int = 0) -> np.ndarray:
    """Squares of 4 x 4 anywhere."""
    found = np.zeros((count, size, size), bool)
    for mask, (row, column) in zip(
        found, np.random.default_rng(seed).integers(0, size - 4, (count, 2)), strict=True
    ):
        mask[row : row + 4, column : column + 4] = True
    return found


def test_closed_forms_of_uniform_perfect_and_reversed_maps():
    truth = masks(3)
    uniform, perfect = np.full((3, 16, 16), 0.3), truth.astype(float)
    share = 16 / 256
    found = scores(uniform, truth)
    for name in ("rma", "rra", "pointing", "area"):
        assert found[name] == pytest.approx(np.full(3, share)), name
    assert found["pointing_near"] == pytest.approx(found["area_near"])
    for map_, value in ((perfect, 1), (1 - perfect, 0)):
        found = scores(map_, truth)
        for name in ("rma", "rra", "pointing"):
            assert found[name] == pytest.approx(np.full(3, value)), name
    for nothing in (-perfect, 0 * perfect):  # no positive relevance counts as 0
        assert all((scores(nothing, truth)[name] == 0).all() for name in planted.METRICS)


def test_only_positive_relevance_counts():
    truth = masks(1)
    map_ = np.where(truth, 1.0, -5.0)
    assert scores(map_, truth)["rma"] == 1


def test_ties_are_the_mean_over_all_orders():
    """Every order of the tied pixels, by brute force, on a picture of 3 x 3."""
    map_ = np.array([[5, 2, 2], [2, 2, 0], [0, 0, 0]], float)
    mask = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]], bool)
    count = int(mask.sum())
    tied = np.flatnonzero(map_ == 2)
    hits = [mask.ravel()[[0, *order]][:count] for order in itertools.permutations(tied)]
    found = scores(map_[None], mask[None])
    assert found["rra"][0] == pytest.approx(np.mean(hits))
    assert found["pointing"][0] == 1
    assert scores(np.minimum(map_, 2)[None], mask[None])["pointing"][0] == pytest.approx(2 / 5)


def test_sparse_maps_do_not_favour_a_place():
    """Most of a map zero: the rest of the K pixels is anywhere, not in reading order."""
    map_ = np.zeros((1, 16, 16))
    map_[0, 8, 8] = 1
    top, bottom = np.zeros((2, 1, 16, 16), bool)
    top[0, :2], bottom[0, -2:] = True, True
    assert scores(map_, top)["rra"] == pytest.approx(scores(map_, bottom)["rra"])
    assert scores(map_, top)["rra"][0] == pytest.approx(31 / 255)


def test_pointing_has_a_tolerance_of_15_in_224():
    truth = np.zeros((1, 224, 224), bool)
    truth[0, 100, 100] = True
    hit, miss = np.zeros((2, 1, 224, 224))
    hit[0, 100, 115], miss[0, 100, 116] = 1, 1
    assert scores(hit, truth)["pointing"] == 0
    assert scores(hit, truth)["pointing_near"] == 1
    assert scores(miss, truth)["pointing_near"] == 0
    assert near(truth).sum() == sum(
        x * x + y * y <= 225 for x in range(-15, 16) for y in range(-15, 16)
    )


def test_small_maps_are_enlarged_and_a_batch_is_a_loop():
    truth = masks(5, 64)
    maps = np.random.default_rng(3).normal(size=(5, 8, 8))
    whole = scores(maps, truth)
    for row in range(5):
        one = scores(maps[row : row + 1], truth[row : row + 1])
        assert all(one[name][0] == pytest.approx(whole[name][row], abs=1e-6) for name in whole)


def test_gates():
    with_, without = np.array([4.0, 4.0, 1.0, -1.0]), np.array([-1.0, 2.0, -1.0, -1.0])
    assert gated(with_, without, 0.0).tolist() == [True, False, False, False]
    assert gated(with_, without, 5.0).tolist() == [False] * 4  # the verdict counts too
    real = np.linspace(-3, -1, 20)
    found = model_gate(real, np.linspace(2, 4, 20), real, 0.0)
    assert found == pytest.approx(
        {
            "accuracy_with": 1,
            "auc_with": 1,
            "accuracy_without": 0.5,
            "auc_without": 0.5,
            "passed": 1,
        }
    )
    assert not model_gate(real, np.linspace(2, 4, 20), real + 4, 0.0)["passed"]  # another cue
    assert not model_gate(real, np.linspace(-3, 1, 20), real, 0.0)["passed"]  # misses fakes


def test_baselines_are_seeded_by_the_image_and_know_edges():
    images = np.zeros((2, 3, 16, 16))
    images[:, :, :, 8:] = 1
    found = baselines(images, ["a", "b"])
    again = baselines(images[::-1], ["b", "a"])
    assert (found["random"] == again["random"][::-1]).all()
    assert (found["random"][0] != found["random"][1]).any()
    assert (found["edges"][0].argmax(axis=1) == 7).all()
    assert (found["edges"][0, :, :7] == 0).all()
    centre = found["centre"][0]
    assert centre[7, 7] == centre.max()
    assert (centre == centre.T).all()


def board(others: int = 8) -> tuple[Leaderboard, np.ndarray, list[str]]:
    truth, persons = masks(80), [f"p{index // 2}" for index in range(80)]
    return leaderboard(truth, persons, others), truth, persons


def test_leaderboard_tells_what_finds_from_what_does_not():
    table, truth, persons = board()
    bell = baselines(np.zeros((80, 3, 16, 16)), range(80))["centre"]
    noise = np.random.default_rng(5).random((80, 16, 16))
    for at in range(0, 80, 30):
        part = slice(at, at + 30)
        maps = {"good": {"deep": truth[part] + 0.1 * noise[part]}, "centre": {"": bell[part]}}
        enter(table, maps, truth[part], range(80)[part], persons[part], **PLACE)
    rows = table.table().set_index("method")
    assert rows.loc["good", "rra"] == 1
    assert rows.loc["good", "n"] == 80
    assert rows.loc["good", "persons"] == 40
    assert rows.loc["good", "area"] == pytest.approx(16 / 256)
    assert rows.loc["good", "rra_excess_low"] > 0.8
    assert rows.loc["centre", "rra_excess_low"] < 0 < rows.loc["centre", "rra_excess_high"]


def test_a_prior_beats_the_area_share_but_not_masks_of_others():
    """Where artefacts cluster, a constant map looks good against the area share only."""
    rng = np.random.default_rng(0)
    truth = np.zeros((120, 16, 16), bool)
    for mask, (row, column) in zip(truth, rng.integers(4, 8, (120, 2)), strict=True):
        mask[row : row + 4, column : column + 4] = True
    table = leaderboard(truth, range(120))
    bell = baselines(np.zeros((120, 3, 16, 16)), range(120))["centre"]
    enter(
        table, {"centre": {"": bell}}, truth, range(120), range(120), source="baseline", fakes="all"
    )
    row = table.table().iloc[0]
    assert row["rra_low"] - row["area"] > 0.2
    assert abs(row["rra_excess"]) < 0.06
    assert row["source"] == "baseline"
    assert row["fakes"] == "all"


def test_masks_of_others_are_of_other_persons_and_do_not_depend_on_batches():
    table, truth, persons = board(others=50)
    drawn = table.others_of("a", "p3")
    assert not set(drawn) & {6, 7}
    assert (drawn == table.others_of("a", "p3")).all()
    one, _, _ = board()
    two, _, _ = board()
    maps = np.random.default_rng(1).random((80, 16, 16))
    enter(one, {"m": {"l": maps}}, truth, range(80), persons, **PLACE)
    for at in range(80):
        part = slice(at, at + 1)
        enter(two, {"m": {"l": maps[part]}}, truth[part], [at], persons[part], **PLACE)
    assert one.table().equals(two.table())
    keys, matrix, who = one.values("rra_excess", **PLACE)
    assert keys == [("m", "l")]
    assert matrix.shape == (80, 1)
    assert who == persons


def test_bad_input():
    with pytest.raises(UserError, match="pixels in each"):
        leaderboard(np.zeros((1, 8, 8), bool), ["a"])
    with pytest.raises(UserError, match="not finite"):
        scores(np.full((1, 16, 16), np.nan), masks(1))
    with pytest.raises(UserError, match="its masks"):
        scores(np.zeros((2, 16, 16)), masks(1))
    lonely = leaderboard(masks(2), ["a", "a"])
    with pytest.raises(UserError, match="two persons"):
        enter(lonely, {}, masks(1), ["x"], ["a"], **PLACE)


def test_leads_are_over_all_that_knows_nothing():
    """The mask itself, the same map untrained, and noise; and bounds for all maps lie below those
    for one."""
    found, truth, persons = board()
    ids, random = range(80), np.random.default_rng(2)
    half = truth + 0.0
    half[::2] = random.random((40, 16, 16))  # finds every second one
    maps = {
        "perfect": {"a": truth + 0.0},
        "half": {"a": half},
        "architecture": {"a": half},
        "even": {"a": np.ones((80, 16, 16))},
        "noise": {str(layer): random.random((80, 16, 16)) for layer in range(20)},
    }
    enter(found, maps, truth, ids, persons, source="trained", fakes="single")
    enter(
        found,
        {"architecture": {"a": half}},
        truth,
        ids,
        persons,
        source="untrained",
        fakes="single",
    )
    blind = baselines(np.zeros((80, 3, 16, 16)), ids)
    alone = {name: {"input": values} for name, values in blind.items()}
    enter(found, alone, truth, ids, persons, source="baseline", fakes="single")
    table = found.table()
    rows = table[table["source"] == "trained"].set_index("method")
    best = max(table.loc[table["source"] == "baseline", "rra"].max(), 16 / 256)
    elsewhere = rows.loc["perfect", "rra_elsewhere"]
    assert rows.loc["perfect", "rra_lead"] == pytest.approx(1 - max(best, elsewhere))
    assert rows.loc["half", "rra_lead"] == pytest.approx(
        rows.loc["half", "rra"] - max(best, rows.loc["half", "rra_elsewhere"])
    )
    assert rows.loc["architecture", "rra_lead"] == rows.loc["architecture", "rra_lead_low"] == 0
    assert rows.loc["even", "rra_lead"] < 0
    leading = rows["rra_lead_low_all"] > 0
    assert set(leading[leading].index) == {"perfect", "half"}
    assert (rows["rra_lead_low_all"] <= rows["rra_lead_low"]).all()
    assert (rows["rra_lead_low"] <= rows["rra_lead"]).all()
    others = table[table["source"] != "trained"]
    assert others[["rra_lead", "rra_lead_low", "rra_lead_low_all"]].isna().all(axis=None)
