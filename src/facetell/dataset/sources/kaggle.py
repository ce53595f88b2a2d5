# SPDX-License-Identifier: Apache-2.0
"""Kaggle data sets, through the official client and the user's own credentials.

The client logs in, names the licence and gives the link. The bytes are fetched here, because the
client's own ``download_file`` appends to, or overwrites, what is on disk with the text of an error
page when the server refuses a resumed download for a moment, and waits without end for a server
that has fallen silent.
"""

import base64
import hashlib
import io
import json
import os
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TypeVar

import requests
from tqdm import tqdm

from facetell.common.errors import UserError, brief
from facetell.common.files import whole
from facetell.common.locks import alone
from facetell.dataset.sources.local import verify
from facetell.images.opening import open_archive

ATTEMPTS = 6
FIRST_WAIT = 1.0  # seconds; each wait is twice the one before: 31 s in all
LONGEST_WAIT = 60.0  # seconds; more is not waited, whatever the server asks for
SILENCE = 60.0  # seconds without a byte after which a connection counts as cut
BLOCK = 2**17  # bytes per write: no more than this is lost when a connection is cut
NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
OTHERWISE = "or download the archive yourself and set data.archive=PATH.zip"

T = TypeVar("T")


class _Cut(requests.RequestException):
    """A download that broke in a way that another attempt may mend."""


def fetch(target: Path, *, dataset: str, expected: str | None, downloads: Path) -> None:
    """Download ``dataset`` (``owner/name``) to ``target``.

    Kept in ``downloads``: the complete archive as ``owner/name.zip``, which is used again without
    asking the server; until then what has arrived, from where the next call goes on.

    Raises
    ------
    UserError : no credentials, refused, unreachable, cut off, damaged, the disk is full, or
        another sha256 than ``expected``.
    """
    if not NAME.fullmatch(dataset):
        raise UserError(
            f"{dataset!r} is not a Kaggle data set: write owner/name in data.sets.*.kaggle"
        )
    archive = downloads / f"{dataset}.zip"
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with alone(archive):  # queued experiments share the downloads
            if not _usable(archive):
                _download(dataset, archive)
        _verify(archive, expected)
        with whole(target) as temporary:
            _link(archive, temporary)
    except requests.RequestException as error:
        raise UserError(_explain(error, dataset, _part(archive))) from error
    except OSError as error:
        raise UserError(
            f"cannot keep {dataset} on disk: {error}. Make room, or check the rights, and run "
            f"again; {OTHERWISE}"
        ) from error


def _verify(archive: Path, expected: str | None) -> None:
    """The archive is kept: it came whole, so the data set or the expectation has changed."""
    try:
        verify(archive, expected, name=archive)
    except UserError as error:
        raise UserError(
            f"{error}. The download is kept; delete it to get it from Kaggle again, {OTHERWISE}"
        ) from error


def _link(archive: Path, target: Path) -> None:
    """Give the archive a second name; only where that cannot be, a copy that takes disk."""
    try:
        os.link(archive, target)
    except OSError:
        shutil.copyfile(archive, target)


def _usable(archive: Path) -> bool:
    """Whether the complete archive is there already; a damaged one is deleted."""
    if not archive.is_file():
        return False
    try:
        open_archive(archive).close()
    except UserError as error:
        archive.unlink()
        _say(f"{archive} was damaged ({brief(error)}) and is deleted; it is downloaded again")
        return False
    return True


def _download(dataset: str, archive: Path) -> None:
    """Fetch ``archive``, with its checks; whatever can be gone on from stays on disk."""
    part = _part(archive)
    api = _client(dataset)
    _show_licence(api, dataset)
    _patiently(lambda: _attempt(api, dataset, part))
    problem = _problem(part, _noted(part).get("md5"))
    if problem:
        part.unlink()
        raise UserError(
            f"the download of {dataset} is damaged ({problem}) and was deleted; run again to get "
            f"it anew, {OTHERWISE}"
        )
    os.replace(part, archive)
    _note(part).unlink(missing_ok=True)


