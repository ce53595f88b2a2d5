# SPDX-License-Identifier: Apache-2.0
"""Which images are kept to be looked at, and what is kept of their maps."""

import numpy as np
import pandas as pd
import pytest
import torch
from support.squares import PAIRS, SIZE, square_detector, square_images

from facetell.common.errors import UserError
from facetell.explain.engine import explain
from facetell.explain.survey import kept_maps as kept
from facetell.explain.survey.sampled import WORST, sampled, worst_mistakes
from facetell.explain.test_set import TestSet
from facetell.explain.trust.verdict import Belief, Verdict
from facetell.models.inference import margins


@pytest.fixture(scope="module")
def tested(tmp_path_factory) -> TestSet:
    detector = square_detector()
    images, manifest = square_images(tmp_path_factory.mktemp("kept"))
    scores = margins(detector, images, torch.device("cpu"))
    return TestSet(detector=detector, images=images, manifest=manifest, threshold=0.0,
                   margins=scores, frame=None, resamples=5, seed=0)  # fmt: skip


def manifest(**counts: int) -> pd.DataFrame:
    """So many images of each ``<label>_<generator>``, the frequent ones first."""
    rows = [
        {"label": int(name[1]), "generator": name[3:], "platform": "presocial"}
        for name, number in counts.items()
        for _ in range(number)
    ]
    return pd.DataFrame(rows).assign(id=lambda table: [f"i{place}" for place in table.index])


def test_a_sample_has_both_classes_and_what_is_rare():
    table = manifest(_0_=900, _1_often=890, _1_rare=10)
    drawn = table.iloc[sampled(table, 40, seed=0)]
    assert drawn["label"].value_counts().to_dict() == {0: 20, 1: 20}
    assert drawn["generator"].value_counts()["rare"] == 10
    few_fakes = manifest(_0_=900, _1_gan=3)
    assert (few_fakes.iloc[sampled(few_fakes, 40, seed=0)]["label"] == 1).sum() == 3


def test_a_sample_follows_from_ids_and_seed_alone():
    table = manifest(_0_=50, _1_gan=50)
    drawn = set(table.iloc[sampled(table, 20, seed=0)]["id"])
    shuffled = table.sample(frac=1, random_state=3)
    assert set(shuffled.iloc[sampled(shuffled, 20, seed=0)]["id"]) == drawn
    assert set(table.iloc[sampled(table, 20, seed=1)]["id"]) != drawn
    assert sampled(table, 1000, seed=0).tolist() == list(range(100))


def test_worst_mistakes_are_the_most_confident_of_each_class():
    labels = np.array([0, 1] * 30)
    scores = np.where(labels == 1, -1.0, 1.0) * np.arange(60)  # all wrong, the last the most
    rows = worst_mistakes(labels, scores, 0.5)
    assert sorted(rows.tolist()) == list(range(60 - 2 * WORST, 60))
    assert rows[0] == 59
    assert not len(worst_mistakes(labels, -scores - 0.1, 0.0)[2:])


def test_maps_keep_signs_and_places(tested, tmp_path):
    rows = [0, 1, 5]
    chosen = kept.Recommended("gradcam", "second", "Grad-CAM", "general", "It is so.")
    found = kept.kept_maps(tested, rows, chosen)
    kept.write(tmp_path / "maps.parquet", found)
    back = kept.read(tmp_path / "maps.parquet")
    assert back.ids == tested.ids(rows)
    assert back.recommended == chosen
    assert back.relevance.shape == (3, kept.SIDE, kept.SIDE)  # SIZE is larger
    assert SIZE > kept.SIDE
    seen = explain(tested.detector, tested.batch(rows), layers="second")
    raw = seen.maps["gradcam"]["second"]
    for name, values in (("relevance", raw), ("saliency", seen.saliency)):
        cells = getattr(back, name).astype(float) - kept.ZERO
        assert np.abs(cells).max() == kept.ENDS
        for mine, own, end in zip(cells, values, back.scales[name], strict=True):
            if end == 0:
                assert not own.any()
                continue
            again = mine / kept.ENDS * end
            assert again.mean() == pytest.approx(own.mean(), rel=0.05, abs=float(0.01 * end))
            at = np.unravel_index(np.abs(again).argmax(), again.shape)
            place = tuple(int(side * SIZE / kept.SIDE) for side in at)
            near = own[max(0, place[0] - 2) : place[0] + 3, max(0, place[1] - 2) : place[1] + 3]
            assert np.abs(near).max() > 0.7 * end


def test_a_map_that_is_not_to_be_believed_is_empty(tested):
    dark = [row for row in range(2 * PAIRS) if tested.labels[row] == 0]
    found = kept.kept_maps(tested, dark[:2], kept.Recommended("gradcam", "second", "Grad-CAM"))
    seen = explain(tested.detector, tested.batch(dark[:2]), layers="second")
    bad = seen.status["gradcam"]["second"] != "ok"
    assert ((found.scales["relevance"] == 0) >= bad).all()
    assert (found.relevance[bad] == kept.ZERO).all()


def verdict(maps: list[dict], believed: bool, chosen: dict | None = None) -> Verdict:
    table = pd.DataFrame(maps).assign(high=0.9, rival=0.1, specific=True)
    table["low"] = table["score"] - 0.1
    table["belief"] = Belief.GENERAL if believed else Belief.NONE
    scope = Belief.GENERAL
    return Verdict("single", scope, 20, 20, 20, {"passed": True}, {}, table, chosen=chosen)


def test_a_believed_map_that_costs_one_pass_is_recommended_the_chosen_one_first():
    maps = [
        {"method": "gradcam", "layer": "a", "score": 0.5},
        {"method": "layercam", "layer": "b", "score": 0.6},
        {"method": "occlusion", "layer": "input", "score": 0.9},
        {"method": "saliency", "layer": "input", "score": 0.8},
    ]
    best = kept.recommended({"single": verdict(maps, believed=True)}, "c")
    assert (best.method, best.layer, best.belief) == ("layercam", "b", "general")
    assert "4 of 4 maps are believed" in best.claim
    chosen = {"method": "gradcam", "layer": "a", "belief": "restricted"}
    found = verdict(maps, believed=True, chosen=chosen)
    best = kept.recommended({"single": found}, "c")
    assert (best.method, best.layer, best.belief) == ("gradcam", "a", "restricted")
    chosen |= {"belief": "none"}
    assert kept.recommended({"single": found}, "c").method == "layercam"
    none = kept.recommended({"single": verdict(maps, believed=False)}, "c")
    assert (none.method, none.layer, none.belief) == ("gradcam", "c", "none")
    assert none.claim.startswith("single: No map was chosen")
    assert kept.recommended({}, "c").belief == ""


def test_another_file_is_refused(tmp_path):
    pd.DataFrame({"id": ["a"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(UserError, match="run the explain stage again"):
        kept.read(tmp_path / "other.parquet")
