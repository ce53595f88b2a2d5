# SPDX-License-Identifier: Apache-2.0
"""How much a request, and all of them together, may take."""

from dataclasses import dataclass, fields

from facetell.common.errors import UserError
from facetell.images.decoding import LARGEST

MEGABYTE = 2**20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Beyond any of these a request is refused, with a status and a sentence of its own.

    upload_mb : of a whole request with its photos, MB of 2**20 bytes (413).
    megapixels : of each photo, at most 50 (413).
    photos : in one request (413).
    models : in one request (422).
    upload_seconds : for reading a request (408).
    seconds : from the end of the upload to the answer (504).
    uploads : requests that are read at once (503).
    queue : requests that wait or are computed (429).
    memory_mb : weights and working memory of all models that are loaded at once (503).

    >>> Limits(photos=2).photos
    2
    >>> Limits(photos=0)
    Traceback (most recent call last):
    facetell.common.errors.UserError: --photos must be greater than 0, not 0
    """

    upload_mb: float = 12.0
    megapixels: float = 25.0
    photos: int = 8
    models: int = 16
    upload_seconds: float = 20.0
    seconds: float = 30.0
    uploads: int = 32
    queue: int = 64
    memory_mb: float = 2048.0

    def __post_init__(self) -> None:
        for one in fields(self):
            option, value = f"--{one.name.replace('_', '-')}", getattr(self, one.name)
            if not 0 < value < float("inf"):
                raise UserError(f"{option} must be greater than 0, not {value:g}")
        if self.megapixels * 1e6 > LARGEST:
            raise UserError(
                f"--megapixels must be at most {LARGEST // 10**6}: no larger photo is decoded"
            )

    @property
    def upload_bytes(self) -> int:
        """Bytes of a whole request."""
        return int(self.upload_mb * MEGABYTE)

    @property
    def pixels(self) -> int:
        """Pixels of a photo."""
        return int(self.megapixels * 1e6)

    @property
    def memory_bytes(self) -> int:
        """Bytes of all loaded models."""
        return int(self.memory_mb * MEGABYTE)
