# SPDX-License-Identifier: Apache-2.0
"""Any data set of faces, judged before anything is trained: the work of ``facetell audit``."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from joblib import cpu_count

from facetell.common.errors import UserError
from facetell.common.labels import SPLITS
from facetell.common.progress import estimating
from facetell.dataset import audit as shortcuts
from facetell.dataset import census, samples
from facetell.dataset.account import account
from facetell.dataset.build import Dataset, build
from facetell.dataset.hints import Hints
from facetell.dataset.layouts import listing, recognised
from facetell.dataset.leaks import gate, worth
from facetell.dataset.manifest import check
from facetell.dataset.sources.folder import open_files
from facetell.dataset.sources.in_place import in_place
from facetell.dataset.splits import Splitting
from facetell.images.archive import Archive
from facetell.images.reencoding import Treatment
from facetell.report.audited import Audited

AUTO = "auto"  # the layout that shows
ADVICE = (
    "Train with `-S data.harmonise=true`, which re-encodes all images in one way; "
    "`facetell audit --harmonise` shows what is left then."
)
LISTS = "the page that --html writes"
KNOWN_TO_LEAK = ("faces140k",)  # sets whose training side is dropped by default, as in conf/data
SHARES = 0.15  # of the sources, for validation and for test, where the set has no split


@dataclass(frozen=True)
class Choices:
    """How a set is read and what is measured.

    root : folder at which the paths of a table start; None: the table's own.
    images : at most so many are drawn, with ``seed``, to measure shortcuts and spectra.
    """

    layout: str = AUTO
    hints: Hints = field(default_factory=Hints)
    root: Path | None = None
    harmonise: bool = False
    images: int = 5_000
    seed: int = 0
    resamples: int = 1000

    @property
    def treatment(self) -> Treatment:
        return Treatment(harmonise=self.harmonise)


def audit(path: Path, choices: Choices | None = None) -> Audited:
    """What is in a folder, a zip, a folder of zips, a table or Parquet files, and what would go
    wrong.

    Nothing is written, and nothing is copied. ``said`` of what is returned has an ``error`` where
    the set cannot be trained on: it is not understood, a class is missing, a file bears both
    labels, or a face is on two sides of a split. The rest is told as far as it is known.

    Raises
    ------
    UserError : there is no such file, or it is no archive.
    """
    choices = choices or Choices()
    if not path.exists():
        raise UserError(f"there is no file or folder {path}")
    with in_place(path, choices.hints, choices.root) as (place, kind):
        return _judged(path, place, choices if kind == "" else replace(choices, layout=kind))


def _judged(path: Path, place: Path, choices: Choices) -> Audited:
    """``place`` is where the files of ``path`` can be opened."""
    with open_files(place) as files:
        layout = ""
        try:
            layout = _layout(files, choices)
            listed = listing(layout, files, choices.hints)
        except UserError as error:
            return Audited(path, "", _not_understood(files, error))
    name = _name(path)
    listings, where = {name: listed}, {name: place}
    splitting = Splitting(
        valid=SHARES, test=SHARES, seed=choices.seed, drop=_mode(layout) == "drop"
    )
    found = build(
        {name: listed.table}, where, splitting, grouped={name: listed.grouped},
        harmonise=choices.treatment, workers=cpu_count(),
    )  # fmt: skip
    said = account(listings, found)
    said["warnings"] += worth(found.leaks, found.leaking, _mode(layout), LISTS)
    return _measured(path, layout, found, said, where, choices)


def _layout(files: Archive, choices: Choices) -> str:
    """The one that was asked for; a set whose folders the user explains is one of folders."""
    hints = choices.hints
    if choices.layout != AUTO:
        return choices.layout
    explained = hints.classes or hints.splits or hints.generators is not None
    return "folder" if explained else recognised(files)


def _measured(
    path: Path,
    layout: str,
    found: Dataset,
    said: dict[str, Any],
    where: Mapping[str, Path],
    choices: Choices,
) -> Audited:
    """The shortcuts and the pictures of what is understood, and whether it can be trained on."""
    manifest = found.manifest
    chosen = shortcuts.sample(manifest, choices.images, choices.seed)
    measured, areas = None, {}
    if len(chosen):
        afterwards = shortcuts.seconds_of_fitting(len(chosen))
        with estimating(f"measure {len(chosen):,} images", len(chosen), afterwards=afterwards):
            measured = shortcuts.measure_files(
                chosen, where, choices.treatment, workers=cpu_count()
            )
            areas = shortcuts.audit(measured, seed=choices.seed, resamples=choices.resamples)
    warned = shortcuts.warnings(areas, harmonised=choices.harmonise, advice=ADVICE)
    used = manifest[manifest["split"].isin(SPLITS)]
    read = lambda row: shortcuts.treated(row, where, choices.treatment)  # noqa: E731
    shown = list(samples.groups(used, read))
    told = _json(said, areas, warned, _fault(found, _mode(layout)))
    effective = said["effective"]
    return Audited(path, layout, told, found.aside, found.leaks, effective, measured, shown)


def _mode(layout: str) -> str:
    """What becomes of leaks, unless somebody says otherwise."""
    return "drop" if layout in KNOWN_TO_LEAK else "fail"


def _fault(found: Dataset, mode: str) -> str:
    """Why the split stage would stop, "" where it would not."""
    try:
        check(found.manifest, LISTS)
        gate(found.leaks, mode, LISTS)
    except UserError as error:
        return _line(error)
    return ""


def _json(
    said: Mapping[str, Any],
    areas: Mapping[str, Mapping[str, float]],
    warned: list[str],
    error: str,
) -> dict[str, Any]:
    files = {key: said["files"][key] for key in ("seen", "images", "set_aside", "ignored")}
    kept = {
        "understood": said["understood"],
        "files": files,
        "groups": said["groups"],
        "generators": said["generators"],
        "contradictions": said["contradictions"],
        "copies": said["copies"],
        "leaks": said["leaks"],
        "shortcuts": dict(areas),
        "warnings": [*said["warnings"], *warned],
    }
    return kept | ({"error": error} if error else {})


def _not_understood(files: Archive, error: UserError) -> dict[str, Any]:
    """The same where no image has a class: all files are ignored, by why."""
    ignored = census.ignored(files, set())
    nothing = {
        "understood": {},
        "files": {"seen": census.seen(files), "images": 0, "set_aside": 0, "ignored": ignored},
        "groups": {"number": 0, "rule": ""},
        "generators": {},
        **dict.fromkeys(("contradictions", "copies", "leaks"), 0),
        "warnings": [],
    }
    return _json(nothing, {}, [], _line(error))


def _line(error: UserError) -> str:
    return " ".join(str(error).split())


def _name(path: Path) -> str:
    """What the set is called in ids and warnings; bytes that are no text are shown as such."""
    name = path.resolve().stem if path.is_file() else path.resolve().name
    return name.encode("utf-8", "backslashreplace").decode("utf-8") or "images"
