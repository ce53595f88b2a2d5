# SPDX-License-Identifier: Apache-2.0
"""Image bytes to upright 8-bit RGB, whatever a camera, phone or web page made of them.

Anything that cannot be turned into pixels faithfully raises ``Unusable`` with the reason, so that
the ``split`` stage can set the image aside instead of a later stage crashing on it.
"""

import hashlib
import io
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
LARGEST = 50_000_000  # pixels: beyond it an image is taken for a decompression bomb
ORIENTATION = 0x0112  # the EXIF tag
SMALLEST = 16  # pixels on the shorter side

# Annex K of the JPEG standard: the luminance table from which encoders scale by quality
_LUMINANCE = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
    ]
)


_SUBSAMPLINGS = {  # by the sampling factors of luma (across, down), chroma having 1 and 1
    (1, 1): "4:4:4",
    (2, 1): "4:2:2",
    (2, 2): "4:2:0",
    (1, 2): "4:4:0",
    (4, 1): "4:1:1",
}


class Unusable(Exception):
    """Why an image was set aside, in a few words."""


@dataclass(frozen=True)
class FileProperties:
    """What the file says of itself; width and height in pixels once upright.

    ``format`` and ``mode`` are Pillow's names. Of a JPEG only (else None and empty):
    ``jpeg_quality`` 1 to 100, ``subsampling`` of chroma (4:4:4, 4:2:2, 4:2:0, else its sampling
    factors), and ``quant_table``, eight hexadecimal digits that stand for its quantisation tables.
    """

    width: int
    height: int
    format: str
    mode: str
    jpeg_quality: int | None
    subsampling: str
    quant_table: str
    exif: bool


def decode(data: bytes) -> np.ndarray:
    """Decode to upright RGB, uint8 (height, width, 3); transparency is laid on white.

    Raises
    ------
    Unusable : empty, broken, truncated, too large, too small, or of an unknown format.

    >>> buffer = io.BytesIO()
    >>> Image.new("RGB", (40, 30), "red").save(buffer, "PNG")
    >>> decode(buffer.getvalue()).shape
    (30, 40, 3)
    """
    image = _open(data)
    if image.format == "JPEG" and image.mode == "RGB" and image.getexif().get(ORIENTATION, 1) == 1:
        # the usual case: the same decoder and the same pixels as Pillow's, in half of the time
        with suppress(ValueError):
            return simplejpeg.decode_jpeg(data, "RGB", strict=True)
    return np.array(_upright_rgb(image))  # a copy: torch wants memory that it may write


def inspect(data: bytes) -> tuple[FileProperties, Image.Image]:
    """What the file says of itself, and its pixels, upright RGB as ``decode`` has them.

    Raises
    ------
    Unusable : as ``decode`` does, and where a part of a JPEG is missing.

    >>> image = Image.new("RGB", (40, 30), "red")
    >>> buffer = io.BytesIO()
    >>> image.save(buffer, "JPEG", quality=80)
    >>> properties, pixels = inspect(buffer.getvalue())
    >>> properties.width, properties.jpeg_quality, properties.subsampling
    (40, 80, '4:2:0')
    """
    image = _open(data)
    kind, mode = str(image.format), image.mode
    upright = _upright_rgb(image)
    if kind in ("JPEG", "MPO"):
        _strictly(data)
    # only now: Pillow reads part of this with the pixels
    exif = "exif" in image.info or len(image.getexif()) > 0
    tables = getattr(image, "quantization", None) if kind == "JPEG" else None
    properties = FileProperties(
        *upright.size,
        kind,
        mode,
        jpeg_quality(tables[min(tables)]) if tables else None,
        _subsampling(image) if tables else "",
        _digest(tables) if tables else "",
        exif,
    )
    return properties, upright


def looks_like_an_image(head: bytes) -> bool:
    """Whether the first bytes of a file are those of one of ``FORMATS``, whatever its name.

    >>> looks_like_an_image(b"GIF89a"), looks_like_an_image(b"words")
    (True, False)
    """
    Image.init()
    return any((accept := Image.OPEN[kind][1]) and bool(accept(head)) for kind in FORMATS)


def _strictly(data: bytes) -> None:
    """Refuse a JPEG of which the decoder had to make up a part: Pillow does not pass that on."""
    try:
        simplejpeg.decode_jpeg(data, "GRAY", strict=True)
    except ValueError as error:
        raise Unusable(f"broken: {str(error)[:80]}") from error


def _digest(tables: dict[int, list[int]]) -> str:
    content = bytes(min(step, 255) for key in sorted(tables) for step in tables[key])
    return hashlib.sha256(content).hexdigest()[:8]


def _subsampling(image: Image.Image) -> str:
    """Chroma subsampling of a JPEG in the usual notation; empty for a grey one."""
    layers = getattr(image, "layer", ())
    if len(layers) < 3:
        return ""
    factors = tuple((across, down) for _, across, down, *_ in layers[:3])
    luma, chroma = factors[0], factors[1:]
    if chroma == ((1, 1), (1, 1)) and luma in _SUBSAMPLINGS:
        return _SUBSAMPLINGS[luma]
    if luma == chroma[0] == chroma[1]:
        return "4:4:4"
    return ",".join(f"{across}x{down}" for across, down in factors)


def jpeg_quality(table: list[int]) -> int:
    """The encoder quality whose luminance table is nearest to ``table`` (64 values)."""
    qualities = np.arange(1, 101)
    scale = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    tables = np.clip((_LUMINANCE[None] * scale[:, None] + 50) // 100, 1, 255)
    # both sides sorted: the order of a table (zigzag or not) then does not matter
    distance = np.abs(np.sort(tables, axis=1) - np.sort(np.asarray(table))[None]).sum(axis=1)
    return int(qualities[distance.argmin()])


def _open(data: bytes) -> Image.Image:
    if not data:
        raise Unusable("empty file")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise Unusable("too large: more pixels than Pillow opens") from error
    except Exception as error:
        raise Unusable("not an image, or of an unknown format") from error
    if image.width * image.height > LARGEST:
        raise Unusable(f"too large: {image.width}x{image.height} px")
    if min(image.size) < SMALLEST:
        raise Unusable(f"too small: {image.width}x{image.height} px")
    return image


def _upright_rgb(image: Image.Image) -> Image.Image:
    try:
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I") or image.mode == "F":
            return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
        if "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            return Image.alpha_composite(white, image).convert("RGB")
        return image.convert("RGB")
    except Exception as error:  # Pillow's decoders raise many kinds on damaged data
        raise Unusable(
            f"broken: {str(error).splitlines()[0][:80] if str(error) else error!r}"
        ) from error


def _eight_bits(samples: np.ndarray) -> np.ndarray:
    """16-bit (or floating) grey samples scaled to 8 bits by the range of their type."""
    if samples.dtype.kind == "f":
        top = 1.0 if samples.max(initial=0) <= 1 else 255.0
        return (np.clip(samples / top, 0, 1) * 255).round().astype(np.uint8)
    # Pillow opens 16-bit PNG as 32-bit integers in some versions: the range stays 16 bits
    return (np.clip(samples.astype(np.int64), 0, 65535) / 257).round().astype(np.uint8)
