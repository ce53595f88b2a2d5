# SPDX-License-Identifier: Apache-2.0
"""What size and values the images had that weights were trained on: a fact of the weights."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError, safe_open

from facetell.common.errors import UserError
from facetell.models.checkpoints.candidates import candidates
from facetell.models.checkpoints.reading import META, contents_of
from facetell.models.checkpoints.torchvision_names import images_of, torchvisions
from facetell.models.factory import build

Rgb = tuple[float, float, float]
HALF: Rgb = (0.5, 0.5, 0.5)
FEWEST = 20  # tensors; torchvision's smallest network that is recognised has 22
HERE = "bilinear"  # facetell.images.loading.fit scales every image so


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How images are prepared for a network; the defaults are those for random weights.

    ``mean`` and ``std`` are of RGB in [0, 1]. ``image_size`` is the side in pixels; None: any.
    ``fixed_size``: the weights are of that size, and others have to be converted, where that is
    possible. ``interpolation`` is how images were scaled, in timm's words; None: not known.
    ``source`` says who says so; empty where nobody does.
    """

    mean: Rgb = HALF
    std: Rgb = HALF
    image_size: int | None = None
    fixed_size: bool = False
    interpolation: str | None = None
    source: str = ""

    def in_words(self, used: "Preprocessing") -> str:
        """One line: the values of the weights, who says so, and what is ``used`` instead."""
        if not self.source:
            return (
                "nothing says what images the weights were trained on: here they have mean "
                f"{_list(used.mean)}, std {_list(used.std)}; set both in the recipe if not right"
            )
        size = f"{self.image_size} px, " if self.image_size else ""
        words = f"weights for images of {size}mean {_list(self.mean)}, std {_list(self.std)}"
        otherwise = []
        if (used.mean, used.std) != (self.mean, self.std):
            otherwise.append(f"the recipe has mean {_list(used.mean)}, std {_list(used.std)}")
        if used.image_size != self.image_size and self.image_size:
            otherwise.append(f"the recipe has {used.image_size} px")
        if self.interpolation not in (None, HERE):
            otherwise.append(f"they were scaled by {self.interpolation} interpolation, here {HERE}")
        return "; ".join([f"{words} ({self.source})", *otherwise])


def preprocessing_of(network: str, pretrained: bool | str | None) -> Preprocessing:
    """How the images were prepared that a network's weights were trained on.

    Parameters
    ----------
    network : a key for ``facetell.models.build``; with a tag (``efficientnet_b1.ft_in1k``) it names
        one of several published weights.
    pretrained : as in a recipe. False or None: random weights. True: those of timm's hub, whose
        configuration timm has. A path: what the file says of itself, as a detector of facetell
        does; else torchvision's transforms, if the names in it are torchvision's; else the
        ``config.json`` beside it, as timm's hub has it for the same architecture; else timm's
        configuration of the architecture.

    >>> preprocessing_of("vit_tiny_patch16_224", True).mean
    (0.5, 0.5, 0.5)
    >>> preprocessing_of("resnet50", True).mean
    (0.485, 0.456, 0.406)
    >>> preprocessing_of("resnet50", False).mean  # of random weights
    (0.5, 0.5, 0.5)
    """
    if not pretrained:
        return Preprocessing()
    config = _config(network)
    if isinstance(pretrained, str):
        path = Path(pretrained)
        for found in (_of_card(path), _of_torchvision(path, config), _of_hub(path, config)):
            if found:
                return found
    return _of_config(config, f"timm's configuration of {_name(config)}") or Preprocessing()


@cache
def _config(network: str) -> dict[str, Any]:
    """timm's configuration of a network, or of the one that a definition of ours is made from."""
    if not timm.is_model(network):
        return {}  # ``build`` says so
    if (config := timm.get_pretrained_cfg(network)) is not None:
        return config.to_dict()
    with torch.device("meta"):
        own: Any = getattr(build(network), "pretrained_cfg", None)
    return dict(own or {})


def _of_config(config: Mapping[str, Any], source: str) -> Preprocessing | None:
    mean, std = config.get("mean"), config.get("std")
    if mean is None or std is None or len(mean) != 3 or len(std) != 3:
        return None
    size = config.get("input_size")
    return Preprocessing(
        mean=tuple(mean),
        std=tuple(std),
        image_size=size[-1] if size else None,
        fixed_size=bool(config.get("fixed_input_size")),
        interpolation=config.get("interpolation"),
        source=source,
    )


def _of_card(path: Path) -> Preprocessing | None:
    """From the metadata that ``facetell.models.detector.save`` writes."""
    with suppress(OSError, SafetensorError, KeyError, ValueError, TypeError):
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        card = {name: json.loads(metadata[name]) for name in ("mean", "std", "image_size")}
        size = (3, card["image_size"], card["image_size"])
        return _of_config(card | {"input_size": size, "interpolation": HERE}, "the file's card")
    return None


def _of_torchvision(path: Path, config: Mapping[str, Any]) -> Preprocessing | None:
    """From torchvision, if the file holds a network of its by its names."""
    found = None
    with suppress(OSError, UserError):  # ``load_weights`` says what is wrong with the file
        changed = path.stat()
        found = _torchvisions(path, changed.st_mtime_ns, changed.st_size)
    return found and replace(found, fixed_size=bool(config.get("fixed_input_size")))


@lru_cache(maxsize=16)  # a recipe asks several times
def _torchvisions(path: Path, *_: int) -> Preprocessing | None:
    for part in candidates(contents_of(path, device=META), least=FEWEST):
        if name := torchvisions(part.weights):
            size, mean, std, interpolation = images_of(name, part.weights)
            source = f"torchvision's transforms for its {name}"
            return Preprocessing(
                mean=mean, std=std, image_size=size, interpolation=interpolation, source=source
            )
    return None


def _of_hub(path: Path, config: Mapping[str, Any]) -> Preprocessing | None:
    """From the ``config.json`` that lies beside weights in timm's hub."""
    beside = path.with_name("config.json")
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        found = json.loads(beside.read_text(encoding="utf-8"))
        if found["architecture"] == config.get("architecture"):
            return _of_config(found["pretrained_cfg"], str(beside))
    return None


def _name(config: Mapping[str, Any]) -> str:
    return ".".join(filter(None, (config.get("architecture"), config.get("tag"))))


def _list(values: Rgb) -> str:
    return f"({', '.join(f'{value:.3g}' for value in values)})"
