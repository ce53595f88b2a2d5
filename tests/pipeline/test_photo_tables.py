# SPDX-License-Identifier: Apache-2.0
"""The tables of real photos, from kept results that are made up here."""

import shutil
from pathlib import Path

import pytest
import yaml
from support import ROOT

from benchmarks.photos import PLAN, choose
from facetell.common.files import write_json
from pipeline import photo_tables

TRIVIA = {"auc": 0.9, "low": 0.8, "high": 1.0}


def numbers(auc: float, accuracy: float = 0.75) -> dict:
    limits = {"auc": [auc - 0.1, auc + 0.1], "accuracy": [accuracy - 0.1, accuracy + 0.1]}
    return {"auc": auc, "accuracy": accuracy, "interval": limits}


def keep(table: str, name: str, *, auc: float, valid: float | None, start: bool = False, **more):
    """One detector's results; ``more`` goes into its scores."""
    recipe = {"image_size": 64, "epochs": 3, "lr": 0.001, "pretrained": start and "w.pth"}
    training = {"recipe": recipe, "cost": {"device": "a card"}}
    training |= {"validation": {"auc": valid}} if valid else {}
    scores = {"clean": numbers(auc), "training": training} | more
    data = {"counts": {"train": {"real": 1, "fake": 1}}, "trivia": {"file_size": TRIVIA}}
    path = Path(f"docs/results/{table}/{name}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"settings": [], "data": data, "scores": scores})


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_validation_orders_the_detectors_and_chooses_one_of_each_start(home):
    keep("photos", "lucky", auc=0.99, valid=0.90)
    keep("photos", "chosen", auc=0.80, valid=0.95)
    keep("photos", "tuned", auc=0.85, valid=0.93, start=True)
    keep("photos", "spectral", auc=0.7, valid=None)
    lines = photo_tables.detectors("photos").splitlines()[2:]
    names = [line.split(" | ")[0].strip("| ") for line in lines]
    assert names == ["**`chosen`**", "**`tuned`**", "`lucky`", "`spectral`"]
    assert "0.800 [0.700, 0.900]" in lines[0]
    assert "linear, on the spectrum" in lines[3]


def test_what_is_removed_and_what_that_costs(home):
    band = numbers(0.7) | {"perturbation": "band_stop", "drop": {"auc": 0.2}}
    band |= {"drop_interval": {"auc": [0.1, 0.3]}}
    variants = {"band_stop_0": band, "blur_1": numbers(0.6)}
    keep("photos", "a", auc=0.9, valid=0.9, variants=variants)
    keep("photos", "b", auc=0.8, valid=0.8)  # of which nothing but clean images is known
    assert photo_tables.frequencies("photos").splitlines()[2:] == [
        "| `a` | +0.200 [+0.100, +0.300] |"
    ]
    blurred = photo_tables.perturbed("photos", "auc")().splitlines()
    assert blurred[0] == "| detector | clean | blur 1 px |"
    assert blurred[2:] == ["| `a` | 0.900 [0.800, 1.000] | 0.600 [0.500, 0.700] |"]


def test_both_encodings_stand_side_by_side(home):
    keep("as_is", "a", auc=0.9, valid=0.9)
    keep("alike", "a", auc=0.6, valid=0.6)
    keep("as_is", "b", auc=0.8, valid=0.8)
    lines = photo_tables.encoders("as_is", "alike").splitlines()
    assert lines[2].count("[") == 4
    assert lines[3].endswith("| – | – |")
    assert photo_tables.trivia("as_is", "alike").splitlines()[2] == (
        "| file size | 0.90 [0.80, 1.00] | 0.90 [0.80, 1.00] |"
    )


def test_rows_are_what_was_trained_and_columns_what_is_tested(home):
    parts = {"faces140k": numbers(0.9), "there": numbers(0.5)}
    keep("crossed", "a", auc=0.9, valid=0.9, sets=parts)
    lines = photo_tables.crossed(crossed="here").splitlines()
    assert lines[0].startswith("| trained on | detector | AUC on 140k originals | AUC on there |")
    assert lines[2].startswith("| here | `a` | 0.900 [0.800, 1.000] | 0.500 [0.400, 0.600] |")


def test_every_planned_model_is_one_of_conf_with_a_recipe_it_knows(tmp_path):
    plan = yaml.safe_load((ROOT / PLAN).read_text(encoding="utf-8"))
    recipes = yaml.safe_load((ROOT / "conf/config.yaml").read_text(encoding="utf-8"))["recipes"]
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    for table in plan.values():
        assert table.get("trained", "swaps") in plan
        for name, settings in table.get("models", {}).items():
            (tmp_path / "params.yaml").write_text("data: {}\n", encoding="utf-8")
            choose(tmp_path, name, settings)
            params = yaml.safe_load((tmp_path / "params.yaml").read_text(encoding="utf-8"))
            if settings:
                assert params["data"]["recipe"] in recipes
                changed = params["models"][name][settings["recipe"]]
                assert changed["image_size"] == settings["image_size"]


def test_a_table_of_what_was_not_trained_says_how_to_train_it(home):
    assert photo_tables.beside("nothing") == photo_tables.NOT_RUN
    keep("untold", "a", auc=0.9, valid=0.9)  # whose learning was not kept
    assert photo_tables.beside("untold") == photo_tables.NOT_RUN
