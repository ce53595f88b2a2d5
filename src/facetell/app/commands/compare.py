# SPDX-License-Identifier: Apache-2.0
"""``facetell compare REV...``."""

from pathlib import Path
from typing import Annotated

import typer

from facetell.app.checkout import checkout, run_in_checkout

PAGE = Path("plots/versions/index.html")  # in the checkout


def compare(
    revisions: Annotated[
        list[str],
        typer.Argument(
            metavar="REV...",
            help="Commits, branches or experiments. One is compared with the workspace; of "
            "several, each with the first.",
        ),
    ],
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the tables, for a code review.")
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write every number, and every changed verdict."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Write the page here. By default {PAGE.as_posix()}."),
    ] = None,
    no_html: Annotated[bool, typer.Option("--no-html", help="Write no page.")] = False,
) -> None:
    """Put versions of all results side by side: metrics, curves, settings, changed verdicts.

    Prints what changed, and writes one page with curves and the test images whose verdict changed.
    """
    page = None if no_html else html or checkout() / PAGE
    written = {"--markdown": markdown, "--json": json, "--html": page}
    options = [
        word
        for option, path in written.items()
        if path is not None
        for word in (option, str(path.absolute()))
    ]
    raise typer.Exit(run_in_checkout("versions", [*options, "--", *revisions]))
