# SPDX-License-Identifier: Apache-2.0
"""Reads safetensors and checkpoints of torch, without running pickled code."""

import pickle
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch.serialization import get_unsafe_globals_in_checkpoint

from facetell.common.errors import UserError, brief

META = "meta"


def contents_of(path: str | Path, device: str = "cpu") -> Mapping[str, Any]:
    """All that a file holds: tensors by name, perhaps in mappings within mappings.

    ``device="meta"`` leaves out the values and reads names and shapes only.

    Raises
    ------
    UserError : there is no such file, it is cut off or of another kind, or it holds Python objects
        besides weights.

    >>> torch.save({"epoch": 3, "model": {"bias": torch.zeros(2)}}, "checkpoint.pth")
    >>> contents_of("checkpoint.pth", device="meta")["model"]["bias"].shape
    torch.Size([2])
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"pretrained: there is no file {path}")
    try:
        if path.suffix == ".safetensors":
            return _safetensors(path, device)
        found = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # safetensors and torch raise errors of many kinds
        raise UserError(f"{path} cannot be read as weights: {_reason(path, error)}") from error
    if not isinstance(found, Mapping):
        raise UserError(f"{path} holds no weights by name; save the model's state_dict()")
    return found


def _safetensors(path: Path, device: str) -> dict[str, torch.Tensor]:
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
        if device == META:
            shapes = {name: file.get_slice(name).get_shape() for name in names}
            return {name: torch.empty(shape, device=META) for name, shape in shapes.items()}
        return {name: file.get_tensor(name) for name in names}


def _reason(path: Path, error: Exception) -> str:
    """What is wrong, and what to do, in one line."""
    if isinstance(error, pickle.UnpicklingError):
        objects: list[str] = []
        with suppress(Exception):  # not in torch's present format
            objects = sorted(get_unsafe_globals_in_checkpoint(path))
        if objects:
            return (
                f"besides weights it holds Python objects ({', '.join(objects[:3])}"
                f"{', ...' if objects[3:] else ''}), which are not loaded because that runs code; "
                "where you trust the file, load it with torch.load(PATH, weights_only=False) and "
                "save only the state_dict in it with torch.save"
            )
    return f"it is neither safetensors nor a state dict without pickled code ({brief(error)})"
