# SPDX-License-Identifier: Apache-2.0
"""Selection never sees the test labels: with poisoned ones, nothing changes but the scores."""

import json
import shutil

import pandas as pd
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from support import ROOT

from facetell.dataset.leaks import COLUMNS
from facetell.dataset.stored import read_manifest, write_manifest
from facetell.evaluation.predictions import CONTROL, read
from facetell.images.packed import Packed
from facetell.images.packing import pack
from facetell.images.spectra import NETWORK
from pipeline import baseline, predict, score, train

MODEL = "simplenet"


@pytest.fixture(scope="module")
def settings() -> dict:
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        changes = [f"model={MODEL}", "train.epochs=3", "score.resamples=50"]
        return OmegaConf.to_container(compose("config", overrides=changes), resolve=True)


def workspace(home, packed_set, settings, poison):
    """The stages from train to score, on data whose test labels are turned round or not."""
    shutil.copytree(packed_set, home / "data/packed")
    (home / "params.yaml").write_text(yaml.safe_dump(settings))
    manifest = read_manifest(packed_set / "manifest")
    if poison:
        test = manifest["split"] == "test"
        manifest.loc[test, "label"] = 1 - manifest.loc[test, "label"]
        pack([manifest[test]], {"folder": packed_set / "raw/folder"}, home / "data/packed/test")
    write_manifest(home / "data/manifest", manifest)
    (home / "metrics").mkdir(exist_ok=True)
    pd.DataFrame(columns=list(COLUMNS)).to_csv(home / "metrics/leaks.csv", index=False)
    train.fit(MODEL)
    baseline.main()
    for model in (MODEL, NETWORK):
        predict.main(model)
        score.main(model)


def test_poisoned_test_labels_change_the_scores_alone(tmp_path, monkeypatch, packed_set, settings):
    homes = {name: tmp_path / name for name in ("honest", "poisoned")}
    for name, home in homes.items():
        home.mkdir()
        monkeypatch.chdir(home)
        workspace(home, packed_set, settings, poison=name == "poisoned")
    honest, poisoned = homes.values()
    labels = [Packed(home / "data/packed/test").labels for home in homes.values()]
    assert (labels[0] == 1 - labels[1]).all()

    same = [f"models/{MODEL}.safetensors", f"models/{NETWORK}.safetensors"]  # threshold included
    same += [f"data/epochs/{MODEL}.parquet", f"plots/train/{MODEL}.csv"]
    for path in same:
        assert (honest / path).read_bytes() == (poisoned / path).read_bytes(), path
    for model in (MODEL, NETWORK):
        kept = [json.loads((home / f"models/{model}.json").read_text()) for home in homes.values()]
        assert kept[0]["recipe"] == kept[1]["recipe"]
        assert kept[0]["cost"]["best_epoch"] == kept[1]["cost"]["best_epoch"]
        stored = f"data/predictions/{model}.parquet"
        before, after = (read(home / stored) for home in homes.values())
        columns = ["id", "split", "variant", "margin"]
        pd.testing.assert_frame_equal(before.table[columns], after.table[columns])
        assert (before.threshold, before.variants) == (after.threshold, after.variants)

        found = [
            json.loads((home / f"metrics/models/{model}.json").read_text())
            for home in homes.values()
        ]
        assert found[0]["calibration"]["temperature"] == found[1]["calibration"]["temperature"]
        for name in ("threshold", "n"):
            assert found[0]["clean"][name] == found[1]["clean"][name]
        assert found[0]["clean"]["auc"] == pytest.approx(1 - found[1]["clean"]["auc"])
        assert found[0]["clean"]["accuracy"] == pytest.approx(1 - found[1]["clean"]["accuracy"])
    # the detector does learn, so that a choice by test labels would have shown
    assert json.loads((honest / f"metrics/models/{MODEL}.json").read_text())["clean"]["auc"] > 0.8


def test_every_test_image_is_scored_exactly_once_per_variant(
    tmp_path, monkeypatch, packed_set, settings
):
    monkeypatch.chdir(tmp_path)
    workspace(tmp_path, packed_set, settings, poison=False)
    ids = sorted(Packed(packed_set / "test").ids)
    found = read(f"data/predictions/{MODEL}.parquet")
    test = found.table[found.table["split"] == "test"]
    variants = ["clean", *found.variants]
    assert test["variant"].unique().tolist() == variants
    assert CONTROL not in variants  # these images have no twins
    for variant in variants:
        assert sorted(test.loc[test["variant"] == variant, "id"].astype(str)) == ids
