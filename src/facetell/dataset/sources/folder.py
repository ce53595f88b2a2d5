# SPDX-License-Identifier: Apache-2.0
"""A user's own folder of images: packed as it is into one uncompressed zip."""

import os
import zipfile
from pathlib import Path

from facetell.common.errors import UserError
from facetell.common.files import whole
from facetell.common.progress import estimating, progress, worked
from facetell.images.decoding import SUFFIXES


def fetch(target: Path, *, root: Path) -> None:
    """Store every image and listing (csv) below ``root`` in ``target`` (zip); the same files give
    the same bytes.

    Raises
    ------
    UserError : ``root`` is missing, not a folder, or has no image files.
    """
    if not root.is_dir():
        raise UserError(f"data.root: there is no folder {root}")
    wanted = (*SUFFIXES, ".csv")
    files = sorted(
        (path for path in root.rglob("*") if path.is_file() and path.suffix.lower() in wanted),
        key=lambda path: path.relative_to(root).parts,  # Windows would ignore upper and lower case
    )
    if not any(path.suffix.lower() in SUFFIXES for path in files):
        raise UserError(f"data.root: no image ({', '.join(SUFFIXES)}) below {root.resolve()}")
    with (
        estimating(f"fetch: copy {len(files):,} files of {root}", len(files)),
        whole(target) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
    ):
        for path in progress(files, "packing the folder"):
            name = path.relative_to(root).as_posix()
            if not name.isprintable() and not _unicode(name):
                raise UserError(
                    f"data.root: the name of {os.fsencode(path)!r} is not UTF-8; rename the file"
                )
            entry = zipfile.ZipInfo(name)  # date fixed: 1980
            entry.create_system = 3  # the same bytes on every operating system
            archive.writestr(entry, path.read_bytes())
            worked()


def _unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
