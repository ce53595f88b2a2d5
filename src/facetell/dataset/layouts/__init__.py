# SPDX-License-Identifier: Apache-2.0
"""How data sets are laid out: one module each, from an archive to one row per image.

To add one, copy ``faces140k.py`` beside this file, list it in ``LAYOUTS`` below, and give it its
two files in ``conf/data``.

A layout's ``rows(archive, hints)`` returns a frame with the columns ``ROW``, but for those that the
set knows nothing of; label 1 = fake, 0 = real, whatever the set itself says. ``split`` is empty
where the set leaves the choice to us.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from facetell.common.errors import UserError
from facetell.dataset import census
from facetell.dataset.grouping import by_rule
from facetell.dataset.hints import Hints
from facetell.dataset.layouts import (
    ciplab,
    deepfakebench,
    demo,
    faces140k,
    folder,
    hub,
    table,
    trueface,
)
from facetell.dataset.masks import paired
from facetell.images.archive import Archive
from facetell.images.decoding import Unusable

ROW = (
    "id",  # unique within the set
    "path",  # within the archive
    "split",
    "label",
    "person",  # images of one person are not independent; the id where nobody knows
    "generator",  # empty for real images
    "platform",  # presocial, or the social network that recompressed the image
    "stem",  # names the face whose copies belong on one side of a split
    "ffhq_id",  # number of the FFHQ photo
    "psi",  # truncation of the generator
    "regions",  # parts of the face that were replaced
    *("artefacts", "twin"),  # only the rendered set has these
    "mask",  # of what was planted, or of the altered pixels
)
NUMBERS = {"ffhq_id": "Int32", "psi": "Float64"}  # missing where not known; the others are ""
PRESOCIAL = "presocial"


def _published(rows: Callable[[Archive], pd.DataFrame]) -> Callable[[Archive, Hints], pd.DataFrame]:
    """The layout of a set whose files say all of it."""
    return lambda archive, _: rows(archive)


LAYOUTS: dict[str, Callable[[Archive, Hints], pd.DataFrame]] = {
    "demo": _published(demo.rows),
    "faces140k": _published(faces140k.rows),
    "ciplab": _published(ciplab.rows),
    "trueface": _published(trueface.rows),
    "folder": folder.rows,
    "table": table.rows,
    "hub": hub.rows,
    "deepfakebench": deepfakebench.rows,
}
RECOGNISERS: dict[str, Callable[[Archive], bool]] = {  # sets that show what they are
    "demo": demo.recognises,
    "faces140k": faces140k.recognises,
    "ciplab": ciplab.recognises,
    "trueface": trueface.recognises,
    "deepfakebench": deepfakebench.recognises,
}
RENDERED = ("demo",)  # layouts of archives whose images a program drew


class Listing(NamedTuple):
    """What is in an archive.

    ``table`` has one row per image, columns ``ROW``; ``grouped`` says in words how the sources of
    images were found, "" where each image is taken for independent; ``seen`` counts all files, and
    ``ignored`` those that are no row of the table, by why.
    """

    table: pd.DataFrame
    grouped: str
    seen: int
    ignored: dict[str, int]
    warnings: Sequence[str] = ()


def recognised(archive: Archive) -> str:
    """The layout of an archive, as it shows: that of a published set, or else ``folder``.

    >>> import zipfile
    >>> from facetell.images.opening import open_archive
    >>> with zipfile.ZipFile("faces.zip", "w") as file:
    ...     for name in ("training_real/real_1.jpg", "training_fake/easy_1_0101.jpg"):
    ...         file.writestr(name, b"")
    >>> with open_archive("faces.zip") as archive:
    ...     recognised(archive)
    'ciplab'
    """
    return next((name for name, test in RECOGNISERS.items() if test(archive)), "folder")


def rows(layout: str, archive: Archive, hints: Hints | None = None) -> pd.DataFrame:
    """The table of ``listing``.

    >>> import zipfile
    >>> from facetell.images.opening import open_archive
    >>> with zipfile.ZipFile("mine.zip", "w") as file:
    ...     for name in ("real/a.jpg", "fake/b.jpg"):
    ...         file.writestr(name, b"")
    >>> with open_archive("mine.zip") as archive:
    ...     rows("folder", archive)[["path", "label"]].values.tolist()
    [['fake/b.jpg', 1], ['real/a.jpg', 0]]
    """
    return _grouped(layout, archive, hints or Hints())[0]


def listing(layout: str, archive: Archive, hints: Hints | None = None) -> Listing:
    """One row per image, and what becomes of all other files.

    Raises
    ------
    UserError : there is no such layout, or the archive is laid out otherwise.
    """
    table, grouped, warnings = _grouped(layout, archive, hints or Hints())
    images, beside = set(table["path"]), (set(table["mask"]) | set(table["twin"])) - {""}
    extra = len(beside - images)
    images |= beside
    ignored = census.ignored(archive, images)
    if extra:
        ignored["masks and twins of fakes"] = extra
    return Listing(table, grouped, census.seen(archive), ignored, warnings)


def _grouped(
    layout: str, archive: Archive, hints: Hints
) -> tuple[pd.DataFrame, str, Sequence[str]]:
    if layout not in LAYOUTS:
        raise UserError(f"layout: there is no {layout!r}; there are {', '.join(LAYOUTS)}")
    try:
        table = LAYOUTS[layout](archive, hints)
    except Unusable as reason:  # a listing that cannot be read
        raise UserError(f"{archive.label} is not in the layout {layout!r}: {reason}") from reason
    if table.empty:
        raise UserError(f"{archive.label} has no images in the layout {layout!r}")
    grouped = str(table.attrs.get("grouped", ""))
    warnings = table.attrs.get("warnings", ())
    if not grouped and "person" in table and (~table["person"].isin(["", *table["id"]])).any():
        grouped = "persons that the set names"
    if hints.group and not table.attrs.get("said"):  # else the layout has seen to it
        found = by_rule(table, hints.group)
        table["person"], grouped = found.source, found.rule
    table = _completed(table)
    if hints.masks:
        masks = paired(table, archive, hints.masks)
        table["mask"] = table["path"].map(masks.paths).fillna("").where(table["label"] == 1, "")
        if masks.unused:
            warnings = [
                *warnings,
                f"{masks.unused:,} files in {hints.masks!r} are masks of no fake",
            ]
    if table["id"].duplicated().any():
        twice = table.loc[table["id"].duplicated(), "id"].iloc[0]
        raise UserError(f"{archive.label}: the image id {twice!r} occurs more than once")
    return table, grouped, warnings


def _completed(table: pd.DataFrame) -> pd.DataFrame:
    for column in ROW:
        if column not in table:
            table[column] = pd.NA if column in NUMBERS else ""
    table = table[list(ROW)].astype(NUMBERS).reset_index(drop=True)
    table.attrs = {}
    table["person"] = table["person"].where(table["person"] != "", table["id"])
    table["platform"] = table["platform"].where(table["platform"] != "", PRESOCIAL)
    return table


def is_rendered(settings: Mapping[str, Any]) -> bool:
    """Whether a program drew the images of a set: they are neither photos nor made from photos.

    ``settings`` are those of ``data.sets.<set>``. A set is rendered where the pipeline renders it
    (``render``), and where an archive has the renderer's layout, wherever it came from.

    Examples
    --------
    >>> is_rendered({"layout": "demo"}), is_rendered({"layout": "folder", "render": None})
    (True, False)
    """
    return bool(settings.get("render")) or settings["layout"] in RENDERED
