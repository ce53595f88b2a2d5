# SPDX-License-Identifier: Apache-2.0
"""explain(): closed forms, batches, what it leaves alone, and bad input."""

import copy

import numpy as np
import pytest
import torch
from support.networks import NETWORKS, Linear, Pooled, detector, doubles, pixels, same, state
from torch import nn

from facetell.common.errors import UserError
from facetell.explain import METHODS, default_layer, explain, layers, map_layers
from facetell.models import build
from facetell.models.detector import Detector

ONE_PASS = [name for name, method in METHODS.items() if method.one_pass]
AT_LAYERS = [name for name in ONE_PASS if METHODS[name].of_layers]


# ---------------------------------------------------------------- closed forms


def test_a_linear_model_has_its_weights_as_saliency():
    torch.manual_seed(0)
    network, images = Linear(), doubles(2)
    weight = (network.weight[1] - network.weight[0]).detach()
    found = explain(Detector(network, (0.0,) * 3, (1.0,) * 3), images, methods=ONE_PASS)
    assert found.saliency.dtype == np.float64
    np.testing.assert_allclose(found.saliency, weight.abs().amax(0).expand(2, -1, -1), rtol=1e-12)
    maps = {name: found.maps[name].get("body") for name in ONE_PASS}
    np.testing.assert_allclose(maps["hirescam"], (weight * images).sum(1), rtol=1e-9)
    np.testing.assert_allclose(maps["layercam"], (weight.relu() * images).sum(1), rtol=1e-9)
    means = weight.mean((1, 2))[:, None, None]
    np.testing.assert_allclose(maps["gradcam"], (means * images).sum(1), rtol=1e-9)
    np.testing.assert_allclose(maps["activation"], images.mean(1), rtol=1e-9)
    np.testing.assert_allclose(
        found.maps["input_x_gradient"]["input"], (weight * images).sum(1), rtol=1e-9
    )
    np.testing.assert_allclose(found.margin, (weight * images).sum((1, 2, 3)), rtol=1e-9)


def test_after_global_pooling_hirescam_sums_to_the_logits_and_cam_is_area_times_gradcam():
    network, images = Pooled(), doubles(4)
    found = explain(network, images, methods=("hirescam", "gradcam"), layers="1").maps
    head = network[4]
    bias = float((head.bias[1] - head.bias[0]).detach())
    margin = explain(network, images, layers="1").margin
    assert np.abs(found["hirescam"]["1"].sum((1, 2)) + bias - margin).max() < 1e-10
    weight = (head.weight[1] - head.weight[0]).detach()
    cam = torch.einsum("c,bchw->bhw", weight, network[1](network[0](images))).detach().numpy()
    area = cam[0].size
    np.testing.assert_allclose(cam, area * found["gradcam"]["1"], atol=1e-12)


def test_gradcam_plus_plus_by_hand():
    """One channel, 1x2 places: alpha = 1 / (2 + sum(a) g), w = sum(alpha relu(g))."""
    a, g = torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[0.5, -1.0]]]])
    weight = 0.5 / (2 + 4 * 0.5)
    found = METHODS["gradcam_plus_plus"].function(a.double(), g.double())
    np.testing.assert_allclose(found[0, 0], [weight, 3 * weight], rtol=1e-12)
    # the published fraction, where nothing is added to its denominator
    alpha = g**2 / (2 * g**2 + a.sum() * g**3)
    assert float((alpha * g.relu()).sum()) == pytest.approx(weight)
    # no weight is defined at 2 + sum(a) g = 0
    assert METHODS["gradcam_plus_plus"].function(-a, g.abs()).isnan().all()


def test_eigencam_is_the_first_component_and_its_sign_is_fixed():
    a = pixels(3, 12).double() @ torch.eye(12, dtype=torch.float64)
    a = torch.cat([a, a.flip(1) * 2, a[:, :1].exp()], 1)
    for activations in (a, a.repeat(1, 30, 1, 1) * torch.rand(210, 1, 1).double()):
        found = METHODS["eigencam"].function(activations)
        x = activations.flatten(2).transpose(1, 2)
        x = (x - x.mean(1, keepdim=True)).numpy()
        for row, map_ in zip(x, found.flatten(1).numpy(), strict=True):
            _, _, rows = np.linalg.svd(row, full_matrices=False)
            expected = row @ rows[0]
            sign = np.sign((expected * row.mean(1)).sum())
            np.testing.assert_allclose(map_, sign * expected, atol=1e-8 * np.abs(expected).max())
        # a component has no sign, but the map has: turned with its activations
        np.testing.assert_allclose(METHODS["eigencam"].function(-activations), -found)


