# SPDX-License-Identifier: Apache-2.0
"""Every network: exact size, right shapes, clear refusals."""

import pytest
import torch
import yaml
from support import ROOT
from support.zoo import NARROW, PARAMETERS

from facetell.common.errors import UserError
from facetell.models import OURS, build, head_of, parameter_count

MODELS = sorted(
    key
    for path in (ROOT / "conf/model").glob("*.yaml")
    for key in yaml.safe_load(path.read_text()).get("models", {})
)
# input size in px, parameters: published where the reports state them (rcnn, sepnet, simplenet,
# xception), the others counted with timm 1.0.31


@pytest.mark.parametrize("key", PARAMETERS)
def test_parameter_count_is_exact(key):
    size, expected = PARAMETERS[key]
    with torch.device("meta"):
        assert parameter_count(build(key, image_size=size)) == expected


def test_every_network_is_counted():
    """Ours, and all that conf/model names."""
    entries = [yaml.safe_load(path.read_text()) for path in (ROOT / "conf/model").glob("*.yaml")]
    named = {
        entry.get("network", key)
        for file in entries
        for key, entry in (file.get("models") or {}).items()
    }
    # the linear baseline is no choice of conf/model, and is counted with its own tests
    assert set(OURS) | named == set(PARAMETERS) | {"spectral"}


@pytest.mark.parametrize("key", PARAMETERS)
@pytest.mark.parametrize("size", [64, 96])
def test_two_logits_and_a_gradient_everywhere(key, size):
    torch.manual_seed(0)
    network = build(key, image_size=size, **NARROW.get(key, {}))
    logits = network(torch.rand(2, 3, size, size))
    assert logits.shape == (2, 2)
    logits.sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []
    assert [name for name in head_of(network) if not network.get_submodule(name)] == []
    assert head_of(network)


def quick(key: str) -> dict:
    """How ``quick`` builds a model of conf/model."""
    entries = yaml.safe_load((ROOT / f"conf/model/{key}.yaml").read_text())["models"][key]
    recipe = entries["quick"]
    return {
        "key": entries.get("network", key),
        "width": recipe.get("width", 1),
        **recipe.get("options", {}),
    }


def stated(key: str, recipe: str) -> bool:
    """Backbones that are there for their weights have no recipe to start without."""
    file = yaml.safe_load((ROOT / f"conf/model/{key}.yaml").read_text())
    return recipe in file["models"][key]


@pytest.mark.parametrize(
    ("key", "recipe"),
    [(key, recipe) for key in MODELS for recipe in ("quick", "paper") if stated(key, recipe)],
)
def test_training_starts_undecided(key, recipe):
    """A classifier that starts too large is what a short training would spend its time on."""
    torch.manual_seed(0)
    arguments = quick(key)
    if recipe == "paper" and arguments["key"] not in ("rcnn", "sepnet"):  # 4 GB at width 1
        arguments = {"key": arguments["key"]}
    network = build(**arguments, image_size=64).train()
    images, labels = torch.rand(16, 3, 64, 64) * 2 - 1, torch.arange(16) % 2
    with torch.no_grad():
        logits = network(images)
    assert 0.6 < float(torch.nn.functional.cross_entropy(logits, labels)) < 0.8
    assert float(logits.std(0).max()) < 0.5


