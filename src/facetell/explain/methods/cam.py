# SPDX-License-Identifier: Apache-2.0
"""CAM, where it is defined: a linear layer on the average over the positions of a map."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from facetell.explain.layers import NotAMap, as_map, hooks
from facetell.explain.registry import Task, register
from facetell.explain.subject import Subject

TOLERANCE = 1e-4  # of the largest average, for "is the average": far above rounding


def _undefined(subject: Subject, layers: Iterable[str], images: torch.Tensor) -> str | None:
    weight, averages, pooled = _seen(subject, list(layers), images[:1])
    if weight is None:
        return "its logits are not those of a linear layer"
    if not any(_same(average.mean((2, 3)), pooled) for average in averages.values()):
        return (
            "its last linear layer does not see the average over positions of any of these layers"
        )
    return None


@register(
    "CAM",
    kind="layer",
    source="Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016",
    where="networks that end with global average pooling and one linear layer, at the layer before",
    undefined=_undefined,
)
def cam(task: Task) -> Iterator[tuple[str, torch.Tensor]]:
    """sum_c w_c a_c with the weights of the linear layer, fake - real.

    Whether a layer is the one that is averaged is looked up in the numbers, not in the names.
    """
    weight, maps, pooled = _seen(task.subject, list(task.layers), task.images)
    assert weight is not None  # else it had been refused
    averaged = [at for at, values in maps.items() if _same(values.mean((2, 3)), pooled)]
    # the last one only: before training, blocks may hand on what they are given
    for layer in averaged[-1:]:
        activations = maps[layer]
        yield layer, task.sign * torch.einsum("c,bchw->bhw", weight[1] - weight[0], activations)


def _seen(
    subject: Subject, layers: Sequence[str], images: torch.Tensor
) -> tuple[torch.Tensor | None, dict[str, torch.Tensor], torch.Tensor]:
    """Weight of the last linear layer, the maps (B, C, h, w) of all layers, and its input."""
    maps: dict[str, torch.Tensor] = {}
    linear: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def see(name: str, module: nn.Module, args: Any, output: Any) -> None:
        if name in layers:
            try:
                maps[name] = as_map(subject, module, output, images).clone()
            except NotAMap:
                return
        elif isinstance(module, nn.Linear) and output.shape == (len(images), 2):
            linear.append((module.weight, output, args[0]))

    heads = [name for name, module in subject.modules.items() if isinstance(module, nn.Linear)]
    with torch.no_grad(), hooks(subject, [*layers, *heads], see):
        logits = subject.logits(images)
    for weight, output, pooled in reversed(linear):
        if torch.equal(output, logits):
            return weight.detach(), maps, pooled
    return None, maps, images


def _same(average: torch.Tensor, pooled: torch.Tensor) -> bool:
    if average.shape != pooled.shape:
        return False
    return bool((average - pooled).abs().max() <= TOLERANCE * pooled.abs().max())
