# SPDX-License-Identifier: Apache-2.0
"""Grad-CAM, saliency and their like against captum, at every layer of every network.

captum works layer by layer; here one call to explain() serves them all. The network-wide test asks
captum's own gradients and activations of many layers at once; ``--slow`` runs its LayerGradCam at
each single layer. Tolerance: 1e-5 of the larger of 1 and the map's largest value.
"""

import numpy as np
import pytest
import torch
from captum._utils.gradient import compute_layer_gradients_and_eval
from captum.attr import InputXGradient, LayerGradCam, Saliency
from support.networks import CONVOLUTIONAL, NETWORKS, channels_first, detector, pixels
from torch import nn

from facetell.explain import default_layer, explain, layers, map_layers

METHODS = ("gradcam", "hirescam", "layercam")


def close(found: np.ndarray, expected: torch.Tensor) -> bool:
    expected = expected.detach().numpy()
    assert found.shape == expected.shape
    return np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


def every(model, images) -> list[str]:
    """Every convolution, norm, activation and block output that is a map."""
    modules = dict(model.network.named_modules())
    names = map_layers(model, images)
    return [n for n in names if not isinstance(modules[n], nn.Identity | nn.Dropout | nn.Linear)]


@pytest.mark.parametrize("key", NETWORKS)
def test_maps_equal_captums_gradients_at_every_layer(key):
    model, images = detector(key), pixels(2)
    names = every(model, images)
    assert set(layers(model)) <= set(names)
    found = explain(model, images, methods=METHODS, layers=names)
    modules = [model.network.get_submodule(name) for name in names]
    gradients, activations = compute_layer_gradients_and_eval(model.margin, modules, images)
    wrong = []
    for name, g, a in zip(names, gradients, activations, strict=True):
        g, a = (channels_first(model, name, value[0], images) for value in (g, a))
        maps = {
            "gradcam": (g.mean((2, 3), keepdim=True) * a).sum(1),
            "hirescam": (g * a).sum(1),
            "layercam": (g.relu() * a).sum(1),
        }
        wrong += [(name, m) for m, map_ in maps.items() if not close(found.maps[m][name], map_)]
    assert not wrong


@pytest.mark.parametrize("key", NETWORKS)
def test_maps_of_the_input_equal_captum(key):
    model, images = detector(key), pixels(2)
    found = explain(model, images, methods=("saliency", "input_x_gradient"), layers="default")
    expected = Saliency(model.margin).attribute(images.clone()).amax(1)
    assert close(found.saliency, expected)
    assert close(found.maps["saliency"]["input"], expected)
    expected = InputXGradient(model.margin).attribute(images.clone().requires_grad_()).sum(1)
    assert close(found.maps["input_x_gradient"]["input"], expected)


@pytest.mark.parametrize("key", CONVOLUTIONAL)
def test_gradcam_equals_captum_at_the_default_layer(key):
    model, images = detector(key), pixels(2)
    layer = default_layer(model)
    found = explain(model, images, layers="default").maps["gradcam"][layer]
    oracle = LayerGradCam(model.margin, model.network.get_submodule(layer))
    assert close(found, oracle.attribute(images)[:, 0])
    assert np.abs(found).max() > 0


@pytest.mark.slow
@pytest.mark.parametrize("key", CONVOLUTIONAL)
def test_gradcam_equals_captum_layer_by_layer(key):
    model, images = detector(key), pixels(2)
    found = explain(model, images, layers=every(model, images)).maps["gradcam"]
    assert len(found) > 2
    wrong = []
    for name, maps in found.items():
        oracle = LayerGradCam(model.margin, model.network.get_submodule(name))
        if not close(maps, oracle.attribute(images)[:, 0]):
            wrong.append(name)
    assert not wrong
