"""Every network: exact size, right shapes, clear refusals."""

import pytest
import torch

from facetell.errors import UserError
from facetell.models import OURS, build, parameter_count

# published where the reports state them; swin and resnet50 counted with timm 1.0.31
PARAMETERS = {
    "simplenet": (256, 16_901_762),
    "sepnet": (224, 506_403_033),
    "swin": (256, 27_579_692),
    "resnet50": (224, 23_512_130),
}


@pytest.mark.parametrize("key", PARAMETERS)
def test_parameter_count_is_exact(key):
    size, expected = PARAMETERS[key]
    with torch.device("meta"):
        assert parameter_count(build(key, image_size=size)) == expected


def test_every_network_of_ours_is_counted():
    assert set(OURS) <= set(PARAMETERS)


@pytest.mark.parametrize("key", PARAMETERS)
@pytest.mark.parametrize("size", [64, 96])
def test_two_logits_and_a_gradient_everywhere(key, size):
    torch.manual_seed(0)
    network = build(key, image_size=size, width=1 / 6 if key == "sepnet" else 1.0)
    logits = network(torch.rand(2, 3, size, size))
    assert logits.shape == (2, 2)
    logits.sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


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


def test_sepnet_width_scales_channels():
    with torch.device("meta"):
        full, half = build("sepnet"), build("sepnet", width=0.5)
    assert full.head[0].in_features == 4608
    assert half.head[0].in_features == 2304


@pytest.mark.parametrize("width", [0.01, 0.1, 0.33, 0.7, 1.5])
def test_sepnet_takes_any_width(width):
    assert build("sepnet", width=width, image_size=64)(torch.rand(2, 3, 64, 64)).shape == (2, 2)


def test_zero_init_makes_residual_branches_start_at_zero():
    network = build("sepnet", width=0.0625, image_size=64, zero_init=True)
    assert sum((p == 0).all().item() for n, p in network.named_parameters()
               if n.endswith("unit2.norm2.weight")) == 35  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"key": "no_such_net"}, "sepnet, simplenet, swin"),
        ({"key": "resnet50", "width": 0.5}, "no width multiplier"),
        ({"key": "swin", "image_size": 60}, "multiple of 32"),
        ({"key": "sepnet", "image_size": 32}, "at least 64"),
        ({"key": "simplenet", "image_size": 32}, "at least 50"),
        ({"key": "sepnet", "width": 0}, "above 0"),
    ],
)
def test_refusals_say_what_is_possible(arguments, says):
    with pytest.raises(UserError, match=says):
        build(**arguments)
