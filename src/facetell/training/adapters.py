# SPDX-License-Identifier: Apache-2.0
"""Low-rank adaptation: small matrices beside the weights are trained, and added to them in the end.

The package peft has them. It is imported when a recipe asks for it: that takes seconds.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from facetell.common.errors import UserError
from facetell.models.detector import Detector
from facetell.models.factory import head_of
from facetell.training.recipe import Lora, Recipe


class Adapters:
    """Matrices beside layers of a network, which has them in place from now on.

    >>> from facetell.models import build
    >>> network = build("test_vit", image_size=64)
    >>> found = Adapters(network, Lora(rank=2, layers=("qkv",)))
    >>> found.layers[0], found.merged() is network
    ('blocks.0.attn.qkv', True)
    """

    def __init__(self, network: nn.Module, lora: Lora, size: int = 64) -> None:
        """``size`` is the side in px of an image that the network takes.

        Raises
        ------
        UserError : peft is not installed, or the network has no such layers.
        """
        try:
            from peft import LoraConfig, LoraModel
        except ImportError as error:
            raise UserError(
                "lora needs the package peft: install it with pip install 'facetell[lora]'"
            ) from error
        self.layers = adaptable(network, lora.layers, size)
        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=self.layers,
        )
        self._tuner: Any = LoraModel(network, config, "default")

    def merged(self) -> nn.Module:
        """The network without adapters, whose weights have what they have learnt."""
        return self._tuner.merge_and_unload()


def adapters(detector: Detector, recipe: Recipe) -> Adapters | None:
    """Those that the recipe asks for, in place; their random start follows from torch's seed."""
    if recipe.lora is None:
        return None
    device = detector.mean.device
    made = Adapters(detector.network, recipe.lora, recipe.image_size)
    detector.to(device)
    return made


def is_adapter(name: str) -> bool:
    """Whether a parameter of that name belongs to an adapter.

    >>> is_adapter("blocks.0.attn.qkv.lora_A.default.weight")
    True
    """
    return ".lora_" in name


def adaptable(network: nn.Module, ends: Sequence[str] | None, size: int) -> list[str]:
    """Names of the layers outside the classifier that can be adapted, in forward order.

    ``ends`` are ends of their names, as in ``Lora.layers``. A layer counts only if it is called
    with an image of ``size`` px: some networks take the weights of a layer and leave it alone, so
    that nothing beside it would have an effect.

    >>> from facetell.models import build
    >>> adaptable(build("mobilenetv2_100"), None, 64)[:2]
    ['conv_stem', 'blocks.0.0.conv_pw']
    """
    heads = head_of(network)
    called = [
        (name, module)
        for name, module in _called(network, size)
        if not any(name == head or name.startswith(f"{head}.") for head in heads)
    ]
    linear = [name for name, module in called if isinstance(module, nn.Linear)]
    maps = [name for name, m in called if isinstance(m, nn.Conv2d) and m.groups == 1]
    if ends is None:
        found = linear or maps
    else:
        found = [
            name for name in linear + maps
            if any(name == end or name.endswith(f".{end}") for end in ends)
        ]  # fmt: skip
    if not found:
        asked = f" named {', '.join(ends)}" if ends else ""
        some = ", ".join((linear or maps)[:4])
        raise UserError(
            f"lora.layers: the network has no layer{asked} that can be adapted"
            + (f"; it has {some}, ..." if some else "")
        )
    return found


def _called(network: nn.Module, size: int) -> list[tuple[str, nn.Module]]:
    """Linear layers and convolutions, as an image reaches them for the first time."""
    seen: dict[str, nn.Module] = {}

    def note(name: str, module: nn.Module) -> Any:
        def hook(*_: Any) -> None:
            seen.setdefault(name, module)

        return module.register_forward_hook(hook)

    hooks = [
        note(name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ]
    training, device = network.training, next(network.parameters()).device
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, size, size, device=device))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return list(seen.items())
