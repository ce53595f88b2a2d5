"""The command ``facetell``: what is done with trained detectors outside the pipeline."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facetell.common.errors import UserError


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
    from facetell.models.export import (  # torch takes seconds to import
        TOLERANCE,
        data_file,
        to_onnx,
    )

    target = arguments.target or arguments.weights.with_suffix(".onnx")
    largest = to_onnx(arguments.weights, target)
    files = [path for path in (target, data_file(target)) if path.exists()]
    size = sum(path.stat().st_size for path in files) / 1e6
    what = f"{' and '.join(map(str, files))}: {size:.1f} MB"
    print(f"{what}, differs from PyTorch by {largest:.1e} (at most {TOLERANCE:.0e})")


def add_explain(commands: Any) -> None:
    """``facetell explain WEIGHTS PHOTO [PHOTO ...]``."""
    text = "say whether photos are real or fake, and draw where the detector looked"
    parser = commands.add_parser(
        "explain",
        help=text,
        description=f"{text}. A verdict holds for images like those that the detector was trained "
        "on: what is known to be unlike them is said.",
    )
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="models/NAME.safetensors")
    parser.add_argument("photos", type=Path, metavar="PHOTO", nargs="+", help="image file")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["gradcam"],
        metavar="METHOD",
        help="one, drawn at every layer (default: gradcam), or several or all, side by side",
    )
    parser.add_argument(
        "--layers",
        nargs="+",
        default=[],
        metavar="LAYER",
        help="all, default, or names as in named_modules() (default: all of one method; of "
        "several methods the layer that the network recommends)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="figure to write (default: PHOTO_explained.png in this folder)",
    )
    parser.add_argument("--blur", action="store_true", help="also after Gaussian blur")
    parser.set_defaults(run=explain)


def explain(arguments: argparse.Namespace) -> None:
    from facetell.app.photo import explain_photos

    for found in explain_photos(
        arguments.weights,
        arguments.photos,
        methods=arguments.methods,
        layers=arguments.layers,
        out=arguments.out,
        blurred=arguments.blur,
    ):
        for warning in found.photo.warnings:
            print(f"facetell: warning: {found.photo.path}: {warning}", file=sys.stderr)
        print("\n".join(found.lines()))


COMMANDS = (add_export, add_explain)  # each adds its parser, and sets ``run``
