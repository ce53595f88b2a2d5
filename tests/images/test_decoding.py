# SPDX-License-Identifier: Apache-2.0
"""Odd and broken images: what is sensible is converted, the rest refused with a reason."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from support import encoded, picture

from facetell.images.decoding import Unusable, decode, decode_inspected, inspect, jpeg_quality

GRADIENT = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
RGB = np.stack([GRADIENT, GRADIENT[:, ::-1], GRADIENT // 2], axis=2)


def bomb(side: int = 30_000) -> bytes:
    """A PNG that claims to be ``side`` px wide and high, in a few hundred bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def test_grey_becomes_three_equal_channels():
    pixels = decode(encoded(Image.fromarray(GRADIENT)))
    assert (pixels == GRADIENT[..., None]).all()


def test_sixteen_bits_are_scaled_not_clipped():
    wide = GRADIENT.astype(np.uint16) * 257
    pixels = decode(encoded(Image.fromarray(wide)))
    assert (pixels == GRADIENT[..., None]).all()


def test_cmyk_comes_back_in_the_right_colours():
    pixels = decode(encoded(Image.fromarray(RGB).convert("CMYK"), "JPEG", quality=98))
    assert np.abs(pixels.astype(int) - RGB).mean() < 4


def test_transparency_is_laid_on_white():
    image = Image.fromarray(RGB).convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    assert (decode(encoded(image)) == 255).all()
    palette = Image.fromarray(RGB).quantize(16)
    assert np.abs(decode(encoded(palette)).astype(int) - RGB).mean() < 20


def test_exif_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    data = encoded(Image.fromarray(RGB), "JPEG", quality=98, exif=exif)
    facts, _ = inspect(data)
    assert (facts.width, facts.height) == (48, 64)
    turned = np.rot90(RGB, -1)
    assert np.abs(decode(data).astype(int) - turned).mean() < 4


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html>not found</html>", "not an image"),
        (picture()[:900], "broken"),
        (picture(kind="PNG")[:-400], "broken"),
        (picture(size=(8, 8)), "too small"),
        (bomb(), "too large"),
        (bomb(9_000), "too large"),
    ],
)
def test_unusable_images_say_why(data, reason):
    for function in (decode, inspect):
        with pytest.raises(Unusable, match=reason):
            function(data)


@pytest.mark.parametrize("quality", [10, 45, 50, 75, 92, 100])
def test_jpeg_quality_is_read_from_the_table(quality):
    assert inspect(picture(quality=quality))[0].jpeg_quality == quality


def test_only_jpeg_has_a_quality():
    assert inspect(picture(kind="PNG"))[0].jpeg_quality is None


def test_quality_does_not_depend_on_the_order_of_the_table():
    table = Image.open(io.BytesIO(picture(quality=83))).quantization[0]
    assert jpeg_quality(list(reversed(table))) == 83


@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"progressive": True}, {"quality": 30}]
)
def test_the_fast_decoder_gives_the_pixels_of_pillow(options):
    data = picture(3, (57, 43), **options)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    for function in (decode, decode_inspected):
        assert (function(data) == expected).all()
        assert function(data).flags.writeable
