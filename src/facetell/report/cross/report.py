# SPDX-License-Identifier: Apache-2.0
"""Cross tables in words: Markdown with ours beside what the TrueFace study printed."""

from collections.abc import Iterable, Mapping
from typing import Any

from facetell.dataset.layouts import PRESOCIAL
from facetell.metrics import intervals
from facetell.report.cross.runs import KINDS, Run, trained_on
from facetell.report.cross.tables import AVERAGE, OVERALL, Table, printed, tested
from facetell.report.markdown import ABSENT, markdown_lines
from facetell.report.number_format import counted, listed
from facetell.report.published import SOURCES

ROWS, COLUMNS = "trained on", "tested on"
NOTE = (
    "The rows of a table differ only in what was trained on. Archives, test images, split, recipe, "
    "seed and code are the same. The threshold of each row was chosen on validation images like "
    "those it was trained on. Square brackets hold {level} intervals, which treat persons, not "
    f"images, as independent. `{OVERALL}` is for all test images together. `{AVERAGE}` is the "
    "unweighted mean over the platforms; its interval takes into account that they show the same "
    "persons. All copies of a face, on every platform and in every set, are on the same side of "
    "the split. Rows with more training images have that advantage, too."
)
BESIDE = (
    f"Numbers after a slash are those of {SOURCES['S3']}. Its images are those of TrueFace; with "
    "other images, only the question is the same. The study does not say how it split them. A "
    "split by file would put copies of one face on both sides, and raise its numbers."
)
NO_PSI = (
    "The renderer has no truncation psi. A set whose generator has one also gets a table by psi."
)


def cross_report(made: Mapping[str, list[Table]], alone: Iterable[str] = ()) -> str:
    """All tables by kind (``runs.KINDS``), with what a reader must know to judge them.

    ``alone`` says what was found and is in no table, and why.
    """
    every = [table for tables in made.values() for table in tables]
    parts = ["# Cross tables", NOTE.format(level=intervals.in_words())]
    if any(printed(table, run) for table in every for run in table.runs):
        parts.append(BESIDE)
    if any(table.runs[0].rendered for table in every) and not made.get("psis"):
        parts.append(NO_PSI)
    for kind, tables in made.items():
        for table in tables:
            parts += _section(kind, table)
    if alone := list(alone):
        parts += ["## Not in a table", "\n".join(f"- {line}" for line in alone)]
    return "\n\n".join(parts) + "\n"


def _section(kind: str, table: Table) -> list[str]:
    title = f"## `{table.model}` on `{table.runs[0].data['data.name']}`, by {KINDS[kind]}"
    parts = [title, f"{_rendered(table.runs[0])}{_setting(table)}"]
    if kind in ("generators", "psis"):
        return [
            *parts,
            f"AUC of the fakes of each {KINDS[kind]} against all real test images, and in "
            f"parentheses the share of them that was detected. The columns are what was {ROWS}.",
            _by_part(table),
        ]
    parts += ["Accuracy (%):", _grid(table, "accuracy")]
    if any("auc" in numbers for run in table.runs for _, numbers in tested(table, run)):
        parts += ["AUC:", _grid(table, "auc")]
    return parts


def _rendered(run: Run) -> str:
    """Which of the images are no photos; the same for all rows of a table."""
    if not run.rendered:
        return ""
    if len(run.rendered) == len(run.sets):
        return "All images are **rendered, not photos**. "
    return f"The images of {listed(run.rendered)} are **rendered, not photos**. "


def _setting(table: Table) -> str:
    """What the rows of a table share, and which experiment each is."""
    run = table.runs[0]
    recipe, data = run.scores["training"]["recipe"], run.data
    words = [str(recipe["optimizer"])] if "optimizer" in recipe else []
    words += [counted(recipe["epochs"], "epoch")] if recipe.get("epochs") else []
    words += [f"width {recipe['width']:g}"] if recipe.get("width", 1) != 1 else []
    words += [f"{recipe['image_size']} px"] if recipe.get("image_size") else []
    words += [f"seed {run.made_by['recipe']['train.seed']}"]
    words += _treated(data.get("data.launder") or [], bool(data.get("data.harmonise")))
    found = ", ".join(
        f"{trained_on(run)} = {run.experiment}"
        + f" ({run.revision})" * (run.revision != run.experiment)
        for run in table.runs
    )
    return f"All rows share: {'; '.join(words)}. Experiments: {found}."


def _treated(launder: str | list[str], harmonise: bool) -> list[str]:
    """What was done to the images."""
    platforms = [launder] if isinstance(launder, str) else launder
    through = [name for name in platforms if name != PRESOCIAL]
    said = []
    if through:
        said.append(
            f"pre-social images put through {', '.join(through)}"
            + " and also kept as they are" * (PRESOCIAL in platforms)
        )
    return said + ["all images re-encoded in one way"] * harmonise


def _grid(table: Table, name: str) -> str:
    """A row for what was trained on, a column for each part."""
    known = any(run.images for run in table.runs)
    sizes = {
        part: numbers["n"]
        for run in table.runs
        for part, numbers in tested(table, run)
        if "n_real" in numbers
    }
    heads = [
        f"{part} (n = {sizes[part]:,})" if part in sizes else part
        for part, _ in tested(table, table.runs[0])
    ]
    lines = [[f"{ROWS} \\ {COLUMNS}", *["training images"] * known, *heads]]
    for run in table.runs:
        theirs = printed(table, run) if name == "accuracy" else {}
        cells = [
            _cell(numbers, name) + (f" / {100 * theirs[part]:.2f}" if part in theirs else "")
            for part, numbers in tested(table, run)
        ]
        images = [ABSENT if run.images is None else f"{run.images:,}"] * known
        lines.append([trained_on(run), *images, *cells])
    return markdown_lines(lines)


def _by_part(table: Table) -> str:
    """A row for each part of the fakes, a column for what was trained on."""
    lines = [[KINDS[table.kind], "fakes", *(trained_on(run) for run in table.runs)]]
    columns = [dict(tested(table, run)) for run in table.runs]
    for part in table.parts:
        cells = [_cell(column[part], "auc") + _found(column[part]) for column in columns]
        lines.append([part, f"{columns[0][part]['n_fake']:,}", *cells])
    return markdown_lines(lines)


def _found(numbers: dict[str, Any]) -> str:
    return f" ({numbers['accuracy_fake']:.3f})" if "accuracy_fake" in numbers else ""


def _cell(numbers: dict[str, Any], name: str) -> str:
    """A number with its interval: accuracy in percent, anything else as it is."""
    if name not in numbers:
        return ABSENT
    scale, digits = (100, 2) if name == "accuracy" else (1, 3)
    said = f"{scale * numbers[name]:.{digits}f}"
    if name in numbers.get("interval", {}):
        low, high = (scale * bound for bound in numbers["interval"][name])
        said += f" [{low:.{digits}f}, {high:.{digits}f}]"
    return said
