# SPDX-License-Identifier: Apache-2.0
"""Methods with passes of their own: captum, definitions by hand, closed forms, refusals."""

import copy
import math

import numpy as np
import pytest
import torch
from captum.attr import (
    GuidedBackprop,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    Occlusion,
)
from support.networks import Linear, Margin, Pooled, detector, doubles, pixels, same, state
from torch import nn

from facetell.common.errors import UserError
from facetell.explain import (
    METHODS,
    Ascent,
    Channel,
    defined_methods,
    explain,
    maximise,
    top_channels,
)
from facetell.models import build

SEPARATE = [name for name, method in METHODS.items() if not method.one_pass]


def small_vit(depth: int = 2, **options) -> nn.Module:
    torch.manual_seed(0)
    return build("vit_tiny_patch16_224", image_size=32, depth=depth, embed_dim=48, num_heads=3,
                 **options).double().eval()  # fmt: skip


@pytest.mark.parametrize("kind", ["convolutional", "pooled", "vit"])
def test_every_method_gives_the_same_alone_in_a_batch_and_again_and_changes_nothing(kind):
    model, images, layer = {
        "convolutional": lambda: (detector("simplenet").double(), doubles(3, 64), "conv2"),
        "pooled": lambda: (Pooled(), doubles(3), "1"),
        "vit": lambda: (small_vit(), doubles(3, 32), "default"),
    }[kind]()
    defined = [name for name, reason in defined_methods(model, images, layer).items() if not reason]
    assert ("cam" in defined, "attention_rollout" in defined) == (kind == "pooled", kind == "vit")
    model.train()
    before = state(model)
    runs = [explain(model, images, "real", defined, layer, batch_size=2) for _ in range(2)]
    alone = [explain(model, image[None], "real", defined, layer) for image in images]
    assert same(before, state(model))
    for method, found in runs[0].maps.items():
        assert runs[0].titles[method]
        for at, maps in found.items():
            assert maps.dtype == np.float64
            np.testing.assert_array_equal(runs[1].maps[method][at], maps)
            loop = np.concatenate([one.maps[method][at] for one in alone])
            # grad-cam works in float32
            exact = 1e-5 if METHODS[method].costly and METHODS[method].of_layers else 1e-9
            np.testing.assert_allclose(loop, maps, atol=exact * np.abs(maps).max(), err_msg=method)
            # the mean over channels of a new layer norm is 0
            expected = "all zero" if (kind, method) == ("vit", "activation") else "ok"
            assert (runs[0].status[method][at] == expected).all(), method


# ------------------------------------------------------------ means of gradients


class Squares(nn.Module):
    """Margin = sum of squares: its gradient 2x changes sign at 0."""

    def __init__(self):
        super().__init__()
        self.none = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x):
        score = x.square().sum((1, 2, 3))
        return torch.stack([torch.zeros_like(score), score], 1)


def test_smoothgrad_takes_absolute_values_before_the_mean():
    images = torch.zeros(1, 3, 8, 8, dtype=torch.float64)
    images[:, :, 0, 0], images[:, :, 0, 1] = -1, 1
    options = {"smoothgrad": {"samples": 800, "noise": 0.1}}
    found = explain(Squares(), images, methods="smoothgrad", options=options)
    centre = found.maps["smoothgrad"]["input"][0, 4:, 4:]
    expected = 2 * 0.2 * math.sqrt(2 / math.pi)  # mean of |2n|, where the mean of 2n is 0
    assert centre.mean() == pytest.approx(expected, rel=0.05)
    again = explain(Squares(), images, methods="smoothgrad", options=options, seed=1)
    assert not np.array_equal(again.maps["smoothgrad"]["input"], found.maps["smoothgrad"]["input"])


def test_closed_forms_of_a_linear_model():
    torch.manual_seed(0)
    model, images = Linear(), doubles(2)
    weight = (model.weight[1] - model.weight[0]).detach()
    options = {"integrated_gradients": {"baseline": 0.25, "steps": 2},
               "occlusion": {"window": 4, "stride": 4, "value": 0.25}}  # fmt: skip
    found = explain(model, images, methods=SEPARATE_OF_INPUT, options=options).maps
    above = weight * (images - 0.25)
    np.testing.assert_allclose(found["integrated_gradients"]["input"], above.sum(1), rtol=1e-9)
    np.testing.assert_allclose(
        found["smoothgrad"]["input"], weight.abs().amax(0).expand(2, -1, -1), rtol=1e-9
    )
    squares = above.sum(1).unflatten(1, (4, 4)).unflatten(3, (4, 4)).sum((2, 4))
    wide = squares.repeat_interleave(4, 1).repeat_interleave(4, 2)
    np.testing.assert_allclose(found["occlusion"]["input"], wide, atol=1e-9)


