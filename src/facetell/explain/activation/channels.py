"""Single channels of a layer: what a figure of activation maps shows beside their mean."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from facetell.common.errors import UserError
from facetell.explain.layers import NotAMap, as_map, hooks, resolve
from facetell.explain.onepass import to_numpy
from facetell.explain.subject import Subject, checked, untouched


@dataclass
class Channels:
    """``maps`` (B, k, h, w) of the channels ``indices`` (B, k), most active first."""

    maps: np.ndarray
    indices: np.ndarray


def top_channels(
    model: nn.Module, images: torch.Tensor, layer: str = "default", number: int = 9
) -> Channels:
    """Activations of the channels with the largest mean over places, per image.

    Model and images as for ``explain``; one layer, all images in one forward pass. A layer with
    fewer channels gives all of them. UserError as ``explain``.
    """
    subject = Subject.of(model)
    images = checked(images, subject)
    if number < 1:
        raise UserError(f"number of channels must be at least 1, not {number}")
    found: list[Channels] = []

    def see(name: str, module: nn.Module, _: Any, output: Any) -> None:
        try:
            maps = as_map(subject, module, output, images)
        except NotAMap as reason:
            raise UserError(f"layer {name} has no map: {reason}") from reason
        order = maps.mean((2, 3)).argsort(dim=1, descending=True, stable=True)[:, :number]
        rows = torch.arange(len(maps), device=maps.device)[:, None]
        found.append(Channels(to_numpy(maps[rows, order]), order.cpu().numpy()))

    with untouched(subject.model):
        names = list(resolve(subject, layer, images))
        if len(names) != 1:
            raise UserError(f"top_channels takes one layer, not {', '.join(names) or 'none'}")
        with torch.no_grad(), hooks(subject, names, see):
            subject.logits(images)
    return found[-1]
