# SPDX-License-Identifier: Apache-2.0
"""One forward and one backward pass for the maps of all layers and of the input.

Each layer's output is copied as it passes: later layers work on the copy, in place if they like,
and the gradient of the copy is that of this output alone. In the backward pass a layer's maps are
made as soon as its gradient is there, and its activations are dropped, so that what is kept are
maps: memory is that of one training step on the batch, whatever the number of methods.

Where nobody asks for the gradient at the input, the first layer to be explained begins the graph:
nothing is kept of what comes before it, and the backward pass ends there.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from facetell.common.errors import UserError
from facetell.explain.layers import NotAMap, as_map, hooks
from facetell.explain.maps import INPUT, judge
from facetell.explain.registry import Method
from facetell.explain.subject import Subject


class Judged(NamedTuple):
    """Maps and their status of one method at one layer, for one batch."""

    maps: np.ndarray
    status: np.ndarray


class Pass:
    """A pass in the making: ``results[method, layer]`` fills while it runs."""

    def __init__(
        self,
        subject: Subject,
        images: torch.Tensor,
        layers: dict[str, nn.Module],
        methods: Sequence[Method],
        *,
        to_input: bool = True,
    ) -> None:
        """``to_input``: whether ``run`` shall give the gradient at the images."""
        self.subject, self.images, self.layers = subject, images, layers
        at_layers = [method for method in methods if method.kind == "one-pass layer"]
        self.forward_only = [method for method in at_layers if not method.gradient]
        self.with_gradient = [method for method in at_layers if method.gradient]
        self.of_input = [method for method in methods if method.kind == "one-pass input"]
        self.to_input = to_input or bool(self.of_input)
        self.starts: list[torch.Tensor] = []  # where the graph begins
        self.waiting: dict[str, torch.Tensor] = {}
        self.results: dict[tuple[str, str], Judged] = {}
        self.ran: set[str] = set()

    def run(self, sign: float) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Margin (B,) and gradient of the score with respect to the images (B, 3, H, W), or None
        if that is not wanted."""
        leaf = self.images.detach().clone().requires_grad_(self.to_input)
        if self.to_input:
            self.starts.append(leaf)
        used = self.layers if self.forward_only or self.with_gradient else {}
        with hooks(self.subject, list(used), self.arrived):
            margin = self.subject.margin(leaf)
            absent = [name for name in used if name not in self.ran]
            if absent:
                raise UserError(f"{', '.join(absent)}: does not run in the forward pass")
            if self.starts and not margin.requires_grad:
                raise UserError(
                    f"the logits of {self.subject.name} have no gradient: it works under no_grad "
                    "or detaches somewhere, and its maps would be zero without meaning it"
                )
            gradients = self.gradients((sign * margin).sum())
        for name in list(self.waiting):  # what the score does not depend on
            self.returned(name, None)
        if not self.to_input:
            return margin.detach(), None
        gradient = torch.zeros_like(leaf) if gradients[0] is None else gradients[0]
        for method in self.of_input:
            maps = method.function(self.images, gradient)
            zero = (gradient == 0).flatten(1).all(1)
            self.results[method.name, INPUT] = Judged(to_numpy(maps), judge(maps, zero))
        return margin.detach(), gradient

    def gradients(self, score: torch.Tensor) -> Sequence[torch.Tensor | None]:
        """The backward pass: the score's gradient at each of ``starts``."""
        if not self.starts:
            return ()
        return torch.autograd.grad(score, self.starts, allow_unused=True)

    def arrived(self, name: str, module: nn.Module, args: Any, output: Any) -> torch.Tensor:
        """After the layer ran: keep its output, make the maps that need no gradient, hand on."""
        if name in self.ran:
            raise UserError(
                f"layer {name} runs more than once in a forward pass, so it has no one map: name "
                "a block around it"
            )
        self.ran.add(name)
        try:
            as_map(self.subject, module, output, self.images)
            if self.to_input and not output.requires_grad:
                raise NotAMap("its output does not depend on the images, or is detached from them")
        except NotAMap as reason:
            raise UserError(
                f"layer {name} ({type(module).__name__}) has no map: {reason}"
            ) from reason
        kept = output.detach()
        if output._is_view() or any(output is argument for argument in args):
            kept = kept.clone()  # others may still write into it
        activations = as_map(self.subject, module, kept, self.images)
        for method in self.forward_only:
            self.add(method, name, method.function(activations))
        passed: torch.Tensor = output.clone()
        if self.with_gradient and not passed.requires_grad:
            self.starts.append(passed.requires_grad_(True))
        if self.with_gradient:
            self.waiting[name] = activations
            passed.register_hook(lambda gradient: self.returned(name, gradient))
        return passed

    def returned(self, name: str, gradient: torch.Tensor | None) -> None:
        """Once the layer's gradient is there (None: the score does not depend on it)."""
        activations = self.waiting.pop(name)
        if gradient is None:
            g = torch.zeros_like(activations)
        else:
            g = as_map(self.subject, self.layers[name], gradient, self.images)
        zero = (g == 0).flatten(1).all(1)
        for method in self.with_gradient:
            self.add(method, name, method.function(activations, g), zero)

    def add(
        self, method: Method, name: str, maps: torch.Tensor, zero: torch.Tensor | None = None
    ) -> None:
        self.results[method.name, name] = Judged(to_numpy(maps), judge(maps, zero))


def to_numpy(maps: torch.Tensor) -> np.ndarray:
    """float64 stays, everything else becomes float32."""
    maps = maps.detach()
    return (maps if maps.dtype == torch.float64 else maps.float()).cpu().numpy()
