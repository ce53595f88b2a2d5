# SPDX-License-Identifier: Apache-2.0
"""Image bytes to upright 8-bit RGB, whatever a camera, phone or web page made of them.

Anything that cannot be turned into pixels faithfully raises ``Unusable`` with the reason, so that
the ``split`` stage can set the image aside instead of a later stage crashing on it. Decoders go on
where a file is damaged and make up what is missing, so ``decode`` and ``inspect`` look for that
(``facetell.images.damage``). Damage to what does not touch the pixels, such as EXIF data, is of no
consequence. The content says what an image is; its name does not matter.
"""

import hashlib
import io
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image, ImageOps

from facetell.images.damage import made_up, without_extras

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
LARGEST = 50_000_000  # pixels: beyond it an image is taken for a decompression bomb
ORIENTATION = 0x0112  # the EXIF tag
MOST_SCANS = 100  # of a JPEG; progressive ones have about ten
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


_SCAN = re.compile(rb"\xff\xda\x00[\x08\x0a\x0c\x0e]")  # how a scan of 1 to 4 components begins
_SUBSAMPLINGS = {  # by the sampling factors of luma (across, down), chroma having 1 and 1
    (1, 1): "4:4:4",
    (2, 1): "4:2:2",
    (2, 2): "4:2:0",
    (1, 2): "4:4:0",
    (4, 1): "4:1:1",
}
# how files begin that are often met under an image's name
_BEGINNINGS = (
    (b"\xff\xd8\xff", "begins as JPEG: cut off or damaged?"),
    (b"\x89PNG", "begins as PNG: cut off or damaged?"),
    (b"GIF8", "begins as GIF: cut off or damaged?"),
    (b"BM", "begins as BMP: cut off or damaged?"),
    (b"II*\0", "begins as TIFF: cut off or damaged?"),
    (b"MM\0*", "begins as TIFF: cut off or damaged?"),
    (b"%PDF", "PDF"),
    (b"PK\3\4", "ZIP archive"),
    (b"\0\5\x16\7", "metadata of macOS, not the image"),
    (b"version https://git-lfs", "pointer of Git LFS, not the image"),
)
_HEIF = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"avif": "AVIF", b"avis": "AVIF"}


class Unusable(Exception):
    """Why an image was set aside, in a few words."""


class NotAnImage(Unusable):
    """It is no image, or of a format that is not known."""


class TooLarge(Unusable):
    """It has more pixels than are decoded."""


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


def decode(data: bytes, largest: int = LARGEST) -> np.ndarray:
    """Decode to upright RGB, uint8 (height, width, 3); transparency is laid on white.

    An image of more than ``largest`` pixels is refused before any of it is decoded.

    Raises
    ------
    Unusable : empty, broken, truncated, too large, too small, or of an unknown format; also where a
        decoder made up a part of the pixels.

    >>> buffer = io.BytesIO()
    >>> Image.new("RGB", (40, 30), "red").save(buffer, "PNG")
    >>> decode(buffer.getvalue()).shape
    (30, 40, 3)
    """
    return np.array(
        _upright_rgb(_open(data, largest), data)
    )  # a copy: torch wants memory that it may write


def decode_inspected(data: bytes) -> np.ndarray:
    """As ``decode``, in half of the time, for packed images only: ``inspect`` has accepted them, so
    it is not asked again whether they are whole."""
    image = _open(data)
    if image.format == "JPEG" and image.mode == "RGB" and _exif(image).get(ORIENTATION, 1) == 1:
        # the usual case: the same decoder and the same pixels as Pillow's
        with suppress(ValueError):
            return simplejpeg.decode_jpeg(data, "RGB", strict=True)
    return np.array(_upright_rgb(image))


