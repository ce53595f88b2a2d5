# SPDX-License-Identifier: Apache-2.0
"""Reading archives without unpacking them, and refusing those that are not to be trusted.

A data set is one zip, a folder of several seen as one, or a folder of Parquet shards.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType

LARGEST_ENTRY = 256 * 2**20  # bytes, unpacked
LEFT_OUT = ".facetell/left_out.json"  # numbers of files by why ``sources.folder`` left them out
SHARDS = "shards.json"  # in a folder of Parquet shards: how they are to be read


class Archive(ABC):
    """Read-only view of the files of a data set, whatever holds them.

    Attributes
    ----------
    label : the archive's name, for messages.
    folder : where it lies, with what else the fetch stage stored of the set.
    """

    label: str
    folder: Path

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Close all files; nothing can be read afterwards."""

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Paths of all files, sorted; folders are left out."""

    @property
    @abstractmethod
    def left_out(self) -> dict[str, int]:
        """Files of the user's that were not taken in: how many, by why."""

    @abstractmethod
    def read(self, name: str, size: int = -1) -> bytes:
        """One file's bytes, or the first ``size`` of them.

        Raises
        ------
        Unusable : missing or damaged.
        """

    @abstractmethod
    def identity(self, name: str) -> str:
        """What changes with the content of a file, told without reading it; "" of a missing one."""


def changed(path: Path) -> str:
    """Size and time of the last change of a file."""
    said = path.stat()
    return f"{said.st_size} {said.st_mtime_ns}"
