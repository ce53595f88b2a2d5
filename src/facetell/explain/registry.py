# SPDX-License-Identifier: Apache-2.0
"""The methods by name. A new one is one function under ``@register`` in ``explain/methods/``.

Kinds, and what their functions take and give:

- "one-pass layer": ``f(a, g) -> (B, h, w)`` from a layer's activations and their gradient, both
  (B, C, h, w); with ``gradient=False`` it is ``f(a)``.
- "one-pass input": ``f(x, g) -> (B, H, W)`` from the images and their gradient (B, 3, H, W).
- "input", "attention": ``f(task, **options) -> (B, h, w)``, passes of its own.
- "layer": ``f(task, **options)`` yields (layer, (B, h, w)), passes of its own.

Gradients are those of the explained score, which for the target real is the negative margin.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from facetell.common.errors import UserError
from facetell.explain.subject import Subject

Kind = Literal["one-pass layer", "one-pass input", "input", "attention", "layer"]


@dataclass(frozen=True)
class Method:
    """How a method is called, where it comes from, and for what it is defined.

    ``relu``: the definition ends with a ReLU, which is left to ``explain(relu=True)``.
    ``signed``: values above 0 speak for the explained class and values below 0 against it; where
    it is False, they are magnitudes that know no class. ``caveat``: what a reader of the map must
    be told, a sentence for captions. ``where``: the networks that it is defined for, in words.
    ``undefined`` gives, from the subject, the layers and some images, the reason why a network is
    none of them, or None.
    """

    name: str
    title: str
    kind: Kind
    source: str
    function: Callable[..., Any]
    where: str = "every network"
    relu: bool = False
    signed: bool = True
    caveat: str = ""
    gradient: bool = True
    costly: bool = False  # many forward passes per image
    undefined: Callable[[Subject, Iterable[str], torch.Tensor], str | None] | None = None

    @property
    def one_pass(self) -> bool:
        """Whether it comes with the one forward and backward pass that all share."""
        return self.kind.startswith("one-pass")

    @property
    def of_layers(self) -> bool:
        """Whether its maps belong to layers, not to the input."""
        return self.kind in ("one-pass layer", "layer")


METHODS: dict[str, Method] = {}


def is_signed(name: str) -> bool:
    """Whether a method's maps have a sign; True for a name that is not registered.

    >>> is_signed("gradcam"), is_signed("saliency")
    (True, False)
    """
    return name not in METHODS or METHODS[name].signed


PASSES = {"costly": 30.0, "other": 8.0}  # of methods that do not share the one pass, about


def cost(methods: Iterable[str]) -> float:
    """What maps of one image by these methods cost, over one forward and backward pass: roughly.

    >>> cost(["gradcam", "saliency"])
    1.0
    """
    apart = [METHODS[name] for name in methods if not METHODS[name].one_pass]
    return 1.0 + sum(PASSES["costly" if one.costly else "other"] for one in apart)


def register(title: str, **fields: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function under its own name; ``fields`` as in ``Method``."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        METHODS[function.__name__] = Method(function.__name__, title, function=function, **fields)
        return function

    return add


@dataclass
class Task:
    """What a method with passes of its own is given: at most ``batch_size`` images at once.

    ``say`` collects by layer what the status (B,) of maps should be where their values are fine;
    ``title`` replaces the method's, where a network has it under another name.
    """

    subject: Subject
    images: torch.Tensor
    sign: float
    layers: dict[str, nn.Module]
    batch_size: int
    seed: int
    say: dict[str, np.ndarray] = field(default_factory=dict)
    title: str | None = None

    def score(self, images: torch.Tensor) -> torch.Tensor:
        """The explained score (B,) of any number of images, without gradients."""
        with torch.no_grad():
            parts = images.split(self.batch_size)
            return self.sign * torch.cat([self.subject.margin(part) for part in parts])

    def gradient(self, images: torch.Tensor) -> torch.Tensor:
        """Gradient of the explained score with respect to at most ``batch_size`` images."""
        images = images.detach().requires_grad_(True)
        score = self.sign * self.subject.margin(images).sum()
        return torch.autograd.grad(score, images)[0]


def methods_named(names: Any) -> list[Method]:
    """Methods by name, without repetition; UserError lists the valid ones.

    >>> [method.title for method in methods_named(["gradcam", "saliency", "gradcam"])]
    ['Grad-CAM', 'saliency']
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        if name not in METHODS:
            raise UserError(f"there is no method {name!r}; there are {', '.join(METHODS)}")
    return [METHODS[name] for name in dict.fromkeys(names)]