def inspect(data: bytes) -> tuple[FileProperties, Image.Image]:
    """What the file says of itself, and its pixels, upright RGB as ``decode`` has them.

    Raises
    ------
    Unusable : as ``decode`` does.

    >>> image = Image.new("RGB", (40, 30), "red")
    >>> buffer = io.BytesIO()
    >>> image.save(buffer, "JPEG", quality=80)
    >>> properties, pixels = inspect(buffer.getvalue())
    >>> properties.width, properties.jpeg_quality, properties.subsampling
    (40, 80, '4:2:0')
    """
    image = _open(data)
    kind, mode = str(image.format), image.mode
    upright = _upright_rgb(image, data)
    # only now: Pillow reads part of this with the pixels
    exif = "exif" in image.info or len(_exif(image)) > 0
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


def _open(data: bytes, largest: int = LARGEST) -> Image.Image:
    if not data:
        raise NotAnImage("empty file")
    try:
        image = _identified(data)
    except Image.DecompressionBombError as error:
        raise TooLarge("too large: more pixels than Pillow opens") from error
    except Exception as error:
        seems = _seems(data)
        raise NotAnImage(
            "not an image, or of an unknown format" + (f" ({seems})" if seems else "")
        ) from error
    if image.format == "JPEG" and len(_SCAN.findall(data)) > MOST_SCANS:
        raise Unusable(f"broken: more than {MOST_SCANS} scans, each of which takes a decoding")
    if image.width * image.height > largest:
        raise TooLarge(f"too large: {image.width}x{image.height} px")
    if min(image.size) < SMALLEST:
        raise Unusable(f"too small: {image.width}x{image.height} px")
    return image


def _identified(data: bytes) -> Image.Image:
    """The image, not yet decoded; if need be without what does not touch its pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes, which we look at, and of extras
        try:
            return Image.open(io.BytesIO(data), formats=FORMATS)
        except Image.DecompressionBombError:
            raise
        except Exception:
            if (bare := without_extras(data)) is None:
                raise
            return Image.open(io.BytesIO(bare), formats=FORMATS)


def _seems(data: bytes) -> str:
    """What a file is that cannot be opened, as far as its first bytes tell."""
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF:
        return f"{_HEIF[data[8:12]]}: convert it to JPEG or PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "begins as WebP: cut off or damaged?"
    text = data[:500].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in text:
        return "SVG: convert it to PNG"
    if text.startswith((b"<!doctype html", b"<html")):
        return "HTML: a web page, not the image"
    return next((kind for begins, kind in _BEGINNINGS if data.startswith(begins)), "")


def _exif(image: Image.Image) -> Image.Exif:
    """What the camera says; empty where it cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return image.getexif()
        except Exception:  # of many kinds, on damaged data
            return Image.Exif()


def _upright_rgb(image: Image.Image, data: bytes | None = None) -> Image.Image:
    """The pixels; refused if a part was made up, where the file's ``data`` are given."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
            said = made_up(image, data) if data is not None else ""
            upright = rgb(image)
    except Exception as error:  # Pillow's decoders raise many kinds on damaged data
        said = str(error) or repr(error)
        raise Unusable(f"broken: {said.splitlines()[0][:80]}") from error
    if said:
        raise Unusable(f"broken: {said[:80]}")
    return upright


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF data say, if they can be read."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # of many kinds, on damaged data
        return image


def rgb(image: Image.Image) -> Image.Image:
    """Turned as its EXIF data say, 8-bit RGB, transparency laid on white.

    >>> rgb(Image.new("LA", (20, 20), (0, 0))).getpixel((0, 0))
    (255, 255, 255)
    """
    image = _upright(image)
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _eight_bits(samples: np.ndarray) -> np.ndarray:
    """16-bit (or floating) grey samples scaled to 8 bits by the range of their type."""
    if samples.dtype.kind == "f":
        top = 1.0 if samples.max(initial=0) <= 1 else 255.0
        return (np.clip(samples / top, 0, 1) * 255).round().astype(np.uint8)
    # Pillow opens 16-bit PNG as 32-bit integers in some versions: the range stays 16 bits
    return (np.clip(samples.astype(np.int64), 0, 65535) / 257).round().astype(np.uint8)
