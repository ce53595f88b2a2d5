# SPDX-License-Identifier: Apache-2.0
"""Facts of weights: size, mean and std come from them, whatever recipe they are trained by."""

import json
import shutil
from pathlib import Path

import pytest
import timm
import torch
import yaml
from safetensors.torch import save_file
from support import ROOT
from support.networks import HALF
from support.tiny_runs import inside, settings
from support.training import job
from torchvision import models

from facetell.common.errors import UserError
from facetell.models import build
from facetell.models.detector import Card, Detector, save
from facetell.models.preprocessing import preprocessing_of
from facetell.training.recipe import Recipe
from facetell.training.trainer import initial_detector
from pipeline import train

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
PLAIN = ((0.5,) * 3, (0.5,) * 3)
FACTS = {  # (mean, std), px
    "vit_tiny_patch16_224": (PLAIN, 224),
    "vit_tiny_patch16_384": (PLAIN, 384),
    "vit_xsmall_patch16_clip_224": (CLIP, 224),
    "resnet50": (IMAGENET, 224),
    "efficientnet_b0": (IMAGENET, 224),
    "efficientnet_b1": (PLAIN, 240),
    "mobilevit_xxs": (((0.0,) * 3, (1.0,) * 3), 256),
    "inception_v3": (PLAIN, 299),
    "xception_based": (PLAIN, 299),  # ours, from timm's networks
    "swin": (IMAGENET, 256),
}
SETTINGS = {"epochs": 1, "batch_size": 2, "lr": 0.1, "precision": "float32"}


def recipe(network: str, **changes) -> Recipe:
    return Recipe.of(SETTINGS | changes, "here", network)


def start(home: Path, network: str, say=lambda line: None, **changes) -> Detector:
    of = job(home, recipe(network, **changes), network)
    return initial_detector(of, torch.device("cpu"), say)


def values(detector: Detector) -> tuple:
    mean, std = detector.mean.flatten().tolist(), detector.std.flatten().tolist()
    return pytest.approx(mean, abs=1e-6), pytest.approx(std, abs=1e-6)


@pytest.mark.parametrize("network", FACTS)
def test_weights_of_a_file_are_fed_what_they_were_trained_with(network, packed_set, tmp_path):
    file, (expected, size) = tmp_path / "weights.pth", FACTS[network]
    torch.save(build(network, image_size=size).state_dict(), file)
    assert values(start(packed_set, network, pretrained=str(file))) == tuple(map(list, expected))
    assert recipe(network, pretrained=str(file)).image_size == size


@pytest.mark.parametrize("network", [name for name in FACTS if timm.get_pretrained_cfg(name)])
def test_facts_are_those_that_timm_says_of_its_own_network(network):
    with torch.device("meta"):
        said = timm.data.resolve_model_data_config(timm.create_model(network))
    found = preprocessing_of(network, True)
    assert (found.mean, found.std) == (said["mean"], said["std"])
    assert (3, found.image_size, found.image_size) == said["input_size"]
    assert found.interpolation == said["interpolation"]


def test_each_of_several_published_files_has_its_own():
    assert preprocessing_of("efficientnet_b1.ra4_e3600_r240_in1k", True).mean == PLAIN[0]
    assert preprocessing_of("efficientnet_b1.ft_in1k", True).mean == IMAGENET[0]


def test_what_a_recipe_states_wins_and_is_said(packed_set, tmp_path):
    file, said = tmp_path / "weights.pth", []
    torch.save(build("test_vit", image_size=160).state_dict(), file)
    found = start(packed_set, "test_vit", said.append, pretrained=str(file), image_size=96,
                  mean=[0.1, 0.2, 0.3])  # fmt: skip
    assert values(found) == ([0.1, 0.2, 0.3], [0.5] * 3)
    assert found(torch.rand(1, 3, 96, 96)).shape == (1, 2)
    assert said[-1] == (
        "test_vit: weights for images of 160 px, mean (0.5, 0.5, 0.5), std (0.5, 0.5, 0.5) (timm's "
        "configuration of test_vit.r160_in1k); the recipe has mean (0.1, 0.2, 0.3), std (0.5, 0.5, "
        "0.5); the recipe has 96 px; they were scaled by bicubic interpolation, here bilinear"
    )


def test_nothing_is_said_of_scaling_that_is_the_same(packed_set, tmp_path):
    file, said = tmp_path / "weights.pth", []
    torch.save(build("test_resnet").state_dict(), file)
    start(packed_set, "test_resnet", said.append, pretrained=str(file))
    assert "interpolation" not in said[-1]


def test_random_weights_are_fed_a_half(packed_set):
    said = []
    assert values(start(packed_set, "test_resnet", said.append)) == tuple(map(list, PLAIN))
    assert not said
    assert recipe("vit_tiny_patch16_384").image_size == 224


