# SPDX-License-Identifier: Apache-2.0
"""Why a request is refused: a status, a code for programs, and a sentence for people."""

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """What went wrong, for programs; the sentence beside it says what to do."""

    MALFORMED = "malformed"
    WRONG_HOST = "wrong_host"
    FOREIGN_ORIGIN = "foreign_origin"
    NOT_FOUND = "not_found"
    UNKNOWN_MODEL = "unknown_model"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    SLOW_UPLOAD = "slow_upload"
    TOO_LARGE = "too_large"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_PHOTOS = "too_many_photos"
    NOT_MULTIPART = "not_multipart"
    NOT_AN_IMAGE = "not_an_image"
    INVALID = "invalid"
    UNUSABLE_PHOTO = "unusable_photo"
    NO_FACE = "no_face"
    QUEUE_FULL = "queue_full"
    INTERNAL = "internal"
    BUSY = "busy"
    CLOSING = "closing"
    NO_MEMORY = "no_memory"
    MODEL_UNUSABLE = "model_unusable"
    TIMEOUT = "timeout"


STATUS = {
    Code.MALFORMED: 400,
    Code.WRONG_HOST: 400,
    Code.FOREIGN_ORIGIN: 403,
    Code.NOT_FOUND: 404,
    Code.UNKNOWN_MODEL: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.SLOW_UPLOAD: 408,
    Code.TOO_LARGE: 413,
    Code.TOO_MANY_PIXELS: 413,
    Code.TOO_MANY_PHOTOS: 413,
    Code.NOT_MULTIPART: 415,
    Code.NOT_AN_IMAGE: 415,
    Code.INVALID: 422,
    Code.UNUSABLE_PHOTO: 422,
    Code.NO_FACE: 422,
    Code.QUEUE_FULL: 429,
    Code.INTERNAL: 500,
    Code.BUSY: 503,
    Code.CLOSING: 503,
    Code.NO_MEMORY: 503,
    Code.MODEL_UNUSABLE: 503,
    Code.TIMEOUT: 504,
}


@dataclass
class Refused(Exception):
    """Ends a request with the status of its code; ``retry_after`` seconds, where waiting helps."""

    code: Code
    sentence: str
    retry_after: int | None = None

    @property
    def status(self) -> int:
        """Of HTTP."""
        return STATUS[self.code]
