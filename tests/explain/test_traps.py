# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in the obvious way, shown beside what explain() does."""

import numpy as np
import pytest
import timm
import torch
from captum.attr import GuidedBackprop
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus
from pytorch_grad_cam.utils.model_targets import RawScoresOutputTarget
from support.networks import Margin, Pooled, detector, doubles, pixels
from torch import nn

from facetell.explain import METHODS, explain


class Both(nn.Module):
    """Margin (B, 1), for grad-cam."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x).diff(dim=1)


def naive(model, module, images):
    """Grad-CAM of a hook that stores what it sees."""
    seen = {}
    handles = [
        module.register_forward_hook(lambda _m, _i, output: seen.update(a=output)),
        module.register_full_backward_hook(lambda _m, _i, output: seen.update(g=output[0])),
    ]
    model(images.clone().requires_grad_()).diff(dim=1).sum().backward()
    for handle in handles:
        handle.remove()
    a, g = seen["a"].detach(), seen["g"]
    return (g.mean((2, 3), keepdim=True) * a).sum(1).numpy()


def truth(model, name, images):
    """Grad-CAM where nothing works in place."""
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    return naive(model, model.network.get_submodule(name), images)


class Residual(nn.Module):
    """A block whose last convolution is followed by ``+=``."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        y = self.conv(x)
        y += 5 * x
        return self.head(y.mean((2, 3)))


def test_layers_that_the_next_one_overwrites():
    images = pixels(2)
    for key, name in (("vgg19", "features.34"), ("resnet50", "bn1")):
        model = detector(key)
        found = explain(model, images, layers=name).maps["gradcam"][name]
        class_of = GradCAM(Both(model), [model.network.get_submodule(name)])
        kept = class_of.activations_and_grads
        margin = kept(images)  # what the package itself stores, before it scales
        margin.sum().backward()
        stored, gradient = kept.activations[0], kept.gradients[0]
        kept.release()
        expected = truth(model, name, images)
        assert (stored >= 0).all(), "the package no longer sees what ReLU left: no trap any more"
        assert (np.abs(expected) > 0).any()
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
        wrong = (gradient.mean((2, 3), keepdim=True) * stored).sum(1).numpy()
        assert np.corrcoef(wrong.ravel(), expected.ravel())[0, 1] < 0.98


def test_an_addition_in_place():
    model, images = Residual(), pixels(1, 16)
    seen = {}
    hook = model.conv.register_forward_hook(lambda _m, _i, output: seen.update(a=output))
    model(images)
    hook.remove()
    right = model.conv(images).detach()
    found = explain(model, images, methods="activation", layers="conv").maps["activation"]["conv"]
    np.testing.assert_allclose(found, right.mean(1), atol=1e-6)
    assert np.abs(seen["a"].detach().mean(1) - right.mean(1)).max() > 0.5


def test_maps_are_not_scaled_so_that_they_can_be_compared_and_averaged():
    model, images = detector("simplenet"), pixels(3)
    targets = [RawScoresOutputTarget()] * 3
    layer = model.network.conv3
    scaled = GradCAM(Both(model), [layer])(images, targets)
    peaks = scaled.max(axis=(1, 2))  # 0 where nothing speaks for the fake
    assert peaks[peaks > 0] == pytest.approx([1] * 2, abs=1e-4)
    found = explain(model, images, layers="conv3").maps["gradcam"]["conv3"]
    assert found.min() < 0
    assert len(set(np.abs(found).max((1, 2)))) == 3
    # one target for three images: two maps are zero there
    once = GradCAM(Both(model), [layer])(images, targets[:1])
    assert (once[1:] == 0).all()
    assert (np.abs(found).max((1, 2)) > 0).all()
    # two layers: one averaged map there
    both = GradCAM(Both(model), [layer, model.network.conv2])(images, targets)
    assert both.shape == (3, 64, 64)
    maps = explain(model, images, layers=["conv2", "conv3"]).maps["gradcam"]
    assert {name: map_.shape for name, map_ in maps.items()} == {
        "conv2": (3, 23, 23), "conv3": (3, 5, 5)}  # fmt: skip


