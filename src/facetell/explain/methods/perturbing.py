# SPDX-License-Identifier: Apache-2.0
"""Methods that change the image or a layer and watch the score: many forward passes per image."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from pytorch_grad_cam import AblationCAM, ScoreCAM
from pytorch_grad_cam.ablation_layer import AblationLayer
from torch import nn

from facetell.common.errors import UserError
from facetell.common.progress import progress
from facetell.explain.layers import NotAMap, as_map, hooks
from facetell.explain.registry import Task, register
from facetell.explain.subject import Subject, device_of


@register(
    "occlusion",
    kind="input",
    costly=True,
    source="Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014",
)
def occlusion(
    task: Task, *, window: int | None = None, stride: int | None = None, value: float | None = None
) -> torch.Tensor:
    """Drop of the score with a square covered, averaged over the squares that cover a pixel.

    ``window`` px (an eighth of the shorter side), moved by ``stride`` px (half a window), the last
    flush with the border; ``value`` is what covers: the image's own mean colour unless given.
    """
    x = task.images
    height, width = x.shape[2:]
    window = max(1, min(height, width) // 8) if window is None else window
    stride = max(1, window // 2) if stride is None else stride
    if not 1 <= window <= min(height, width):
        raise UserError(f"occlusion: a window of {window} px does not fit {height}x{width} px")
    if not 1 <= stride <= window:
        raise UserError(f"occlusion: stride {stride} must be from 1 to the window, {window}")
    cover = x.mean((2, 3), keepdim=True)
    if value is not None:
        cover = torch.full_like(cover, value)
    squares = [(top, left) for top in _starts(height, window, stride)
               for left in _starts(width, window, stride)]  # fmt: skip
    drops = torch.zeros(len(x), height, width).to(x)
    counts = torch.zeros(height, width).to(x)
    before = task.score(x)
    together = max(1, task.batch_size // len(x))
    for at in range(0, len(squares), together):
        part = squares[at : at + together]
        copies = x.repeat(len(part), 1, 1, 1).unflatten(0, (len(part), len(x)))
        for copy, (top, left) in zip(copies, part, strict=True):
            copy[:, :, top : top + window, left : left + window] = cover
        scores = task.score(copies.flatten(0, 1)).unflatten(0, (len(part), len(x)))
        for score, (top, left) in zip(scores, part, strict=True):
            square = (..., slice(top, top + window), slice(left, left + window))
            drops[square] += (before - score)[:, None, None]
            counts[square] += 1
    return drops / counts


def _starts(side: int, window: int, stride: int) -> list[int]:
    return sorted({*range(0, side - window + 1, stride), side - window})


@register(
    "ScoreCAM",
    kind="layer",
    costly=True,
    relu=True,
    source="Wang et al., Score-CAM, CVPR Workshops 2020",
)
def scorecam(task: Task) -> Iterator[tuple[str, torch.Tensor]]:
    """sum_c w_c a_c with w the softmax over channels of the score of the image times the channel.

    The weights are grad-cam's, image by image; a forward pass per channel.
    """
    return _weighted(task, ScoreCAM, lambda weights, score: weights)


@register(
    "AblationCAM",
    kind="layer",
    costly=True,
    relu=True,
    source="Desai and Ramaswamy, Ablation-CAM, WACV 2020",
)
def ablationcam(task: Task) -> Iterator[tuple[str, torch.Tensor]]:
    """sum_c w_c a_c with w the drop of the score when channel c is 0; a forward pass per channel.

    The weights are grad-cam's, image by image, times the score by which it divides them: that of
    a margin may be negative, which would turn the map around. Its way to silence a channel of
    layers with negative values, a constant of -1e7, is replaced by the 0 of the definition.
    """
    return _weighted(task, AblationCAM, lambda weights, score: weights * score)


def _weighted(task: Task, method: Any, scale: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Maps from the channel weights that one of grad-cam's classes finds for each image."""

    def target(logits: torch.Tensor) -> torch.Tensor:
        return task.sign * (logits[1] - logits[0])

    for layer in progress(list(task.layers), method.__name__, show=len(task.layers) > 1):
        probed = Probed(task.subject, layer)
        with torch.no_grad():
            scores = task.sign * probed(task.images).diff(dim=1)[:, 0]
        activations = probed.seen
        options = {"ablation_layer": Silence()} if method is AblationCAM else {}
        maps = []
        for row in range(len(task.images)):
            cam = method(probed, [], **options)
            cam.batch_size = task.batch_size
            with contextlib.redirect_stderr(io.StringIO()):  # a bar per image
                weights = cam.get_cam_weights(
                    task.images[row : row + 1],
                    probed.probe,
                    [target],
                    activations[row : row + 1].cpu().numpy(),
                    None,
                )
            weights = torch.from_numpy(np.asarray(scale(weights[0], float(scores[row]))))
            maps.append(torch.einsum("c,chw->hw", weights.to(activations), activations[row]))
        yield layer, torch.stack(maps)


class Probed(nn.Module):
    """A model as grad-cam expects it: ``probe`` has the layer's output, channels first.

    grad-cam replaces ``probe`` here, never a layer of the model; what it works on are copies.
    """

    def __init__(self, subject: Subject, layer: str) -> None:
        super().__init__()
        self.subject, self.layer = subject, layer
        self.probe: Any = nn.Identity()
        self.seen = torch.empty(0)
        # grad-cam asks the parameters for the device
        empty = torch.empty(0, device=device_of(subject.model))
        self.device_mark = nn.Parameter(empty, requires_grad=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        def through(_: str, module: nn.Module, __: Any, output: Any) -> torch.Tensor:
            try:
                self.seen = as_map(self.subject, module, output, images).clone()
            except NotAMap as reason:
                raise UserError(f"layer {self.layer} has no map: {reason}") from reason
            changed: torch.Tensor = output.clone()
            as_map(self.subject, module, changed, images).copy_(self.probe(self.seen))
            return changed

        with hooks(self.subject, [self.layer], through):
            return self.subject.logits(images)


class Silence(AblationLayer):
    """Sets to 0 one channel of each copy of an image's activations."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        copies = self.activations
        copies[torch.arange(len(copies)), self.indices[: len(copies)]] = 0
        return copies
