# SPDX-License-Identifier: Apache-2.0
"""The command ``facetell``: what is done outside the pipeline, with any data and with detectors."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from facetell import __version__
from facetell.app.commands.audit import audit
from facetell.app.commands.card import card
from facetell.app.commands.compare import compare
from facetell.app.commands.experiments import experiments
from facetell.app.commands.explain import explain
from facetell.app.commands.export import export
from facetell.app.commands.models import models
from facetell.app.commands.predict import predict
from facetell.app.commands.report import report
from facetell.app.commands.serve import serve
from facetell.common.errors import in_words, print_anything

USAGE = 2  # exit status of arguments that are not understood

app = typer.Typer(
    name="facetell",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Judge photos of faces with a trained detector, or a data set before one is trained.",
    epilog="Exit status: 0 done, 1 an error (one line says what to do), 2 wrong arguments.",
)
COMMANDS = (predict, explain, serve, models, report, experiments, compare, audit, export, card)
for command in COMMANDS:
    app.command()(command)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"facetell {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the command itself."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; returns the exit status.

    A user's error, or a file that cannot be read or written, is one line on stderr.

    ``argv`` are the arguments after the command's name; None: those of the process.

    Examples
    --------
    >>> main(["export", "missing.safetensors"])
    1
    """
    print_anything()
    try:
        app(args=None if argv is None else list(argv), prog_name="facetell")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if (line := in_words(error)) is None:
            raise
        print("facetell:", " ".join(line.split()), file=sys.stderr)
        return 1
    return 0
