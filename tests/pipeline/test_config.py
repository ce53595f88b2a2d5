# SPDX-License-Identifier: Apache-2.0
"""Configuration: what is committed is what conf/ composes to, and stages declare what they use."""

from dataclasses import asdict
from pathlib import Path

import pytest
import timm
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from support import ROOT

from facetell.common.errors import UserError
from facetell.evaluation.perturbations import suite
from facetell.models import build, parameter_count
from facetell.models.preprocessing import preprocessing_of
from facetell.training.probe import linear_classifier
from facetell.training.recipe import Lora
from pipeline import paths, train
from pipeline.compose import compose as write_params
from pipeline.settings import Settings

MODELS = sorted(path.stem for path in (ROOT / "conf/model").glob("*.yaml"))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SETS = sorted(path.stem for path in (ROOT / "conf/data").glob("*.yaml"))
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def plain(*overrides: str) -> dict:
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        config = compose("config", overrides=list(overrides))
    return OmegaConf.to_container(config, resolve=True)


def composed(*overrides: str) -> Settings:
    return Settings.of(plain(*overrides))


def test_committed_parameters_are_the_composition_of_conf(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    write_params(tmp_path / "params.yaml", [])
    fresh = yaml.safe_load((tmp_path / "params.yaml").read_text())
    assert fresh == yaml.safe_load((ROOT / "params.yaml").read_text())
    assert list(fresh["models"]) == ["simplenet", "resnet50", "swin"]


@pytest.mark.parametrize("data", SETS)
@pytest.mark.parametrize("model", MODELS)
def test_every_choice_composes_to_recipes_that_build(model, data):
    settings = composed(f"model={model}", f"data={data}")
    assert settings.model == model
    assert settings.data.suite == ("quick" if data.startswith("demo") else "full")
    assert suite(settings.predict.suites, settings.data.suite)
    for key, entry in settings.models.items():
        assert (ROOT / entry.source).is_file()
        recipe = train.recipe(settings, key)
        with torch.device("meta"):
            network = build(
                settings.network(key),
                width=recipe.width,
                image_size=recipe.image_size,
                **recipe.options,
            )
        assert parameter_count(network) > 0
        if data.startswith("demo"):
            assert recipe.image_size == settings.data.image_size
        else:
            assert recipe.width == 1.0


def test_all_are_the_models_of_the_reports():
    names = (
        "rcnn rcnn_aug sepnet sepnet_aug vit swin simplenet xception vgg19 resnet50 densenet121 "
        "mnasnet efficientnet_b0 efficientnet_b1 efficientnet_b2"
    )
    assert list(composed("model=all").models) == names.split()
    # a user may add others, in one file
    assert {*names.split(), "all", "starter", "mobilenetv2", *BACKBONES} <= set(MODELS)


BACKBONES = {  # timm's weights, mean and std of them, px, features
    "clip_vit_l14": ("vit_large_patch14_clip_quickgelu_224.openai", CLIP, 224, 1024),
    "dinov2_s14": ("vit_small_patch14_dinov2.lvd142m", IMAGENET, 224, 384),
    "dinov2_b14": ("vit_base_patch14_dinov2.lvd142m", IMAGENET, 224, 768),
    "dinov3_s16": ("vit_small_patch16_dinov3.lvd1689m", IMAGENET, 256, 384),
    "convnext_tiny": ("convnext_tiny.fb_in22k", IMAGENET, 224, 768),
}


@pytest.mark.parametrize("model", BACKBONES)
def test_backbones_are_probed_with_the_facts_of_their_weights(model):
    name, (mean, std), size, channels = BACKBONES[model]
    settings = composed(f"model={model}", "data=faces140k", "data.recipe=probe")
    recipe = train.recipe(settings, model)
    images = recipe.preprocessing(settings.network(model))
    assert settings.network(model) in timm.list_pretrained()
    assert (settings.network(model), images.mean, images.std) == (name, mean, std)
    assert (recipe.frozen, recipe.pretrained, recipe.image_size) == (True, True, size)
    with torch.device("meta"):
        network = build(name, image_size=size, **recipe.options)
    layer = network.get_submodule(linear_classifier(network, model))
    assert layer.in_features == channels


def test_a_recipe_that_a_model_changes_must_be_there():
    copied = plain("model=resnet50")
    copied["models"]["resnet50"]["fintune"] = {"lr": 1e-4}
    with pytest.raises(UserError, match=r"models.resnet50.fintune is no recipe; .* quick, finet"):
        Settings.of(copied)


def test_low_rank_adaptation_is_an_option_of_fine_tuning():
    override = "recipes.finetune.lora={rank:4,layers:[qkv]}"
    settings = composed("model=dinov3_s16", "data.recipe=finetune", override)
    assert train.recipe(settings, "dinov3_s16").lora == Lora(rank=4, layers=("qkv",))


# optimizer, lr, batch, epochs, px, schedule, clip, floor, augmentation, best epoch by
S0 = {"schedule": "plateau", "clip": 1.0, "stop_below": 1e-7, "mean": (0.5,) * 3, "std": (0.5,) * 3}
SGD = {"optimizer": "sgd", "momentum": 0.9, "lr": 1e-3}
NADAM = {"optimizer": "nadam", "lr": 1e-4, "batch_size": 32, "precision": "float32"}
COURSE = {"optimizer": "adam", "lr": 1e-3, "batch_size": 32, "epochs": 5, "image_size": 256,
          "augment": "course", "select": "accuracy", "schedule": "constant",
          "mean": (0.4914, 0.4822, 0.4465), "std": (0.2023, 0.1994, 0.2010)}  # fmt: skip
RECIPES = {
    "rcnn": S0 | SGD | {"batch_size": 1, "epochs": 15, "augment": None, "image_size": 224},
    "rcnn_aug": S0 | SGD | {"batch_size": 1, "epochs": 15, "augment": "s0"},
    "sepnet": S0 | NADAM | {"epochs": 25, "augment": None, "image_size": 224},
    "sepnet_aug": S0 | NADAM | {"epochs": 25, "augment": "s0"},
    "vit": S0 | SGD | {"batch_size": 64, "epochs": 25, "image_size": 224},
    "swin": S0 | SGD | {"batch_size": 64, "epochs": 25, "image_size": 256},
    "simplenet": COURSE | {"pretrained": False},
    "xception": COURSE | {"pretrained": True},
    "efficientnet_b1": {"image_size": 240},
    "efficientnet_b2": {"image_size": 260},
}


@pytest.mark.parametrize("model", RECIPES)
def test_recipes_of_the_reports(model):
    settings = composed(f"model={model}", "data=faces140k")
    recipe = train.recipe(settings, model)
    images = recipe.preprocessing(settings.network(model))
    used = asdict(recipe) | {"mean": images.mean, "std": images.std}
    assert {name: used[name] for name in RECIPES[model]} == RECIPES[model]
    assert recipe.label_smoothing == 0


@pytest.mark.parametrize("kind", ["finetune", "probe"])
@pytest.mark.parametrize("model", sorted(set(MODELS) - {"all", "starter"}))
def test_published_weights_are_fed_what_they_were_trained_with(model, kind):
    settings = composed(f"model={model}", "data=faces140k", f"data.recipe={kind}")
    recipe, network = train.recipe(settings, model), settings.network(model)
    trained = preprocessing_of(network, True)
    images = recipe.preprocessing(network)
    assert (images.mean, images.std) == (trained.mean, trained.std)
    stated = settings.models[model].recipes.get(kind, {}).get("image_size")
    assert recipe.image_size == (stated or trained.image_size or 224)
    mean = f"++models.{model}.{kind}.mean=[0.1,0.2,0.3]"
    own = composed(f"model={model}", f"data.recipe={kind}", "data.image_size=96", mean)
    images = train.recipe(own, model).preprocessing(network)
    assert (images.image_size, images.mean) == (96, (0.1, 0.2, 0.3))
    assert images.std == trained.std


def test_a_model_file_copied_from_another_has_the_facts_of_its_own_weights():
    copied = plain("model=resnet50", "data=faces140k", "data.recipe=finetune")
    copied["models"]["copy"] = copied["models"]["resnet50"] | {"network": "vit_tiny_patch16_384"}
    settings = Settings.of(copied)
    images = train.recipe(settings, "copy").preprocessing(settings.network("copy"))
    assert (images.image_size, images.mean, images.std) == (384, (0.5,) * 3, (0.5,) * 3)


def test_weights_of_a_file_are_the_same_file_in_a_queued_run(monkeypatch):
    monkeypatch.setenv("DVC_ROOT", "/work/space")
    settings = composed("model=mobilenetv2", "data.recipe=finetune", "train.pretrained=a/b.pth")
    assert train.recipe(settings, "mobilenetv2").pretrained == "/work/space/a/b.pth"
    settings = composed("model=mobilenetv2", "data.recipe=finetune", "train.pretrained=false")
    assert train.recipe(settings, "mobilenetv2").pretrained is False


def test_overrides_reach_every_recipe():
    settings = composed("train.epochs=7", "data.image_size=96")
    assert settings.data.sets["demo"].render["size"] == 96
    for key in settings.models:
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
    assert paths.user_path("../a.zip") == Path("/work/space/../a.zip")
    assert paths.user_path("/b.zip") == Path("/b.zip")
    assert paths.user_path("~/c.zip") == Path.home() / "c.zip"
    assert paths.user_path("~nobody_is_called_so/d") == Path("/work/space/~nobody_is_called_so/d")