def windowed(name: str) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(
        name, img_size=56, window_size=7, embed_dim=12, depths=(2, 2), num_heads=(2, 2),
        num_classes=2, patch_size=4,
    ).eval()  # fmt: skip


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256"])
def test_both_layouts_of_a_windowed_block_are_the_same_places(name):
    model, images = windowed(name), pixels(2, 56)
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    shapes = {}
    names = [f"layers.1.blocks.1.{norm}" for norm in ("norm1", "norm2")]
    for at in names:
        model.get_submodule(at).register_forward_hook(
            lambda _m, _i, output, at=at: shapes.update({at: tuple(output.shape)})
        )
    found = explain(model, images, methods=("gradcam", "activation"), layers=names)
    assert shapes == {names[0]: (2, 7, 7, 24), names[1]: (2, 49, 24)}
    for at in names:
        assert found.maps["gradcam"][at].shape == (2, 7, 7)
        assert (found.status["gradcam"][at] == "ok").all()
    with pytest.raises(RuntimeError, match="shape"):  # the shipped transform knows one of them
        GradCAM(Both(model), [model.get_submodule(names[0])], shipped)(images, [lambda x: x[0]] * 2)


def shipped(tensor, height=7, width=7):
    """How grad-cam's documentation turns the output of timm's Swin."""
    result = tensor.reshape(tensor.size(0), height, width, tensor.size(2))
    return result.transpose(2, 3).transpose(1, 2)


def test_rows_of_tokens_are_rows_of_the_image():
    """A bright cell: activations of the patch embedding are there, in each of the layouts."""
    images = torch.zeros(1, 3, 56, 56)
    images[:, :, 8:12, 40:44] = 1
    swin = windowed("swinv2_tiny_window8_256")
    vit = timm.create_model(
        "vit_tiny_patch16_224", img_size=56, patch_size=4, depth=1, embed_dim=12, num_heads=2,
        num_classes=2,
    )  # fmt: skip
    for model, layer in ((swin, "patch_embed.proj"), (swin, "patch_embed"), (vit, "patch_embed")):
        with torch.no_grad():
            model.patch_embed.proj.weight.fill_(0.1)
            model.patch_embed.proj.bias.zero_()
            model.patch_embed.proj.weight[0] = 1
        if layer == "patch_embed" and model is swin:
            model.patch_embed.norm = nn.Identity()
        map_ = explain(model.eval(), images, methods="activation", layers=layer)
        map_ = map_.maps["activation"][layer][0]
        assert np.argwhere(map_ == map_.max()).tolist() == [[2, 10]]


def test_layers_after_the_last_attention_of_a_class_token_have_no_gradient():
    model, images = detector("vit"), pixels(2)
    dead = ["blocks.11", "blocks.11.norm2", "blocks.11.attn", "norm"]
    found = explain(
        model, images, methods=("gradcam", "activation"), layers=[*dead, "blocks.11.norm1"]
    )
    for layer in dead:
        assert list(found.status["gradcam"][layer]) == ["gradient zero"] * 2
        assert (found.maps["gradcam"][layer] == 0).all()
    assert list(found.status["activation"]["blocks.11"]) == ["ok"] * 2
    assert list(found.status["gradcam"]["blocks.11.norm1"]) == ["ok"] * 2
    assert np.abs(found.maps["gradcam"]["blocks.11.norm1"]).max() > 0


def test_a_sure_verdict_does_not_hide_the_map():
    """The gradient of the softmax is 0 where it is saturated."""
    model, images = Pooled().float(), pixels(2, 16)
    expected = explain(model, images, layers="1").maps["gradcam"]["1"]
    with torch.no_grad():
        model[4].bias += torch.tensor([0.0, 200.0])
    x = images.clone().requires_grad_()
    (naive_gradient,) = torch.autograd.grad(model(x).softmax(1)[:, 1].sum(), x)
    assert (naive_gradient == 0).all()
    np.testing.assert_array_equal(explain(model, images, layers="1").maps["gradcam"]["1"], expected)


