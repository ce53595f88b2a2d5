# SPDX-License-Identifier: Apache-2.0
"""Which layers of a network its explanations are made at.

Networks of ours list them in ``feature_info``, as timm's do; an entry with ``"default": True`` is
the recommended one. What timm lists is where a decoder would tap the network, a layer per
resolution; here every block counts, so its families are declared below by the module that
defines them: the output of each block, after its activation where the network has one there, and
the last map before pooling, which is the default. Another family is one more line.
"""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn


@dataclass(frozen=True)
class Family:
    """Regular expressions that match whole names of layers, and names of their classes."""

    names: str
    classes: str = ".*"


_INVERTED = Family(r"bn1|blocks\.\d+\.\d+|bn2")  # bn1, bn2: norm and activation in one module
_SWIN = Family(r"layers\.\d+\.blocks\.\d+|norm")
# where a block's input is normalised: with a class token, nothing after the attention of the last
# block has a gradient anywhere else
_TOKENS = Family(r"blocks\.\d+\.norm1")
FAMILIES = {
    "timm.models.convnext": Family(r"stages\.\d+\.blocks\.\d+"),
    "timm.models.densenet": Family(r"features\.(norm0|transition\d+\.norm|norm5)"),
    "timm.models.efficientnet": _INVERTED,
    "timm.models.eva": _TOKENS,  # DINOv3
    "timm.models.resnet": Family(r"act1|layer\d+(\.\d+)?"),
    "timm.models.swin_transformer": _SWIN,
    "timm.models.swin_transformer_v2": _SWIN,
    "timm.models.vgg": Family(r"features\.\d+", classes="ReLU"),
    "timm.models.vision_transformer": _TOKENS,
    "timm.models.xception": Family(r"act2|block\d+|act[34]"),
    "torchvision.models.resnet": Family(r"layer\d+(\.\d+)?"),
}


class TargetLayers(NamedTuple):
    """Names of layers in forward order, and the recommended one of them."""

    names: tuple[str, ...]
    default: str


def target_layers(network: nn.Module) -> TargetLayers | None:
    """The layers that a network's definition declares; None if it declares none.

    >>> from facetell.models import build
    >>> target_layers(build("simplenet", image_size=64))
    TargetLayers(names=('conv1', 'conv2', 'conv3'), default='conv3')
    >>> target_layers(nn.Linear(2, 2)) is None
    True
    """
    family = FAMILIES.get(type(network).__module__)
    if family is not None:
        names = [
            name
            for name, module in network.named_modules()
            if re.fullmatch(family.names, name)
            and re.fullmatch(family.classes, type(module).__name__)
        ]
        names = [name for name in names if not _ends_another(network, name, names)]
        if names:
            names.sort(key=_order(network))
            return TargetLayers(tuple(names), names[-1])
    listed: Any = getattr(network, "feature_info", None)
    if not isinstance(listed, list | tuple):
        return None
    modules = dict(network.named_modules())
    entries = [entry for entry in listed if entry.get("module") in modules]
    if not entries:
        return None
    default = next((entry for entry in entries if entry.get("default")), entries[-1])
    return TargetLayers(tuple(entry["module"] for entry in entries), default["module"])


def _ends_another(network: nn.Module, name: str, names: list[str]) -> bool:
    """Whether a listed sequence ends with this layer: the two have one output, and one name."""
    parent, _, child = name.rpartition(".")
    if parent not in names:
        return False
    sequence = network.get_submodule(parent)
    return isinstance(sequence, nn.Sequential) and list(sequence._modules)[-1] == child


def _order(network: nn.Module) -> Any:
    """Sort key: a sequence comes after its members, as its output does."""
    order = {name: index for index, (name, _) in enumerate(network.named_modules())}

    def key(name: str) -> int:
        inside = [index for other, index in order.items() if other.startswith(f"{name}.")]
        return max(inside, default=order[name])

    return key
