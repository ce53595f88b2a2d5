# SPDX-License-Identifier: Apache-2.0
"""Backbones of conf/model, small and with weights that stand in for published ones: each can be
probed, fine-tuned by low rank, saved, and explained."""

from typing import NamedTuple

import numpy as np
import pytest
import timm
import torch
from support.training import job

from facetell.explain import explain
from facetell.models.detector import Card, Detector, save
from facetell.models.target_layers import target_layers
from facetell.training.probe import probe
from facetell.training.recipe import Recipe
from facetell.training.trainer import silent, train

TOKENS = {"depth": 2, "embed_dim": 24, "num_heads": 2}
STAGES = {"depths": [1, 1, 2, 1], "dims": [8, 16, 16, 24]}


class Backbone(NamedTuple):
    """A small network of the kind: its options, the classes and px of its weights, the px of the
    images here, and its layers to explain."""

    network: str
    options: dict
    classes: int
    trained: int
    size: int
    layers: tuple[str, ...]


BLOCKS = ("blocks.0.norm1", "blocks.1.norm1")
IN_STAGES = tuple(f"stages.{at}.blocks.{block}" for at, block in ("00", "10", "20", "21", "30"))
BACKBONES = {
    "clip": Backbone(
        "vit_large_patch14_clip_quickgelu_224.openai", TOKENS, 768, 224, 56, BLOCKS
    ),
    "dinov2": Backbone("vit_small_patch14_dinov2.lvd142m", TOKENS, 0, 518, 56, BLOCKS),
    "dinov3": Backbone("vit_small_patch16_dinov3.lvd1689m", TOKENS, 0, 256, 64, BLOCKS),
    "convnext": Backbone(
        "convnext_tiny.fb_in22k", STAGES, 21841, 224, 64,
        IN_STAGES,
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=BACKBONES)
def backbone(request) -> Backbone:
    return BACKBONES[request.param]


@pytest.fixture(scope="module")
def weights(backbone, tmp_path_factory) -> str:
    """As timm publishes them: of another size, and of other classes or none."""
    file = tmp_path_factory.mktemp("weights") / "model.pth"
    torch.manual_seed(1)
    sized = {} if backbone.network.startswith("convnext") else {"img_size": backbone.trained}
    network = timm.create_model(
        backbone.network, num_classes=backbone.classes, **sized, **backbone.options
    )
    for name, value in network.named_parameters():
        if "gamma" in name:
            torch.nn.init.ones_(value)  # random networks start with next to nothing in each block
    torch.save(network.state_dict(), file)
    return str(file)


def recipe(backbone: Backbone, weights: str, **changes) -> Recipe:
    settings = {"image_size": backbone.size, "epochs": 1, "batch_size": 8, "lr": 1e-2}
    settings |= {"pretrained": weights, "precision": "float32", "options": backbone.options}
    return Recipe.of(settings | changes, "here", backbone.network)


def test_a_probe_is_a_detector_that_can_be_explained(backbone, weights, packed_set, tmp_path):
    plan = recipe(backbone, weights, frozen=True)
    made = job(packed_set, plan, backbone.network)
    fit = probe(made, features=tmp_path, say=silent)
    images = plan.preprocessing(backbone.network)
    timms = timm.get_pretrained_cfg(backbone.network)
    assert (images.mean, images.std) == (timms.mean, timms.std)
    card = Card(
        network=backbone.network,
        width=1.0,
        image_size=backbone.size,
        mean=images.mean,
        std=images.std,
        threshold=fit.threshold,
        data="",
        options=backbone.options,
    )
    save(fit.detector, card, tmp_path / "probe.safetensors")
    detector = Detector.load(tmp_path / "probe.safetensors")
    pixels = torch.rand(2, 3, backbone.size, backbone.size)
    assert torch.allclose(detector(pixels), fit.detector(pixels), atol=1e-4)

    found = target_layers(detector.network)
    assert (found.names, found.default) == (backbone.layers, backbone.layers[-1])
    methods = ["gradcam", "saliency"]
    methods += [] if backbone.options is STAGES else ["attention_rollout", "gradient_rollout"]
    for maps in explain(detector, pixels, methods=methods).maps.values():
        for one in maps.values():
            assert np.isfinite(one).all()
            assert np.ptp(one, axis=(-1, -2)).min() > 0


def test_low_rank_adaptation_changes_its_weights_and_no_name(
    backbone, weights, packed_set, tmp_path
):
    plan = recipe(backbone, weights, lora={"rank": 2})
    fit = train(job(packed_set, plan, backbone.network), state=tmp_path / "state", say=silent)
    published, found = torch.load(weights), fit.detector.network.state_dict()
    assert not [name for name in found if "lora" in name]
    changed = [
        name for name, value in found.items()
        if name in published and value.shape == published[name].shape
        and not torch.equal(value, published[name])
    ]  # fmt: skip
    assert any("mlp.fc1" in name for name in changed)
    assert all("mlp" in name or "attn" in name for name in changed)