def _client(dataset: str) -> Any:
    """An authenticated client; its own help text and exit are turned into one error."""
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            from kaggle.api.kaggle_api_extended import KaggleApi  # authenticates on import
            from kagglesdk import KaggleClient

            api = KaggleApi()
            # as the client's own, which ignores KAGGLE_API_ENVIRONMENT and, where VERBOSE is set,
            # prints the credentials
            api.build_kaggle_client = lambda: KaggleClient(
                username=api.config_values.get(api.CONFIG_NAME_USER),
                password=api.config_values.get(api.CONFIG_NAME_KEY),
                api_token=api.config_values.get(api.CONFIG_NAME_TOKEN),
            )
            _patiently(api.authenticate)
    except SystemExit as error:
        if _token_is_set() or "Invalid credentials" in said.getvalue():
            raise UserError(_refused(dataset, "they are unknown or have expired")) from error
        raise UserError(
            f"no Kaggle credentials were found, and {dataset} needs them: run `kaggle auth login`, "
            "or put an API token into ~/.kaggle/access_token or the variable KAGGLE_API_TOKEN; "
            f"{OTHERWISE}"
        ) from error
    except requests.HTTPError as error:
        if _passing(error):
            raise
        raise UserError(_refused(dataset, _reason(error))) from error
    except requests.RequestException:
        raise
    except Exception as error:
        raise UserError(f"the Kaggle client cannot log in ({brief(error)}); {OTHERWISE}") from error
    for line in dict.fromkeys(said.getvalue().splitlines()):
        if line.startswith("Warning"):  # of a key that others can read
            _say(line)
    return api


def _token_is_set() -> bool:
    """Whether the client gave up although there is a token: it keeps quiet about a refused one."""
    from kagglesdk import get_access_token_from_env

    return bool(get_access_token_from_env()[0])


def _show_licence(api: Any, dataset: str) -> None:
    """Say what the data may be used for; a server that does not tell is no reason to stop."""
    try:
        names = _patiently(lambda: _licences(api, dataset), attempts=2)
    except Exception:
        names = ""
    licence = f"has the licence {names}" if names else "has a licence that could not be read"
    _say(
        f"{dataset} {licence}. Using the data means accepting its terms, which are on "
        f"{_page(dataset)}"
    )


def _licences(api: Any, dataset: str) -> str:
    """Names of the licences, such as ``CC0-1.0``; empty if there are none."""
    from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetMetadataRequest

    request = _named(ApiGetDatasetMetadataRequest(), dataset)
    with api.build_kaggle_client() as client:
        metadata = client.datasets.dataset_api_client.get_dataset_metadata(request)
    licences = metadata.info.licenses if metadata.info else []
    return ", ".join(" ".join(licence.name.split()) for licence in licences if licence.name)


def _named(request: Any, dataset: str) -> Any:
    request.owner_slug, request.dataset_slug = dataset.split("/")
    return request


def _patiently(action: Callable[[], T], attempts: int | None = None) -> T:
    """Call ``action``, and again after a wait while what went wrong may pass."""
    attempts = attempts or ATTEMPTS
    for attempt in range(1, attempts + 1):
        try:
            return action()
        except requests.RequestException as error:
            if attempt == attempts or not _passing(error):
                raise
            wait = _wait(error, attempt)
            _say(
                f"Kaggle: {_reason(error)}; trying again in {wait:.0f} s "
                f"(attempt {attempt + 1} of {attempts})"
            )
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _wait(error: requests.RequestException, attempt: int) -> float:
    """Seconds until the next attempt: what the server asks for, or twice the last."""
    asked = error.response.headers.get("Retry-After", "") if error.response is not None else ""
    return min(LONGEST_WAIT, float(asked) if asked.isdigit() else FIRST_WAIT * 2 ** (attempt - 1))


def _passing(error: requests.RequestException) -> bool:
    """Whether another attempt may go better: not after an answer that says no."""
    return _status(error) in (None, 408, 429) or (_status(error) or 0) >= 500


def _status(error: requests.RequestException) -> int | None:
    """What the server answered; None if there was no answer, or one that broke off."""
    if not isinstance(error, requests.HTTPError) or error.response is None:
        return None
    status = int(error.response.status_code)
    return status if status >= 400 else int(_told(error).get("code", status))


