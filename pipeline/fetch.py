"""fetch: get the data set as one archive, data/raw/<name>.zip."""

import os
from pathlib import Path
from typing import Any

from facetell.errors import UserError
from pipeline.stage import params, run, user_path


def main() -> None:
    data = params()["data"]
    target = Path(f"data/raw/{data['name']}.zip")
    target.parent.mkdir(parents=True, exist_ok=True)
    FETCH[data["layout"]](target, **data["fetch"])


def render(target: Path, **settings: Any) -> None:
    from facetell.demo import write_archive

    write_archive(target, workers=os.cpu_count() or 1, **settings)


def download(target: Path, kaggle: str, archive: str | None, sha256: str | None) -> None:
    from facetell.sources import kaggle as client
    from facetell.sources import local

    if archive:
        local.fetch(target, archive=user_path(archive), expected=sha256)
    else:
        downloads = user_path(".cache/downloads")
        client.fetch(target, dataset=kaggle, expected=sha256, downloads=downloads)


def collect(target: Path, root: str | None) -> None:
    from facetell.sources import folder

    if not root:
        raise UserError("data.root is not set: say where your images are, -S data.root=PATH")
    folder.fetch(target, root=user_path(root))


FETCH: dict[str, Any] = {"demo": render, "faces140k": download, "folder": collect}

if __name__ == "__main__":
    run(main)
