"""Cross tables from finished experiments, the last commit and the workspace: no stage, a command.

``python -m pipeline.cross [-n COMMITS]`` writes metrics/cross/. What a number was made with is read
from dvc.lock of its experiment, not from params.yaml, which may have been changed since.
"""

import argparse
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from facetell.common.errors import UserError, brief
from facetell.common.files import whole
from facetell.common.progress import progress
from facetell.images.spectra import NETWORK
from facetell.report.cross import KINDS, Run, long_form, tables, unused
from facetell.report.cross_tables import cross_report
from pipeline import paths
from pipeline.stage import run

SWEEP = (
    "dvc exp run --queue -S model=resnet50 -S 'data.launder=[presocial,facebook,telegram,twitter]' "
    "-S data.train_on=combined,presocial,telegram,twitter,facebook && dvc exp run --run-all && "
    "python -m pipeline.cross"
)
TRAINING = ("train@", "baseline")  # stages that train
REASONS = 4  # that are listed where there is no table
WORKSPACE = "workspace"
PENDING = ("Queued", "Running", "Failed")  # states of experiments that have no results
NEEDED = {*KINDS, "clean", "platform_average", "training"}
Read = Callable[[str], bytes]  # a file of one revision, by path; FileNotFoundError if it has none


class Stale(Exception):
    """A result is not of the data and code that lie beside it."""


class Origin(NamedTuple):
    """What an output was made with: parameters by stage, and md5 by path of all dependencies."""

    params: dict[str, dict[str, Any]]
    files: dict[str, str]


def main(*arguments: str) -> None:
    parser = argparse.ArgumentParser(prog="python -m pipeline.cross", description=__doc__)
    parser.add_argument("-n", type=int, default=1, metavar="COMMITS", help="so many last commits")
    commits = parser.parse_args(arguments).n
    found: list[Run] = []
    unusable: dict[tuple[str, str], list[str]] = {}  # experiments by model and reason
    for name, revision, read in progress(list(experiments(commits)), "experiments"):
        for model, result in runs(name, revision, read):
            if isinstance(result, Run):
                found.append(result)
            else:
                unusable.setdefault((model, result), []).append(name)
    left_out = [
        f"`{model}` of {', '.join(names)}: {reason}" for (model, reason), names in unusable.items()
    ]
    made = {kind: tables(found, kind) for kind in KINDS}
    every = [table for kind in made.values() for table in kind]
    if not every:
        raise UserError(nothing(found, left_out))
    single: dict[str, list[str]] = {}
    for run_ in unused(found, every):
        single.setdefault(run_.experiment, []).append(f"`{run_.model}`")
    alone = [
        f"{', '.join(models)} of {name}: nothing that differs in `data.train_on` alone, or a "
        "newer run of the same"
        for name, models in single.items()
    ]
    write(made, [*left_out, *alone])
    trainings = len(found) - len(unused(found, every))
    print(f"{paths.CROSS}/cross.md: {len(every)} tables of {trainings} trainings")


def nothing(found: list[Run], left_out: list[str]) -> str:
    """The error where there is no table: what was found, and what to run."""
    seen = [f"{run_.model} of {run_.experiment} can be used" for run_ in found] + left_out
    reasons = "; ".join(seen[:REASONS]) + f"; and {len(seen) - REASONS} more" * (
        len(seen) > REASONS
    )
    return (
        "no two results differ in data.train_on alone and were tested on two platforms or sets, "
        f"in the workspace, the last commit and its experiments ({reasons}). For the embedded set "
        f"make them by:\n  {SWEEP}\n(-n COMMITS looks at experiments of earlier commits, too)"
    )


def write(made: dict[str, Any], alone: list[str]) -> None:
    for stale in paths.CROSS.glob("*.csv"):
        stale.unlink()
    for kind, found in made.items():
        if found:
            with whole(paths.CROSS / f"{kind}.csv") as path:
                long_form(found).to_csv(path, index=False, float_format="%.6g")
    with whole(paths.CROSS / "cross.md") as path:
        path.write_text(cross_report(made, alone), encoding="utf-8")


