# SPDX-License-Identifier: Apache-2.0
"""A form with photos, read into memory and nowhere else, within the limits.

The parser is python-multipart's. Starlette's own reading would put what is larger than 1 MB into
a temporary file. Names of files are dropped unread.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import FormParser, parse_options_header
from starlette.requests import Request

from facetell.app.serve.limits import Limits
from facetell.app.serve.refusals import Code, Refused

FORM = b"multipart/form-data"
PHOTO = "photo"  # the field of photos
FIELDS, LONGEST = 64, 2_000  # fields beside the photos, and bytes of each
DRAINED = 4  # times the limit: what is read of a refused request, so that its sender hears why


@dataclass
class Form:
    """``photos`` are files as they were sent; ``fields`` are the values of all other parts;
    ``whole`` is whether it has come to its end."""

    photos: list[bytes] = field(default_factory=list)
    fields: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    whole: bool = False


async def read_form(request: Request, limits: Limits) -> Form:
    """Read a request of the media type multipart/form-data.

    Raises
    ------
    Refused : another media type, a broken form, or one beyond the limits.
    """
    try:
        async with asyncio.timeout(limits.upload_seconds):
            return await _read(request, limits)
    except TimeoutError as late:
        raise Refused(
            Code.SLOW_UPLOAD, f"The upload took more than {limits.upload_seconds:g} seconds."
        ) from late


async def drain(request: Request, limits: Limits) -> None:
    """Read and forget what is left of a request that is refused, within bounds.

    A sender that is cut off while it writes may never read the answer.
    """
    left = DRAINED * limits.upload_bytes
    try:
        async with asyncio.timeout(limits.upload_seconds):
            async for piece in request.stream():
                left -= len(piece)
                if left < 0:
                    return
    except (TimeoutError, RuntimeError):  # RuntimeError: it was read already
        return


async def _read(request: Request, limits: Limits) -> Form:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind.lower() != FORM:
        raise Refused(
            Code.NOT_MULTIPART, f"Send a form, {FORM.decode()}, with the photo as {PHOTO!r}."
        )
    if not boundary:
        raise Refused(Code.MALFORMED, "The form has no boundary.")
    form = Form()
    parser = _parser(form, boundary, limits)
    try:
        async for piece in _bounded(request, limits):
            parser.write(piece)
        parser.finalize()
    except (FormParserError, UnicodeError) as error:
        raise Refused(Code.MALFORMED, "The form is broken.") from error
    if not form.whole:
        raise Refused(Code.MALFORMED, "The form is cut off.")
    return form


async def _bounded(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    """The pieces of a request, as long as they are within the limit."""
    refusal = Refused(Code.TOO_LARGE, f"A request may have at most {limits.upload_mb:g} MB.")
    said = request.headers.get("content-length", "0")
    if not said.isdecimal() or int(said) > limits.upload_bytes:
        raise refusal
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limits.upload_bytes:
            raise refusal
        if piece:
            yield piece


def _parser(form: Form, boundary: bytes, limits: Limits) -> FormParser:
    """A parser that fills the form."""

    def on_field(part: Any) -> None:
        name, value = part.field_name.decode(), part.value or b""
        if name == PHOTO:
            _add(form, value, limits)
            return
        number = sum(map(len, form.fields.values()))
        if number >= FIELDS or len(value) > LONGEST or len(name) > LONGEST:
            raise Refused(Code.INVALID, "The form has too many fields, or one that is too long.")
        form.fields[name].append(value.decode())

    def on_file(part: Any) -> None:
        if part.field_name != PHOTO.encode():
            raise Refused(Code.INVALID, f"Photos are sent as {PHOTO!r}.")
        part.file_object.seek(0)
        _add(form, part.file_object.read(), limits)

    def on_end() -> None:
        form.whole = True

    # more than may be sent, so that nothing goes to a temporary file
    config = {"MAX_MEMORY_FILE_SIZE": 2 * limits.upload_bytes, "UPLOAD_KEEP_FILENAME": False}
    return FormParser(FORM.decode(), on_field, on_file, on_end, boundary=boundary, config=config)


def _add(form: Form, data: bytes, limits: Limits) -> None:
    if len(form.photos) >= limits.photos:
        raise Refused(Code.TOO_MANY_PHOTOS, f"A request may have at most {limits.photos} photos.")
    form.photos.append(data)
