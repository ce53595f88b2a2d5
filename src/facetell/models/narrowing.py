# SPDX-License-Identifier: Apache-2.0
"""A width multiplier for the convolutional networks that timm builds in one width only."""

import copy
from collections.abc import Collection

import torch
from torch import nn

from facetell.common.errors import UserError, brief

RGB = 3


def narrowed(
    network: nn.Module, width: float, image_size: int, *, keep: Collection[nn.Linear]
) -> nn.Module:
    """Multiply the channels of every layer by ``width``, in place, and return the network.

    This is the width multiplier of MobileNets (Howard et al. 2017) for a network that has none:
    the image's three channels and the classes stay, depth and resolution too. Weights are the
    first ones of each layer, scaled so that its output keeps the variance that it had.

    Parameters
    ----------
    network : convolutions, batch norms and linear layers only, with random weights.
    width : above 0, usually 1/2 or 1/4.
    image_size : side in pixels at which the result is tried, so that an error comes at once.
    keep : the layers whose outputs are the classes.

    Raises
    ------
    UserError : a layer of another kind, or channels that no longer fit together.

    >>> import timm
    >>> network = timm.create_model("mobilenetv2_100", num_classes=2)
    >>> half = narrowed(network, 0.5, 64, keep=[network.get_classifier()])
    >>> half(torch.zeros(1, 3, 64, 64)).shape, half.conv_stem.out_channels
    (torch.Size([1, 2]), 16)
    """
    if width <= 0:
        raise UserError(f"width must be above 0, got {width:g}")
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d):
            _convolution(module, width)
        elif isinstance(module, nn.BatchNorm2d):
            _batch_norm(module, width)
        elif isinstance(module, nn.Linear):
            _linear(module, width, keep=module in keep)
        elif any(True for _ in module.parameters(recurse=False)):
            raise UserError(
                f"width: {type(module).__name__} has no width multiplier: set width to 1"
            )
    _try(network, width, image_size)
    return network


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))


def _sliced(weight: torch.Tensor, rows: int, columns: int) -> nn.Parameter:
    """The first weights, with the variance of outputs that all of them gave."""
    factor = (weight.shape[1] / columns) ** 0.5
    return nn.Parameter(weight.detach()[:rows, :columns].clone() * factor)


def _convolution(layer: nn.Conv2d, width: float) -> None:
    depthwise = layer.groups == layer.in_channels
    if layer.groups > 1 and not depthwise:
        raise UserError("width: grouped convolutions have no width multiplier: set width to 1")
    if layer.in_channels != RGB:
        layer.in_channels = _scaled(layer.in_channels, width)
    layer.out_channels = _scaled(layer.out_channels, width)
    if depthwise:
        layer.groups = layer.in_channels
    layer.weight = _sliced(layer.weight, layer.out_channels, layer.in_channels // layer.groups)
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias.detach()[: layer.out_channels].clone())


def _batch_norm(layer: nn.BatchNorm2d, width: float) -> None:
    layer.num_features = channels = _scaled(layer.num_features, width)
    for name, value in layer.named_parameters(recurse=False):
        layer.register_parameter(name, nn.Parameter(value.detach()[:channels].clone()))
    for name, buffer in layer.named_buffers(recurse=False):
        if buffer.ndim:  # not the count of batches
            layer.register_buffer(name, buffer[:channels].clone())


def _linear(layer: nn.Linear, width: float, *, keep: bool) -> None:
    layer.in_features = _scaled(layer.in_features, width)
    layer.out_features = layer.out_features if keep else _scaled(layer.out_features, width)
    layer.weight = _sliced(layer.weight, layer.out_features, layer.in_features)
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias.detach()[: layer.out_features].clone())


def _try(network: nn.Module, width: float, image_size: int) -> None:
    """Pass an image without contents through, so that channels that do not fit show at once."""
    image = torch.zeros(1, RGB, image_size, image_size, device="meta")
    try:
        copy.deepcopy(network).to("meta").eval()(image)
    except RuntimeError as error:
        raise UserError(
            f"width: {width:g} leaves channels that do not fit together ({brief(error)}): "
            "choose 1/2 or 1/4"
        ) from error
