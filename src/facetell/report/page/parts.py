# SPDX-License-Identifier: Apache-2.0
"""What a section of the page consists of beside words and tables: pictures and charts."""

import base64
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from facetell.report.markdown import Block, Heading

WIDEST = 1000  # px of a figure on the page
QUALITY = 80


@dataclass(frozen=True)
class Picture:
    """A figure as a data URI, with its size in pixels and what it shows in words."""

    title: str
    alt: str
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite specification whose data is the table ``data`` of the page; ``picture`` stands
    for it on paper, and where no script runs."""

    title: str
    alt: str
    spec: Mapping[str, Any]
    data: str
    picture: Picture | None = None


@dataclass(frozen=True)
class Group:
    """Pictures that belong together and are shown on demand."""

    title: str
    pictures: Sequence[Picture]


Part: TypeAlias = Block | Picture | Chart | Group


@dataclass(frozen=True)
class Section:
    """Of the page: ``key`` is its anchor."""

    key: str
    title: str
    parts: Sequence[Part]

    @classmethod
    def of(cls, key: str, blocks: Sequence[Part], *more: Part) -> "Section | None":
        """A section that is called as its first block, a heading, says; None without blocks."""
        if not blocks:
            return None
        return cls(key, str(blocks[0]), [*blocks[1:], *more])


def slug(title: str) -> str:
    """The anchor of a heading.

    >>> slug("Fakes by `planted` artefact")
    'fakes-by-planted-artefact'
    """
    return "-".join(re.findall(r"[a-z0-9]+", title.lower()))


def after(blocks: Iterable[Part], heading: str, more: Iterable[Part]) -> list[Part]:
    """``blocks`` with ``more`` at the end of what stands under a heading."""
    found: list[Part] = []
    inside = done = False
    for block in blocks:
        if inside and isinstance(block, Heading):
            found += more
            inside, done = False, True
        inside = inside or (not done and isinstance(block, Heading) and block == heading)
        found.append(block)
    return found + (list(more) if inside else [])


def figure(path: Path, title: str, alt: str, quality: int = QUALITY) -> Picture | None:
    """A figure of a file, no wider than the page shows it; None where it was not drawn."""
    if not path.is_file():
        return None
    with Image.open(path) as image:
        shown = image.convert("RGB")
    if shown.width > WIDEST:
        height = round(shown.height * WIDEST / shown.width)
        shown = shown.resize((WIDEST, height), Image.Resampling.HAMMING)
    return Picture(title, alt, data_uri(shown, quality), shown.width, shown.height)


def data_uri(image: Image.Image, quality: int = QUALITY) -> str:
    """A picture as WebP in a URI."""
    return f"data:image/webp;base64,{in_base64(encoded(image, quality))}"


def encoded(image: Image.Image, quality: int = QUALITY) -> bytes:
    """A picture as WebP."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue()


def in_base64(data: bytes | np.ndarray) -> str:
    """Bytes as ASCII; arrays in little-endian order."""
    if isinstance(data, np.ndarray):
        data = np.ascontiguousarray(data.astype(data.dtype.newbyteorder("<"))).tobytes()
    return base64.b64encode(data).decode("ascii")