def test_leading_eigenvectors_that_iteration_cannot_tell_apart_are_left_to_lapack():
    from facetell.explain.methods.one_pass import leading

    q = torch.linalg.qr(torch.randn(100, 100, dtype=torch.float64)).Q
    values = torch.linspace(1, 1.001, 100, dtype=torch.float64)
    gram = (q * values) @ q.T
    value, vector = leading(gram[None])
    assert float(value[0]) == pytest.approx(1.001, rel=1e-9)
    assert abs(float(vector[0] @ q[:, -1])) == pytest.approx(1, abs=1e-6)


def test_real_is_the_negative_of_fake():
    model, images = detector("simplenet"), pixels(2)
    fake = explain(model, images, methods=("gradcam", "hirescam"))
    real = explain(model, images, "real", methods=("gradcam", "hirescam"))
    for method, found in fake.maps.items():
        for layer, maps in found.items():
            np.testing.assert_array_equal(real.maps[method][layer], -maps)
    np.testing.assert_array_equal(real.margin, fake.margin)
    np.testing.assert_array_equal(real.saliency, fake.saliency)


def test_relu_closes_what_ends_with_one():
    model, images = detector("simplenet"), pixels(2)
    raw = explain(model, images, methods=("gradcam", "activation", "input_x_gradient"))
    closed = explain(
        model, images, methods=("gradcam", "activation", "input_x_gradient"), relu=True
    )
    for layer, maps in raw.maps["gradcam"].items():
        assert (maps < 0).any()
        np.testing.assert_array_equal(closed.maps["gradcam"][layer], np.maximum(maps, 0))
    map_ = raw.maps["input_x_gradient"]["input"]
    assert (map_ < 0).any()
    np.testing.assert_array_equal(closed.maps["input_x_gradient"]["input"], map_)


# ------------------------------------------------------- batches, runs, layers


@pytest.mark.parametrize("key", NETWORKS)
def test_batch_equals_loop_in_chunks_too_and_two_runs_are_bit_equal(key):
    model, images = detector(key), pixels(3)
    one, again = (explain(model, images, methods=ONE_PASS) for _ in range(2))
    for method, found in one.maps.items():
        for layer, maps in found.items():
            np.testing.assert_array_equal(again.maps[method][layer], maps)
            np.testing.assert_array_equal(again.status[method][layer], one.status[method][layer])
    # in double precision, since deep random networks amplify rounding
    model, images = model.double(), images.double()
    batch = explain(model, images, methods=ONE_PASS)
    chunks = explain(model, images, methods=ONE_PASS, batch_size=2)
    alone = [explain(model, images[i : i + 1], methods=ONE_PASS) for i in range(3)]
    for method, found in batch.maps.items():
        for layer, maps in found.items():
            loop = np.concatenate([each.maps[method][layer] for each in alone])
            for other in (loop, chunks.maps[method][layer]):
                np.testing.assert_allclose(
                    other, maps, atol=1e-8 * np.nanmax(np.abs(maps), initial=0)
                )
    assert len(alone[0].margin) == 1
    assert chunks.status["gradcam"].keys() == batch.status["gradcam"].keys()


@pytest.mark.parametrize("key", NETWORKS)
def test_listed_layers_are_maps_in_forward_order_and_the_default_is_one(key):
    model = detector(key)
    names, maps = layers(model), map_layers(model, pixels(1))
    assert default_layer(model) in names
    assert [name for name in maps if name in names] == names
    found = explain(model, pixels(2), layers=names)
    for name in names:
        assert found.maps["gradcam"][name].shape == (2, *maps[name])
        assert (found.status["gradcam"][name] == "ok").all()


@pytest.mark.parametrize(
    ("key", "default"),
    [("resnet50", "layer4"), ("vgg19", "features.35"), ("densenet121", "features.norm5"),
     ("mnasnet_100", "bn2"), ("efficientnet_b0", "bn2"), ("xception_based", "act4"),
     ("vit", "blocks.11.norm1"), ("swin", "norm"), ("simplenet", "conv3"),
     ("rcnn", "stages.5.2"), ("sepnet", "stages.5.0"), ("legacy_xception", "act4"),
     ("swin_tiny_patch4_window7_224", "norm"), ("deit_tiny_patch16_224", "blocks.11.norm1"),
     ("convnext_atto", "stages.3.blocks.1")],
)  # fmt: skip
def test_recommended_layers(key, default):
    with torch.device("meta"):
        network = build(key, image_size=224)
    assert default_layer(network) == default
    assert not layers(nn.ReLU())


