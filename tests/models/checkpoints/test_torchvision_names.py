# SPDX-License-Identifier: Apache-2.0
"""torchvision's networks and timm's give equal outputs from the same file."""

import pytest
import timm
import torch
from support.published import torchvisions_own
from torchvision import models

from facetell.common.errors import UserError
from facetell.models import build
from facetell.models.checkpoints.torchvision_families import FAMILIES
from facetell.models.checkpoints.torchvision_names import images_of, timms_names, torchvisions
from facetell.models.pretrained import load_weights

PAIRS = {  # torchvision's name: (timm's, image size)
    "mobilenet_v2": ("mobilenetv2_100", 64),
    "efficientnet_b0": ("efficientnet_b0", 64),
    "mnasnet0_5": ("mnasnet_050", 64),
    "densenet121": ("densenet121", 64),
    "resnet50": ("resnet50", 64),
    "convnext_tiny": ("convnext_tiny", 64),
    "swin_t": ("swin_tiny_patch4_window7_224", 224),
    "swin_v2_t": ("swinv2_tiny_window8_256", 256),
}
LARGE = {"vit_b_16": ("vit_base_patch16_224", 224), "vgg11_bn": ("vgg11_bn", 64)}


def equal_outputs(name: str, timms: str, size: int, path) -> None:
    theirs = torchvisions_own(name)
    torch.save(theirs.state_dict(), path)
    network = build(timms, image_size=size, num_classes=1000).eval()
    start = load_weights(network, path)
    assert (start.fresh, start.left_out) == ([], [])
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = theirs(images), network(images)
    scale = float(expected.abs().max())
    assert float((expected[0] - expected[1]).abs().max()) > 0.01 * scale  # images matter
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("name", PAIRS)
def test_outputs_are_torchvisions(name, tmp_path):
    equal_outputs(name, *PAIRS[name], tmp_path / "theirs.pth")


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_outputs_of_large_networks_are_torchvisions(name, tmp_path):
    equal_outputs(name, *LARGE[name], tmp_path / "theirs.pth")


def on_meta(name: str, **options) -> dict:
    with torch.device("meta"):
        return models.get_model(name, weights=None, **options).state_dict()


def test_vit_and_vgg_fill_each_tensor_of_timms():
    """Without values, which tests above compare where time is no matter."""
    for name, timms in (("vit_b_16", "vit_base_patch16_224"), ("vgg19", "vgg19")):
        theirs = on_meta(name)
        assert torchvisions(theirs) == name
        with torch.device("meta"):
            network = timm.create_model(timms)
        found = timms_names(theirs, name, network)
        if name == "vgg19":  # converted by timm
            from timm.models import vgg

            found = {n: v.shape for n, v in vgg._filter_fn(found).items()}
        else:
            found = {n: v.shape for n, v in found.items()}
        assert found == {n: v.shape for n, v in network.state_dict().items()}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: next(iter(family.timm)))
def test_each_variant_is_told_from_the_others(family):
    for name, timms in family.timm.items():
        assert torchvisions(on_meta(name)) == name
        assert all(timm.list_models(pattern) for pattern in timms), timms


@pytest.mark.parametrize(
    "timms", ["mobilenetv2_100", "resnet50", "vgg11", "swin_tiny_patch4_window7_224"]
)
def test_timms_own_names_are_not_taken_for_torchvisions(timms):
    with torch.device("meta"):
        assert torchvisions(timm.create_model(timms).state_dict()) is None


def test_another_width_is_of_no_known_network():
    assert torchvisions(on_meta("mobilenet_v2", width_mult=0.5)) is None


def test_the_counterpart_is_the_only_network_that_takes_them():
    """Networks of the same shapes, which pad or normalise in another way, do not."""
    theirs = on_meta("efficientnet_b0")
    with torch.device("meta"):
        other = timm.create_model("tf_efficientnet_b0")
    assert [v.shape for v in theirs.values()] == [v.shape for v in other.state_dict().values()]
    with pytest.raises(UserError, match=r"torchvision's efficientnet_b0, in timm efficientnet_b0, "
                                        r"and this network is tf_efficientnet_b0"):  # fmt: skip
        timms_names(theirs, "efficientnet_b0", other)


def test_a_narrow_network_does_not():
    network = build("mobilenetv2_100", width=0.5, image_size=64)
    with pytest.raises(UserError, match=r"of partly other shapes\. Is it of another width"):
        timms_names(on_meta("mobilenet_v2"), "mobilenet_v2", network)


def test_the_order_in_the_file_does_not_matter():
    """safetensors sorts tensors."""
    theirs = models.mobilenet_v2(num_classes=2).state_dict()
    network = build("mobilenetv2_100", image_size=64)
    shuffled = {name: theirs[name] for name in sorted(theirs)}
    assert list(shuffled) != list(theirs)
    one, other = (timms_names(w, "mobilenet_v2", network) for w in (theirs, shuffled))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_old_names_of_vit_and_a_classifier_that_was_replaced():
    theirs = on_meta("vit_b_16")
    for new, old in (("mlp.0.", "mlp.linear_1."), ("mlp.3.", "mlp.linear_2.")):
        theirs = {name.replace(new, old): value for name, value in theirs.items()}
    for kind in ("weight", "bias"):  # network.heads = nn.Linear(768, 1000)
        theirs[f"heads.{kind}"] = theirs.pop(f"heads.head.{kind}")
    assert torchvisions(theirs) == "vit_b_16"
    with torch.device("meta"):
        network = timm.create_model("vit_base_patch16_224")
    found = timms_names(theirs, "vit_b_16", network)
    assert found.keys() == network.state_dict().keys()


def test_images_are_those_of_torchvisions_transforms():
    theirs = on_meta("vit_b_16")
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    # two of torchvision's three files are for 224 px, and scaled in different ways
    assert images_of("vit_b_16", theirs) == (224, *imagenet, None)
    large = on_meta("vit_b_16", image_size=384)
    assert torchvisions(large) == "vit_b_16"
    assert images_of("vit_b_16", large) == (384, *imagenet, "bicubic")
    assert images_of("efficientnet_b2", {}) == (288, *imagenet, "bicubic")
