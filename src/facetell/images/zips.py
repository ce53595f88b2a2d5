# SPDX-License-Identifier: Apache-2.0
"""A data set that is one zip, or a folder of several seen as one."""

import json
import zipfile
from pathlib import Path

import numpy as np

from facetell.common.errors import UserError
from facetell.images.archive import LARGEST_ENTRY, LEFT_OUT, Archive
from facetell.images.decoding import Unusable
from facetell.images.zip_listing import ENCRYPTED, info, listing


class Zips(Archive):
    """Read-only view of one zip, or of all zips in a folder.

    The entries of several zips are told apart by the zip's name before theirs
    (``Facebook/Real/1.png``); those of a single one are named as in the zip. What is kept of an
    entry is some hundred bytes, a tenth of what ``zipfile`` keeps: sets have 100,000 of them.

    >>> from facetell.images.opening import open_archive
    >>> with zipfile.ZipFile("set.zip", "w") as file:
    ...     file.writestr("real/1.txt", "one")
    >>> with open_archive("set.zip") as archive:
    ...     archive.names, archive.read("real/1.txt")
    (['real/1.txt'], b'one')
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        files = sorted(path.glob("*.zip")) if path.is_dir() else [path]
        self.label = str(path if len(files) != 1 else files[0])
        self.folder = path if path.is_dir() else path.parent
        self._zips: list[zipfile.ZipFile] = []
        self._renamed: dict[str, str] = {}  # as the zip says them, by the names that they have here
        if not files:
            raise UserError(f"there is no zip in {path}; run the fetch stage again")
        names, entries = [], []
        try:
            for number, file in enumerate(files):
                found = listing(file)
                self._zips.append(found.file)
                prefix = f"{file.stem}/" if len(files) > 1 else ""
                self._renamed |= {prefix + name: said for name, said in found.renamed.items()}
                names.append(np.char.add(prefix.encode(), found.names) if prefix else found.names)
                entries.append(found.entries if not number else _numbered(found.entries, number))
        except UserError:
            self.close()
            raise
        self._names, self._entries = names[0], entries[0]
        if len(files) > 1:
            together = np.concatenate(names)
            order = np.argsort(together, kind="stable")
            self._names, self._entries = together[order], np.concatenate(entries)[order]

    def close(self) -> None:
        """Close all files; nothing can be read afterwards."""
        for opened in self._zips:
            opened.close()

    @property
    def names(self) -> list[str]:
        """Paths of all files, sorted; folders are left out."""
        return [name for name in map(bytes.decode, self._names.tolist()) if name != LEFT_OUT]

    @property
    def left_out(self) -> dict[str, int]:
        """Files of the user's folder that were not packed: how many, by why."""
        at = int(np.searchsorted(self._names, LEFT_OUT.encode()))
        if at == len(self._names) or self._names[at] != LEFT_OUT.encode():
            return {}
        return {str(why): int(number) for why, number in json.loads(self.read(LEFT_OUT)).items()}

    def read(self, name: str, size: int = -1) -> bytes:
        """One file's bytes, or the first ``size`` of them.

        Raises
        ------
        Unusable : missing, damaged, encrypted or absurdly large.
        """
        entry = self._entry(name)
        if entry is None:
            raise Unusable("listed, but not in the archive")
        if entry["file_size"] > LARGEST_ENTRY and size < 0:
            raise Unusable(f"too large: {entry['file_size']:,} bytes")
        if entry["flag_bits"] & ENCRYPTED:
            raise Unusable("encrypted: unpack the archive with its password")
        try:
            prefix = len(name) - int(entry["length"])  # the zip's name, where there are several
            original = self._renamed.get(name, name[prefix:])
            with self._zips[entry["zip"]].open(info(original, entry)) as file:
                return file.read(size)
        except Exception as error:  # a bad checksum, an unknown compression, a broken stream
            raise Unusable(f"damaged in the archive: {error}") from error

    def identity(self, name: str) -> str:
        """The checksum and the sizes that the zip lists."""
        entry = self._entry(name)
        if entry is None:
            return ""
        return f"{entry['CRC']:08x} {entry['file_size']} {entry['compress_size']}"

    def _entry(self, name: str) -> np.void | None:
        at = int(np.searchsorted(self._names, name.encode()))
        if at == len(self._names) or self._names[at] != name.encode():
            return None
        return self._entries[at]


def _numbered(entries: np.ndarray, number: int) -> np.ndarray:
    """The same, of the zip of this number."""
    found = np.array(entries)
    found["zip"] = number
    return found
