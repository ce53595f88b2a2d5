"""What happens to images on their way: each perturbation is one function and one YAML line.

A perturbation takes float RGB in [0, 1] (B, 3, S, S) and the images' ids, and returns the same
shape and range; what is random depends only on the id and the level, never on order or batch.
Source of the five: the UIUC report (its Tables 3 and 4), which perturbs after the resize.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch.nn.functional import conv2d, pad
from torchvision.transforms.v2 import functional as F

from facetell.errors import UserError
from facetell.seeding import seed_of

Ids = list[str]


def clean(images: torch.Tensor, ids: Ids) -> torch.Tensor:
    """The images as they are."""
    return images


def grayscale(images: torch.Tensor, ids: Ids) -> torch.Tensor:
    """ITU-R 601 luma in all three channels."""
    return F.rgb_to_grayscale(images, num_output_channels=3)


def hue(images: torch.Tensor, ids: Ids, *, amount: float = 0.2) -> torch.Tensor:
    """Hue turned by a share of the colour circle that is uniform in +-``amount`` per image."""
    turned = []
    for image, name in zip(images, ids, strict=True):
        draw = torch.Generator().manual_seed(seed_of("hue", amount, name))
        turn = (2 * torch.rand((), generator=draw).item() - 1) * amount
        turned.append(F.adjust_hue(image, turn))
    return torch.stack(turned)


def blur(images: torch.Tensor, ids: Ids, *, sigma: float, kernel: int = 17) -> torch.Tensor:
    """Gaussian blur of standard deviation ``sigma`` px, kernel cut at ``kernel`` px, edges
    mirrored; rows and columns apart, which equals the square kernel and is far faster."""
    radius = kernel // 2
    if min(images.shape[-2:]) <= radius:
        raise UserError(f"blur with kernel {kernel} needs images larger than {radius} px")
    offsets = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = (weights / weights.sum()).repeat(3, 1)
    images = conv2d(
        pad(images, (radius, radius, 0, 0), "reflect"), weights[:, None, None], groups=3
    )
    return conv2d(
        pad(images, (0, 0, radius, radius), "reflect"), weights[:, None, :, None], groups=3
    )


def centre_crop(images: torch.Tensor, ids: Ids, *, share: float = 160 / 256) -> torch.Tensor:
    """The middle, ``share`` of the side, enlarged to the full size again (bilinear)."""
    size = images.shape[-1]
    crop = F.center_crop(images, [max(1, round(size * share))] * 2)
    return F.resize(crop, [size, size], antialias=True).clamp(0, 1)


PERTURBATIONS: dict[str, Callable[..., torch.Tensor]] = {
    function.__name__: function for function in (clean, grayscale, hue, blur, centre_crop)
}


def variants(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Callable[..., torch.Tensor]]:
    """Perturbations by variant name, ``clean`` first; settings as in ``conf/config.yaml``.

    Raises
    ------
    UserError : a perturbation or one of its settings does not exist.
    """
    made: dict[str, Callable[..., torch.Tensor]] = {"clean": clean}
    for name, setting in settings.items():
        options = dict(setting)
        function = PERTURBATIONS.get(options.pop("perturbation", name))
        if function is None:
            raise UserError(
                f"predict.variants.{name}: no such perturbation; there are "
                f"{', '.join(PERTURBATIONS)}"
            )
        known = set(function.__annotations__) - {"images", "ids", "return"}
        if wrong := set(options) - known:
            raise UserError(
                f"predict.variants.{name}: unknown {', '.join(sorted(wrong))}; "
                f"{function.__name__} takes {', '.join(sorted(known)) or 'no settings'}"
            )
        made[name] = partial(function, **options)
    return made
