# SPDX-License-Identifier: Apache-2.0
"""Whether a decoder had to make up a part of the pixels, which Pillow often does not say.

Only formats with checksums or with codes that can be wrong tell. In the coded pixels of WebP, GIF,
BMP and uncompressed TIFF, bytes that were overwritten are as good as any others.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from facetell.images import jpeg_damage

PNG = b"\x89PNG\r\n\x1a\n"
OF_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
EXIF = b"eXIf"
DEFLATED, JPEG = (8, 32946), 7  # compressions of TIFF
PIECE = 1 << 20  # bytes that are decompressed at once: a few may stand for gigabytes
DEEPEST = 8  # bytes of a sample
OFFSETS, COUNTS, JPEG_TABLES = (273, 324), (279, 325), 347  # tags of strips and of tiles


def made_up(image: Image.Image, data: bytes) -> str:
    """What is wrong with an image that Pillow has loaded from ``data``; empty if nothing is.

    >>> import io
    >>> buffer = io.BytesIO()
    >>> Image.linear_gradient("L").save(buffer, "PNG")
    >>> image = Image.open(buffer)
    >>> _ = image.load()
    >>> made_up(image, buffer.getvalue())
    ''
    """
    if image.format in ("JPEG", "MPO"):
        return jpeg_damage.damage(data)
    if image.mode in ("P", "PA") and _without_colour(image):
        return "pixels of colours that the palette lacks"
    if image.format == "PNG":
        return _png(image, data)
    if image.format == "TIFF":
        return _tiff(image, data)
    return ""


def without_extras(data: bytes) -> bytes | None:
    """A PNG without all that does not touch its pixels, such as texts; None for other files, and
    where a checksum says that what remains is damaged.

    Pillow refuses a file for damaged text; EXIF data stay if they are whole.
    """
    if not data.startswith(PNG):
        return None
    kept = [PNG]
    for kind, body, whole in _chunks(data):
        if kind in OF_PIXELS and not whole:
            return None
        if kind in OF_PIXELS or (kind == EXIF and whole):
            kept.append(struct.pack(">I", len(body)) + kind + body)
            kept.append(struct.pack(">I", zlib.crc32(kind + body)))
    return b"".join(kept)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Kind and content of each chunk of a PNG, and whether its checksum is right."""
    at = len(PNG)
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        yield kind, body, data[at + 8 + length : at + 12 + length] == checksum
        at += 12 + length


def _without_colour(image: Image.Image) -> bool:
    palette = image.palette
    if palette is None:
        return True
    used = np.asarray(image)
    used = used[..., 0] if image.mode == "PA" else used
    return int(used.max()) >= len(palette.palette) // len(palette.mode)


def _png(image: Image.Image, data: bytes) -> str:
    """Pillow leaves rows black that are missing where the compressed stream ends in good order."""
    last = np.asarray(image.crop((0, image.height - 2, *image.size)))  # the last row of any pass
    if last.reshape(2, -1).any(axis=1).all():
        return ""
    stream, size, header = zlib.decompressobj(), 0, b""
    for kind, body, _ in _chunks(data):
        if kind == b"IHDR":
            header = body
        while kind == b"IDAT" and body and not stream.eof and size < _size(header):
            size += len(stream.decompress(body, PIECE))
            body = stream.unconsumed_tail
    return "rows are missing" if size < _size(header) else ""


def _size(header: bytes) -> int:
    """Bytes of a PNG's rows, each with the number of its filter, from its IHDR chunk."""
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    passes = [(0, 0, 1, 1)]
    if header[12]:  # Adam7: first column and row, and how far the next ones are
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
                  (1, 0, 2, 2), (0, 1, 1, 2)]  # fmt: skip
    sizes = [(-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in passes]
    return sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns > 0)


def _tiff(image: Image.Image, data: bytes) -> str:
    """Pillow does not look at checksums of deflated strips, nor at what libjpeg warns of."""
    tags: Any = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    kind = tags.get(259)
    tables = tags.get(JPEG_TABLES, b"")
    places = next((tags[tag] for tag in OFFSETS if tag in tags), ())
    counts = next((tags[tag] for tag in COUNTS if tag in tags), ())
    if sum(counts) > len(data):
        return "strips of a TIFF lie on each other"
    room = image.width * image.height * DEEPEST * max(4, len(image.getbands())) + PIECE
    for at, count in zip(places, counts, strict=False):
        strip = data[at : at + count]
        if kind in DEFLATED:
            size, said = _inflated(strip, room)
            room -= size
            if said:
                return f"strip of a TIFF: {said}"
        elif kind == JPEG:
            whole = tables[:-2] + strip[2:] if tables else strip
            if said := jpeg_damage.damage(whole):
                return said
    return ""


def _inflated(data: bytes, most: int) -> tuple[int, str]:
    """Bytes that a deflated strip stands for, and what is wrong with it; nothing of it is kept."""
    stream, size = zlib.decompressobj(), 0
    try:
        while data and not stream.eof:
            size += len(stream.decompress(data, PIECE))
            if size > most:
                return size, "more than its pixels"
            data = stream.unconsumed_tail
    except zlib.error as error:
        return size, str(error)
    return size, "" if stream.eof else "incomplete or truncated stream"