SEPARATE_OF_INPUT = ("integrated_gradients", "smoothgrad", "occlusion")


@pytest.mark.parametrize("key", ["simplenet", "vit"])
def test_integrated_gradients_equal_captum_and_sum_to_the_difference(key):
    model, images = detector(key).double(), doubles(2, 64)
    found = explain(model, images, methods="integrated_gradients", layers="default")
    maps = found.maps["integrated_gradients"]["input"]
    # the detector's margin is float32
    oracle = IntegratedGradients(lambda x: model(x).diff(dim=1)[:, 0])
    expected = oracle.attribute(images, n_steps=32).sum(1).detach().numpy()
    np.testing.assert_allclose(maps, expected, atol=1e-5 * np.abs(expected).max())
    black = explain(model, torch.zeros_like(images)).margin
    gap = np.abs(maps.sum((1, 2)) - (found.margin - black))
    assert (gap < 0.01 * np.abs(maps).sum((1, 2))).all()
    assert (found.status["integrated_gradients"]["input"] == "ok").all()


def test_a_sum_that_misses_the_difference_is_incomplete():
    class Step(Squares):
        def forward(self, x):
            score = torch.sigmoid(1e6 * (x.mean((1, 2, 3)) - 0.1))
            return torch.stack([-score, score + x.mean((1, 2, 3))], 1)

    found = explain(Step(), doubles(1), methods="integrated_gradients")
    assert list(found.status["integrated_gradients"]["input"]) == ["incomplete"]


# -------------------------------------------------------- guided backpropagation


@pytest.mark.parametrize(("key", "layer"), [("simplenet", "conv3"), ("resnet50", "layer3")])
def test_guided_backprop_and_guided_gradcam_equal_captum_on_relu(key, layer):
    model, images = detector(key), pixels(2)
    found = explain(model, images, methods=("guided_backprop", "guided_gradcam"), layers=layer)
    assert found.titles["guided_backprop"] == "guided backpropagation"
    for module in model.modules():  # captum's hooks fail on activations in place
        if isinstance(module, nn.ReLU):
            module.inplace = False
    oracle = GuidedBackprop(Margin(model))
    guided = oracle.attribute(images.clone().requires_grad_()).abs().amax(1).detach()
    maps = found.maps["guided_backprop"]["input"]
    np.testing.assert_allclose(maps, guided, atol=1e-5 * float(guided.max()))
    cam = LayerGradCam(model.margin, model.network.get_submodule(layer)).attribute(images)
    wide = LayerAttribution.interpolate(cam, (64, 64), "bilinear")[:, 0]
    expected = (guided * wide).detach()
    maps = found.maps["guided_gradcam"][layer]
    np.testing.assert_allclose(maps, expected, atol=1e-5 * float(expected.abs().max()))


class Rule(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x > 0) * (g > 0)


class Guided(nn.Module):
    def forward(self, x):
        return Rule.apply(x)


def test_guided_backprop_is_the_rule_where_activations_work_in_place():
    model, images = detector("legacy_xception"), pixels(2)
    found = explain(model, images, methods="guided_backprop").maps["guided_backprop"]["input"]
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, Guided())
    images.requires_grad_()
    model.margin(images).sum().backward()
    np.testing.assert_array_equal(found, images.grad.abs().amax(1))


def test_the_rule_on_gelu_by_hand():
    """Input and incoming gradient above 0, times the slope."""
    model = nn.Sequential(nn.GELU(), nn.Flatten(), nn.Linear(4, 2, bias=False)).double()
    with torch.no_grad():
        model[2].weight.copy_(torch.tensor([[0.0] * 4, [1.0, 1.0, -1.0, -1.0]]))
    x = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64).view(1, 1, 2, 2)
    found = explain(model, x, methods=("guided_backprop", "saliency"))
    normal = torch.distributions.Normal(0.0, 1.0)
    one = torch.tensor(1.0)
    slope = float(normal.cdf(one) + normal.log_prob(one).exp())
    guided = found.maps["guided_backprop"]["input"][0].ravel()
    np.testing.assert_allclose(guided, [slope, 0, 0, 0], rtol=1e-5)
    assert (found.saliency > 0).all()
    assert found.titles["guided_backprop"] == "guided backpropagation (GELU rule)"


