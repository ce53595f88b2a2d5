# SPDX-License-Identifier: Apache-2.0
"""``facetell predict PHOTO...``."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facetell.app.commands.arguments import Folder, Format, Model, apart
from facetell.common.errors import UserError, printable

if TYPE_CHECKING:
    from facetell.app.judging import Judged


def predict(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO...",
            help="Files, folders, patterns in quotes, or - for standard input: a photo, or paths, "
            "one a line. A weights file among them is a detector.",
        ),
    ],
    model: Model = None,
    everyone: Annotated[bool, typer.Option("--all", help="Ask every detector.")] = False,
    crop: Annotated[
        bool,
        typer.Option(
            "--crop", help="Find the faces, and cut each out as the training images were."
        ),
    ] = False,
    form: Annotated[Format, typer.Option("--format", help="How it is printed.")] = Format.TABLE,
    folder: Folder = Path("models"),
) -> None:
    """Say whether photos are real or fake.

    Prints the verdict, the score with the threshold that it is compared with, the calibrated
    probability, and how the photo is unlike the images that the detector was validated on. No score
    is a proof. The exit status is 1 if a photo could not be judged; the others are.
    """
    weights, given = apart(photos)
    from facetell.app.inputs import sources
    from facetell.app.trained import chosen
    from facetell.common.progress import progress

    if not (found := sources(given)):
        raise UserError("no photo is named")
    files = chosen([*weights, *(model or ())], folder, everyone=everyone)
    from facetell.app.judging import judged

    bar = progress(judged(files, found, crop=crop), "judging", len(found))
    failed = _table(bar) if form == Format.TABLE else _lines(bar, form)
    if failed:
        raise UserError(f"{failed:,} of {len(found):,} photos could not be judged")


def rows(judged: "Judged") -> Iterator[dict[str, Any]]:
    """Plain values for programs: a row for each detector, or one with the error."""
    keys = ("verdict", "score", "probability", "threshold", "margin", "novelty", "unlike")
    corners = [list(point) for point in judged.corners]
    photo = {"photo": judged.name, "face": judged.face, "corners": corners}
    if judged.error:
        yield {**photo, "model": None, **dict.fromkeys(keys), "error": judged.error}
    for model, found in judged.predictions.items():
        values = {key: getattr(found, key) for key in keys}
        values["unlike"] = list(found.unlike)
        yield {**photo, "model": model, **values, "error": None}


def _lines(bar: Any, form: Format) -> int:
    """Print a row at a time; the number of photos that could not be judged."""
    from facetell.app.tables import Lines

    lines, failed = Lines(form), 0
    for one in bar:
        failed += bool(one.error)
        for row in rows(one):
            lines.write(row)
    return failed


def _table(bar: Any) -> int:
    """The same, as a table with what it means."""
    from facetell.app.prediction import MEANING
    from facetell.app.tables import printed

    notes: dict[str, None] = {}  # a set that keeps its order
    shown, failed = [], 0
    for one in bar:
        if one.error:
            failed += 1
            print(f"facetell: {one.error}", file=sys.stderr)
        for model, found in one.predictions.items():
            shown.append(
                {
                    "photo": one.name if one.face is None else f"{one.name}, face {one.face + 1}",
                    "model": model,
                    "verdict": found.verdict,
                    "score": f"{found.score:.3f}",
                    "threshold": f"{found.threshold:.3f}",
                    "probability": f"{found.probability:.3f}",
                    "": "unlike the training data" if found.unlike else "",
                }
            )
            for sentence in found.unlike:
                notes[f"{printable(one.name)}: {sentence}"] = None
    if shown:
        printed((), Format.TABLE, shown)
        print("\n".join(["", MEANING, *notes]))
    return failed
