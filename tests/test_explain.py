"""Maps against captum and closed forms, and the traps of in-place layers and layouts."""

import copy

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from test_models import PARAMETERS
from torch import nn

from facetell.detector import Detector
from facetell.errors import UserError
from facetell.explain import explain, layers
from facetell.models import build

HALF = (0.5, 0.5, 0.5)


NARROW = {"rcnn": {"width": 1 / 16}, "sepnet": {"width": 1 / 6},
          "vit": {"width": 1 / 12, "patch_size": 8}}  # fmt: skip


def detector(key: str, size: int = 64) -> Detector:
    torch.manual_seed(0)
    network = build(key, image_size=size, **NARROW.get(key, {}))
    for module in network.modules():  # random statistics: batch norm must not be the identity
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return Detector(network, HALF, HALF).eval()


def every_layer():
    with torch.device("meta"):
        return [
            pytest.param(key, layer, id=f"{key}-{layer}")
            for key in PARAMETERS
            for layer in layers(build(key, image_size=64, **NARROW.get(key, {})))
        ]


@pytest.mark.parametrize(("key", "layer"), every_layer())
def test_gradcam_equals_captum_at_every_layer(key, layer):
    model = detector(key)
    images = torch.rand(3, 3, 64, 64)
    found = explain(model, images, layer)
    assert found.layer == layer
    expected = captum_channels_first(model, model.network.get_submodule(layer), images)
    scale = np.abs(expected).max()
    assert scale > 0
    assert np.abs(found.cam - expected).max() <= 1e-5 * max(1.0, scale)


def captum_channels_first(model, module, images):
    """captum's Grad-CAM wants (B, C, h, w); the layer's output is turned so, and back again."""

    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.turn = nn.Identity()

        def forward(self, output):
            if output.ndim == 3:  # a class token, then 8 x 8 patches
                first, rest = output[:, :1], output[:, 1:]
                turned = self.turn(rest.transpose(1, 2).unflatten(2, (8, 8)))
                return torch.cat([first, turned.flatten(2).transpose(1, 2)], 1)
            if getattr(model.network, "output_fmt", "NCHW") == "NHWC":
                return self.turn(output.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            # a copy: what follows may work in place
            return self.turn(output.clone()).clone()

    turned = Turned()
    hook = module.register_forward_hook(lambda _m, _i, output: turned(output))
    try:
        oracle = LayerGradCam(lambda x: model.margin(x), turned.turn)
        return oracle.attribute(images)[:, 0].detach().numpy()
    finally:
        hook.remove()


@pytest.mark.parametrize("key", PARAMETERS)
def test_the_default_layer_has_cells_and_a_gradient(key):
    found = explain(detector(key), torch.rand(2, 3, 64, 64))
    assert found.cam.shape[1] >= 7
    assert np.abs(found.cam).max() > 0
    assert found.saliency.shape == (2, 64, 64)
    assert (found.saliency >= 0).all()
    assert found.margin.shape == (2,)


@pytest.mark.parametrize("key", ["simplenet", "resnet50", "swin", "vit"])
def test_batch_equals_loop_and_two_runs_are_equal(key):
    model, images = detector(key), torch.rand(3, 3, 64, 64)
    batch, again = explain(model, images), explain(model, images)
    np.testing.assert_array_equal(batch.cam, again.cam)
    np.testing.assert_array_equal(batch.saliency, again.saliency)
    for index in range(3):
        alone = explain(model, images[index : index + 1], batch.layer)
        scale = np.abs(batch.cam).max()
        np.testing.assert_allclose(alone.cam[0], batch.cam[index], atol=1e-5 * scale)


def test_the_model_is_left_as_it_was():
    model = detector("resnet50")
    model.train()
    model.network.fc.weight.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    explain(model, torch.rand(2, 3, 64, 64))
    assert model.training
    assert not model.network.fc.weight.requires_grad
    assert model.network.conv1.weight.requires_grad
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(
        not module._forward_hooks and not module._backward_hooks for module in model.modules()
    )


class Linear(nn.Module):
    """Two logits from a weighted sum of pixels, through one listed layer."""

    feature_info = ({"module": "body"},)

    def __init__(self):
        super().__init__()
        self.body = nn.Identity()
        self.weight = nn.Parameter(torch.randn(2, 3, 16, 16, dtype=torch.float64))

    def forward(self, x):
        return (self.body(x)[:, None] * self.weight).sum((2, 3, 4))


def test_saliency_of_a_linear_model_is_its_weights():
    torch.manual_seed(0)
    network = Linear()
    model = Detector(network, (0.0,) * 3, (1.0,) * 3)
    found = explain(model, torch.rand(2, 3, 16, 16, dtype=torch.float64))
    expected = (network.weight[1] - network.weight[0]).abs().amax(0).detach().numpy()
    for saliency in found.saliency:
        np.testing.assert_allclose(saliency, expected, rtol=1e-12)
    images = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    weight = (network.weight[1] - network.weight[0]).detach()
    closed = (weight.mean((1, 2))[:, None, None] * images[0]).sum(0)
    np.testing.assert_allclose(explain(model, images).cam[0], closed, rtol=1e-5)


def test_unknown_layers_list_the_valid_ones():
    with pytest.raises(UserError, match="conv1, conv2, conv3"):
        explain(detector("simplenet"), torch.rand(1, 3, 64, 64), "layer4")
