# SPDX-License-Identifier: Apache-2.0
"""``facetell experiments``."""

from typing import Annotated

import typer

from facetell.app.checkout import run_in_checkout
from facetell.app.commands.arguments import Format


def experiments(
    last: Annotated[int, typer.Option(min=1, metavar="N", help="The newest so many.")] = 10,
    every: Annotated[bool, typer.Option("--all", help="All, of every commit.")] = False,
    sort: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="when (newest first), name, or auc, accuracy, perturbed, worst (best first).",
        ),
    ] = "when",
    form: Annotated[Format, typer.Option("--format", help="How it is printed.")] = Format.TABLE,
) -> None:
    """List the last experiments: model, AUC, accuracy, what perturbations cost, what was changed.

    These are the columns of `dvc exp show` that matter, of some 230. What was changed is told from
    the commit that an experiment was started from.
    """
    options = ["--last", str(last), "--sort", sort, "--format", form.value]
    raise typer.Exit(run_in_checkout("experiments", [*options, *["--all"] * every]))
