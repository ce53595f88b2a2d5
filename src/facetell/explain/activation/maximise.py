"""Activation maximisation: an image of what raises a score most."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torchvision.transforms.v2 import functional as F

from facetell.common.errors import UserError
from facetell.common.seeding import seed_of
from facetell.explain.layers import NotAMap, as_map, hooks, resolve
from facetell.explain.subject import Subject, sign_of, untouched


@dataclass
class Maximised:
    """``images`` (N, 3, S, S) in the given range; ``before`` and ``after`` (N,) of the score."""

    images: np.ndarray
    before: np.ndarray
    after: np.ndarray


def maximise(
    model: nn.Module,
    size: int,
    target: str = "fake",
    layer: str | None = None,
    channel: int | None = None,
    *,
    number: int = 1,
    steps: int = 200,
    rate: float = 0.02,
    jitter: int = 4,
    blur: float = 0.5,
    variation: float = 0.1,
    limits: tuple[float, float] = (0.0, 1.0),
    seed: int = 0,
) -> Maximised:
    """Gradient ascent on the input, from grey with a little noise.

    Source: Erhan et al., "Visualizing Higher-Layer Features of a Deep Network" (2009); jitter and
    blur as in Olah et al., "Feature Visualization" (Distill, 2017); total variation as in
    Mahendran and Vedaldi, "Understanding Deep Image Representations" (CVPR 2015).

    Parameters
    ----------
    model : as for ``explain``; left as it was.
    size : side of the images in px.
    target : "fake" raises the margin, "real" lowers it; with a layer it does not matter.
    layer, channel : raise the mean of one channel of one layer instead.
    number : images, each from its own noise.
    rate : length of a step, in root mean square, as part of the range.
    jitter : each step sees the image moved by up to so many px.
    blur : standard deviation in px of a blur after every fourth step; 0 for none.
    variation : weight of the total variation's gradient against the score's, both normalised.
    limits : range that the model takes.

    Raises
    ------
    UserError : an unknown target or layer, or a channel that the layer does not have.
    """
    sign, subject = sign_of(target), Subject.of(model)
    low, high = limits
    if size < 1 or number < 1 or steps < 1 or not low < high:
        raise UserError("size, number and steps must be at least 1, and limits rise")
    if (layer is None) != (channel is None):
        raise UserError("maximise takes a layer and a channel of it together, or neither")
    draws = torch.Generator().manual_seed(seed_of("maximise", seed))
    place = next(subject.model.parameters(), torch.empty(0))
    noise = torch.randn(number, 3, size, size, generator=draws)
    x = ((low + high) / 2 + 0.05 * (high - low) * noise).clamp(low, high).to(place)
    with untouched(subject.model):
        name = None if layer is None else next(iter(resolve(subject, layer, x)))
        score = _Score(subject, sign, name, channel)
        before = score(x).detach()
        for step in range(steps):
            moves = torch.randint(-jitter, jitter + 1, (2,), generator=draws).tolist()
            leaf = x.detach().requires_grad_(True)
            (up,) = torch.autograd.grad(score(leaf.roll(moves, (2, 3))).sum(), leaf)
            (rough,) = torch.autograd.grad(_variation(leaf), leaf)
            x = x + rate * (high - low) * (_unit(up) - variation * _unit(rough))
            if blur and step % 4 == 3 and step < steps - 4:
                x = F.gaussian_blur(x, [2 * int(3 * blur + 0.5) + 1] * 2, [blur] * 2)
            x = x.clamp(low, high)
        after = score(x).detach()
    return Maximised(*(values.float().cpu().numpy() for values in (x, before, after)))


@dataclass
class _Score:
    """Signed margin (B,), or the mean of one channel of a layer."""

    subject: Subject
    sign: float
    layer: str | None
    channel: int | None

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        if self.layer is None:
            return self.sign * self.subject.margin(images)
        kept: list[torch.Tensor] = []

        def see(name: str, module: nn.Module, _: Any, output: Any) -> torch.Tensor:
            try:
                maps = as_map(self.subject, module, output, images)
            except NotAMap as reason:
                raise UserError(f"layer {name} has no map: {reason}") from reason
            if not 0 <= (self.channel or 0) < maps.shape[1]:
                raise UserError(f"layer {name} has {maps.shape[1]} channels, from 0")
            kept.append(maps[:, self.channel].mean((1, 2)))
            return output.clone()  # what follows may work in place

        with hooks(self.subject, [self.layer], see):
            self.subject.logits(images)
        return kept[-1]


def _variation(x: torch.Tensor) -> torch.Tensor:
    """Sum of squared differences between neighbours."""
    return x.diff(dim=2).square().sum() + x.diff(dim=3).square().sum()


def _unit(gradient: torch.Tensor) -> torch.Tensor:
    """Root mean square 1 for each image, and 0 for one without a gradient."""
    size = gradient.square().mean((1, 2, 3), keepdim=True).sqrt()
    return gradient / size.clamp(min=torch.finfo(size.dtype).tiny)
