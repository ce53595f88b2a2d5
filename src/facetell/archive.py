"""Reading zip archives without unpacking them, and refusing those that are not to be trusted."""

import zipfile
from pathlib import Path, PurePosixPath

from facetell.errors import UserError
from facetell.images import Unusable

LARGEST_ENTRY = 256 * 2**20  # bytes, unpacked


def open_archive(path: str | Path) -> zipfile.ZipFile:
    """Open a zip for reading.

    Raises
    ------
    UserError : missing, not a zip or cut off, or with an entry that points outside of itself.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"archive {path} is missing; run the fetch stage, or check data.archive")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(
            f"archive {path} is not a zip file or is cut off ({error}); fetch it again"
        ) from error
    for name in archive.namelist():
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in parts.parts[0]:
            archive.close()
            raise UserError(
                f"archive {path} has an entry that points outside of it: {name!r}; "
                "do not use it, get it again from a source that you trust"
            )
    return archive


def read_entry(archive: zipfile.ZipFile, name: str) -> bytes:
    """One entry's bytes; raises ``Unusable`` if it is missing, damaged or absurdly large."""
    try:
        entry = archive.getinfo(name)
    except KeyError as error:
        raise Unusable("listed, but not in the archive") from error
    if entry.file_size > LARGEST_ENTRY:
        raise Unusable(f"too large: {entry.file_size:,} bytes")
    try:
        return archive.read(entry)
    except Exception as error:  # a bad checksum, an unknown compression, a broken stream
        raise Unusable(f"damaged in the archive: {error}") from error
