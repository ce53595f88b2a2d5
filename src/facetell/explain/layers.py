# SPDX-License-Identifier: Apache-2.0
"""Layers by name, and their outputs as maps (B, C, h, w) whatever their layout.

The layout follows from the shape and from what the network declares, as timm's do:
``output_fmt = "NHWC"`` where channels come last, and ``num_prefix_tokens`` where tokens stand for
spatial positions and some more come before them. The same block may have both: timm's Swin norms
give (B, h, w, C) and (B, h * w, C).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from torch import nn

from facetell.common.errors import UserError
from facetell.explain.subject import Subject, untouched
from facetell.models.target_layers import TargetLayers, target_layers

# modules that have channels first by their own definition, whatever the network around them
CHANNELS_FIRST = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.GroupNorm,
)
# by the names of their classes, since libraries have their own of the same name
ACTIVATIONS = frozenset(
    ["ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "CELU", "SELU", "SiLU", "Swish", "GELU",
     "GELUTanh", "QuickGELU", "Mish", "Softplus", "Hardswish", "HardSwish"]
)  # fmt: skip


class NotAMap(Exception):
    """Why a layer's output is no map."""


def layers(model: nn.Module) -> list[str]:
    """The layers that ``layers="all"`` means: those that the network's definition lists.

    A network that lists none, as one of your own, gets its activations (else its convolutions)
    once images are known: then this is empty.

    >>> from facetell.models import build
    >>> layers(build("simplenet", image_size=64))
    ['conv1', 'conv2', 'conv3']
    """
    declared = target_layers(Subject.of(model).network)
    return list(declared.names) if declared else []


def default_layer(model: nn.Module) -> str | None:
    """The layer that the network's definition recommends; None if it lists none.

    >>> from facetell.models import build
    >>> default_layer(build("simplenet", image_size=64))
    'conv3'
    """
    declared = target_layers(Subject.of(model).network)
    return declared.default if declared else None


def map_layers(model: nn.Module, images: torch.Tensor) -> dict[str, tuple[int, int]]:
    """Every layer whose output is a map, with the sides (h, w) of that map, in forward order.

    Only the first image is used. Layers that run more than once in a forward pass are left out.

    >>> from facetell.models import build
    >>> sides = map_layers(build("simplenet", image_size=64), torch.rand(1, 3, 64, 64))
    >>> sides["conv1"], sides["conv3"]
    ((58, 58), (5, 5))
    """
    subject = Subject.of(model)
    sides: dict[str, tuple[int, int]] = {}
    ran: dict[str, int] = {}
    images = images[:1].detach().expand(2, -1, -1, -1)  # a batch of one may be taken for a table

    def look(name: str, module: nn.Module, args: Any, output: Any) -> None:
        ran[name] = ran.get(name, 0) + 1
        try:
            height, width = as_map(subject, module, output, images).shape[2:]
        except NotAMap:
            return
        sides[name] = height, width

    with untouched(subject.model), hooks(subject, list(subject.modules), look), torch.no_grad():
        subject.logits(images)
    return {name: own for name, own in sides.items() if ran[name] == 1}


def spread_layers(model: nn.Module, images: torch.Tensor, count: int, least: int = 1) -> list[str]:
    """At most ``count`` of the listed layers, evenly spread from the first to the deepest whose
    map has at least ``least`` cells on a side.

    >>> from facetell.models import build
    >>> spread_layers(build("simplenet", image_size=64), torch.rand(1, 3, 64, 64), 2)
    ['conv1', 'conv3']
    """
    sides = map_layers(model, images)
    fine = [name for name in layers(model) if min(sides.get(name, (0, 0))) >= least]
    chosen = np.unique(np.linspace(0, len(fine) - 1, min(count, len(fine))).round().astype(int))
    return [fine[index] for index in chosen]


