"""The command ``facetell``: what is done with trained detectors outside the pipeline."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facetell.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; returns the exit status. A user's error is one line on stderr."""
    parser = argparse.ArgumentParser(prog="facetell", description="Use trained detectors.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    arguments = parser.parse_args(argv)
    try:
        arguments.run(arguments)
    except UserError as error:
        print("facetell:", " ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


def add_export(commands: Any) -> None:
    """``facetell export WEIGHTS [TARGET]``."""
    text = "write a detector as ONNX and check it against PyTorch"
    parser = commands.add_parser("export", help=text, description=text)
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="models/NAME.safetensors")
    parser.add_argument(
        "target",
        type=Path,
        metavar="TARGET",
        nargs="?",
        help="file to write (default: the weights' name with .onnx)",
    )
    parser.set_defaults(run=export)


def export(arguments: argparse.Namespace) -> None:
    from facetell.export import TOLERANCE, data_file, to_onnx  # torch takes seconds to import

    target = arguments.target or arguments.weights.with_suffix(".onnx")
    largest = to_onnx(arguments.weights, target)
    files = [path for path in (target, data_file(target)) if path.exists()]
    size = sum(path.stat().st_size for path in files) / 1e6
    what = f"{' and '.join(map(str, files))}: {size:.1f} MB"
    print(f"{what}, differs from PyTorch by {largest:.1e} (at most {TOLERANCE:.0e})")


COMMANDS = (add_export,)  # each adds its parser, and sets ``run``
