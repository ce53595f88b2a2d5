# SPDX-License-Identifier: Apache-2.0
"""Weights from a file, into a network of two classes and perhaps another input size."""

import sys
from pathlib import Path

import torch
from timm.models import load_state_dict
from torch import nn

from facetell.common.errors import UserError, brief
from facetell.models.factory import head_of

Weights = dict[str, torch.Tensor]


def load_weights(network: nn.Module, path: str | Path) -> list[str]:
    """Fill ``network`` from a file of the same architecture; returns the names left random.

    The file is safetensors or a state dict of torch, read without running pickled code; names of
    older files, position embeddings of another input size and the like are converted as the
    network's own module says (timm's ``checkpoint_filter_fn``). Only the classifier may be
    missing or of another shape: with another number of classes it starts from random weights.

    Raises
    ------
    UserError : the file is missing, unreadable, needs pickled code, or is of another network.

    >>> from facetell.models import build
    >>> thousand = build("simplenet", image_size=64, num_classes=1000)
    >>> torch.save(thousand.state_dict(), "thousand.pt")
    >>> load_weights(build("simplenet", image_size=64), "thousand.pt")  # of another classifier
    ['head.4.weight', 'head.4.bias']
    """
    own = network.state_dict()
    given = _converted(network, _read(path))
    heads = tuple(f"{name}." for name in head_of(network))
    fresh = [
        name for name, value in own.items()
        if name.startswith(heads) and (name not in given or given[name].shape != value.shape)
    ]  # fmt: skip
    missing = [name for name in own if name not in given and name not in fresh]
    # statistics of how many batches were seen: older files lack them, and nothing depends on them
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    wrong = [
        name for name, value in own.items()
        if name in given and name not in fresh and given[name].shape != value.shape
    ]  # fmt: skip
    if missing or wrong:
        examples = [f"{name} is missing" for name in missing[:2]] + [
            f"{name} is {tuple(given[name].shape)} instead of {tuple(own[name].shape)}"
            for name in wrong[:2]
        ]
        raise UserError(
            f"{path} does not fit this network: {len(missing)} of {len(own)} weights are missing, "
            f"{len(wrong)} have another shape (such as: {'; '.join(examples)}). "
            "Is it of another architecture, width or patch size?"
        )
    fitting = {name: given[name] for name in own if name in given and name not in fresh}
    network.load_state_dict(fitting, strict=False)
    return fresh


def _read(path: str | Path) -> Weights:
    if not Path(path).is_file():
        raise UserError(f"pretrained: there is no file {path}")
    try:
        weights = load_state_dict(str(path), weights_only=True)
    except Exception as error:  # safetensors and torch raise errors of many kinds
        raise UserError(
            f"{path} cannot be read as weights (safetensors, or a state dict without pickled "
            f"code): {brief(error)}"
        ) from error
    tensors = {name: value for name, value in weights.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise UserError(f"{path} holds no weights by name; save the model's state_dict()")
    # what training scripts wrap around a network
    for wrapper in ("model.", "network."):
        if all(name.startswith(wrapper) for name in tensors):
            tensors = {name.removeprefix(wrapper): value for name, value in tensors.items()}
    return tensors


def _converted(network: nn.Module, weights: Weights) -> Weights:
    """Names and shapes as this version of the network has them."""
    if convert := getattr(network, "checkpoint_filter", None):  # a definition of ours
        weights = convert(weights)
    module = sys.modules[type(network).__module__]
    for name in ("checkpoint_filter_fn", "_filter_fn"):  # timm's
        if hasattr(module, name):
            weights = getattr(module, name)(weights, network)
    weights = dict(weights)
    own = network.state_dict()
    for head in head_of(network):
        # a classifier that was stacked upon keeps the old one as its first layer
        for kind in ("weight", "bias"):
            if f"{head}.{kind}" in weights and f"{head}.0.{kind}" in own:
                weights[f"{head}.0.{kind}"] = weights.pop(f"{head}.{kind}")
    return weights
