# SPDX-License-Identifier: Apache-2.0
"""fetch: get the archives of every set, into data/raw/<name>/<set>/."""

from pathlib import Path
from typing import Any

from joblib import cpu_count

from facetell.common.errors import UserError
from facetell.common.validation import checked
from pipeline import paths
from pipeline.settings import ImageSet, Settings
from pipeline.stage import run
from pipeline.watch import archives


def main() -> None:
    data = Settings.load().data
    for name, chosen in data.sets.items():
        fetch(name, chosen, paths.raw(data.name) / name)


def fetch(name: str, chosen: ImageSet, folder: Path) -> None:
    """One set, from where its settings say that it is: the user's own files go first."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.zip"
    if chosen.render:
        render(target, chosen.render, f"data.sets.{name}.render")
    elif chosen.layout in OWN:
        OWN[chosen.layout](name, target, chosen)
    elif chosen.root:
        from facetell.dataset.sources import folder as source

        source.fetch(target, root=paths.user_path(chosen.root))
    elif given := archives(chosen):
        copy(given, target, chosen.sha256)
    elif chosen.kaggle:
        from facetell.dataset.sources import kaggle

        downloads = paths.user_path(paths.DOWNLOADS)
        kaggle.fetch(target, dataset=chosen.kaggle, expected=chosen.sha256, downloads=downloads)
    else:
        raise UserError(
            "data.root is not set: say where your images are, -S data.root=PATH (or "
            f"data.archive=PATH.zip; in a mix data.sets.{name}.root)"
        )


def table(name: str, target: Path, chosen: ImageSet) -> None:
    from facetell.dataset.sources import table as source

    if not chosen.table:
        raise UserError(
            "data.table is not set: say which table lists your images, -S data.table=PATH (in a "
            f"mix data.sets.{name}.table)"
        )
    listing = paths.user_path(chosen.table)
    given = archives(chosen)
    if chosen.root or not given:
        root = paths.user_path(chosen.root) if chosen.root else None
        source.fetch(target, table=listing, hints=chosen.hints, root=root)
    else:
        source.beside(target, table=listing, hints=chosen.hints)
        copy(given, target, chosen.sha256)


def hub(name: str, target: Path, chosen: ImageSet) -> None:
    from facetell.dataset.sources import hub as source

    if not chosen.hub:
        raise UserError(
            "data.hub is not set: say which Parquet files or repository, -S "
            f"data.hub=PATH_OR_REPO (in a mix data.sets.{name}.hub)"
        )
    source.fetch(
        *(target.parent, paths.user_path(chosen.hub), chosen.hub, chosen.hints),
        revision=chosen.revision,
        downloads=paths.user_path(paths.DOWNLOADS),
    )


OWN = {"table": table, "hub": hub}  # layouts whose images are found by a key of their own


def render(target: Path, settings: dict[str, Any], where: str) -> None:
    from facetell.dataset.rendered import RenderedSet, write_archive

    write_archive(target, checked(RenderedSet, settings, where), workers=cpu_count())


def copy(given: list[Path], target: Path, sha256: str | None) -> None:
    from facetell.dataset.sources import local

    if len(given) == 1:
        local.fetch(target, archive=given[0], expected=sha256)
        return
    if sha256:
        raise UserError("data.sha256 is of one archive, but data.archive names several")
    if len({path.stem for path in given}) < len(given):
        raise UserError("data.archive: two archives have the same file name; rename one of them")
    for path in given:
        local.fetch(target.with_name(f"{path.stem}.zip"), archive=path, expected=None)


if __name__ == "__main__":
    run(main)