def resolve(
    subject: Subject, wanted: str | Sequence[str], images: torch.Tensor
) -> dict[str, nn.Module]:
    """The layers that are meant by "all", "default", one name or several; UserError if unknown.

    A detector's ``network.`` may stand before a name. "all" and "default" of a network that
    declares nothing are its activations, else its convolutions, as far as they are maps.
    """
    modules = subject.modules
    if wanted in ("all", "default"):
        declared = target_layers(subject.network) or _undeclared(subject, images)
        if declared is None:
            return {}
        names = list(declared.names) if wanted == "all" else [declared.default]
    else:
        names = [wanted] if isinstance(wanted, str) else list(wanted)
        names = [name if name in modules else name.removeprefix("network.") for name in names]
        names = list(dict.fromkeys(names))
    for name in names:
        if name not in modules:
            raise UserError(_unknown(subject, name))
    return {name: modules[name] for name in names}


def _unknown(subject: Subject, name: str) -> str:
    declared = target_layers(subject.network)
    listed = declared.names if declared else tuple(subject.modules)[:40]
    near = get_close_matches(name, subject.modules, n=3)
    return (
        f"{subject.name} has no layer {name!r} to explain"
        + (f" (did you mean {' or '.join(near)}?)" if near else "")
        + f"; there are {', '.join(listed)}, and every other name in named_modules() whose output "
        "is a map; all and default stand for what the network's definition lists"
    )


def _undeclared(subject: Subject, images: torch.Tensor) -> TargetLayers | None:
    """The activations of a network that declares no layers, else its convolutions."""
    maps = map_layers(subject.model, images)
    modules = subject.modules
    activations = [n for n in maps if type(modules[n]).__name__ in ACTIVATIONS]
    names = activations or [n for n in maps if isinstance(modules[n], nn.Conv2d)]
    return TargetLayers(tuple(names), names[-1]) if names else None


@contextmanager
def hooks(
    subject: Subject, names: Sequence[str], hook: Callable[[str, nn.Module, Any, Any], Any]
) -> Iterator[None]:
    """Call ``hook(name, module, args, output)`` after each of these layers has run.

    What it returns, unless None, takes the place of the output.
    """
    handles = []
    try:
        for name in names:
            module = subject.modules[name]
            handles.append(module.register_forward_hook(_named(hook, name)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _named(hook: Callable[[str, nn.Module, Any, Any], Any], name: str) -> Any:
    return lambda module, args, output: hook(name, module, args, output)


def as_map(subject: Subject, module: nn.Module, output: Any, images: torch.Tensor) -> torch.Tensor:
    """A layer's output for ``images``, or its gradient, as a view (B, C, h, w).

    Raises
    ------
    NotAMap : it is not a tensor, not of these images, or has no spatial positions.
    """
    if not isinstance(output, torch.Tensor):
        raise NotAMap(f"it gives a {type(output).__name__}")
    shape = tuple(output.shape)
    if output.ndim not in (3, 4) or shape[0] != len(images):
        raise NotAMap(
            f"its output of shape {shape} has no spatial positions of {len(images)} images"
        )
    height, width = images.shape[2:]
    last = getattr(subject.network, "output_fmt", "NCHW") == "NHWC"
    prefix = getattr(subject.network, "num_prefix_tokens", None)
    if output.ndim == 3:
        grid = grid_of(shape[1], height, width, prefix, last)
        if grid is None:
            raise NotAMap(f"its output of shape {shape} has no grid of spatial positions")
        positions = output[:, shape[1] - grid[0] * grid[1] :]
        return positions.unflatten(1, grid).permute(0, 3, 1, 2)
    if isinstance(module, CHANNELS_FIRST) or not (last or prefix is not None):
        return output
    sides = shape[1:3] if last else shape[2:]
    if sides[0] * width != sides[1] * height:  # attention matrices and the like
        raise NotAMap(f"its output of shape {shape} has not the shape of the image")
    return output.permute(0, 3, 1, 2) if last else output


def grid_of(
    tokens: int, height: int, width: int, prefix: int | None, last: bool = False
) -> tuple[int, int] | None:
    """Rows and columns of the tokens that stand for spatial positions, as the image's sides are."""
    # the tokens of a patch embedding have no others before them yet
    for extra in (prefix, 0) if prefix is not None else (0,) if last else (0, 1):
        rows = round(((tokens - extra) * height / width) ** 0.5) if tokens > extra else 0
        if rows and (tokens - extra) % rows == 0:
            columns = (tokens - extra) // rows
            if rows * width == columns * height:
                return rows, columns
    return None
