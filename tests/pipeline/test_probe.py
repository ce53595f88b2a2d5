# SPDX-License-Identifier: Apache-2.0
"""A probe through all stages to the report, and another one of the same features."""

import json
from pathlib import Path

import pandas as pd
import torch
from support import separable
from support.tiny_runs import MODEL, inside, of_folder, through

from facetell.models import build
from facetell.models.detector import Detector
from facetell.training import features
from pipeline import paths, train


def folder(root: Path) -> Path:
    for at, (split, number) in enumerate({"train": 8, "valid": 4, "test": 4}.items()):
        for index in range(number):
            for label, name in enumerate(("real", "fake")):
                home = root / split / name
                home.mkdir(parents=True, exist_ok=True)
                image = separable(1000 * at + 2 * index + label, label, 32)
                (home / f"{index}.jpg").write_bytes(image)
    return root


def test_a_probe_goes_through_every_stage(tmp_path, monkeypatch):
    weights = tmp_path / "weights.pth"
    torch.save(build("test_resnet").state_dict(), weights)
    model = {"network": "test_resnet", "source": "src", "probe": {"image_size": 48, "epochs": 3}}
    parameters = of_folder(
        folder(tmp_path / "mine"),
        data__recipe="probe",
        models={MODEL: model},
        train__pretrained=str(weights),
    )
    home = tmp_path / "home"
    assert through(home, parameters) == ("", "")
    assert MODEL in (home / "plots/report/index.html").read_text(encoding="utf-8")
    facts = json.loads((home / paths.training(MODEL)).read_text(encoding="utf-8"))
    assert facts["recipe"]["frozen"]
    assert len(pd.read_csv(home / paths.training_log(MODEL))) == 3
    assert pd.read_parquet(home / paths.epochs(MODEL))["epoch"].max() == 3
    assert len(list((home / paths.FEATURES).glob("*.npy"))) == 3

    def refused(*_):
        raise AssertionError("an image went through the network")

    monkeypatch.setattr(features, "to_unit", refused)
    parameters["recipes"]["probe"]["lr"] = 1e-2
    parameters["train"]["seed"] = 3
    before = Detector.load(home / paths.weights(MODEL)).network.fc.weight
    with inside(home, parameters):
        train.main(MODEL)
    after = Detector.load(home / paths.weights(MODEL)).network.fc.weight
    assert not torch.equal(before, after)
