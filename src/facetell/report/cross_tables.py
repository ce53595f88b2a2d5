"""Cross tables in words: Markdown with ours beside what the TrueFace study printed."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from facetell.report.cross import KINDS, Run, Table, printed, tested, trained_on
from facetell.report.markdown import ABSENT, markdown_lines
from facetell.report.published import SOURCES

ROWS, COLUMNS = "trained on", "tested on"
NOTE = (
    "Rows of a table differ in what was trained on, and in nothing else: same archives, test "
    "images, split, recipe, seed and code. The threshold of each was chosen on validation images "
    "of what it was trained on. Brackets are 95% intervals that count persons, not files. "
    "`overall` is of all test images together, `average` the unweighted mean over the platforms; "
    "its interval knows that they show the same persons. All copies of a face, of every platform "
    "and set, are on one side of the split. What is trained on more images has that advantage too."
)
BESIDE = (
    f"After a slash: {SOURCES['S3']}. Its images are TrueFace's; where ours are others, only the "
    "question is the same. It does not say how it split them; a split by file would put copies of "
    "one face on both sides, and raise its numbers."
)
RENDERED = "The images of the embedded sets are **rendered, not photos**."
NO_PSI = "The renderer has no truncation psi; sets of a generator that has one get that table too."


def cross_report(made: Mapping[str, list[Table]], alone: Iterable[str] = ()) -> str:
    """All tables by kind (``facetell.report.cross.KINDS``), with what a reader must know to judge
    them.

    ``alone`` says what was found and stands in no table, and why.
    """
    every = [table for tables in made.values() for table in tables]
    parts = ["# Cross tables", NOTE]
    if any(printed(table, run) for table in every for run in table.runs):
        parts.append(BESIDE)
    if any(_rendered(table.runs[0]) for table in every):
        parts.append(RENDERED + f" {NO_PSI}" * (not made.get("psis")))
    for kind, tables in made.items():
        for table in tables:
            parts += _section(kind, table)
    if alone := list(alone):
        parts += ["## Not in a table", "\n".join(f"- {line}" for line in alone)]
    return "\n\n".join(parts) + "\n"


def _section(kind: str, table: Table) -> list[str]:
    title = f"## `{table.model}` on `{table.runs[0].data['data.name']}`, by {KINDS[kind]}"
    parts = [title, _setting(table)]
    if kind in ("generators", "psis"):
        return [
            *parts,
            f"AUC of the fakes of each {KINDS[kind]} against all real test images, and in "
            f"parentheses the share of them found; a column for what was {ROWS}.",
            _by_part(table),
        ]
    parts += ["Accuracy (%):", _grid(table, "accuracy")]
    if any("auc" in numbers for run in table.runs for _, numbers in tested(table, run)):
        parts += ["AUC:", _grid(table, "auc")]
    return parts


def _setting(table: Table) -> str:
    """What the rows of a table share, and which experiment each is."""
    run = table.runs[0]
    recipe, data = run.scores["training"]["recipe"], run.data
    words = [str(recipe["optimizer"])] if "optimizer" in recipe else []
    words += [f"epochs {recipe['epochs']}"] if recipe.get("epochs") else []
    words += [f"width {recipe['width']:g}"] if recipe.get("width", 1) != 1 else []
    words += [f"{recipe['image_size']} px"] if recipe.get("image_size") else []
    words += [f"seed {run.made_by['recipe']['train.seed']}"]
    if launder := data.get("data.launder"):
        through = [launder] if isinstance(launder, str) else launder
        words.append(f"pre-social images laundered as {', '.join(map(str, through))}")
    words += ["all encoded anew in one way"] if data.get("data.harmonise") else []
    found = ", ".join(
        f"{trained_on(run)} = {run.experiment}"
        + f" ({run.revision})" * (run.revision != run.experiment)
        for run in table.runs
    )
    return f"Trained alike: {'; '.join(words)}. Experiments: {found}."


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


def _rendered(run: Run) -> bool:
    return '"render"' in json.dumps(run.data["data.sets"])
