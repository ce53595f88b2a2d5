# SPDX-License-Identifier: Apache-2.0
"""Cross tables from finished experiments, the last commit and the workspace: no stage, a command.

``python -m pipeline.cross [-n COMMITS]`` writes metrics/cross/. What a number was made with is read
from dvc.lock of its experiment, not from params.yaml, which may have been changed since.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from facetell.common.errors import UserError, brief
from facetell.common.files import write_csv, write_text
from facetell.common.progress import progress
from facetell.images.spectra import NETWORK
from facetell.report.cross.lock import Stale, origin
from facetell.report.cross.report import cross_report
from facetell.report.cross.runs import KINDS, NEEDED, Run
from facetell.report.cross.tables import Table, long_form, tables, unused
from pipeline import paths
from pipeline.stage import run

SWEEP = (
    "dvc exp run --queue -S model=resnet50 -S 'data.launder=[presocial,facebook,telegram,twitter]' "
    "-S data.train_on=combined,presocial,telegram,twitter,facebook && dvc exp run --run-all && "
    "python -m pipeline.cross"
)
REASONS = 4  # that are listed where there is no table
WORKSPACE = "workspace"
PENDING = ("Queued", "Running", "Failed")  # states of experiments that have no results
Read = Callable[[str], bytes]  # a file of one revision, by path; FileNotFoundError if it has none


class Experiment(NamedTuple):
    """Its name, its revision, and how to read its files."""

    name: str
    revision: str
    read: Read


def main(*arguments: str) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.cross",
        description="Compare what detectors were trained on: write cross tables to metrics/cross/, "
        "from the finished experiments, the last commits and the workspace.",
    )
    parser.add_argument(
        "-n",
        type=int,
        default=1,
        metavar="COMMITS",
        help="look at this many of the last commits and their experiments (default: 1)",
    )
    found, refused = collected(experiments(parser.parse_args(arguments).n))
    made = {kind: tables(found, kind) for kind in KINDS}
    every = [table for kind in made.values() for table in kind]
    if not every:
        raise UserError(nothing(found, refused))
    single = unused(found, every)
    write(made, [*refused, *alone(single)])
    trainings = len(found) - len(single)
    print(f"{paths.CROSS}/cross.md: {len(every)} tables of {trainings} trained detectors")


def collected(among: Iterator[Experiment]) -> tuple[list[Run], list[str]]:
    """The runs that can be used; and why others cannot, a line for each model and reason."""
    found: list[Run] = []
    unusable: dict[tuple[str, str], list[str]] = {}  # experiments by model and reason
    for experiment in progress(list(among), "experiments"):
        for model, result in runs(experiment):
            if isinstance(result, Run):
                found.append(result)
            else:
                unusable.setdefault((model, result), []).append(experiment.name)
    return found, [
        f"`{model}` of {', '.join(names)}: {reason}" for (model, reason), names in unusable.items()
    ]


def alone(single: list[Run]) -> list[str]:
    """Why usable runs are in no table, a line for each experiment."""
    models: dict[str, list[str]] = {}
    for one in single:
        models.setdefault(one.experiment, []).append(f"`{one.model}`")
    return [
        f"{', '.join(names)} of {experiment}: no other result differs in `data.train_on` alone, or "
        "a newer run has the same settings"
        for experiment, names in models.items()
    ]


def nothing(found: list[Run], refused: list[str]) -> str:
    """The error where there is no table: what was found, and what to run."""
    seen = [f"{run_.model} of {run_.experiment} can be used" for run_ in found] + refused
    reasons = "; ".join(seen[:REASONS] or ["no results were found"])
    if len(seen) > REASONS:
        reasons += f"; and {len(seen) - REASONS} more"
    return (
        "there is nothing to put side by side: a cross table needs two results that differ in "
        "data.train_on alone and were tested on at least two platforms or sets. In the workspace "
        f"and in the commits that were looked at, with their experiments: {reasons}. "
        f"With the embedded set, make such results by:\n  {SWEEP}\n"
        "To look at the experiments of earlier commits as well, add -n COMMITS."
    )


def write(made: Mapping[str, list[Table]], not_used: list[str]) -> None:
    """A CSV file for each kind of table, and all of them in words."""
    for stale in paths.CROSS.glob("*.csv"):
        stale.unlink()
    for kind, found in made.items():
        if found:
            write_csv(paths.CROSS / f"{kind}.csv", long_form(found), digits=6)
    write_text(paths.CROSS / "cross.md", cross_report(made, not_used))


def experiments(commits: int) -> Iterator[Experiment]:
    """Every finished experiment, newest first, then the commits and the workspace.

    Raises UserError if dvc cannot list them.
    """
    import dvc.api  # takes a second
    from dvc.exceptions import DvcException

    try:
        rows = dvc.api.exp_show(num=commits)
    except (DvcException, OSError) as error:
        raise UserError(f"dvc cannot list the experiments: {brief(error)}") from error
    rows = [row for row in rows if row["State"] not in PENDING and not row.get("Error")]
    # a sorted list keeps the order of equals
    for row in sorted(rows, key=lambda row: (not row["Experiment"], row["rev"] == WORKSPACE)):
        revision = str(row["rev"])
        yield Experiment(row["Experiment"] or revision, revision, reader(revision))


def reader(revision: str) -> Read:
    """Read files as they are in a revision, or in the workspace."""
    if revision == WORKSPACE:
        return lambda path: Path(path).read_bytes()

    def read(path: str) -> bytes:
        return files.read_bytes(path)

    from dvc.api import DVCFileSystem

    files = DVCFileSystem(rev=revision)
    return read


def runs(experiment: Experiment) -> Iterator[tuple[str, Run | str]]:
    """Each selected model of an experiment: its run, or why it cannot be used.

    The linear baseline is no choice: it is left out in silence where it was not made anew.
    """
    read = experiment.read
    try:
        settings, lock = (yaml.safe_load(read(path)) for path in ("params.yaml", "dvc.lock"))
    except FileNotFoundError as missing:
        yield "all", f"there is no {Path(str(missing.filename or missing)).name}"
        return
    for model in [*settings["models"], NETWORK]:
        try:
            yield model, one(model, experiment, lock["stages"])
        except Stale as reason:
            if model != NETWORK:
                yield model, str(reason)


def one(model: str, experiment: Experiment, stages: dict[str, Any]) -> Run:
    """The run of one model; raises Stale where its scores are not of the data beside them."""
    path = paths.scores(model).as_posix()
    try:
        content = experiment.read(path)
    except FileNotFoundError:
        raise Stale("it was not scored") from None
    made = origin(stages, path, content)
    scores = json.loads(content)
    if missing := NEEDED - scores.keys():
        raise Stale(f"it was scored by an older version, without {', '.join(sorted(missing))}")
    data = made.params["split"]
    made_by = {
        "archives": made.files[paths.raw(data["data.name"]).as_posix()],
        "code": made.code(),
        "recipe": made.recipe(),
    }
    images = training_images(experiment.read, stages)
    return Run(model, data, made_by, scores, experiment.name, experiment.revision, images)


def training_images(read: Read, stages: dict[str, Any]) -> int | None:
    """Number of training images; None where the audit was not made of the same data."""
    path = paths.DATA.as_posix()
    try:
        content = read(path)
        origin(stages, path, content)
    except (FileNotFoundError, Stale):
        return None
    return sum(json.loads(content)["counts"]["train"].values())


if __name__ == "__main__":
    run(main)
