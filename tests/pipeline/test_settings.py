# SPDX-License-Identifier: Apache-2.0
"""Typed parameters: what is read, and what a wrong value is answered with."""

from pathlib import Path

import pytest
import yaml
from support import ROOT

from facetell.common.errors import UserError
from pipeline.settings import Settings


@pytest.fixture
def plain() -> dict:
    return yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def test_committed_parameters_are_read(plain):
    settings = Settings.of(plain)
    assert settings.train.seed == plain["train"]["seed"]
    assert settings.explain.chosen.planted == plain["explain"]["suites"]["quick"]["planted"]
    assert settings.data.sets["demo"].render == plain["data"]["sets"]["demo"]["render"]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("train.seed", "x", "train.seed: .*integer.*'x'"),
        ("processes", 0, "processes: .*greater than or equal to 1, got 0"),
        ("train.sead", 1, "train.sead: .*not permitted"),
        ("score.resamples", None, "score.resamples: .*got None"),
        ("data.image_size", 64.5, "data.image_size: .*64.5"),
        ("data.sets.demo.use", "some", "data.sets.demo.use: .*'all', 'train' or 'test'"),
        ("explain.suites.quick.trials.draws", -1, "explain.suites.quick.trials.draws: "),
    ],
)
def test_a_wrong_value_is_named(plain, key, value, says):
    *parents, last = key.split(".")
    part = plain
    for name in parents:
        part = part[name]
    part[last] = value
    with pytest.raises(UserError, match=f"params.yaml: {says}"):
        Settings.of(plain)


def test_a_folder_may_be_named_by_digits(plain):
    plain["data"]["sets"]["demo"]["root"] = 2024
    assert Settings.of(plain).data.sets["demo"].root == "2024"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"data": {"recipe": "slow"}}, "data.recipe: there is no 'slow'; there are paper, quick"),
        ({"explain": {"suite": "all"}}, "explain.suite: there is no 'all'; there are quick, full"),
    ],
)
def test_choices_list_the_valid_ones(plain, change, says):
    for section, values in change.items():
        plain[section] |= values
    settings = Settings.of(plain)
    with pytest.raises(UserError, match=says):
        settings.recipe("simplenet"), settings.explain.chosen


def test_a_model_that_is_not_selected(plain):
    with pytest.raises(UserError, match=r"'vit' is not selected; .* simplenet, resnet50"):
        Settings.of(plain).recipe("vit")


def test_no_parameters(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run this from the repository"):
        Settings.load()
    Path("params.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"params\.yaml is not YAML"):
        Settings.load()
