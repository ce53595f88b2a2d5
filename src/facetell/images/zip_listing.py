# SPDX-License-Identifier: Apache-2.0
"""What a zip lists, in arrays; of a large one they are kept in files and mapped.

``zipfile`` makes an object of every entry, which takes seconds and 640 MB for a million of them, in
every process that opens the zip. So that is done once for each zip.
"""

import hashlib
import io
import os
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from facetell.common.errors import UserError
from facetell.common.files import cached, whole

ENCRYPTED = 0x1  # of an entry's flags
KEPT = {  # of what ``zipfile`` knows of an entry
    "header_offset": np.int64,
    "compress_size": np.int64,
    "file_size": np.int64,
    "CRC": np.uint32,
    "flag_bits": np.uint16,
    "compress_type": np.uint16,
}
ENTRY = np.dtype([("zip", np.int32), ("length", np.int32), *KEPT.items()])
LARGE = 10_000  # entries from which on a listing is kept
MOST = 16  # listings that are kept
_EMPTY = b"PK\x05\x06" + bytes(18)  # a zip without entries


class Listing(NamedTuple):
    """The files of a zip, folders left out: names as bytes (N,), sorted, and ``ENTRY`` (N,) each.

    Backslashes, which some programs write, are slashes here; ``renamed`` has such names as the zip
    says them. ``file`` reads them (``info``), and has no listing of its own.
    """

    file: zipfile.ZipFile
    names: np.ndarray
    entries: np.ndarray
    renamed: dict[str, str]


def listing(path: Path) -> Listing:
    """Open a zip.

    Raises
    ------
    UserError : missing, not a zip or cut off, encrypted, or with an entry that points outside of
        itself.
    """
    if not path.is_file():
        raise UserError(f"archive {path} is missing; run the fetch stage, or check data.archive")
    if (found := _kept(path)) is not None:
        names, entries = found
        return Listing(_Unlisted(path), names, entries, {})
    read = _read(path)
    if len(read.names) >= LARGE and not read.renamed:
        with suppress(OSError):  # a full or closed cache costs time alone
            _keep(path, read)
    return read


def info(name: str, entry: np.void) -> zipfile.ZipInfo:
    """What ``zipfile`` wants to read an entry, whose name is as the zip says it."""
    found = zipfile.ZipInfo(name)
    for field in KEPT:
        setattr(found, field, int(entry[field]))
    return found


class _Unlisted(zipfile.ZipFile):
    """A zip of which only entries are read that are known already."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.BytesIO(_EMPTY))
        self.fp = path.open("rb")

    def close(self) -> None:
        file = self.fp
        super().close()
        if file is not None:
            file.close()


def _read(path: Path) -> Listing:
    try:
        opened = zipfile.ZipFile(path)
    # later versions of the format, and names that are not what they say, raise the last two
    except (zipfile.BadZipFile, OSError, NotImplementedError, UnicodeDecodeError) as error:
        raise UserError(
            f"archive {path} is not a zip file or is cut off ({error}); fetch it again"
        ) from error
    try:
        return _of(path, opened)
    except UserError:
        opened.close()
        raise


def _of(path: Path, opened: zipfile.ZipFile) -> Listing:
    for one in opened.infolist():
        _refuse_outside(path, one.filename)
    files = [one for one in opened.infolist() if not one.filename.endswith(("/", "\\"))]
    if files and all(one.flag_bits & ENCRYPTED for one in files):
        raise UserError(
            f"archive {path} is encrypted: unpack it with its password, and give the folder"
        )
    shown = [one.filename.replace("\\", "/") for one in files]
    both = zip(shown, files, strict=True)
    renamed = {name: one.filename for name, one in both if name != one.filename}
    names = np.array([name.encode() for name in shown], dtype=np.bytes_)
    entries = np.zeros(len(files), dtype=ENTRY)
    entries["length"] = [len(one.filename) for one in files]
    for field in KEPT:
        entries[field] = [getattr(one, field) for one in files]
    opened.filelist.clear()
    opened.NameToInfo.clear()
    order = np.argsort(names, kind="stable")
    return Listing(opened, names[order], entries[order], renamed)


def _refuse_outside(path: Path, name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in "".join(parts.parts[:1]):
        raise UserError(
            f"archive {path} has an entry that points outside of it: {name!r}; "
            "do not use it, get it again from a source that you trust"
        )


def _files(path: Path) -> list[Path]:
    """Where names and entries of a zip are kept, which is another place once it has changed."""
    said = path.stat()
    of = f"{path.absolute()} {said.st_size} {said.st_mtime_ns} {ENTRY.descr}"
    digest = hashlib.sha256(os.fsencode(of)).hexdigest()[:32]
    return [cached(f"zips/{digest}-{what}.npy") for what in ("names", "entries")]


def _kept(path: Path) -> list[np.ndarray] | None:
    try:
        names, entries = (np.load(file, mmap_mode="r") for file in _files(path))
    except (OSError, ValueError):
        return None
    return [names, entries] if len(names) == len(entries) and entries.dtype == ENTRY else None


def _keep(path: Path, read: Listing) -> None:
    for file, values in zip(_files(path), (read.names, read.entries), strict=True):
        with whole(file) as temporary:
            np.save(temporary, values)
    newest = sorted(file.parent.glob("*.npy"), key=lambda one: one.stat().st_mtime, reverse=True)
    for old in newest[2 * MOST :]:
        old.unlink(missing_ok=True)
