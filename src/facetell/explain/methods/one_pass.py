# SPDX-License-Identifier: Apache-2.0
"""The methods that one forward and one backward pass serve at every layer together.

``a`` are a layer's activations and ``g`` the gradient of the score with respect to them, both
(B, C, h, w); maps (B, h, w) are those before the closing ReLU of a definition.
"""

import torch

from facetell.common.machine import has_float64
from facetell.explain.registry import register

SINGULAR = 1e-3  # see gradcam_plus_plus
ROUNDING = 16  # units of rounding of what was summed


def cancelled(sums: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """Sums with 0 for what rounding alone could have left of summands of these ``sizes``.

    Where sums cancel by the nature of a layer, the remains would look like a map.
    """
    return sums.masked_fill(sums.abs() <= ROUNDING * torch.finfo(sums.dtype).eps * sizes, 0)


@register(
    "Grad-CAM",
    kind="one-pass layer",
    relu=True,
    source="Selvaraju et al., Grad-CAM, ICCV 2017",
)
def gradcam(a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """sum_c mean(g_c) a_c"""
    return torch.einsum("bc,bchw->bhw", g.mean((2, 3)), a)


@register(
    "HiResCAM",
    kind="one-pass layer",
    relu=True,
    source="Draelos and Carin, HiResCAM, 2020",
)
def hirescam(a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """sum_c g_c a_c, position by position.

    Before a layer norm, which takes no notice of the scale of its input, the sum cancels.
    """
    products = g * a
    return cancelled(products.sum(1), products.abs_().sum(1))


@register(
    "LayerCAM",
    kind="one-pass layer",
    relu=True,
    source="Jiang et al., LayerCAM, IEEE TIP 2021",
)
def layercam(a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """sum_c ReLU(g_c) a_c, position by position"""
    return (g.clamp(min=0) * a).sum(1)


@register(
    "Grad-CAM++",
    kind="one-pass layer",
    relu=True,
    source="Chattopadhay et al., Grad-CAM++, WACV 2018",
)
def gradcam_plus_plus(a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """sum_c w_c a_c with w_c = sum(alpha ReLU(g_c)), alpha = g² / (2 g² + sum(a_c) g³).

    The fraction is reduced to 1 / (2 + sum(a_c) g): g² and a small number added to the
    denominator would count for more than a gradient below 1e-3, as they are in early layers,
    and the map would depend on the scale of the logits. Activations of both signs may bring the
    denominator near 0, where no weight is defined: such a map is not a number.
    """
    denominator = 2 + a.sum((2, 3), keepdim=True) * g
    positive = g.clamp(min=0)
    weights = (positive / denominator).sum((2, 3))
    singular = ((denominator.abs() < SINGULAR) & (g > 0)).flatten(1).any(1)
    weights = weights.masked_fill(singular[:, None], torch.nan)
    return torch.einsum("bc,bchw->bhw", weights, a)


@register(
    "activations (channel mean)",
    kind="one-pass layer",
    gradient=False,
    source="Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014",
    signed=False,
)
def activation(a: torch.Tensor) -> torch.Tensor:
    """Mean over channels; it knows no target. See ``top_channels`` for single channels.

    After a layer norm that has learnt nothing yet, the mean is 0.
    """
    return cancelled(a.mean(1), a.abs().mean(1))


@register(
    "EigenCAM",
    kind="one-pass layer",
    gradient=False,
    source="Muhammad and Yeasin, Eigen-CAM, IJCNN 2020",
    signed=False,
)
def eigencam(a: torch.Tensor) -> torch.Tensor:
    """First principal component over the positions of the activations, which knows no target.

    A singular vector has no sign of its own: this one agrees with the mean over channels, so that
    positive is where the layer as a whole is more active than on average; where that says
    nothing, as after a layer norm, its largest value is positive.
    """
    if not has_float64(a.device):
        return eigencam(a.cpu()).to(a.device)
    x = a.flatten(2).transpose(1, 2).double()
    x = x - x.mean(1, keepdim=True)
    few = x.shape[1] <= x.shape[2]  # positions, than channels
    gram = x @ x.mT if few else x.mT @ x
    value, vector = leading(gram, 1e-10 if a.dtype == torch.float64 else 1e-7)
    map_ = vector * value.clamp(min=0).sqrt()[:, None] if few else (x @ vector[..., None])[..., 0]
    sizes = (map_.abs() * a.flatten(2).abs().mean(1)).sum(1)
    side = cancelled((map_ * x.mean(2)).sum(1).to(a), sizes.to(a))
    largest = map_.gather(1, map_.abs().argmax(1, keepdim=True))[:, 0]
    side = torch.where(side == 0, largest.to(a), side)
    return (map_ * torch.where(side < 0, -1.0, 1.0)[:, None]).unflatten(1, a.shape[2:]).to(a)


def leading(
    gram: torch.Tensor, tolerance: float = 1e-10, width: int = 8, rounds: int = 12
) -> tuple[torch.Tensor, torch.Tensor]:
    """Largest eigenvalue (B,) and its vector (B, n) of symmetric matrices (B, n, n) >= 0.

    Block iteration from a fixed start (Golub and Van Loan, section 8.2.4), which takes a few
    products where LAPACK would find all n vectors; matrices of which the residual is not below
    ``tolerance`` of the eigenvalue are left to LAPACK.
    """
    n = gram.shape[-1]
    if n <= 4 * width:
        values, vectors = torch.linalg.eigh(gram)
        return values[:, -1], vectors[..., -1]
    start = torch.randn(n, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    block = gram @ start.to(gram)
    for _ in range(rounds):
        block = torch.linalg.qr(gram @ (gram @ block)).Q
        values, inner = torch.linalg.eigh(block.mT @ gram @ block)
        value, vector = values[:, -1], (block @ inner[..., -1:])[..., 0]
        residual = ((gram @ vector[..., None])[..., 0] - value[:, None] * vector).norm(dim=1)
        missed = residual > tolerance * value
        if not missed.any():
            return value, vector
    if missed.any():
        values, vectors = torch.linalg.eigh(gram[missed])
        value, vector = value.clone(), vector.clone()
        value[missed], vector[missed] = values[:, -1], vectors[..., -1]
    return value, vector


@register(
    "saliency",
    kind="one-pass input",
    source="Simonyan et al., Deep Inside Convolutional Networks, 2013",
    signed=False,
)
def saliency(_: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """Largest |g| over the colours"""
    return g.abs().amax(1)


@register(
    "input x gradient",
    kind="one-pass input",
    source="Shrikumar et al., Not Just a Black Box, 2016",
)
def input_x_gradient(x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """Sum over the colours of x g"""
    return (x * g).sum(1)
