# SPDX-License-Identifier: Apache-2.0
"""A user's own folder of images: packed as it is into one uncompressed zip, or read in place."""

import json
import os
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path

from facetell.common.errors import UserError
from facetell.common.files import read_json, whole, write_json
from facetell.common.progress import estimating, progress, worked
from facetell.dataset.census import ARCHIVES, FOREIGN, HEAD, HIDDEN, NESTED, kind_of
from facetell.dataset.tree import hidden
from facetell.images.archive import LARGEST_ENTRY, LEFT_OUT, SHARDS, Archive, changed
from facetell.images.decoding import SUFFIXES, Unusable, looks_like_an_image
from facetell.images.opening import open_archive

ELSEWHERE = ".facetell-files.json"  # in a folder: a list of files that lie elsewhere
LISTINGS = (".csv", ".tsv", ".parquet", ".json", ".jsonl")
AGAIN = "links to folders that are there already"
UNREADABLE = "files that may not be read"
CLOSED = "folders that may not be opened"


def fetch(target: Path, *, root: Path) -> None:
    """Store every image and listing below ``root`` in ``target`` (zip); the same files give the
    same bytes.

    What is an image is seen from its ending or its content. Links are followed, to a folder once.
    What is left out is counted in the archive's entry ``LEFT_OUT``.

    Raises
    ------
    UserError : ``root`` is missing, not a folder, or has no image files.
    """
    if not root.is_dir():
        raise UserError(f"data.root: there is no folder {root}")
    left_out: Counter[str] = Counter()
    files = sorted(
        wanted(root, left_out),
        key=lambda path: path.relative_to(root).parts,  # Windows would ignore upper and lower case
    )
    if all(path.suffix.lower() in LISTINGS and path.suffix.lower() != ".parquet" for path in files):
        found = ", ".join(f"{number:,} {why}" for why, number in left_out.items())
        raise UserError(
            f"data.root: no image ({', '.join(SUFFIXES)}) below {root.resolve()}"
            + (f"; there are {found}" if found else "")
        )
    pack(target, [(named(path, root), path) for path in files], left_out, str(root))


def pack(
    target: Path, files: Sequence[tuple[str, Path]], left_out: Counter[str], where: str
) -> None:
    """Store ``files``, each under its name, in ``target``; one that may not be read is counted in
    ``left_out``, which is stored as well."""
    with (
        estimating(f"fetch: copy {len(files):,} files of {where}", len(files)),
        whole(target) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
    ):
        for name, path in progress(files, "packing the folder"):
            try:
                data = path.read_bytes()
            except OSError:
                left_out[UNREADABLE] += 1
            else:
                archive.writestr(_entry(name), data)
            worked()
        if left_out:
            archive.writestr(_entry(LEFT_OUT), json.dumps(dict(sorted(left_out.items()))))


class Files(Archive):
    """Files that lie anywhere, by the names that they have here; read in place, nothing is copied.

    Parameters
    ----------
    label, folder : as of every ``Archive``.
    located : paths by name.
    left_out : files beside them that were left out: how many, by why.
    """

    def __init__(
        self, label: str, folder: Path, located: Mapping[str, Path], left_out: Mapping[str, int]
    ) -> None:
        self.label, self.folder = label, folder
        self._paths = {name: located[name] for name in sorted(located, key=str.encode)}
        self._left_out = dict(sorted(left_out.items()))

    def close(self) -> None:
        """Nothing is open."""

    @property
    def names(self) -> list[str]:
        return list(self._paths)

    @property
    def left_out(self) -> dict[str, int]:
        return dict(self._left_out)

    def read(self, name: str, size: int = -1) -> bytes:
        try:
            path = self._paths[name]
        except KeyError:
            raise Unusable("listed, but not in the archive") from None
        try:
            if size < 0 and (length := path.stat().st_size) > LARGEST_ENTRY:
                raise Unusable(f"too large: {length:,} bytes")
            with open(path, "rb") as file:
                return file.read(size)
        except OSError as error:
            raise Unusable(f"may not be read: {error.strerror or error}") from error

    def identity(self, name: str) -> str:
        """The file's size, and when it was last changed."""
        try:
            return changed(self._paths[name])
        except (KeyError, OSError):
            return ""


