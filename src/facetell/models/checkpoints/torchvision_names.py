# SPDX-License-Identifier: Apache-2.0
"""Recognises torchvision's networks by the names and shapes in a file, and gives them timm's names.

For most families both libraries define the same layers in the same order. Then the n-th tensor of
the one is the n-th of the other, which tests prove by equal outputs. The order is that of
torchvision's own network, since files may have lost theirs. ResNet and DenseNet have the same names
in both libraries, and are nothing to be recognised.
"""

import math
from collections.abc import Mapping
from fnmatch import fnmatch
from functools import cache
from typing import Any

import torch
from torch import nn
from torchvision import models

from facetell.common.errors import UserError
from facetell.models.checkpoints.torchvision_families import FAMILIES, POSITIONS
from facetell.models.factory import head_of

Weights = dict[str, torch.Tensor]
Rgb = tuple[float, float, float]
COUNTED = "num_batches_tracked"
LEGACY = ((".mlp.linear_1.", ".mlp.0."), (".mlp.linear_2.", ".mlp.3."))  # ViT's published files


def torchvisions(weights: Weights) -> str | None:
    """The network of torchvision whose tensors these are, classifier aside; None: of no known one.

    Only names and shapes count, so that tensors of the meta device do.

    >>> file = models.mobilenet_v2().state_dict()
    >>> torchvisions(file), torchvisions({"conv1.weight": torch.zeros(3)})
    ('mobilenet_v2', None)
    """
    given = {name: value.shape for name, value in _modern(weights).items()}
    for family in FAMILIES:
        if all(sign in given for sign in family.signs):
            bodies = {name: _body(name, given) for name in family.timm}
            whole = [n for n, body in bodies.items() if body.items() <= given.items()]
            # a deeper network holds all tensors of another
            return max(whole, key=lambda name: len(bodies[name]), default=None)
    return None


def timms_names(weights: Weights, name: str, network: nn.Module) -> Weights:
    """Tensors of torchvision's network ``name``, by the names that ``network`` of timm has.

    Tensors that torchvision does not know keep their names.

    Raises
    ------
    UserError : the network's architecture is not the one that timm has of the same network.
    """
    weights = _whole_classifier(_modern(weights), name)
    family = next(one for one in FAMILIES if name in one.timm)
    config: Any = getattr(network, "pretrained_cfg", None) or {}
    architecture, wanted = config.get("architecture", "of another kind"), family.timm[name]
    if not any(fnmatch(architecture, pattern) for pattern in wanted):
        raise UserError(
            f"the weights are those of torchvision's {name}, in timm {' or '.join(wanted)}, and "
            f"this network is {architecture}"
        )
    if family.rename is None:
        return _in_order(weights, name, network)
    renamed = {family.rename(theirs): value for theirs, value in weights.items()}
    return _without_key_bias({n: v for n, v in renamed.items() if n is not None}, network)


def images_of(name: str, weights: Weights) -> tuple[int | None, Rgb, Rgb, str | None]:
    """Side in pixels, mean, std and interpolation of the images that a network was trained on.

    They are those of torchvision's transforms for its own weights of the network ``name``, from
    which other weights by its names usually come. Where torchvision has several files, ``weights``
    say by their position embeddings which of them are meant; what still differs is None.

    >>> images_of("mobilenet_v2", {})
    (224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 'bilinear')
    """
    said = [one.transforms() for one in models.get_model_weights(name)]
    if POSITIONS in weights:
        patch = _reference(name)["conv_proj.weight"][-1]
        side = patch * math.isqrt(weights[POSITIONS].shape[1] - 1)
        said = [one for one in said if one.crop_size == [side]] or said
    else:
        side = None
    sizes = {one.crop_size[0] for one in said}
    scaled = {one.interpolation.value for one in said}
    return (
        side or (sizes.pop() if len(sizes) == 1 else None),
        tuple(said[0].mean),
        tuple(said[0].std),
        scaled.pop() if len(scaled) == 1 else None,
    )


def _in_order(weights: Weights, name: str, network: nn.Module) -> Weights:
    """By timm's names, where the n-th tensor before the classifier is the n-th in both."""
    head = head_of(network)[0]
    body = _body(name, {})
    timms = {
        n: value.shape for n, value in network.state_dict().items()
        if not n.startswith(f"{head}.") and not n.endswith(COUNTED)
    }  # fmt: skip
    if [_without_ones(shape) for shape in body.values()] != [
        _without_ones(shape) for shape in timms.values()
    ]:
        raise UserError(
            f"torchvision's {name} has {len(body)} tensors before its classifier, and this network "
            f"has {len(timms)} of partly other shapes. Is it of another width?"
        )
    names = dict(zip(body, timms, strict=True))
    for kind in ("weight", "bias"):
        names[f"{_classifier(name)}.{kind}"] = f"{head}.{kind}"
    renamed = {names.get(n, n): value for n, value in weights.items()}
    return {n: v.reshape(timms[n]) if n in timms else v for n, v in renamed.items()}


def _without_ones(shape: torch.Size) -> list[int]:
    """timm's layer scale has one dimension, torchvision's two more of length 1."""
    return [length for length in shape if length != 1]


@cache
def _reference(name: str) -> dict[str, torch.Size]:
    """Shapes of torchvision's own network by its names, in its order; counts are left out."""
    with torch.device("meta"):
        own = models.get_model(name, weights=None).state_dict()
    return {n: value.shape for n, value in own.items() if not n.endswith(COUNTED)}


def _classifier(name: str) -> str:
    """The linear layer that comes last: ``classifier.1``, ``heads.head``."""
    return list(_reference(name))[-1].rpartition(".")[0]


def _body(name: str, given: Mapping[str, torch.Size]) -> dict[str, torch.Size]:
    """Shapes without the classifier, for images of the size that a file is for."""
    head = f"{_classifier(name)}."
    own = {n: shape for n, shape in _reference(name).items() if not n.startswith(head)}
    if POSITIONS in own and POSITIONS in given:
        own[POSITIONS] = torch.Size([1, given[POSITIONS][1], own[POSITIONS][2]])
    return own


def _modern(weights: Weights) -> Weights:
    """By the names that torchvision has today."""
    renamed = {}
    for name, value in weights.items():
        for old, new in LEGACY:
            name = name.replace(old, new) if name.startswith("encoder.layers.") else name
        renamed[name] = value
    return renamed


def _whole_classifier(weights: Weights, name: str) -> Weights:
    """A linear layer in the place of the whole classifier is its last one, the only one it had."""
    last = _classifier(name)
    parent = last.rpartition(".")[0]
    others = [n for n in _body(name, {}) if n.startswith(f"{parent}.")]
    if not parent or others:
        return weights
    kinds = {f"{parent}.{kind}": f"{last}.{kind}" for kind in ("weight", "bias")}
    return {kinds.get(n, n): value for n, value in weights.items()}


def _without_key_bias(weights: Weights, network: nn.Module) -> Weights:
    """SwinV2's keys have no bias: torchvision sets a third of its tensor to zero, timm has none."""
    own, split = network.state_dict(), {}
    for name, value in weights.items():
        block = name.removesuffix("qkv.bias")
        if block != name and f"{block}q_bias" in own:
            split[f"{block}q_bias"], _, split[f"{block}v_bias"] = value.chunk(3)
        else:
            split[name] = value
    return split
