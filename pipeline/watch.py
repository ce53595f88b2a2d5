"""watch: note names, sizes and dates of your own files, so that dvc sees when they change.

dvc compares what it declares; files outside of the repository are not among them.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

from facetell.common.files import write_json
from pipeline.stage import params, run, user_path


def main(name: str) -> None:
    sets = params()["data"]["sets"]
    seen = {key: noted(settings) for key, settings in sets.items()}
    write_json(f"data/watch/{name}.json", seen)


def noted(settings: dict[str, Any]) -> dict[str, Any]:
    """Number of files, bytes, and a digest of names, sizes and dates; empty where none are ours."""
    if settings.get("root"):
        root = user_path(settings["root"])
        files = sorted(path for path in root.rglob("*") if path.is_file())
    else:
        files = [path for path in archives(settings) if path.is_file()]
    digest, size = hashlib.sha256(), 0
    for path in files:
        found = path.stat()
        digest.update(os.fsencode(path) + f"\t{found.st_size}\t{found.st_mtime_ns}\n".encode())
        size += found.st_size
    return {"files": len(files), "bytes": size, "digest": digest.hexdigest()} if files else {}


def archives(settings: dict[str, Any]) -> list[Path]:
    """The archives that the user has, as paths: none, one or a list of them."""
    given = settings.get("archive") or []
    return [user_path(path) for path in ([given] if isinstance(given, str) else given)]


if __name__ == "__main__":
    run(main)
