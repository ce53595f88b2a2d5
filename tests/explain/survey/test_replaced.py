# SPDX-License-Identifier: Apache-2.0
"""Relevance in replaced against kept regions: closed forms, and maps of known worth."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
from support.results import explained
from support.squares import PAIRS, SIZE, square_detector, square_images

from facetell.common.errors import UserError
from facetell.dataset.layouts import ciplab
from facetell.explain.survey import replaced as module
from facetell.explain.survey.records import of_replaced
from facetell.explain.survey.replaced import ORGANS, compared, densities, organs, replaced_regions
from facetell.explain.test_set import TestSet
from facetell.models.inference import margins
from facetell.report.explanations import explain_report


@pytest.fixture(scope="module")
def tested(tmp_path_factory) -> TestSet:
    detector = square_detector()
    images, manifest = square_images(tmp_path_factory.mktemp("replaced"))
    names = [
        "nose",
        "mouth+left_eye",
        "right_eye",
        "mouth",
        "left_eye+nose+mouth",
        "+".join(ORGANS),
    ]
    fakes = np.cumsum(manifest["label"]) - 1
    manifest["regions"] = np.where(manifest["label"] == 1, np.take(names, fakes % 6), "")
    with_ = margins(detector, images, torch.device("cpu"))
    return TestSet(detector=detector, images=images, manifest=manifest, threshold=0.0,
                   margins=with_, resamples=400, seed=0)  # fmt: skip


def test_closed_forms_of_even_perfect_and_opposite_maps():
    assert module.ORGANS == ciplab.REGIONS
    known = organs(64)
    assert not any((known[a] & known[b]).any() for a in ORGANS for b in ORGANS if a != b)
    assert known["left_eye"][:, :32].sum() == known["right_eye"][:, 32:].sum() > 0
    both = known["nose"] | known["left_eye"]
    maps = np.stack([both, known["mouth"], np.ones((64, 64)), np.zeros((64, 64)), -1.0 * both])
    found = densities(maps, ["left_eye+nose"] * 5)
    kept = known["mouth"] | known["right_eye"]
    assert found["share_replaced"].tolist()[:2] == [1, 0]
    assert found["share_kept"].tolist()[:2] == [0, 1]
    assert found["difference"] == pytest.approx([1 / both.mean(), -1 / kept.mean(), 0, 0, 0])
    assert found["replaced"][2] == found["kept"][2] == pytest.approx(1)
    for names in ("chin", "+".join(ORGANS)):
        with pytest.raises(UserError, match="replaced"):
            densities(np.ones((1, 64, 64)), [names])


def test_only_fakes_that_are_found_and_partly_kept_are_compared(tested):
    rows = compared(tested, 100)
    assert len(rows) == PAIRS - PAIRS // 6  # of every sixth all was replaced
    assert compared(tested, 9) == rows[:9]
    assert compared(dataclasses.replace(tested, margins=tested.margins - 1e9), 100) == []
    assert compared(tested, 7) == []  # of so few nothing is said
    assert replaced_regions(tested, methods=("saliency",), most=7).empty
    assert of_replaced(pd.DataFrame()) == {}


def test_a_map_that_finds_what_was_replaced_is_told_from_those_that_do_not(tested, monkeypatch):
    """Maps made of the truth, of the face alone, and of nothing at all."""
    known, random = organs(SIZE), np.random.default_rng(0)
    regions = tested.manifest["regions"].tolist()
    parts = [compared(tested, 100)]

    def made(*args, **options):
        rows = parts[0]
        noise = random.random((len(rows), SIZE, SIZE))
        truth = [np.any([known[name] for name in regions[row].split("+")], axis=0) for row in rows]
        face = np.any(list(known.values()), axis=0)
        maps = {"truth": np.stack(truth) + 0.1 * noise, "face": face + noise, "noise": noise}
        fine = np.full(len(rows), "ok", dtype=object)
        return dataclasses.make_dataclass("Made", ["maps", "status"])(
            {name: {"a": values} for name, values in maps.items()}, {n: {"a": fine} for n in maps}
        )

    monkeypatch.setattr(module, "explain", made)
    monkeypatch.setattr(module, "believable", lambda seen: seen.maps)
    monkeypatch.setattr(module, "BATCH", 100)  # all at once
    table = replaced_regions(tested, methods=("saliency",), most=100).set_index("method")
    assert table.loc["truth", "difference_low"] > 0
    assert table.loc["truth", "p"] < 0.01
    for name in ("face", "noise"):
        assert table.loc[name, "difference_low"] < 0 < table.loc[name, "difference_high"]
        assert table.loc[name, "p"] > 0.05


def test_the_report_sets_it_beside_what_was_planted(tested):
    table = replaced_regions(tested, methods=("gradcam", "saliency"), most=100)
    assert list(zip(table["method"], table["layer"], strict=True)) == [
        ("gradcam", "first"), ("gradcam", "second"), ("saliency", "input"),
    ]  # fmt: skip
    assert table["p"].between(0, 1).all()
    facts = json.loads(json.dumps(explained() | of_replaced(table), allow_nan=False))
    facts["replaced"] += [facts["replaced"][0] | {"layer": "conv1"}]
    said = explain_report({"simplenet": facts})
    part = said.split("## Whether they look at what was replaced")[1].split("## ")[0]
    rows = [line for line in part.splitlines() if line.startswith("| simplenet")]
    assert [row.endswith("| single: yes |") for row in rows] == [False, False, False, True]
    assert rows[2].endswith("| single: no |")
    assert f"| {PAIRS - PAIRS // 6} |" in rows[0]
    del facts["planted"]
    assert "single: yes" not in explain_report({"simplenet": facts})
