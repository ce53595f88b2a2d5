# SPDX-License-Identifier: Apache-2.0
"""A photo is the same photo in whatever form it is given, and bad ones are refused by name."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from facetell.common.errors import UserError
from facetell.images.decoding import decode
from facetell.images.photos import photos_of


def turned() -> bytes:
    """A PNG whose EXIF data say that it lies on its side."""
    tags, buffer = Image.Exif(), io.BytesIO()
    tags[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG", exif=tags)
    return buffer.getvalue()


def test_all_forms_give_the_same_pixels(tmp_path):
    data = turned()
    path = tmp_path / "a.png"
    path.write_bytes(data)
    expected = decode(data)
    unit = expected.astype(np.float32) / 255
    forms = [
        path, str(path), data, Image.open(io.BytesIO(data)), expected, expected.transpose(2, 0, 1),
        torch.from_numpy(expected), torch.from_numpy(unit).permute(2, 0, 1), unit.astype("f8"),
    ]  # fmt: skip
    for form in forms:
        (photo,) = photos_of(form)
        np.testing.assert_array_equal(photo.pixels, expected)
        assert (photo.width, photo.height) == (30, 40)
        assert photo.pixels.dtype == np.uint8
    batch = np.stack([expected, expected])
    names = [photo.name for photo in photos_of([path, batch, torch.from_numpy(batch), expected])]
    assert names == [str(path), *(f"image {at}" for at in range(1, 6))]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"none", "image 0 cannot be used: not an image"),
        ("absent.jpg", "cannot read absent.jpg"),
        (np.zeros((40, 30), np.uint8), r"image 0 has shape \(40, 30\)"),
        (np.zeros((40, 30, 4), np.uint8), r"image 0 has shape \(40, 30, 4\)"),
        (np.zeros((40, 30, 3), np.int64), "image 0 has values of int64"),
        (np.full((40, 30, 3), 1.5), r"outside of \[0, 1\]"),
        (np.full((40, 30, 3), np.nan), r"outside of \[0, 1\]"),
        (np.zeros((4, 30, 3), np.uint8), "image 0 cannot be used: too small: 30x4 px"),
        (Image.new("RGB", (8, 8)), "image 0 cannot be used: too small"),
        (7, "a photo is a path, .* got int"),
        ([7], "a photo is a path, .* got int"),
    ],
)
def test_what_is_no_photo_is_refused(bad, words):
    with pytest.raises(UserError, match=words):
        list(photos_of(bad))
