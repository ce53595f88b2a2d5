"""Saliency and Grad-CAM of the margin, in one forward and one backward pass.

Saliency: Simonyan et al., "Deep Inside Convolutional Networks" (2013), the largest absolute
gradient over the colours. Grad-CAM: Selvaraju et al. (ICCV 2017), by the grad-cam package. The
margin (fake logit - real logit) is explained, never the softmax, whose gradient vanishes when the
detector is sure.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from pytorch_grad_cam import GradCAM
from torch import nn

from facetell.detector import Detector
from facetell.errors import UserError

CELLS = 7  # a side of fewer cells says little about where; Grad-CAM has 7 at 224 px


@dataclass
class Maps:
    """Maps of a batch; nothing is normalised, and signs are kept.

    ``saliency`` (B, S, S) >= 0; ``cam`` (B, h, w): positive where the image speaks for fake,
    negative for real; ``margin`` (B,); ``layer`` is the one that ``cam`` was made at.
    """

    saliency: np.ndarray
    cam: np.ndarray
    margin: np.ndarray
    layer: str


def layers(network: nn.Module) -> list[str]:
    """Layers whose maps can be drawn, in forward order, as the network's definition lists them."""
    listed: Any = network.feature_info
    return [entry["module"] for entry in listed]


def explain(detector: Detector, images: torch.Tensor, layer: str | None = None) -> Maps:
    """Explain the margin of each image.

    Parameters
    ----------
    detector : left as it was: mode, weights, hooks and ``requires_grad``.
    images : float RGB in [0, 1], (B, 3, S, S).
    layer : one of ``layers(detector.network)``; None takes the deepest with at least 7x7 cells.

    Raises
    ------
    UserError : there is no such layer; the valid ones are listed.
    """
    network = detector.network
    names = layers(network)
    if layer is not None and layer not in names:
        raise UserError(f"there is no layer {layer!r} to explain; there are {', '.join(names)}")
    layer = layer or _deepest(detector, images[:1], names)
    training, frozen = detector.training, [p.requires_grad for p in detector.parameters()]
    detector.eval().requires_grad_(False)
    images = images.detach().clone().requires_grad_(True)
    cam = GradCAM(detector, [network.get_submodule(layer)], partial(_channels_first, network))
    try:
        logits = cam.activations_and_grads(images)
        margin = logits[:, 1] - logits[:, 0]
        margin.sum().backward()
        activations = cam.activations_and_grads.activations[0].numpy()
        gradients = cam.activations_and_grads.gradients[0].numpy()
        # this weighted sum comes before the package's ReLU and per-image scaling, which would
        # hide the sign and forbid averaging over a class
        maps = cam.get_cam_image(images, None, [], activations, gradients, False)
    finally:
        cam.activations_and_grads.release()
        detector.train(training)
        for parameter, before in zip(detector.parameters(), frozen, strict=True):
            parameter.requires_grad_(before)
    assert images.grad is not None  # for the type checker: backward has filled it
    saliency = images.grad.abs().amax(dim=1)
    return Maps(saliency.cpu().numpy(), maps, margin.detach().cpu().numpy(), layer)


def enlarge(map_: np.ndarray, size: int) -> np.ndarray:
    """Bilinear enlargement of a float map (h, w) to (size, size)."""
    image = Image.fromarray(map_.astype(np.float32))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def _channels_first(network: Any, values: torch.Tensor) -> torch.Tensor:
    """A layer's output, or its gradient, as (B, C, h, w).

    Tokens (B, N, C) lose the class token and its like; a layout (B, h, w, C) is the network's own
    to say. The copy matters: a following operation in place would overwrite what was seen.
    """
    if values.ndim == 3:
        values = values[:, getattr(network, "num_prefix_tokens", 0) :]
        side = round(values.shape[1] ** 0.5)
        values = values.unflatten(1, (side, side)).permute(0, 3, 1, 2)
    elif getattr(network, "output_fmt", "NCHW") == "NHWC":
        values = values.permute(0, 3, 1, 2)
    return values.clone()


def _deepest(detector: Detector, image: torch.Tensor, names: list[str]) -> str:
    sides: dict[str, int] = {}
    hooks = [
        detector.network.get_submodule(name).register_forward_hook(
            lambda _m, _i, output, name=name: sides.__setitem__(
                name, _channels_first(detector.network, output).shape[-1]
            )
        )
        for name in names
    ]
    training = detector.training
    try:
        with torch.inference_mode():
            detector.eval()(image)
    finally:
        detector.train(training)
        for hook in hooks:
            hook.remove()
    fine = [name for name in names if sides[name] >= CELLS]
    return fine[-1] if fine else max(reversed(names), key=lambda name: sides[name])
