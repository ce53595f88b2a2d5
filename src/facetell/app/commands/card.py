# SPDX-License-Identifier: Apache-2.0
"""``facetell card MODEL``."""

from pathlib import Path
from typing import Annotated

import typer

from facetell.app.commands.arguments import Folder
from facetell.common.errors import printable


def card(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A detector: its name in the folder, or its file."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Where to write (default: MODEL-card)."),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence",
            "--license",
            metavar="ID",
            help="Of the weights, as the Hub names it, such as mit or cc-by-nc-4.0.",
        ),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(
            "--push", metavar="OWNER/NAME", help="Publish it on the Hub, too (hf auth login)."
        ),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="With --push: only you can see it.")
    ] = False,
    folder: Folder = Path("models"),
) -> None:
    """Write a detector as the Hugging Face Hub has it: weights, configuration and model card.

    The card says what it is, what it was trained on, how well it does with 95% intervals, what
    breaks it, where it looks and what its limits are, as far as that was measured on these weights.
    `Detector.from_pretrained` reads the folder, or the repository after `--push`.
    """
    from facetell.app.card import write_card
    from facetell.app.trained import chosen

    (weights,) = chosen([model], folder)
    written = write_card(weights, out or Path(f"{weights.stem}-card"), repo=push, licence=licence)
    print("\n".join(printable(path) for path in written))
    if push:
        from facetell.models.hub import upload

        print(upload(written[0].parent, push, private=private))
