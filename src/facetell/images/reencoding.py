# SPDX-License-Identifier: Apache-2.0
"""Images encoded anew: as a social network would, or all of a set in the same way.

Laundering follows what was measured for uploads to the successor of TrueFace: Facebook JPEG
quality 61 to 92 and fewer pixels (PSNR 36.2 dB, SSIM .92), X (Twitter) quality 87 (39.3 dB),
Telegram quality 85 (37.1 dB). Its scale for Facebook is not stated; 3/4 meets the stated PSNR.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from facetell.common.errors import UserError
from facetell.common.seeding import seed_of
from facetell.images.decoding import inspect

FULL, HALF = 0, 2  # Pillow's codes for chroma at full and at half resolution


@dataclass(frozen=True)
class Platform:
    """JPEG qualities (lowest, highest; drawn per image), chroma subsampling, and scale."""

    qualities: tuple[int, int]
    subsampling: int
    scale: float = 1.0


PLATFORMS = {
    "facebook": Platform((61, 92), HALF, 0.75),
    "telegram": Platform((85, 85), HALF),
    "twitter": Platform((87, 87), FULL),
}


@dataclass(frozen=True)
class Treatment:
    """What becomes of an image on its way from the archive to the packed file.

    platform : it is laundered by this one of ``PLATFORMS``; empty: by none.
    harmonise : then its shorter side is brought to ``size`` px, its middle cut out and encoded
        as JPEG of ``quality``, so that no class differs by size or encoding.

    >>> buffer = io.BytesIO()
    >>> Image.new("RGB", (300, 200), "red").save(buffer, "PNG")
    >>> treated = Treatment(harmonise=True, size=128)(buffer.getvalue(), "name")
    >>> inspect(treated)[1].size
    (128, 128)
    """

    platform: str = ""
    harmonise: bool = False
    size: int = 256
    quality: int = 75

    def __call__(self, data: bytes, name: str) -> bytes:
        """The image's new bytes, which depend on ``data``, ``name`` and the settings only.

        The bytes stay as they are where nothing is to be done; raises ``Unusable`` as
        ``facetell.images.decoding.decode`` does.
        """
        if self.platform:
            data = launder(data, self.platform, name)
        return harmonised(data, self.size, self.quality) if self.harmonise else data


def treatment(row: Mapping[str, Any], everyone: Treatment) -> Treatment:
    """What is done to the image of a manifest's row (platform, laundered), given what is done to
    all."""
    return replace(everyone, platform=row["platform"]) if row["laundered"] else everyone


def launder(data: bytes, platform: str, name: str) -> bytes:
    """JPEG bytes of an image that went through ``platform``; ``name`` seeds what is random.

    Raises
    ------
    Unusable : ``data`` is no image that can be read.
    UserError : there is no such platform.

    >>> buffer = io.BytesIO()
    >>> Image.new("RGB", (400, 200), "red").save(buffer, "PNG")
    >>> properties, _ = inspect(launder(buffer.getvalue(), "facebook", "name"))
    >>> properties.format, properties.width
    ('JPEG', 300)
    """
    if platform not in PLATFORMS:
        raise UserError(f"no platform {platform!r}; there are {', '.join(PLATFORMS)}")
    _, image = inspect(data)
    return upload(image, platform, name)


def upload(image: Image.Image, platform: str, name: str) -> bytes:
    """JPEG bytes of what one of ``PLATFORMS`` makes of decoded pixels; ``name`` as above."""
    through = PLATFORMS[platform]
    low, high = through.qualities
    quality = low + seed_of("launder", platform, name) % (high - low + 1)
    if through.scale < 1:
        size = [max(1, round(side * through.scale)) for side in image.size]
        image = image.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    return encoded(image, quality, through.subsampling)


def harmonised(data: bytes, size: int = 256, quality: int = 75) -> bytes:
    """JPEG bytes of the middle square at ``size`` px, bilinear without antialiasing.

    That is how the real images of the 140k set were made from FFHQ's, so that outside images
    which are to be compared with them must go the same way. Raises ``Unusable``.
    """
    _, image = inspect(data)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # an affine transform samples the four nearest pixels only; resize would average over all
    scale = side / size
    image = image.transform(
        (size, size),
        Image.Transform.AFFINE,
        (scale, 0, left, 0, scale, top),
        Image.Resampling.BILINEAR,
    )
    return encoded(image, quality)


def encoded(image: Image.Image, quality: int, subsampling: int = HALF) -> bytes:
    """JPEG bytes of an image and of nothing that came with it; subsampling ``FULL`` or ``HALF``."""
    buffer = io.BytesIO()
    image.info.clear()  # a comment would be written again
    image.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()
