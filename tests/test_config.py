"""Configuration: what is committed is what conf/ composes to, and stages declare what they use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from conftest import ROOT
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf

from facetell.models import build, parameter_count
from facetell.perturbations import variants
from pipeline import stage, train
from pipeline.compose import compose as write_params

MODELS = sorted(path.stem for path in (ROOT / "conf/model").glob("*.yaml"))
SETS = sorted(path.stem for path in (ROOT / "conf/data").glob("*.yaml"))
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def composed(*overrides: str) -> dict:
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        config = compose("config", overrides=list(overrides))
    return OmegaConf.to_container(config, resolve=True)


def test_committed_parameters_are_the_composition_of_conf(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    write_params(tmp_path / "params.yaml", [])
    fresh = yaml.safe_load((tmp_path / "params.yaml").read_text())
    assert fresh == yaml.safe_load((ROOT / "params.yaml").read_text())
    assert list(fresh["models"]) == ["simplenet", "sepnet", "resnet50", "swin"]


@pytest.mark.parametrize("data", SETS)
@pytest.mark.parametrize("model", MODELS)
def test_every_choice_composes_to_recipes_that_build(model, data):
    settings = composed(f"model={model}", f"data={data}")
    assert settings["model"] == model
    variants(settings["predict"]["variants"])
    for key, entry in settings["models"].items():
        assert (ROOT / entry["source"]).is_file()
        recipe = train.recipe(settings, key)
        with torch.device("meta"):
            network = build(key, width=recipe.width, image_size=recipe.image_size, **recipe.options)
        assert parameter_count(network) > 0
        if data == "demo":
            assert recipe.image_size == settings["data"]["fetch"]["size"]
        else:
            assert recipe.width == 1.0


def test_recipes_of_the_reports():
    settings = composed("model=starter", "data=faces140k")
    sepnet, swin, simplenet = (train.recipe(settings, k) for k in ("sepnet", "swin", "simplenet"))
    assert (sepnet.optimizer, sepnet.lr, sepnet.batch_size) == ("nadam", 1e-4, 32)
    assert (sepnet.precision, sepnet.epochs) == ("float32", 25)
    assert (swin.optimizer, swin.lr, swin.batch_size, swin.image_size) == ("sgd", 1e-3, 64, 256)
    assert (swin.clip, swin.schedule, swin.stop_below) == (1.0, "plateau", 1e-7)
    assert (simplenet.optimizer, simplenet.lr, simplenet.epochs) == ("adam", 1e-3, 5)
    assert (simplenet.image_size, simplenet.augment) == (256, "course")


def test_overrides_reach_every_recipe():
    settings = composed("train.epochs=7", "data.image_size=96")
    assert settings["data"]["fetch"]["size"] == 96
    for key in settings["models"]:
        recipe = train.recipe(settings, key)
        assert (recipe.epochs, recipe.image_size) == (7, 96)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("model=resnet51", "resnet50"),
        ("data=faces", "faces140k"),
        ("train.epoch=3", "epoch"),
    ],
)
def test_wrong_names_list_the_valid_ones(override, says):
    with pytest.raises(HydraException, match=says):
        composed(override)


def test_user_paths_mean_the_same_in_a_queued_run(monkeypatch):
    monkeypatch.setenv("DVC_ROOT", "/work/space")
    assert stage.user_path("../a.zip") == Path("/work/space/../a.zip")
    assert stage.user_path("/b.zip") == Path("/b.zip")


def declared(name: str) -> list[str]:
    body = STAGES[name].get("do", STAGES[name])
    return body["deps"]


PRINT_IMPORTS = """
import sys
from importlib import import_module
import_module(f"pipeline.{sys.argv[1]}")
root = sys.argv[2] + "/"
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None) or ""
    if file.startswith(root) and "/.venv/" not in file:
        print(file.removeprefix(root))
"""
# of no consequence for what a stage writes, or covered by another entry
FREE = ("pipeline/__init__.py", "pipeline/stage.py", "src/facetell/__init__.py",
        "src/facetell/errors.py", "src/facetell/progress.py",
        "src/facetell/figures/__init__.py")  # fmt: skip


@pytest.mark.parametrize("name", STAGES)
def test_stages_declare_the_code_that_they_import(name):
    """dvc reruns a stage only for what it declares: a forgotten file means stale results."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PRINT_IMPORTS, name, str(ROOT)],
        cwd=ROOT, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    deps = declared(name)
    missing = [
        file
        for file in done.stdout.split()
        if file not in FREE
        and not any(file == dep or file.startswith(f"{dep}/") for dep in deps)
        # a network's own module is ${item.source}; the others do not concern it
        and not file.startswith("src/facetell/models/")
    ]
    assert missing == []


@pytest.mark.parametrize("name", STAGES)
def test_declared_code_exists(name):
    for dep in declared(name):
        if dep.startswith(("src/", "pipeline/")):
            assert (ROOT / dep).exists(), dep