def test_without_activations_guided_is_said_to_be_the_gradient():
    torch.manual_seed(0)
    found = explain(Linear(), doubles(2), methods=("guided_backprop", "guided_gradcam"))
    assert list(found.status["guided_backprop"]["input"]) == ["guided equals gradient"] * 2
    assert list(found.status["guided_gradcam"]["body"]) == ["guided equals gradient"] * 2
    np.testing.assert_array_equal(found.maps["guided_backprop"]["input"], found.saliency)


# ---------------------------------------------------------------- CAM, attention


@pytest.mark.parametrize(("key", "layer"), [("resnet50", "layer4"), ("swin", "norm"),
                                            ("densenet121", "features.norm5"),
                                            ("efficientnet_b0", "bn2")])  # fmt: skip
def test_cam_is_defined_at_one_layer_and_its_mean_is_the_margin(key, layer):
    model, images = detector(key).double(), doubles(2, 64)
    found = explain(model, images, methods="cam")
    assert list(found.maps["cam"]) == [layer]
    head = model.network.get_submodule(model.network.pretrained_cfg["classifier"])
    bias = float((head.bias[1] - head.bias[0]).detach())
    np.testing.assert_allclose(found.maps["cam"][layer].mean((1, 2)) + bias, found.margin)


@pytest.mark.parametrize(
    ("key", "method", "says"),
    [
        ("simplenet", "cam", "does not see the average.*Defined here: .*gradcam"),
        ("vit", "cam", "does not see the average"),
        ("xception_based", "cam", "does not see the average"),
        ("vgg19", "cam", "does not see the average"),
        ("resnet50", "attention_rollout", "it has no attention; it is for vision transformers"),
        ("swin", "gradient_rollout", "stays within windows"),
    ],
)
def test_methods_are_refused_where_they_are_not_defined(key, method, says):
    model = detector(key)
    before = state(model)
    with pytest.raises(UserError, match=f"{method} is not defined.*{says}"):
        explain(model, pixels(1), methods=("gradcam", method))
    assert same(before, state(model))
    assert defined_methods(model, pixels(1))[method]


def attentions(network, images):
    """softmax(q k' / sqrt(d)) of each block, from what its qkv layer gives."""
    found = []

    def see(module, _, output):
        q, k, _ = output.unflatten(2, (3, 3, 16)).permute(2, 0, 3, 1, 4)
        found.append((q @ k.mT / 4).softmax(-1))

    handles = [block.attn.qkv.register_forward_hook(see) for block in network.blocks]
    with torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("pooling", ["token", "avg"])
def test_attention_rollout_by_hand(pooling):
    network, images = small_vit(global_pool=pooling), doubles(2, 32)
    assert network.blocks[0].attn.fused_attn
    found = explain(network, images, methods="attention_rollout").maps["attention_rollout"]
    first, second = (
        0.5 * a.mean(1) + 0.5 * torch.eye(5).double() for a in attentions(network, images)
    )
    rolled = second @ first
    assert float((rolled.sum(2) - 1).abs().max()) < 1e-12
    row = rolled[:, 0] if pooling == "token" else rolled[:, 1:].mean(1)
    np.testing.assert_allclose(found["input"].reshape(2, 4), row[:, 1:], rtol=1e-9)
    assert network.blocks[0].attn.fused_attn


def test_gradient_rollout_of_one_block_by_differences():
    network, images = small_vit(depth=1), doubles(1, 32)
    (attention,) = attentions(network, images)
    network.blocks[0].attn.fused_attn = False

    def score(change):
        hook = network.blocks[0].attn.attn_drop.register_forward_hook(lambda _m, _i, o: o + change)
        with torch.no_grad():
            margin = float(network(images).diff(dim=1))
        hook.remove()
        return margin

    expected = np.zeros(4)
    for head in range(3):
        for place in range(1, 5):
            change = torch.zeros_like(attention)
            change[0, head, 0, place] = 1e-4
            slope = (score(change) - score(-change)) / 2e-4
            expected[place - 1] += max(0, slope * float(attention[0, head, 0, place])) / 3
    found = explain(network, images, methods="gradient_rollout").maps["gradient_rollout"]["input"]
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-5, atol=1e-12)
    assert not network.blocks[0].attn.fused_attn


