# SPDX-License-Identifier: Apache-2.0
"""What an audit of a data set found, for a person: tables, on a terminal and on one page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from facetell import __version__
from facetell.common.labels import CLASSES
from facetell.dataset import leaks as gate
from facetell.dataset.audit import LIMIT, SPECTRAL, WORDS, Measured, rings
from facetell.dataset.samples import Group
from facetell.report.embedded import environment, jpeg, png
from facetell.report.figures import data as draw

DRAWN = "drawn by facetell"  # the split, where the set has none
LISTED = 20  # pairs of a kind, and images set aside, that are listed by name


@dataclass(frozen=True)
class Audited:
    """What is known of a set; without a ``layout`` it was not understood.

    said : the content of the JSON file.
    aside, leaks : of ``facetell.dataset.build.Dataset``.
    """

    path: Path
    layout: str
    said: Mapping[str, Any]
    aside: pd.DataFrame = field(default_factory=pd.DataFrame)
    leaks: pd.DataFrame = field(default_factory=pd.DataFrame)
    effective: Mapping[str, int] = field(default_factory=dict)
    measured: Measured | None = None
    samples: Sequence[Group] = ()

    @property
    def name(self) -> str:
        return self.path.resolve().name or str(self.path)


class Table(NamedTuple):
    """Rows of text under ``heads``; ``numbers``: all but the first column is numbers."""

    title: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""
    numbers: bool = True


def tables(found: Audited, *, names: bool = False) -> Iterator[Table]:
    """What was found, in reading order; with the ``names`` of files where they matter."""
    said = found.said
    yield _files(said["files"])
    yield _understood(said["understood"], found.effective)
    groups = said["groups"]
    yield Table(
        "Sources", ("sources", "how they were found"),
        [(f"{groups['number']:,}", groups["rule"])] if groups["number"] else [],
        "" if groups["number"] else "Nothing was understood.", numbers=False,
    )  # fmt: skip
    rows = [(name, f"{number:,}") for name, number in said["generators"].items()]
    yield Table("Generators", ("generator", "images"), rows, "" if rows else "None is named.")
    yield _pairs(said, found.leaks)
    if names:
        yield from _names(found)
    yield _shortcuts(said["shortcuts"])


def _files(files: Mapping[str, Any]) -> Table:
    rows = [("images", f"{files['images']:,}"), ("set aside", f"{files['set_aside']:,}")]
    rows += [(f"ignored: {why}", f"{number:,}") for why, number in files["ignored"].items()]
    return Table("Files", ("", "files"), [*rows, ("seen, in all", f"{files['seen']:,}")])


def _understood(understood: Mapping[str, Mapping[str, int]], effective: Mapping[str, int]) -> Table:
    rows = [
        (split or DRAWN, *(f"{sizes[name]:,}" for name in CLASSES))
        for split, sizes in understood.items()
    ]
    note = "" if rows else "Nothing was understood."
    if rows and effective:
        parts = ", ".join(f"{number:,} to {split}" for split, number in effective.items())
        note = f"Without copies, and with what facetell draws: {parts}."
    return Table("Understood", ("split", *CLASSES), rows, note)


def _pairs(said: Mapping[str, Any], leaks: pd.DataFrame) -> Table:
    rows = [
        ("contradictions: one file with both labels", f"{said['contradictions']:,}"),
        ("leaks: one face on two sides of a split", f"{said['leaks']:,}"),
        ("copies inside one split", f"{said['copies']:,}"),
    ]
    if len(leaks):
        other = leaks[leaks["kind"].isin((gate.ALIKE, gate.OTHER_LABEL))]["kind"].value_counts()
        rows += [(str(kind), f"{number:,}") for kind, number in other.items()]
    return Table("Pairs of images", ("", "pairs"), rows)


def _names(found: Audited) -> Iterator[Table]:
    """Pairs and images that are set aside, by name."""
    if len(found.leaks):
        first = found.leaks.groupby("kind", sort=False).head(LISTED)
        rows = [
            (row.kind, f"{row.id} ({row.split})", f"{row.other_id} ({row.other_split})")
            for row in first.itertuples()
        ]
        yield Table(
            "Pairs by name", ("what", "one", "other"), rows,
            _more(len(found.leaks), len(rows), "pairs"), numbers=False,
        )  # fmt: skip
    if len(found.aside):
        first = found.aside.iloc[:LISTED]
        whys = [(row.path, row.reason) for row in first.itertuples()]
        yield Table(
            "Set aside", ("image", "why"), whys,
            _more(len(found.aside), len(whys), "images"), numbers=False,
        )  # fmt: skip


def _more(number: int, listed: int, what: str) -> str:
    return f"And {number - listed:,} more {what}." if number > listed else ""


def _shortcuts(areas: Mapping[str, Mapping[str, float]]) -> Table:
    rows = [
        (WORDS[name], f"{area['auc']:.2f}", f"{area['low']:.2f} to {area['high']:.2f}",
         "warning" if name != SPECTRAL and area["auc"] > LIMIT else "")
        for name, area in areas.items()
    ]  # fmt: skip
    note = (
        "How well a property of the file or of the whole picture tells fake from real by itself, "
        "cross-validated by source; 0.5 is chance."
        if rows
        else "Not measured."
    )
    return Table("Shortcuts", ("told from", "AUC", "95% interval", ""), rows, note)


def as_text(found: Audited) -> str:
    """For a terminal: the tables, then the warnings; control characters are escaped.

    >>> said = {
    ...     "files": {"seen": 3, "images": 2, "set_aside": 0, "ignored": {"txt files": 1}},
    ...     "understood": {"": {"real": 1, "fake": 1}}, "generators": {},
    ...     "groups": {"number": 2, "rule": "each image on its own"},
    ...     "contradictions": 0, "leaks": 0, "copies": 0, "shortcuts": {}, "warnings": ["Few."],
    ... }
    >>> print("\\n".join(as_text(Audited(Path("faces"), "folder", said)).splitlines()[:6]))
    faces, layout folder
    <BLANKLINE>
    Files                 files
      images                  2
      set aside               0
      ignored: txt files      1
    """
    lines = [f"{found.path}, layout {found.layout}" if found.layout else str(found.path)]
    for table in tables(found):
        lines += ["", *_lines(table)]
    if warnings := found.said["warnings"]:
        lines += ["", *(f"warning: {sentence}" for sentence in warnings)]
    return "\n".join(map(_printable, lines))


def _lines(table: Table) -> list[str]:
    if not table.rows:
        return [table.title, f"  {table.note}"]
    rows = [(f"  {row[0]}", *row[1:]) for row in table.rows]
    lines = []
    if table.numbers:
        rows.insert(0, (table.title, *table.heads[1:]))
    else:
        lines.append(table.title)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        for cell, width in zip(row[1:], widths[1:], strict=True):
            cells.append(cell.rjust(width) if table.numbers else cell)
        lines.append("  ".join(cells).rstrip())
    return [*lines, *([f"  {table.note}"] if table.note else [])]


def _printable(line: str) -> str:
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in line
    )


def page(found: Audited) -> str:
    """One HTML page that needs nothing else: no script, no font, no picture from elsewhere."""
    return (
        environment()
        .get_template("audit.html")
        .render(
            name=found.name,
            path=str(found.path),
            layout=found.layout,
            version=__version__,
            said={"error": "", **found.said},
            tables=list(tables(found, names=True)),
            figures=list(_figures(found)),
            samples=list(map(_shown, found.samples)),
        )
    )


def _figures(found: Audited) -> Iterator[dict[str, str]]:
    if found.measured is None:
        return
    number = len(found.measured.table)
    if areas := found.said["shortcuts"]:
        title = f"How well shortcuts predict the label ({number:,} images)"
        numbers = "; ".join(f"{WORDS[name]} {area['auc']:.2f}" for name, area in areas.items())
        yield {
            "title": "Shortcuts, drawn",
            "png": png(draw.shortcuts(areas, LIMIT, title)),
            "alt": f"AUC of fake against real with its interval, by shortcut: {numbers}",
        }
    spectra = rings(found.measured)
    if all(len(values) for values in spectra.values()):
        yield {
            "title": "Spectra",
            "png": png(draw.spectrum(spectra, found.measured.cosines, "Spectrum of luma")),
            "alt": "Mean power by frequency of real and of fake images, the difference of both, "
            "and the difference of their cosine transforms",
        }


def _shown(group: Group) -> dict[str, Any]:
    return {
        "title": " ".join(filter(None, (group.label, group.generator))),
        "images": f"{group.images:,} image{'s' if group.images != 1 else ''}",
        "pictures": [
            (split, list(map(jpeg, pictures)))
            for split, pictures in group.pictures.items()
            if pictures
        ],
    }