def test_a_detector_of_ours_says_what_it_was_trained_with(packed_set, tmp_path):
    mean, std, file = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), tmp_path / "detector.safetensors"
    card = Card(network="test_resnet", width=1.0, image_size=72, mean=mean, std=std, threshold=0.0,
                data="")  # fmt: skip
    save(Detector(build("test_resnet"), mean, std), card, file)
    assert values(start(packed_set, "test_resnet", pretrained=str(file))) == (
        list(mean),
        list(std),
    )
    assert recipe("test_resnet", pretrained=str(file)).image_size == 72


def test_the_configuration_beside_weights_of_the_hub_is_read(tmp_path):
    file, beside = tmp_path / "model.safetensors", tmp_path / "config.json"
    timm.models.save_for_hf(timm.create_model("resnet10t"), tmp_path)
    written = json.loads(beside.read_text(encoding="utf-8"))
    written["pretrained_cfg"] |= {"mean": [0.1, 0.2, 0.3], "input_size": [3, 72, 72]}
    beside.write_text(json.dumps(written), encoding="utf-8")
    found = preprocessing_of("resnet10t", str(file))
    assert (found.mean, found.std, found.image_size) == ((0.1, 0.2, 0.3), IMAGENET[1], 72)
    for wrong in (json.dumps(written | {"architecture": "test_vit"}), "{", "[]", "{}"):
        beside.write_text(wrong, encoding="utf-8")
        assert preprocessing_of("resnet10t", str(file)).mean == IMAGENET[0]


def test_a_file_of_torchvision_is_fed_what_torchvision_says(packed_set, tmp_path):
    file, said = tmp_path / "weights.pth", []
    theirs = models.mobilenet_v2(num_classes=2).state_dict()
    torch.save({"state_dict": {f"net.{name}": v for name, v in theirs.items()}}, file)
    found = start(packed_set, "mobilenetv2_100", said.append, pretrained=str(file), image_size=64)
    assert values(found) == tuple(map(list, IMAGENET))
    assert said[0].endswith("weights.pth; by the names of torchvision's mobilenet_v2")
    assert said[1].endswith(
        "weights for images of 224 px, mean (0.485, 0.456, 0.406), std (0.229, 0.224, 0.225) "
        "(torchvision's transforms for its mobilenet_v2); the recipe has 64 px"
    )


def test_vit_of_torchvision_is_not_fed_a_half_as_timms(tmp_path):
    file = tmp_path / "weights.safetensors"
    with torch.device("meta"):
        theirs = models.vit_b_16().state_dict()
    save_file({n: torch.zeros(v.shape, dtype=torch.int8) for n, v in theirs.items()}, file)
    found = preprocessing_of("vit_base_patch16_224", str(file))
    assert (found.mean, found.std, found.image_size) == (*IMAGENET, 224)
    assert found.fixed_size
    assert found.source == "torchvision's transforms for its vit_b_16"
    assert preprocessing_of("vit_base_patch16_224", True).mean == HALF


def test_weights_of_which_nothing_is_known(packed_set, tmp_path):
    file, said = tmp_path / "weights.pth", []
    torch.save(build("simplenet", image_size=64).state_dict(), file)
    found = start(packed_set, "simplenet", said.append, pretrained=str(file), image_size=64)
    assert values(found) == tuple(map(list, PLAIN))
    assert "nothing says what images the weights were trained on" in said[-1]


def test_weights_that_fit_one_size_only_say_which(packed_set, tmp_path):
    file = tmp_path / "weights.pth"
    torch.save(build("resmlp_12_224").state_dict(), file)
    with pytest.raises(UserError, match="for images of 224 px, and image_size is 96: with null"):
        start(packed_set, "resmlp_12_224", pretrained=str(file), image_size=96)
    start(packed_set, "resmlp_12_224", pretrained=str(file))


def test_a_trained_detector_carries_them(packed_set, tmp_path):
    """Through the stage, of a model file that states nothing."""
    file = tmp_path / "weights.pth"
    torch.save(build("test_vit", image_size=160).state_dict(), file)
    parameters = settings({"image_size": None, "pretrained": str(file), "batch_size": 8})
    parameters["models"] = {"mine": {"network": "test_vit", "source": "src", "quick": {}}}
    with inside(tmp_path, parameters):
        shutil.copytree(packed_set, "data/packed")
        train.fit("mine")
        card = Detector.load("models/mine.safetensors").card
        stored = json.loads(Path("models/mine.json").read_text(encoding="utf-8"))["recipe"]
    assert (card.image_size, card.mean, card.std) == (160, HALF, HALF)
    assert (stored["image_size"], stored["mean"], stored["std"]) == (160, [0.5] * 3, [0.5] * 3)


def test_recipes_of_conf_state_what_is_published_only():
    """What a copied file would carry into another network."""
    shared = yaml.safe_load((ROOT / "conf/config.yaml").read_text(encoding="utf-8"))["recipes"]
    assert not any({"mean", "std"} & set(one) for one in shared.values())
    for path in (ROOT / "conf/model").glob("*.yaml"):
        stated = yaml.safe_load(path.read_text(encoding="utf-8")).get("models", {})
        for model in stated.values():
            for recipe in ("finetune", "probe"):
                assert not {"mean", "std"} & set(model.get(recipe, {})), path