# ------------------------------------------------------- changing and watching


def test_occlusion_equals_captum():
    model, images = detector("simplenet"), pixels(2)
    options = {"occlusion": {"window": 16, "stride": 8, "value": 0.5}}
    found = explain(model, images, methods="occlusion", options=options, batch_size=7)
    expected = Occlusion(model.margin).attribute(
        images, sliding_window_shapes=(3, 16, 16), strides=(3, 8, 8), baselines=0.5
    )[:, 0]  # fmt: skip
    np.testing.assert_allclose(found.maps["occlusion"]["input"], expected.detach(), atol=1e-6)


def test_occlusion_covers_the_border_too():
    options = {"occlusion": {"window": 6, "stride": 4}}
    found = explain(Squares(), doubles(1, 15), methods="occlusion", options=options)
    assert np.isfinite(found.maps["occlusion"]["input"]).all()


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_ablationcam_by_hand_also_where_the_margin_is_negative(layer):
    model, images = detector("simplenet"), pixels(2)
    module = model.network.get_submodule(layer)
    with torch.no_grad():
        activations = module(images) if layer == "conv1" else None
        if activations is None:
            activations = module(model.network.pool(model.network.conv1((images - 0.5) / 0.5)))
        else:
            activations = module((images - 0.5) / 0.5)
        margin = model.margin(images)
        drops = []
        for channel in range(activations.shape[1]):

            def silence(_m, _i, output, channel=channel):
                output = output.clone()
                output[:, channel] = 0
                return output

            hook = module.register_forward_hook(silence)
            drops.append(margin - model.margin(images))
            hook.remove()
        expected = torch.einsum("bc,bchw->bhw", torch.stack(drops, 1), activations)
    fake = explain(model, images, "fake", "ablationcam", layer).maps["ablationcam"][layer]
    real = explain(model, images, "real", "ablationcam", layer).maps["ablationcam"][layer]
    assert (margin < 0).any() or (margin > 0).any()
    scale = float(expected.abs().max())
    np.testing.assert_allclose(fake, expected, atol=1e-3 * scale)  # differences of float32
    np.testing.assert_allclose(real, -expected, atol=1e-3 * scale)


def test_ablation_is_to_zero_where_activations_are_negative():
    """One convolution, GELU, mean, linear: silencing c takes w_c mean(a_c) away, exactly."""
    model, images = Pooled(nn.GELU()).float(), pixels(2, 16)
    activations = model[1](model[0](images)).detach()
    weight = (model[4].weight[1] - model[4].weight[0]).detach()
    assert (activations < 0).any()
    expected = torch.einsum("bc,bchw->bhw", weight * activations.mean((2, 3)), activations)
    found = explain(model, images, methods="ablationcam", layers="1").maps["ablationcam"]["1"]
    np.testing.assert_allclose(found, expected, atol=1e-4 * float(expected.abs().max()))


