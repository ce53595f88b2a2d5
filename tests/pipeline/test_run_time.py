# SPDX-License-Identifier: Apache-2.0
"""How long a run takes: what stages took here, and what the committed results say of the rest."""

import re
import sys

import pytest
import yaml
from support import ROOT

from facetell.common.errors import UserError
from facetell.common.files import cached, read_json
from pipeline import run_time, stage
from pipeline.run_time import FIRST, LAST, PER_MODEL, START, Plan, announcement
from pipeline.settings import Settings

SIZES = {"train": 2200, "valid": 260, "test": 400}


@pytest.fixture
def settings() -> Settings:
    return Settings.of(yaml.safe_load((ROOT / "params.yaml").read_text()))


def committed(settings: Settings, **seconds: float) -> dict:
    """What the last commit says of trainings with these parameters."""
    return {
        model: {"recipe": settings.recipe(model), "cost": {"seconds": one}}
        for model, one in seconds.items()
    }


def noted(plan: Plan, **seconds: float) -> Plan:
    """The same plan after every stage of a kind has taken so long, by kind."""
    notes = {
        plan.key(name): seconds[name.split(" ")[0]]
        for name in plan.stages()
        if name.split(" ")[0] in seconds
    }
    return Plan(plan.settings, plan.notes | notes, plan.committed, plan.sizes)


def minutes(said: str) -> float:
    found = re.search(r"about ([\d.]+) (s|min|h)$", said)
    assert found, said
    return float(found[1]) * {"s": 1 / 60, "min": 1, "h": 60}[found[2]]


def test_stages_are_those_of_dvc(settings):
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    commands = []
    for one in stages.values():
        given = one.get("do", one)["cmd"]
        commands += [given] if isinstance(given, str) else given
    ours = {" ".join(command.split()[2:]).removeprefix("pipeline.") for command in commands}
    named = {f"{name} ${{key}}" for name in PER_MODEL}
    assert {*FIRST, *LAST, *named} == ours - {"watch ${key}"}


def test_what_was_measured_here_is_summed(settings):
    plan = Plan(settings, {}, {}, {})
    plan = noted(plan, fetch=60, split=10, pack=5, audit=15, baseline=10, predict=30, score=10,
                 train=120, explain=45, compare=25, report=15)  # fmt: skip
    models = len(settings.models)
    expected = 60 + 10 + 5 + 15 + 10 + 30 + 10 + models * (120 + 30 + 10 + 45) + 40
    assert minutes(announcement(plan, "fetch", [])) == pytest.approx(expected / 60, rel=0.15)
    left = announcement(plan, f"train {list(settings.models)[-1]}", plan.stages()[: 7 + models - 1])
    assert minutes(left) == pytest.approx((120 + models * 85 + 40) / 60, rel=0.15)
    assert announcement(plan, "pack", ["fetch", "split"]) is None  # has been said
    alone = announcement(plan, "explain simplenet", [])
    assert minutes(alone) == pytest.approx((models * 45 + 40) / 60, rel=0.15)
    assert announcement(plan, "compare", ["explain simplenet"]) is None


def test_other_parameters_are_other_work(settings):
    plan = noted(Plan(settings, {}, {}, {}), train=100, predict=20)
    longer = settings.model_copy(update={"train": settings.train.model_copy(update={"epochs": 50})})
    changed = Plan(longer, plan.notes, {}, {})
    assert plan.seconds("train swin") == 100
    assert changed.seconds("train swin") is None
    assert changed.seconds("split") == plan.seconds("split")


def test_a_first_run_goes_by_the_committed_results(settings):
    costs = dict.fromkeys(settings.models, 100.0)
    plan = Plan(settings, {}, committed(settings, **costs), SIZES)
    assert plan.seconds("train swin") == 100 + START
    said = announcement(plan, "fetch", [])
    assert "and what fetch will take, which is not known yet" in said
    # a machine that trains a third as fast
    ours = plan.key("train simplenet")
    slow = Plan(settings, {ours: 300.0}, plan.committed, SIZES)
    assert slow.seconds("train swin") == pytest.approx(300 + START)
    assert slow.seconds("predict swin") > 2 * (plan.seconds("predict swin") - START)
    assert minutes(announcement(slow, "train swin", [*FIRST, "train simplenet"])) > 10


def test_what_nothing_is_known_of_is_named(settings):
    plan = Plan(settings, {}, {}, {})
    assert plan.seconds("train swin") is None
    assert plan.seconds("explain swin") is None
    plan = noted(plan, fetch=60)
    said = announcement(plan, "fetch", [])
    assert "train simplenet, train resnet50, train swin, ... will take" in said
    other = committed(settings, swin=100.0)
    other["swin"]["recipe"] = other["swin"]["recipe"] | {"epochs": 99}
    assert Plan(settings, {}, other, SIZES).seconds("train swin") is None


@pytest.fixture
def in_dvc(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(run_time, "_dvc", lambda: "1 1")
    monkeypatch.chdir(ROOT)


def called(monkeypatch, *arguments: str, fails: bool = False) -> None:
    def main(*_: str) -> None:
        if fails:
            raise UserError("no")

    monkeypatch.setattr(sys, "argv", [f"/repo/pipeline/{arguments[0]}.py", *arguments[1:]])
    stage.run(main)


def test_stages_note_what_they_took(in_dvc, monkeypatch, capsys):
    called(monkeypatch, "split")
    called(monkeypatch, "train", "swin")
    with pytest.raises(SystemExit):
        called(monkeypatch, "predict", "swin", fails=True)
    called(monkeypatch, "publish")  # no stage
    kept = read_json(cached("seconds.json"))
    assert [name.rsplit(" ", 1)[0] for name in kept["seconds"]] == ["split", "train swin"]
    assert kept["runs"] == {"1 1": ["split", "train swin"]}
    assert "stages to the report" in capsys.readouterr().err


def test_a_stage_by_hand_says_nothing_of_a_run(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("DVC_STAGE", raising=False)
    called(monkeypatch, "split")
    assert not cached("seconds.json").exists()
    assert not capsys.readouterr().err


@pytest.mark.parametrize("damage", ["{", "[]", '{"seconds": 1}'])
def test_a_damaged_note_stops_no_stage(in_dvc, monkeypatch, damage):
    file = cached("seconds.json")
    file.parent.mkdir(parents=True)
    file.write_text(damage)
    called(monkeypatch, "split")