def experiments(commits: int) -> Iterator[tuple[str, str, Read]]:
    """Name, revision and files of every finished experiment, newest first, then of the commits and
    the workspace.

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
        yield row["Experiment"] or revision, revision, reader(revision)


def reader(revision: str) -> Read:
    """Read files as they are in a revision, or in the workspace."""
    if revision == WORKSPACE:
        return lambda path: Path(path).read_bytes()

    def read(path: str) -> bytes:
        return files.read_bytes(path)

    from dvc.api import DVCFileSystem

    files = DVCFileSystem(rev=revision)
    return read


def runs(name: str, revision: str, read: Read) -> Iterator[tuple[str, Run | str]]:
    """Each selected model of an experiment: its run, or why it cannot be used.

    The linear baseline is no choice: it is left out in silence where it was not made anew.
    """
    try:
        settings, lock = (yaml.safe_load(read(path)) for path in ("params.yaml", "dvc.lock"))
    except FileNotFoundError as missing:
        yield "all", f"there is no {Path(str(missing.filename or missing)).name}"
        return
    for model in [*settings["models"], NETWORK]:
        try:
            yield model, one(model, name, revision, read, lock["stages"])
        except Stale as reason:
            if model != NETWORK:
                yield model, str(reason)


def one(model: str, name: str, revision: str, read: Read, stages: dict[str, Any]) -> Run:
    """The run of one model; raises Stale where its scores are not of the data beside them."""
    path = paths.scores(model).as_posix()
    try:
        content = read(path)
    except FileNotFoundError:
        raise Stale("it was not scored") from None
    made = origin(stages, path, hashlib.md5(content, usedforsecurity=False).hexdigest())
    scores = json.loads(content)
    if missing := NEEDED - scores.keys():
        raise Stale(f"scored by an older version, without {', '.join(sorted(missing))}")
    data = made.params["split"]
    code = {file: md5 for file, md5 in made.files.items() if file.startswith(("src/", "pipeline/"))}
    made_by = {
        "archives": made.files[paths.raw(data["data.name"]).as_posix()],
        "code": hashlib.sha256(json.dumps(code, sort_keys=True).encode()).hexdigest(),
        "recipe": recipe(made),
    }
    return Run(model, data, made_by, scores, name, revision, training_images(read, stages))


def recipe(made: Origin) -> dict[str, Any]:
    """Parameters by which a model was trained; what was found by training is not among them."""
    stages = [params for name, params in made.params.items() if name.startswith(TRAINING)]
    return {
        name: value
        for params in stages
        for name, value in params.items()
        if name.startswith(("data.image_size", "data.recipe", "models.", "recipes.", "train."))
    }


def origin(stages: dict[str, Any], path: str, md5: str) -> Origin:
    """What made the file ``path`` with content ``md5``, through all stages of a dvc.lock.

    Raises
    ------
    Stale : a stage upstream has since written something else, or ``path`` is of no stage.
    """
    makers = {
        out["path"]: (name, out.get("md5"))
        for name, stage in stages.items()
        for out in stage.get("outs", ())
    }
    params: dict[str, dict[str, Any]] = {}
    files: dict[str, str] = {}
    if path not in makers:
        raise Stale(f"dvc.lock has no stage that made {path}")
    open_ = [(path, md5)]
    while open_:
        path, md5 = open_.pop()
        files[path] = md5
        if path not in makers:
            continue
        stage, made = makers[path]
        if made != md5:
            raise Stale(f"{path} is not what its stage wrote last: run dvc repro")
        if stage not in params:
            params[stage] = stages[stage].get("params", {}).get("params.yaml", {})
            open_ += [(dep["path"], dep.get("md5", "")) for dep in stages[stage].get("deps", ())]
    return Origin(params, files)


def training_images(read: Read, stages: dict[str, Any]) -> int | None:
    """Number of training images; None where the audit was not made of the same data."""
    try:
        content = read(paths.DATA.as_posix())
        origin(stages, paths.DATA.as_posix(), hashlib.md5(content).hexdigest())
    except (FileNotFoundError, Stale):
        return None
    return sum(json.loads(content)["counts"]["train"].values())


if __name__ == "__main__":
    run(main)