def _told(error: requests.RequestException) -> dict[str, Any]:
    """``code`` and ``message`` from the body: Kaggle sends some errors with the status 200."""
    response = error.response
    if response is None or "application/json" not in response.headers.get("Content-Type", ""):
        return {}
    try:
        told = response.json()
    except (requests.RequestException, RuntimeError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _reason(error: requests.RequestException) -> str:
    """What went wrong in a few words; the library's own text spells out signed addresses."""
    if isinstance(error, _Cut):
        return str(error)
    if (status := _status(error)) is not None and error.response is not None:
        message = str(_told(error).get("message") or error.response.reason)
        return f"{status} {' '.join(message.split())}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut"
    inner = error.args[0] if error.args else error
    return f"no connection ({type(getattr(inner, 'reason', inner)).__name__})"


def _explain(error: requests.RequestException, dataset: str, part: Path) -> str:
    """The message for the user: what happened, and what to do."""
    status, reason = _status(error), _reason(error)
    if status == 401:
        return _refused(dataset, reason)
    if status == 403:
        return (
            f"Kaggle refused {dataset} ({reason}): visit {_page(dataset)}, logged in as the same "
            "user, accept the terms and press Download once; if there is no such page, check the "
            f"name in data.sets.*.kaggle; {OTHERWISE}"
        )
    if status == 404:
        return (
            f"Kaggle has no data set {dataset} ({reason}): check the name in data.sets.*.kaggle; "
            f"{OTHERWISE}"
        )
    have = part.stat().st_size if part.is_file() else 0
    more = f", which goes on from byte {have:,}" if have else ""
    return (
        f"Kaggle did not give {dataset}: {reason}. Check your connection and run again{more}; "
        f"{OTHERWISE}"
    )


def _refused(dataset: str, reason: str) -> str:
    return (
        f"Kaggle refused your credentials for {dataset} ({reason}): run `kaggle auth login`, or "
        "get a new API token for ~/.kaggle/access_token or the variable KAGGLE_API_TOKEN, which go "
        f"before KAGGLE_USERNAME with KAGGLE_KEY and kaggle.json; {OTHERWISE}"
    )


def _page(dataset: str) -> str:
    return f"https://www.kaggle.com/datasets/{dataset}"


def _part(archive: Path) -> Path:
    """Where an archive grows; only a complete one has the name ``archive``."""
    return archive.with_name(f"{archive.name}.part")


def _note(part: Path) -> Path:
    """Which file of the server ``part`` is the beginning of."""
    return part.with_name(f"{part.name}.json")


def _noted(part: Path) -> dict[str, Any]:
    """``validator``, ``size`` in bytes and ``md5`` of that file, each None if not announced.

    Empty if there is no note, or only half of one.
    """
    try:
        noted = json.loads(_note(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _known(part: Path) -> dict[str, Any] | None:
    """What is noted of ``part``; None if there is nothing to go on from."""
    noted = _noted(part)
    have = part.stat().st_size if part.is_file() else 0
    return noted if have and have <= (noted.get("size") or 0) else None


def _attempt(api: Any, dataset: str, part: Path) -> None:
    """Bring ``part`` to its full size, from where it ends now.

    Raises
    ------
    requests.RequestException : refused, cut off, or short; what has arrived stays.
    """
    known = _known(part)
    have = part.stat().st_size if known else 0
    if known and have == known["size"]:
        return
    with _open(api, dataset, have, known["validator"] if known else None) as response:
        if response.status_code == 206 and known:
            _must_continue(response, part, known, have)
        else:
            known, have = _start(response, part), 0
        _receive(response, part, have, known["size"], dataset)


def _open(api: Any, dataset: str, have: int, validator: str | None) -> requests.Response:
    """The file from byte ``have`` on, if the server still has the one with this validator.

    The link that the client is sent to is valid for a while only: each attempt asks for it.
    """
    from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

    request = _named(ApiDownloadDatasetRequest(), dataset)
    with api.build_kaggle_client() as client:
        link = client.datasets.dataset_api_client.download_dataset(request)
        link.close()
    headers = {**link.request.headers, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator and not validator.startswith("W/"):  # a weak one may not stand here
            headers["If-Range"] = validator
    response = requests.request(
        link.request.method or "GET",
        link.url,
        headers=headers,
        data=link.request.body,
        stream=True,
        timeout=SILENCE,
    )
    if response.status_code not in (200, 206, 416):
        raise _Cut(f"{response.status_code} {response.reason}", response=response)
    return response


def _must_continue(
    response: requests.Response, part: Path, known: dict[str, Any], have: int
) -> None:
    """Refuse a rest that does not belong to the beginning in ``part``, and drop that."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    same = _validator(response) in (None, known["validator"])
    if not (same and found and [int(n) for n in found.groups()] == [have, known["size"]]):
        part.unlink()
        raise _Cut("the file on the server has changed, starting anew")


def _validator(response: requests.Response) -> str | None:
    return response.headers.get("ETag") or response.headers.get("Last-Modified")


def _start(response: requests.Response, part: Path) -> dict[str, Any]:
    """Empty ``part`` and note which file it becomes."""
    part.unlink(missing_ok=True)  # before the note: it must never describe another file's bytes
    if response.status_code != 200:
        raise _Cut("the file on the server has changed, starting anew")
    length = response.headers.get("Content-Length", "")
    known = {
        "validator": _validator(response),
        "size": int(length) if length.isdigit() else None,
        "md5": _announced_md5(response),
    }
    _note(part).write_text(json.dumps(known), encoding="utf-8", newline="\n")
    return known


def _announced_md5(response: requests.Response) -> str | None:
    """The md5 that the server gives, in hexadecimal."""
    hashes = response.headers.get("x-goog-hash", "")
    found = re.search(r"md5=([A-Za-z0-9+/]{22}==)", hashes)
    value = found[1] if found else response.headers.get("Content-MD5")
    try:
        return base64.b64decode(value, validate=True).hex() if value else None
    except ValueError:
        return None


def _receive(
    response: requests.Response, part: Path, have: int, size: int | None, dataset: str
) -> None:
    """Append what comes to ``part``, which has ``have`` bytes, and check that it is all.

    A server that does not say the size has nothing to be checked against but the zip's own end.
    """
    with open(part, "ab") as file, _meter(dataset, have, size) as arrived:
        for block in response.iter_content(BLOCK):
            file.write(block)
            arrived(len(block))
    arrived_in_all = part.stat().st_size
    if size is not None and arrived_in_all != size:
        raise _Cut(f"{arrived_in_all:,} of {size:,} bytes came")


def _problem(part: Path, md5: str | None) -> str | None:
    """What is wrong with a complete download; None if it is good.

    Where the server gives no md5, each entry is held against its own checksum.
    """
    try:
        open_archive(part).close()
        if md5:
            with open(part, "rb") as file:
                actual = hashlib.file_digest(
                    file, lambda: hashlib.md5(usedforsecurity=False)
                ).hexdigest()
            return None if actual == md5 else f"its md5 is {actual}, the server says {md5}"
        with zipfile.ZipFile(part) as archive:
            bad = archive.testzip()
        return f"{bad} in it has a wrong checksum" if bad else None
    except Exception as error:  # from the zip's end, its list, or a broken stream in it
        return brief(error)


@contextmanager
def _meter(what: str, have: int, size: int | None) -> Iterator[Callable[[int], object]]:
    """Yield a function that is told of bytes as they arrive: a bar, or lines in a log."""
    if not sys.stderr.isatty():
        yield _Lines(what, have, size).arrived
        return
    with tqdm(
        desc=what, initial=have, total=size, unit="B", unit_scale=True, dynamic_ncols=True
    ) as bar:
        yield bar.update


class _Lines:
    """Progress for a log: a line at the start, at each tenth, and at least every minute."""

    def __init__(self, what: str, have: int, size: int | None) -> None:
        self.what, self.have, self.size = what, have, size
        self.said = self._tenth(), time.monotonic()
        _say(f"downloading {what}: {self._state()}")

    def arrived(self, count: int) -> None:
        self.have += count
        tenth, now = self._tenth(), time.monotonic()
        if tenth > self.said[0] or now > self.said[1] + 60:
            self.said = tenth, now
            _say(f"{self.what}: {self._state()}")

    def _tenth(self) -> int:
        return 10 * self.have // self.size if self.size else 0

    def _state(self) -> str:
        if not self.size:
            return f"{self.have / 1e6:,.1f} MB"
        return f"{self.have / 1e6:,.1f} of {self.size / 1e6:,.1f} MB ({self.have / self.size:.0%})"


def _say(text: str) -> None:
    print(f"facetell: {text}", file=sys.stderr, flush=True)
