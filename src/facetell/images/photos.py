# SPDX-License-Identifier: Apache-2.0
"""A photo as people have it, a file, bytes, a picture of Pillow's or an array: as pixels."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from facetell.common.errors import UserError, printable, remedied
from facetell.images.decoding import SMALLEST, Unusable, decode, rgb

KINDS = (
    "a path, the bytes of a file, a PIL image, or RGB in an array or tensor: uint8, or floats in "
    "[0, 1], of shape (H, W, 3), (N, H, W, 3), (3, H, W) or (N, 3, H, W)"
)


@dataclass(frozen=True)
class Photo:
    """Upright RGB, uint8 (height, width, 3), and what to call it in messages."""

    name: str
    pixels: np.ndarray

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        return self.pixels.shape[0]


def photos_of(given: Any) -> Iterator[Photo]:
    """One photo, a batch of them in an array, or any of these in an iterable: each on its own.

    Raises
    ------
    UserError : it cannot be read, cannot be decoded whole, or is nothing of the kind.

    >>> batch = np.zeros((2, 40, 30, 3), np.uint8)
    >>> [(photo.name, photo.width, photo.height) for photo in photos_of([batch, batch[0]])]
    [('image 0', 30, 40), ('image 1', 30, 40), ('image 2', 30, 40)]
    """
    for place, (name, one) in enumerate(_each(given)):
        yield _photo(one, name or f"image {place}")


def read_photo(path: Path) -> Photo:
    """Decode a file as every image is decoded that is trained on or scored.

    Raises
    ------
    UserError : the file is missing, or is no image that can be decoded whole.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {printable(path)}: {remedied(error)}") from error
    return decoded(data, printable(path))


def decoded(data: bytes, name: str) -> Photo:
    """The photo in the bytes of a file; UserError, which begins with its name, if there is none."""
    try:
        return Photo(name, decode(data))
    except Unusable as reason:
        raise UserError(
            f"{name} cannot be used: {reason}; give a whole JPEG, PNG, WebP, BMP, TIFF or GIF"
        ) from reason


def _each(given: Any) -> Iterator[tuple[str, Any]]:
    """What is given, taken apart: pairs of a name, empty where it has none, and one photo."""
    if isinstance(given, str | PathLike):
        yield str(given), Path(given)
    elif isinstance(given, bytes | Image.Image):
        yield "", given
    elif isinstance(given, torch.Tensor | np.ndarray):
        array = np.asarray(given.detach().cpu() if isinstance(given, torch.Tensor) else given)
        yield from (("", one) for one in (array if array.ndim == 4 else [array]))
    elif isinstance(given, Iterable):
        for one in given:
            yield from _each(one)
    else:
        raise UserError(f"a photo is {KINDS}; got {type(given).__name__}")


def _photo(one: Any, name: str) -> Photo:
    if isinstance(one, Path):
        return read_photo(one)
    if isinstance(one, bytes):
        return decoded(one, name)
    pixels = _of_pillow(one, name) if isinstance(one, Image.Image) else _of_array(one, name)
    if min(pixels.shape[:2]) < SMALLEST:
        raise UserError(f"{name} cannot be used: too small: {pixels.shape[1]}x{pixels.shape[0]} px")
    return Photo(name, pixels)


def _of_pillow(image: Image.Image, name: str) -> np.ndarray:
    try:
        return np.array(rgb(image))
    except Exception as error:  # a picture that is decoded only now, and turns out to be broken
        raise UserError(f"{name} cannot be used: broken: {str(error)[:80]}") from error


def _of_array(array: np.ndarray, name: str) -> np.ndarray:
    if array.ndim == 3 and array.shape[2] != 3 and array.shape[0] == 3:
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[2] != 3:
        raise UserError(f"{name} has shape {array.shape}; a photo is {KINDS}")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind != "f":
        raise UserError(f"{name} has values of {array.dtype}; a photo is {KINDS}")
    if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
        raise UserError(f"{name} has values outside of [0, 1]; divide bytes by 255, or give uint8")
    return np.ascontiguousarray((array * 255).round().astype(np.uint8))