def test_names_of_layers_may_be_those_of_the_detector():
    model, images = detector("simplenet"), pixels(1)
    found = explain(model, images, layers=["network.conv2", "conv2", "conv1"])
    assert list(found.maps["gradcam"]) == ["conv2", "conv1"]


def test_a_network_that_lists_nothing_gets_its_activations():
    found = explain(Pooled(), doubles(2)).maps["gradcam"]
    assert list(found) == ["1"]
    with_convolutions = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert list(explain(with_convolutions, pixels(2, 9)).maps["gradcam"]) == ["0"]


def test_images_need_not_be_square():
    network, images = Pooled(), pixels(2, 24).double()[:, :, :, :12]
    assert explain(network, images).maps["gradcam"]["1"].shape == (2, 10, 4)
    with torch.random.fork_rng():
        vit = build("vit_tiny_patch16_224", image_size=[32, 64], depth=2)
    maps = explain(vit, torch.rand(1, 3, 32, 64)).maps["gradcam"]
    assert maps["blocks.1.norm1"].shape == (1, 2, 4)


# ------------------------------------------------------------ left as it was


class Counting(nn.Module):
    """Changes a buffer even in evaluation mode, and keeps one part there on purpose."""

    def __init__(self, fails=False):
        super().__init__()
        self.body, self.fails = Pooled().float(), fails
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("last", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        self.last = x.mean()
        if self.fails:
            raise ValueError("no")
        return self.body(x)


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was_also_after_an_error(fails):
    model, images = Counting(fails), pixels(2, 16)
    model.train()
    model.body[1].eval()
    model.body[0].weight.requires_grad_(False)
    model.body[4].bias.grad = torch.ones(2)
    before, given = state(model), images.clone()
    if fails:
        with pytest.raises(UserError, match="ValueError: no"):
            explain(model, images, layers="body.1")
    else:
        explain(model, images, methods=[*ONE_PASS], layers="body.1")
    assert same(before, state(model))
    assert torch.equal(images, given)
    assert not images.requires_grad


def test_an_error_in_the_backward_pass_leaves_no_hooks():
    class Failing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            raise ValueError("no gradient today")

    class Model(Pooled):
        def forward(self, x):
            return super().forward(Failing.apply(x))

    model = Model()
    before = state(model)
    with pytest.raises(ValueError, match="no gradient today"):
        explain(model, doubles(1))
    assert same(before, state(model))


def test_frozen_and_compiled_models_and_calls_without_gradients_give_the_same_maps():
    model, images = detector("simplenet"), pixels(2)
    expected = explain(model, images)
    frozen = copy.deepcopy(model).requires_grad_(False)
    compiled = torch.compile(copy.deepcopy(model), backend="eager")
    compiled(images)
    inside = copy.deepcopy(model)
    inside.network.conv2.compile(backend="eager")
    part = copy.deepcopy(model)
    part.network.conv2 = torch.compile(part.network.conv2, backend="eager")
    for other in (frozen, compiled, inside, part, nn.DataParallel(model)):
        found = explain(other, images)
        for layer, maps in expected.maps["gradcam"].items():
            np.testing.assert_array_equal(found.maps["gradcam"][layer], maps)
    with torch.no_grad():
        assert np.abs(explain(model, images).saliency).max() > 0
    with torch.inference_mode():
        assert np.abs(explain(model, images).saliency).max() > 0


# ------------------------------------------------------------------ bad input


class Wrong(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.body = kind, Pooled().float()
        self.relu = nn.ReLU()

    def forward(self, x):
        if self.kind == "three":
            return torch.cat([self.body(x), self.body(x)[:, :1]], 1)
        if self.kind == "tuple":
            return self.body(x), 0
        if self.kind == "detached":
            return self.body(x.detach())
        return self.body(self.relu(self.relu(x)))


@pytest.mark.parametrize(
    ("says", "change"),
    [
        ("conv1, conv2, conv3", {"layers": ["layer4"]}),
        ("did you mean conv3", {"layers": "conv33"}),
        ("head.1.*no map.*no spatial positions", {"layers": "head.1"}),
        ("fake or real, not 'Fake'", {"target": "Fake"}),
        ("no method 'grad-cam'.*gradcam", {"methods": "grad-cam"}),
        ("batch_size", {"batch_size": 0}),
        ("options for 'smoothgrad'", {"options": {"smoothgrad": {}}}),
        ("has no option 'n'; it has none", {"options": {"gradcam": {"n": 1}}}),
        ("uint8.*divide bytes by 255", {"images": torch.zeros(1, 3, 64, 64, dtype=torch.uint8)}),
        (r"images\[None\]", {"images": torch.zeros(3, 64, 64)}),
        ("none of them 0", {"images": torch.zeros(0, 3, 64, 64)}),
        ("torch.Tensor, got ndarray", {"images": np.zeros((1, 3, 64, 64))}),
        ("not finite in images 1", {"images": torch.tensor([0.0, torch.nan]).view(2, 1, 1, 1)}),
        (r"cannot take.*\(1, 3, 48, 48\)", {"images": torch.zeros(1, 3, 48, 48)}),
        (r"cannot take.*\(1, 1, 64, 64\)", {"images": torch.zeros(1, 1, 64, 64).double()}),
        (r"logits of shape \(\d, 2\).*gives \(\d, 3\)", {"model": Wrong("three")}),
        ("gives tuple", {"model": Wrong("tuple")}),
        ("no gradient", {"model": Wrong("detached"), "methods": "saliency"}),
        ("relu runs more than once", {"model": Wrong("twice"), "layers": ["relu"]}),
        ("torch.nn.Module, got function", {"model": lambda x: x}),
    ],
)
def test_bad_input_is_said_clearly(says, change):
    arguments = {"model": detector("simplenet"), "images": pixels(1)} | change
    with pytest.raises(UserError, match=says):
        explain(**arguments)


def test_wrong_sizes_name_what_the_network_was_made_for():
    with pytest.raises(UserError, match="64"):
        explain(detector("swin"), pixels(1, 32))


def test_layers_of_windows_and_tables_are_no_maps():
    model = detector("swin")
    for layer in ("layers.0.blocks.0.attn.proj", "layers.0.blocks.0.attn.cpb_mlp.1"):
        assert layer not in map_layers(model, pixels(1))
        for count in (1, 2):
            with pytest.raises(UserError, match="no map"):
                explain(model, pixels(count), layers=layer)


def test_the_spectral_baseline_has_pixels_but_no_layers():
    torch.manual_seed(0)
    model = Detector(build("spectral", image_size=64), (0.0,) * 3, (1.0,) * 3)
    assert layers(model) == []
    assert explain(model, pixels(2), methods="saliency").saliency.max() > 0
    with pytest.raises(
        UserError, match=r"gradcam is not defined.*no layer.*Defined here: .*saliency"
    ):
        explain(model, pixels(2))


def test_zeros_and_overflow_have_a_status():
    model = Pooled()
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.fill_(-1)
    images = doubles(2)
    images[1] += 1
    dead = explain(model, images, methods=("gradcam", "activation", "saliency"))
    assert list(dead.status["gradcam"]["1"]) == ["all zero"] * 2
    assert list(dead.status["activation"]["1"]) == ["all zero"] * 2
    assert list(dead.status["saliency"]["input"]) == ["gradient zero"] * 2
    with torch.no_grad():
        model[4].weight.zero_()
    assert list(explain(model, images).status["gradcam"]["1"]) == ["gradient zero"] * 2
    with torch.no_grad():
        model[4].weight.fill_(1)
        model[0].bias.fill_(1e308)
        model[4].weight[1] *= 1e10
    assert list(explain(model, images).status["gradcam"]["1"]) == ["not finite"] * 2


@pytest.mark.parametrize("key", ["simplenet", "resnet50", "vit", "swin", "densenet121"])
@pytest.mark.parametrize("where", ["all", "default"])
def test_without_saliency_the_maps_are_the_same_to_the_bit(key, where):
    model, images = detector(key), pixels(2)
    whole = explain(model, images, methods=AT_LAYERS, layers=where)
    short = explain(model, images, methods=AT_LAYERS, layers=where, saliency=False)
    assert short.saliency.shape == (2, 0, 0)
    np.testing.assert_array_equal(short.margin, whole.margin)
    for method, by_layer in whole.maps.items():
        for layer, maps in by_layer.items():
            np.testing.assert_array_equal(short.maps[method][layer], maps)
            assert (short.status[method][layer] == whole.status[method][layer]).all()


def test_without_saliency_nothing_is_computed_backwards_before_the_first_layer():
    model, images = detector("simplenet"), pixels(1)
    seen = []
    handle = model.network.conv1.register_forward_hook(
        lambda module, args, output: seen.append(output.requires_grad)
    )
    for saliency in (True, False):
        explain(model, images, layers="conv3", saliency=saliency)
    handle.remove()
    assert seen == [True, False]


def test_without_saliency_methods_of_the_input_still_have_their_gradient():
    model, images = detector("simplenet"), pixels(1)
    short = explain(model, images, methods=["saliency", "gradcam"], saliency=False)
    np.testing.assert_array_equal(short.maps["saliency"]["input"], explain(model, images).saliency)
    assert explain(model, images, methods="activation", saliency=False).margin.shape == (1,)
