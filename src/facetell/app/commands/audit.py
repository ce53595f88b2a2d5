# SPDX-License-Identifier: Apache-2.0
"""``facetell audit PATH``."""

from pathlib import Path
from typing import Annotated

import typer

from facetell.app.commands.arguments import named
from facetell.common.errors import UserError


def audit(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A folder of images, a zip, a folder of zips, a table (CSV, TSV or Parquet with "
            "paths and labels), or Parquet files that hold images.",
        ),
    ],
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the findings as JSON.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write them as one page.")
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="How the set is laid out, as in `-S data=`: folder, faces140k, ciplab, trueface, "
            "deepfakebench or demo. By default what it looks like."
        ),
    ] = "auto",
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where the paths of a table start. By default the table's own folder.",
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT=NAME",
            help="A column of a table, such as path=file. May be given again.",
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX_OR_COLUMN",
            help="What names the source of an image, such as its video: a regular expression that "
            "is searched in the path, or a column.",
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS=NAME",
            help="A folder that names a class, such as fake=sdxl. May be given again.",
        ),
    ] = None,
    splits: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPLIT=NAME",
            help="A folder that names a split, such as train=a; or draw, if none does. May be "
            "given again.",
        ),
    ] = None,
    generators: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A folder that names a generator; or none, if none does. May be given again.",
        ),
    ] = None,
    masks: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="A folder beside the images with a picture of the altered pixels of each fake; "
            "its files are no images of the set.",
        ),
    ] = None,
    harmonise: Annotated[
        bool,
        typer.Option(
            "--harmonise", help="Re-encode all images in one way first, as data.harmonise does."
        ),
    ] = False,
    images: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Measure shortcuts and spectra on at most so many."),
    ] = 5_000,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0,
) -> None:
    """Judge a data set of faces before anything is trained on it.

    Says what is understood of its folders, what is set aside, which images are copies or leak
    between splits, and which shortcuts tell the classes apart. Nothing is changed or copied. The
    exit status is 1 if it cannot be trained on.
    """
    from facetell.app import audit as judge
    from facetell.common.files import write_json, write_text
    from facetell.dataset.hints import Hints
    from facetell.report.audited import as_text, page

    hints = Hints(
        classes=named(classes, "--classes"),
        splits="draw" if splits == ["draw"] else named(splits, "--splits"),
        group=group,
        generators=False if generators == ["none"] else generators,
        columns={what: names[-1] for what, names in named(columns, "--columns").items()},
        masks=masks,
    )
    choices = judge.Choices(
        layout=layout,
        hints=hints,
        root=root,
        harmonise=harmonise,
        images=images,
        seed=seed,
    )
    found = judge.audit(path, choices)
    if json:
        write_json(json, found.said)
    if html:
        write_text(html, page(found))
    print(as_text(found))
    if error := found.said.get("error"):
        raise UserError(error)