def test_guided_backpropagation_without_relus_is_not_sold_under_its_name():
    model, images = detector("efficientnet_b0"), pixels(1)
    x = images.clone().requires_grad_()
    (plain,) = torch.autograd.grad(model.margin(x).sum(), x)
    oracle = GuidedBackprop(Margin(model)).attribute(images.clone().requires_grad_())
    assert torch.equal(oracle, plain), "captum applies the rule to SiLU now: no trap any more"
    found = explain(model, images, methods="guided_backprop")
    assert found.titles["guided_backprop"] == "guided backpropagation (SiLU rule)"
    map_ = found.maps["guided_backprop"]["input"]
    assert not np.allclose(map_, found.saliency, rtol=0.1, atol=0)


def test_gradcam_plus_plus_of_small_gradients():
    """A number added to the denominator outweighs squares of gradients below 1e-3."""
    a = pixels(1, 8) @ torch.rand(8, 8)
    g = 1e-4 * torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    exact = a.double(), g.double()
    alpha = exact[1] ** 2 / (2 * exact[1] ** 2 + exact[0].sum((2, 3), keepdim=True) * exact[1] ** 3)
    weights = (alpha * exact[1].relu()).sum((2, 3)).numpy()
    found = METHODS["gradcam_plus_plus"].function(a, g).numpy()
    expected = np.einsum("bc,bchw->bhw", weights, exact[0])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    theirs = GradCAMPlusPlus.get_cam_weights(None, None, None, None, a.numpy(), g.numpy())
    assert (theirs < 0.1 * weights).all()


class Normed(nn.Module):
    feature_info = ({"module": "before"}, {"module": "norm"})
    output_fmt = "NHWC"

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.before = nn.Conv2d(3, 64, 4, 4), nn.Identity()
        self.norm, self.head = nn.LayerNorm(64, eps=1e-12), nn.Linear(64, 2)

    def forward(self, x):
        return self.head(self.norm(self.before(self.embed(x).permute(0, 2, 3, 1))).mean((1, 2)))


def test_sums_that_cancel_are_no_maps_of_rounding():
    """Before a layer norm HiResCAM is 0 everywhere, after a new one the channels' mean is."""
    model, images = Normed(), pixels(2, 32)
    found = explain(model, images, methods=("hirescam", "activation", "gradcam"))
    before, after = (model.embed(images), model.norm(model.embed(images).permute(0, 2, 3, 1)))
    assert (after.mean(3) != 0).any(), "what is left of the sum"
    assert list(found.status["activation"]["norm"]) == ["all zero"] * 2
    assert list(found.status["activation"]["before"]) == ["ok"] * 2
    assert list(found.status["hirescam"]["before"]) == ["all zero"] * 2
    assert list(found.status["hirescam"]["norm"]) == ["ok"] * 2
    assert list(found.status["gradcam"]["before"]) == ["ok"] * 2
    assert before.shape[1] == 64


def test_eigencam_after_a_layer_norm_has_a_sign_all_the_same():
    model, images = detector("vit"), pixels(4)
    batch = explain(model, images, methods="eigencam", layers="default").maps["eigencam"]
    for index in range(4):
        alone = explain(model, images[index, None], methods="eigencam", layers="default")
        for layer, maps in batch.items():
            one = alone.maps["eigencam"][layer][0]
            assert np.corrcoef(one.ravel(), maps[index].ravel())[0, 1] > 0.999


def test_a_map_says_where_in_closed_form():
    """Margin = what one corner shows: every map of a padded convolution is 0 elsewhere."""

    class Corner(nn.Module):
        feature_info = ({"module": "act"},)

        def __init__(self):
            super().__init__()
            self.conv, self.act = nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True)

        def forward(self, x):
            score = self.act(self.conv(x))[:, :, :4, :4].sum((1, 2, 3))
            return torch.stack([torch.zeros_like(score), score], 1)

    torch.manual_seed(0)
    model = Corner().double()
    found = explain(model, doubles(2), methods=("hirescam", "layercam", "saliency"))
    for method in ("hirescam", "layercam"):
        map_ = found.maps[method]["act"]
        assert (map_[:, :4, :4] > 0).any()
        assert (map_[:, 4:] == 0).all()
        assert (map_[:, :, 4:] == 0).all()
    assert (found.saliency[:, 4:] == 0).all()