def test_scorecam_by_hand():
    model, images = Pooled().float(), pixels(2, 16)
    activations = model[1](model[0](images)).detach()
    wide = nn.functional.interpolate(activations, (16, 16), mode="bilinear", align_corners=True)
    low, high = wide.amin((2, 3), keepdim=True), wide.amax((2, 3), keepdim=True)
    masks = (wide - low) / (high - low + 1e-8)
    with torch.no_grad():
        scores = torch.stack(
            [model(images * masks[:, c : c + 1]).diff(dim=1)[:, 0] for c in range(8)], 1
        )
    expected = torch.einsum("bc,bchw->bhw", scores.softmax(1), activations)
    found = explain(model, images, methods="scorecam", layers="1").maps["scorecam"]["1"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


# --------------------------------------------------------- channels, maximising


@pytest.mark.parametrize("act", [nn.ReLU(), nn.GELU()])
def test_top_channels_are_the_most_active_first(act):
    model, images = Pooled(act), doubles(2)
    found = top_channels(model, images, "1", 3)
    activations = model[1](model[0](images)).detach().numpy()
    sizes = np.abs(activations).mean((2, 3))
    for row in range(2):
        order = np.argsort(-sizes[row], kind="stable")[:3]
        assert list(found.indices[row]) == list(order)
        np.testing.assert_array_equal(found.maps[row], activations[row, order])
        np.testing.assert_allclose(found.shares[row], sizes[row, order] / sizes[row].sum())
    every = top_channels(model, images, "1", 99)
    assert every.maps.shape[1] == 8
    np.testing.assert_allclose(every.shares.sum(1), 1)
    assert top_channels(model, 0 * images + 0.5, "0", 1).layer == "0"
    with pytest.raises(UserError, match="one layer"):
        top_channels(detector("simplenet"), pixels(1), "all")


AIMS = ["fake", "real", Channel("conv2", 3), Channel("conv2", 5), Channel("conv1", 0)]


def test_maximised_images_raise_their_own_score_and_come_again():
    model, ascent = detector("simplenet"), Ascent(steps=12)
    before = state(model)
    found, again = (maximise(model, 64, AIMS, ascent=ascent, seed=0) for _ in range(2))
    assert same(before, state(model))
    np.testing.assert_array_equal(found.images, again.images)
    assert found.images.shape == (5, 3, 64, 64)
    assert found.images.min() >= 0
    assert found.images.max() <= 1
    assert (found.after > found.before).all()
    assert found.before[0] == -found.before[1]  # all start alike
    with torch.no_grad():
        images = torch.from_numpy(found.images)
        margins = model.margin(images)
        first = model.network.conv1((images - 0.5) / 0.5)
        second = model.network.conv2(model.network.pool(first))
    expected = [margins[0], -margins[1], second[2, 3].mean(), second[3, 5].mean(),
                first[4, 0].mean()]  # fmt: skip
    np.testing.assert_allclose(found.after, torch.stack(expected), rtol=1e-4, atol=1e-6)
    other = maximise(model, 64, AIMS[0], ascent=ascent, seed=1)
    assert not np.array_equal(other.images[0], found.images[0])


def test_targets_have_no_say_in_each_others_images():
    model, ascent = detector("simplenet").double(), Ascent(steps=6)
    together = maximise(model, 64, AIMS, ascent=ascent, seed=0)
    for row, aim in enumerate(AIMS):
        alone = maximise(model, 64, aim, ascent=ascent, seed=0)
        np.testing.assert_allclose(together.images[row], alone.images[0], atol=1e-5)


@pytest.mark.parametrize("key", ["vit", "swin", "resnet50"])
def test_channels_of_every_family_can_be_maximised(key):
    model = detector(key)
    top = top_channels(model, pixels(1), "default", 2)
    aims = [Channel(top.layer, int(index)) for index in top.indices[0]]
    found = maximise(model, 64, aims, ascent=Ascent(steps=8))
    assert (found.after > found.before).all()


@pytest.mark.parametrize(
    ("says", "method", "options"),
    [
        ("window of 80 px does not fit 64x64", "occlusion", {"window": 80}),
        ("stride 9", "occlusion", {"window": 8, "stride": 9}),
        ("has no option 'size'; it has window, stride, value", "occlusion", {"size": 8}),
        ("samples >= 1", "smoothgrad", {"samples": 0}),
        ("steps >= 1", "integrated_gradients", {"steps": 0}),
    ],
)
def test_bad_options(says, method, options):
    with pytest.raises(UserError, match=says):
        explain(detector("simplenet"), pixels(1), methods=method, options={method: options})


def test_bad_aims():
    model = copy.deepcopy(detector("simplenet"))
    for says, targets in {
        "conv1, conv2, conv3": Channel("conv9", 0),
        "has 6 channels": ["fake", Channel("conv1", 6)],
        "fake or real": "x",
        "a target": [],
    }.items():
        with pytest.raises(UserError, match=says):
            maximise(model, 64, targets, ascent=Ascent(steps=1))
    with pytest.raises(UserError, match="limits that rise"):
        Ascent(limits=(1.0, 0.0))
    with pytest.raises(UserError, match="at least one step"):
        Ascent(steps=0)
