# SPDX-License-Identifier: Apache-2.0
"""watch: note names, sizes and dates of your own files, so that dvc sees when they change.

dvc compares what it declares; files outside of the repository are not among them.
"""

import hashlib
import os
from pathlib import Path

from facetell.common.errors import UserError
from facetell.common.files import write_json
from pipeline import paths
from pipeline.settings import ImageSet, Settings
from pipeline.stage import run


def main(name: str) -> None:
    sets = Settings.load().data.sets
    write_json(paths.watched(name), {key: noted(chosen) for key, chosen in sets.items()})


def noted(chosen: ImageSet) -> dict[str, int | str]:
    """Number of files, bytes, and a digest of names, sizes and dates; empty where none are ours."""
    given = [paths.user_path(path) for path in (chosen.root, chosen.hub, chosen.table) if path]
    if chosen.table and not (chosen.root or chosen.archive):
        given += images(paths.user_path(chosen.table), chosen)
    files = [
        path
        for one in [*given, *([] if chosen.root else archives(chosen))]
        for path in ([one] if one.is_file() else sorted(one.rglob("*")))
        if path.is_file()
    ]
    digest, size = hashlib.sha256(), 0
    for path in files:
        found = path.stat()
        name = os.fsencode(paths.as_meant(path))
        digest.update(name + f"\t{found.st_size}\t{found.st_mtime_ns}\n".encode())
        size += found.st_size
    return {"files": len(files), "bytes": size, "digest": digest.hexdigest()} if files else {}


def images(table: Path, chosen: ImageSet) -> list[Path]:
    """The files that a table lists; none where it cannot be read, which the fetch stage says."""
    from facetell.dataset.sources.table import listed

    try:
        return list(listed(table, chosen.hints, None)[1].values())
    except UserError:
        return []


def archives(chosen: ImageSet) -> list[Path]:
    """The archives that the user has, as paths: none, one or a list of them."""
    given = chosen.archive or []
    return [paths.user_path(path) for path in ([given] if isinstance(given, str) else given)]


if __name__ == "__main__":
    run(main)
