# SPDX-License-Identifier: Apache-2.0
"""The command ``facetell``: what is done outside the pipeline, with any data and with detectors."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facetell.common.errors import UserError, in_words, print_anything, printable

WEIGHTS = "weights of a detector, models/NAME.safetensors"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; returns the exit status.

    A user's error, or a file that cannot be read or written, is one line on stderr.

    ``argv`` are the arguments after the command's name; None: those of the process.

    Examples
    --------
    >>> main(["export", "missing.safetensors"])
    1
    """
    parser = argparse.ArgumentParser(
        prog="facetell", description="Judge a data set of faces, or use a trained detector."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    arguments = parser.parse_args(argv)
    print_anything()
    try:
        arguments.run(arguments)
    except Exception as error:
        if (line := in_words(error)) is None:
            raise
        print("facetell:", " ".join(line.split()), file=sys.stderr)
        return 1
    return 0


def add_export(commands: Any) -> None:
    """``facetell export WEIGHTS [TARGET]``."""
    text = "convert a detector to ONNX and check it against PyTorch"
    parser = commands.add_parser("export", help=text, description=_sentence(text))
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help=WEIGHTS)
    parser.add_argument(
        "target",
        type=Path,
        metavar="TARGET",
        nargs="?",
        help="file to write (default: WEIGHTS with the suffix .onnx)",
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
    what = f"{' and '.join(map(printable, files))}: {size:.1f} MB"
    print(f"{what}, differs from PyTorch by {largest:.1e} (at most {TOLERANCE:.0e})")


def add_explain(commands: Any) -> None:
    """``facetell explain WEIGHTS PHOTO [PHOTO ...]``."""
    text = "say whether photos are real or fake, and show where the detector looked"
    parser = commands.add_parser(
        "explain",
        help=text,
        description=f"{_sentence(text)} A verdict only holds for images like those that the "
        "detector was trained on. You are warned if a photo is known to be different.",
    )
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help=WEIGHTS)
    parser.add_argument(
        "photos", type=Path, metavar="PHOTO", nargs="+", help="photo of a face, cropped to it"
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["gradcam"],
        metavar="METHOD",
        help="one method, drawn at every layer (default: gradcam); or several, or all, drawn side "
        "by side",
    )
    parser.add_argument(
        "--layers",
        nargs="+",
        default=[],
        metavar="LAYER",
        help="all, default (the layer that is recommended for the network), or names as in "
        "named_modules(); if not given, all layers for one method and the recommended layer for "
        "several",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="figure to write (default: PHOTO_explained.png in the working folder)",
    )
    parser.add_argument(
        "--blur", action="store_true", help="show the maps after Gaussian blur, too"
    )
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
            print(f"facetell: warning: {printable(found.photo.path)}: {warning}", file=sys.stderr)
        print("\n".join(found.lines()))


def add_audit(commands: Any) -> None:
    """``facetell audit PATH``."""
    text = "judge a data set of faces before anything is trained on it"
    parser = commands.add_parser(
        "audit",
        help=text,
        description=f"{_sentence(text)} Says what is understood of its folders, what is set aside, "
        "which images are copies or leak between splits, and which shortcuts tell the classes "
        "apart. Nothing is changed or copied. The exit status is 1 if it cannot be trained on.",
    )
    parser.add_argument(
        "path",
        type=Path,
        metavar="PATH",
        help="a folder of images, a zip, a folder of zips, a table (CSV, TSV or Parquet with paths "
        "and labels), or Parquet files that hold images",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write them as one page")
    parser.add_argument(
        "--layout",
        default="auto",
        help="how the set is laid out, as in `-S data=`: folder, faces140k, ciplab, trueface, "
        "deepfakebench or demo (default: what it looks like)",
    )
    parser.add_argument(
        "--root",
        type=Path,
        metavar="FOLDER",
        help="where the paths of a table start (default: the table's own folder)",
    )
    parser.add_argument(
        "--columns",
        nargs="+",
        default=[],
        metavar="WHAT=NAME",
        help="columns of a table, such as path=file label=target",
    )
    parser.add_argument(
        "--group",
        metavar="REGEX_OR_COLUMN",
        help="what names the source of an image, such as its video: a regular expression that is "
        "searched in the path, or a column",
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        default=[],
        metavar="CLASS=NAME",
        help="folders that name a class, such as real=camera fake=sdxl fake=flux",
    )
    parser.add_argument(
        "--splits",
        nargs="+",
        default=[],
        metavar="SPLIT=NAME",
        help="folders that name a split, such as train=a valid=b test=c; or draw, if none does",
    )
    parser.add_argument(
        "--generators",
        nargs="+",
        metavar="NAME",
        help="folders that name a generator; or none, if none does",
    )
    parser.add_argument(
        "--harmonise",
        action="store_true",
        help="re-encode all images in one way first, as data.harmonise does",
    )
    parser.add_argument(
        "--images",
        type=_positive,
        default=5_000,
        metavar="N",
        help="measure shortcuts and spectra on at most so many (default: 5000)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (default: 0)")
    parser.set_defaults(run=audit)


def audit(arguments: argparse.Namespace) -> None:
    hints = {
        "classes": _named(arguments.classes, "--classes"),
        "splits": (
            "draw" if arguments.splits == ["draw"] else _named(arguments.splits, "--splits")
        ),
        "group": arguments.group,
        "generators": False if arguments.generators == ["none"] else arguments.generators,
        "columns": {
            what: names[-1] for what, names in _named(arguments.columns, "--columns").items()
        },
    }
    from facetell.app import audit as judge
    from facetell.common.files import write_json, write_text
    from facetell.dataset.hints import Hints
    from facetell.report.audited import as_text, page

    choices = judge.Choices(
        layout=arguments.layout,
        hints=Hints(**hints),
        root=arguments.root,
        harmonise=arguments.harmonise,
        images=arguments.images,
        seed=arguments.seed,
    )
    found = judge.audit(arguments.path, choices)
    if arguments.json:
        write_json(arguments.json, found.said)
    if arguments.html:
        write_text(arguments.html, page(found))
    print(as_text(found))
    if error := found.said.get("error"):
        raise UserError(error)


def _named(pairs: Sequence[str], option: str) -> dict[str, list[str]]:
    """Names by what they mean, of ``real=camera`` and the like."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        key, equals, name = pair.partition("=")
        if not (key and equals and name):
            raise UserError(f"{option}: {pair!r} is not like real=NAME")
        found.setdefault(key, []).append(name)
    return found


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise ValueError
    return value


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


COMMANDS = (add_audit, add_export, add_explain)  # each adds its parser, and sets ``run``
