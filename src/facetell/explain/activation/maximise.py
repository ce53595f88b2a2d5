# SPDX-License-Identifier: Apache-2.0
"""Activation maximisation: an image of what raises a score most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from facetell.common.errors import UserError
from facetell.common.progress import progress
from facetell.common.seeding import seed_of
from facetell.common.vision import functional as F
from facetell.explain.layers import NotAMap, as_map, hooks, resolve
from facetell.explain.subject import Subject, device_of, sign_of, untouched

BLUR_EVERY = 4  # steps


@dataclass(frozen=True)
class Channel:
    """One channel of one layer, of which the mean over all positions is raised."""

    layer: str
    index: int


Target = str | Channel


@dataclass(frozen=True)
class Ascent:
    """How an image climbs.

    steps : of gradient ascent.
    rate : length of a step, in root mean square, as part of the range.
    jitter : each step sees the image moved by up to so many px.
    blur : standard deviation in px of a blur after every fourth step; 0 for none.
    variation : weight of the total variation's gradient against the score's, both normalised.
    limits : range that the model takes.

    >>> Ascent(steps=32).rate
    0.02

    Raises
    ------
    UserError : no step, or limits that do not rise.
    """

    steps: int = 200
    rate: float = 0.02
    jitter: int = 4
    blur: float = 0.5
    variation: float = 0.1
    limits: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        low, high = self.limits
        if self.steps < 1 or not low < high:
            raise UserError(
                f"activation maximisation takes at least one step and limits that rise, not "
                f"{self.steps} and {self.limits}"
            )


@dataclass(frozen=True)
class Maximised:
    """``images`` (N, 3, S, S) in the given range, one for each target; ``start`` (3, S, S), where
    all began; ``before`` and ``after`` (N,) of the scores."""

    images: np.ndarray
    start: np.ndarray
    before: np.ndarray
    after: np.ndarray


def maximise(
    model: nn.Module,
    size: int,
    targets: Target | Sequence[Target] = "fake",
    *,
    ascent: Ascent = Ascent(),
    seed: int = 0,
) -> Maximised:
    """Gradient ascent on the input, from grey with a little noise, for all targets together.

    Source: Erhan et al., "Visualizing Higher-Layer Features of a Deep Network" (2009); jitter and
    blur as in Olah et al., "Feature Visualization" (Distill, 2017); total variation as in
    Mahendran and Vedaldi, "Understanding Deep Image Representations" (CVPR 2015).

    Parameters
    ----------
    model : as for ``explain``; left as it was.
    size : side of the images in px.
    targets : "fake" raises the margin, "real" lowers it, a ``Channel`` is raised itself. One or
        several; all images start alike and differ by their targets only.
    ascent : how each image climbs.
    seed : of the start and of the jitter.

    >>> from facetell.models import build
    >>> _ = torch.manual_seed(0)
    >>> found = maximise(build("simplenet", image_size=64), 64, ["fake", Channel("conv1", 0)],
    ...                  ascent=Ascent(steps=32))
    >>> found.images.shape, bool(found.after[0] > found.before[0])
    ((2, 3, 64, 64), True)

    Raises
    ------
    UserError : an unknown target or layer, or a channel that the layer does not have.
    """
    wanted = [targets] if isinstance(targets, str | Channel) else list(targets)
    if size < 1 or not wanted:
        raise UserError("activation maximisation takes a size of at least 1 px and a target")
    subject = Subject.of(model)
    low, high = ascent.limits
    draws = torch.Generator().manual_seed(seed_of("maximise", seed))
    noise = torch.randn(1, 3, size, size, generator=draws)
    start = ((low + high) / 2 + 0.05 * (high - low) * noise).clamp(low, high)
    x = start.repeat(len(wanted), 1, 1, 1).to(device_of(subject.model))
    with untouched(subject.model):
        scores = _Scores(subject, wanted, x)
        before = scores(x).detach()
        for step in progress(range(ascent.steps), "activation maximisation"):
            moves = torch.randint(-ascent.jitter, ascent.jitter + 1, (2,), generator=draws)
            x = _climbed(x, scores, ascent, moves.tolist())
            if ascent.blur and step % BLUR_EVERY == BLUR_EVERY - 1 and step < ascent.steps - 4:
                width = 2 * int(3 * ascent.blur + 0.5) + 1
                x = F.gaussian_blur(x, [width] * 2, [ascent.blur] * 2)
            x = x.clamp(low, high)
        after = scores(x).detach()
    images, before, after = (values.float().cpu() for values in (x, before, after))
    return Maximised(images.numpy(), start[0].numpy(), before.numpy(), after.numpy())


def _climbed(x: torch.Tensor, scores: "_Scores", ascent: Ascent, moves: list[int]) -> torch.Tensor:
    """One step up; each image's gradient is its own, since none has a say in another's score."""
    low, high = ascent.limits
    leaf = x.detach().requires_grad_(True)
    (up,) = torch.autograd.grad(scores(leaf.roll(moves, (2, 3))).sum(), leaf)
    (rough,) = torch.autograd.grad(_variation(leaf), leaf)
    return x + ascent.rate * (high - low) * (_unit(up) - ascent.variation * _unit(rough))


class _Scores:
    """Of image i the score of target i, (N,): the signed margin, or the mean of a channel."""

    def __init__(self, subject: Subject, targets: Sequence[Target], images: torch.Tensor) -> None:
        self.subject = subject
        self.signs = {i: sign_of(t) for i, t in enumerate(targets) if isinstance(t, str)}
        self.channels: dict[str, dict[int, int]] = {}
        for image, target in enumerate(targets):
            if isinstance(target, Channel):
                (name,) = resolve(subject, target.layer, images)
                self.channels.setdefault(name, {})[image] = target.index

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        scores: dict[int, torch.Tensor] = {}

        def see(name: str, module: nn.Module, _: Any, output: Any) -> torch.Tensor:
            try:
                maps = as_map(self.subject, module, output, images)
            except NotAMap as reason:
                raise UserError(f"layer {name} has no map: {reason}") from reason
            for image, index in self.channels[name].items():
                if not 0 <= index < maps.shape[1]:
                    raise UserError(f"layer {name} has {maps.shape[1]} channels, from 0")
                scores[image] = maps[image, index].mean()
            return output.clone()  # what follows may work in place

        with hooks(self.subject, list(self.channels), see):
            margin = self.subject.margin(images)
        scores |= {image: sign * margin[image] for image, sign in self.signs.items()}
        return torch.stack([scores[image] for image in range(len(images))])


def _variation(x: torch.Tensor) -> torch.Tensor:
    """Sum of squared differences between neighbours."""
    return x.diff(dim=2).square().sum() + x.diff(dim=3).square().sum()


def _unit(gradient: torch.Tensor) -> torch.Tensor:
    """Root mean square 1 for each image, and 0 for one without a gradient."""
    size = gradient.square().mean((1, 2, 3), keepdim=True).sqrt()
    return gradient / size.clamp(min=torch.finfo(size.dtype).tiny)
