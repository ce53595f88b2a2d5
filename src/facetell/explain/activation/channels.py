# SPDX-License-Identifier: Apache-2.0
"""Single channels of a layer: what a figure of activation maps shows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from facetell.common.errors import UserError
from facetell.explain.layers import NotAMap, as_map, hooks, resolve
from facetell.explain.shared_pass import to_numpy
from facetell.explain.subject import Subject, checked, untouched


@dataclass(frozen=True)
class Channels:
    """The most active channels of one layer, the most active first.

    ``maps`` (B, k, h, w) are raw activations, ``indices`` (B, k) their channels, and ``shares``
    (B, k) in [0, 1] their parts of the layer's whole activation, all channels' absolute values.
    """

    layer: str
    maps: np.ndarray
    indices: np.ndarray
    shares: np.ndarray


def top_channels(
    model: nn.Module, images: torch.Tensor, layer: str = "default", number: int = 9
) -> Channels:
    """The channels with the largest mean absolute activation, for each image.

    After a ReLU that is the mean itself; after a layer norm, a channel that is far below 0
    carries as much as one that is far above. Model and images as for ``explain``; one layer, all
    images in one forward pass. A layer with fewer channels gives all of them.

    >>> from facetell.models import build
    >>> network = build("simplenet", image_size=64)
    >>> top = top_channels(network, torch.rand(2, 3, 64, 64), "conv2", number=4)
    >>> top.layer, top.maps.shape, top.shares.shape
    ('conv2', (2, 4, 23, 23), (2, 4))

    Raises
    ------
    UserError : an unknown layer, or one without a map; images or a model that cannot be used.
    """
    subject = Subject.of(model)
    images = checked(images, subject)
    if number < 1:
        raise UserError(f"number of channels must be at least 1, not {number}")
    seen: list[Channels] = []

    def see(name: str, module: nn.Module, _: Any, output: Any) -> None:
        try:
            maps = as_map(subject, module, output, images)
        except NotAMap as reason:
            raise UserError(f"layer {name} has no map: {reason}") from reason
        sizes = maps.abs().mean((2, 3))
        shares = sizes / sizes.sum(1, keepdim=True).clamp(min=torch.finfo(sizes.dtype).tiny)
        order = sizes.argsort(dim=1, descending=True, stable=True)[:, :number]
        rows = torch.arange(len(maps), device=maps.device)[:, None]
        kept = to_numpy(maps[rows, order]), order.cpu().numpy(), to_numpy(shares[rows, order])
        seen.append(Channels(name, *kept))

    with untouched(subject.model):
        names = list(resolve(subject, layer, images))
        if len(names) != 1:
            raise UserError(f"top_channels takes one layer, not {', '.join(names) or 'none'}")
        with torch.no_grad(), hooks(subject, names, see):
            subject.logits(images)
    return seen[-1]
