# SPDX-License-Identifier: Apache-2.0
"""``facetell explain PHOTO...``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from facetell.app.commands.arguments import Folder, Model, apart, items
from facetell.common.errors import UserError, printable


def explain(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO...",
            help="Photos of a face, cropped to it. A weights file among them is the detector.",
        ),
    ],
    model: Model = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD,...",
            help="One method, drawn at every layer (gradcam, if not given); several, or all, drawn "
            "side by side. May be given again.",
        ),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LAYER,...",
            help="all, default (the layer that is recommended for the network), or names as in "
            "named_modules(). If not given, all layers for one method and the recommended one for "
            "several. May be given again.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Figure to write. By default PHOTO_explained.png in the working folder.",
        ),
    ] = None,
    blur: Annotated[
        bool, typer.Option("--blur", help="Show the maps after Gaussian blur, too.")
    ] = False,
    crop: Annotated[
        bool,
        typer.Option(
            "--crop",
            help="Find the faces, and explain each, cut out as the training images were.",
        ),
    ] = False,
    folder: Folder = Path("models"),
) -> None:
    """Say whether photos are real or fake, and show where the detector looked.

    A verdict only holds for images like those that the detector was trained on. You are warned if a
    photo is known to be different.
    """
    weights, named = apart(photos)
    if not named:
        raise UserError("no photo is named")
    from facetell.app.photo import explain_photos
    from facetell.app.trained import chosen

    found = chosen([*weights, *(model or ())], folder)
    if len(found) > 1:
        raise UserError("explain draws one detector at a time: name one")
    for explained in explain_photos(
        found[0],
        [Path(name) for name in named],
        methods=items(methods) or ["gradcam"],
        layers=items(layers),
        out=out,
        blurred=blur,
        crop=crop,
    ):
        for warning in explained.prediction.unlike:
            print(f"facetell: warning: {printable(explained.name)}: {warning}", file=sys.stderr)
        print("\n".join(explained.lines()))