class Folder(Files):
    """Images and listings below ``root`` as an archive has them, read in place.

    What ``fetch`` would pack is here under the same name, and what it would leave out is counted
    in ``left_out``.

    Raises
    ------
    UserError : ``root`` is no folder.

    >>> Path("mine/real").mkdir(parents=True)
    >>> _ = Path("mine/real/a.jpg").write_bytes(b"")
    >>> _ = Path("mine/notes.txt").write_bytes(b"words")
    >>> with Folder("mine") as files:
    ...     files.names, files.left_out
    (['real/a.jpg'], {'txt files': 1})
    """

    def __init__(self, root: str | Path) -> None:
        root = Path(root)
        if not root.is_dir():
            raise UserError(f"there is no folder {root}")
        left_out: Counter[str] = Counter()
        located = {named(path, root): path for path in wanted(root, left_out)}
        super().__init__(str(root), root, located, left_out)


class Listed(Files):
    """The files that ``folder`` lists in ``ELSEWHERE``, as ``list_files`` writes it."""

    def __init__(self, folder: Path) -> None:
        said = read_json(folder / ELSEWHERE)
        located = {name: Path(path) for name, path in said["files"].items()}
        super().__init__(said["label"], folder, located, said["left_out"])


def list_files(
    folder: Path, files: Sequence[tuple[str, Path]], left_out: Mapping[str, int], label: str
) -> None:
    """Write to ``folder`` where ``files`` lie, for ``Listed``."""
    located = {name: os.path.abspath(path) for name, path in files}
    write_json(folder / ELSEWHERE, {"label": label, "files": located, "left_out": dict(left_out)})


def open_files(path: str | Path) -> Archive:
    """A zip, a folder of zips or of shards, a list of files, or any folder, for reading in place.

    A folder is one of zips where it has some, and neither folders nor images beside them.

    Raises
    ------
    UserError : there is nothing of that name, or as ``open_archive`` does.
    """
    path = Path(path)
    if (path / ELSEWHERE).is_file():
        return Listed(path)
    if path.is_dir():
        return open_archive(path) if _of_zips(path) or (path / SHARDS).is_file() else Folder(path)
    if not path.exists():
        raise UserError(f"there is no folder or archive {path}")
    return open_archive(path)


def _of_zips(folder: Path) -> bool:
    beside = [path for path in folder.iterdir() if not hidden(path.name)]
    suffixes = {path.suffix.lower() for path in beside}
    return ".zip" in suffixes and not (
        suffixes & {*SUFFIXES, *FOREIGN} or any(path.is_dir() for path in beside)
    )


def named(path: Path, root: Path) -> str:
    """The name in an archive of a file below ``root``."""
    return portable(path.relative_to(root).as_posix())


def wanted(root: Path, left_out: Counter[str], known: Set[str] = frozenset()) -> Iterator[Path]:
    """Images and listings below ``root``; all else is counted in ``left_out``, but for files whose
    names are ``known``."""
    visited = {root.resolve()}

    def refused(_: OSError) -> None:
        left_out[CLOSED] += 1

    for folder, names, files in os.walk(root, onerror=refused, followlinks=True):
        here = Path(folder)
        for name in sorted(names):
            if (here / name).is_symlink() and (where := (here / name).resolve()) in visited:
                left_out[AGAIN] += 1
                names.remove(name)
            elif (here / name).is_symlink():
                visited.add(where)
        for name in files:
            path = here / name
            if named(path, root) in known:
                continue
            if why := _useless(path, root):
                left_out[why] += 1
            else:
                yield path


def _useless(path: Path, root: Path) -> str | None:
    """Why a file is left out, None where it is an image or a listing."""
    suffix = path.suffix.lower()
    if hidden(path.relative_to(root).as_posix()):
        return HIDDEN
    if suffix in (*SUFFIXES, *FOREIGN, *LISTINGS):
        return None
    if suffix in ARCHIVES:
        return NESTED
    head = _head(path)
    if head is None:
        return UNREADABLE
    return None if looks_like_an_image(head) else kind_of(suffix)


def _head(path: Path) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(HEAD)
    except OSError:
        return None


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)  # date fixed: 1980
    entry.create_system = 3  # the same bytes on every operating system
    return entry


def portable(name: str) -> str:
    """A name that every zip can hold: bytes that are not UTF-8 as %FF."""
    return "".join(
        f"%{ord(letter) - 0xDC00:02X}" if 0xDC80 <= ord(letter) <= 0xDCFF else letter
        for letter in name
    )