def test_half_the_width_halves_every_layer_and_keeps_the_variance():
    torch.manual_seed(0)
    whole, half = (build("vgg19", image_size=64, width=width) for width in (1.0, 0.5))
    sizes = {
        name: (tuple(layer.weight.shape), tuple(half.get_submodule(name).weight.shape))
        for name, layer in whole.named_modules()
        if isinstance(layer, torch.nn.Conv2d)
    }
    assert len(sizes) == 18
    for wide, narrow in sizes.values():
        assert narrow == (wide[0] // 2, wide[1] if wide[1] == 3 else wide[1] // 2, *wide[2:])
    for name in sizes:
        gains = [
            float(layer.weight.var()) * layer.weight.shape[1]
            for layer in (whole.get_submodule(name), half.get_submodule(name))
        ]
        assert gains[1] == pytest.approx(gains[0], rel=0.15)


@pytest.mark.parametrize("key", ["resnet50", "xception_based", "efficientnet_b2", "densenet121"])
@pytest.mark.parametrize("width", [0.25, 0.5])
def test_networks_of_one_width_can_be_narrowed(key, width):
    with torch.device("meta"):
        network = build(key, width=width, image_size=64)
        whole = build(key, image_size=64)
    share = parameter_count(network) / parameter_count(whole)
    assert share == pytest.approx(width**2, rel=0.3)


def test_simplenet_has_the_published_layers():
    network = build("simplenet", image_size=256)
    sizes = {}
    for name in ("conv1", "conv2", "conv3"):
        network.get_submodule(name).register_forward_hook(
            lambda _m, _i, out, name=name: sizes.__setitem__(name, out.shape[-1])
        )
    network(torch.rand(1, 3, 256, 256))
    assert sizes == {"conv1": 250, "conv2": 119, "conv3": 53}
    assert network.head[0].in_features == 16_224


def test_swin_window_is_the_published_one_at_256_px():
    with torch.device("meta"):
        windows = {b.window_size for b in build("swin", image_size=256).layers[0].blocks}
        small = {b.window_size for b in build("swin", image_size=64).layers[0].blocks}
    assert windows == {(16, 16)}
    assert small == {(4, 4)}


def test_rcnn_and_sepnet_have_the_published_stages():
    """Channels and sides of every stage at width 1 and 224 px."""
    expected = {
        "rcnn": [(4, 112), (8, 56), (32, 28), (128, 14), (256, 7), (512, 3),
                 (1024, 3), (2048, 3), (4096, 3)],
        "sepnet": [(18, 112), (36, 56), (72, 28), (144, 14), (288, 7), (576, 3),
                   (1152, 3), (2304, 3), (4608, 3)],
    }  # fmt: skip
    blocks = {"rcnn": [1, 1, 2, 3, 3, 3, 6, 4, 3], "sepnet": [1, 1, 1, 1, 1, 1, 7, 7, 9]}
    for key, stages in expected.items():
        with torch.device("meta"):
            network, x = build(key), torch.rand(2, 3, 224, 224)
            found = []
            for stage in network.stages:
                x = stage(x)
                found.append((x.shape[1], x.shape[2]))
        assert found == stages
        assert [len(s) - (i < 6) for i, s in enumerate(network.stages)] == blocks[key]


@pytest.mark.parametrize("key", ["rcnn", "sepnet"])
@pytest.mark.parametrize("width", [0.01, 0.1, 0.33, 0.7, 1.5])
def test_residual_networks_take_any_width(key, width):
    with torch.device("meta"):
        network = build(key, width=width, image_size=64)
        assert network(torch.rand(2, 3, 64, 64)).shape == (2, 2)
        half = build(key, width=0.5)
    assert half.head[0].in_features == {"rcnn": 2048, "sepnet": 2304}[key]


@pytest.mark.parametrize(("key", "blocks"), [("rcnn", 32), ("sepnet", 35)])
def test_zero_init_makes_residual_branches_start_at_zero(key, blocks):
    network = build(key, width=0.0625, image_size=64, zero_init=True)
    assert sum((p == 0).all().item() for n, p in network.named_parameters()
               if n.endswith("unit2.norm.weight")) == blocks  # fmt: skip


def test_batch_norm_follows_each_convolution_of_a_plain_network():
    kinds = [type(layer).__name__ for layer in build("vgg19", batch_norm=True).features]
    after = [kinds[at + 1] for at, kind in enumerate(kinds) if kind == "Conv2d"]
    assert after == ["BatchNorm2d"] * 16


def test_the_reports_stacked_classifiers():
    kinds = {
        "vit": ["Linear", "LayerNorm", "ReLU", "Linear", "LayerNorm", "ReLU", "Linear"],
        "xception_based": ["Linear", "ReLU", "Linear", "ReLU", "Linear", "ReLU", "Linear"],
    }
    sizes = {"vit": [768, 1000, 256], "xception_based": [2048, 1000, 256, 64]}
    for key, expected in kinds.items():
        with torch.device("meta"):
            network = build(key)
        head = network.get_submodule(head_of(network)[0])
        assert [type(layer).__name__ for layer in head] == expected
        assert [la.in_features for la in head if hasattr(la, "in_features")] == sizes[key]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"key": "no_such_net"}, "sepnet, simplenet, spectral, swin, vit"),
        ({"key": "vit", "width": 0.3}, "multiple of 1/12"),
        ({"key": "vit", "image_size": 100}, "multiple of 16"),
        ({"key": "rcnn", "published": True}, "nobody has published weights of rcnn"),
        ({"key": "resnet50", "width": 0}, "above 0"),
        ({"key": "resnext50_32x4d", "width": 0.5}, "grouped convolutions"),
        ({"key": "convnext_atto", "width": 0.5}, "LayerNorm2d has no width multiplier"),
        ({"key": "densenet121", "width": 0.3}, "choose 1/2 or 1/4"),
        ({"key": "vgg19", "zero_init": True}, "no residual branches"),
        ({"key": "simplenet", "batch_norm": True}, "no variant of simplenet with batch norm"),
        ({"key": "resnet50", "width": 0.5, "published": True}, "at width 1 only"),
        ({"key": "swin", "image_size": 60}, "multiple of 32"),
        ({"key": "sepnet", "image_size": 32}, "at least 64"),
        ({"key": "simplenet", "image_size": 32}, "at least 50"),
        ({"key": "sepnet", "width": 0}, "above 0"),
    ],
)
def test_refusals_say_what_is_possible(arguments, says):
    with pytest.raises(UserError, match=says):
        build(**arguments)
