# SPDX-License-Identifier: Apache-2.0
"""``facetell report``."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from facetell.common.errors import UserError

PAGE = Path("plots/report/index.html")


def report(
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Say where the report of the last run is: one page on all detectors, to open or to send."""
    if not PAGE.is_file():
        raise UserError(f"there is no {PAGE.as_posix()} here: run dvc repro in the checkout first")
    where = PAGE.resolve().as_uri()
    print(where)
    if open_it and not webbrowser.open(where):
        raise UserError(f"no browser can be started here: open {where} yourself")
