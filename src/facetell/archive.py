"""Reading zip archives without unpacking them, and refusing those that are not to be trusted.

A data set is one zip or a folder of several, seen as one.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType

from facetell.errors import UserError
from facetell.images import Unusable

LARGEST_ENTRY = 256 * 2**20  # bytes, unpacked


class Archive:
    """Read-only view of one zip, or of all zips in a folder.

    The entries of several zips are told apart by the zip's name before theirs
    (``Facebook/Real/1.png``); those of a single one are named as in the zip.

    Attributes
    ----------
    names : paths of all files, sorted; folders are left out.
    label : the archive's name, for messages.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        files = sorted(path.glob("*.zip")) if path.is_dir() else [path]
        self.label = str(path if len(files) != 1 else files[0])
        self._zips: list[zipfile.ZipFile] = []
        self._where: dict[str, tuple[int, str]] = {}
        if not files:
            raise UserError(f"there is no zip in {path}; run the fetch stage again")
        try:
            for number, file in enumerate(files):
                self._zips.append(_open(file))
                prefix = f"{file.stem}/" if len(files) > 1 else ""
                for entry in _entries(file, self._zips[-1]):
                    self._where[prefix + entry] = (number, entry)
        except UserError:
            self.close()
            raise
        self.names = sorted(self._where)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files; nothing can be read afterwards."""
        for opened in self._zips:
            opened.close()

    def read(self, name: str) -> bytes:
        """One file's bytes; raises ``Unusable`` if it is missing, damaged or absurdly large."""
        try:
            number, entry = self._where[name]
        except KeyError as error:
            raise Unusable("listed, but not in the archive") from error
        found = self._zips[number].getinfo(entry)
        if found.file_size > LARGEST_ENTRY:
            raise Unusable(f"too large: {found.file_size:,} bytes")
        try:
            return self._zips[number].read(found)
        except Exception as error:  # a bad checksum, an unknown compression, a broken stream
            raise Unusable(f"damaged in the archive: {error}") from error


def open_archive(path: str | Path) -> Archive:
    """Open a zip, or a folder of zips, for reading.

    Raises
    ------
    UserError : missing, not a zip or cut off, or with an entry that points outside of itself.
    """
    return Archive(path)


def _open(path: Path) -> zipfile.ZipFile:
    if not path.is_file():
        raise UserError(f"archive {path} is missing; run the fetch stage, or check data.archive")
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(
            f"archive {path} is not a zip file or is cut off ({error}); fetch it again"
        ) from error


def _entries(path: Path, opened: zipfile.ZipFile) -> Iterator[str]:
    for name in opened.namelist():
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in "".join(parts.parts[:1]):
            raise UserError(
                f"archive {path} has an entry that points outside of it: {name!r}; "
                "do not use it, get it again from a source that you trust"
            )
        if not name.endswith("/"):
            yield name
