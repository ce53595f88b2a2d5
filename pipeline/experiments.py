# SPDX-License-Identifier: Apache-2.0
"""experiments: the last experiments at a glance; no stage, but what ``facetell experiments`` runs.

``python -m pipeline.experiments`` prints the dozen columns of ``dvc exp show`` that matter, and
what each experiment changed.
"""

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from facetell.common.errors import UserError, brief
from facetell.report.experiments import CHOICES, Composed, experiments, last, ordered
from facetell.report.experiments_table import COLUMNS, printed, rows
from pipeline.stage import run

LAST = 10
CONFIG = Path("conf")
FORMATS = ("table", "jsonl", "csv")


def main(*arguments: str) -> None:
    options = parser().parse_args(arguments)
    number = None if options.all else options.last
    found = ordered(last(experiments(shown(number), chosen), number), options.sort)
    if options.format == "jsonl":
        for one in found:
            print(json.dumps(one.as_json(), ensure_ascii=False))
    elif options.format == "csv":
        table = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows(found))
    else:
        printed(found, datetime.now())


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m pipeline.experiments",
        description="List the last experiments: models, AUC, accuracy, what perturbations cost, "
        "and which settings differ from the commit they were started from.",
    )
    made.add_argument("--last", type=int, default=LAST, metavar="N", help=f"so many ({LAST})")
    made.add_argument("--all", action="store_true", help="all, of every commit")
    made.add_argument("--sort", default="when", metavar="COLUMN", help="when, name, auc, accuracy, "
                      "perturbed or worst")  # fmt: skip
    made.add_argument(
        "--format", choices=FORMATS, default=FORMATS[0], help="jsonl has all numbers and settings"
    )
    return made


def shown(number: int | None) -> list[Mapping[str, Any]]:
    """What dvc knows of the workspace, the last commit, and the commits that the newest ``number``
    experiments (None: all) were started from, with all their experiments.

    Raises
    ------
    UserError : dvc cannot list them.
    """
    from dvc.exceptions import DvcException  # takes a second
    from dvc.repo import Repo
    from dvc.scm import NoSCM, SCMError

    try:
        with Repo(".") as repo:
            if isinstance(repo.scm, NoSCM) or repo.scm.no_commits:
                raise UserError("there are no commits here yet, so no experiments")
            revisions = list(dict.fromkeys([repo.scm.get_rev(), *bases(repo, number)]))
            return [state.dumpd() for state in repo.experiments.show(revs=revisions)]
    except (DvcException, SCMError) as error:
        raise UserError(f"dvc cannot list the experiments: {brief(error)}") from error


def bases(repo: Any, number: int | None) -> Iterator[str]:
    """The commits that experiments were started from: of those that wait, run or failed, and of the
    ``number`` that were committed last."""
    from dvc.repo.experiments.utils import exp_refs

    queue = repo.experiments.celery_queue
    for entry in (*queue.iter_queued(), *queue.iter_active()):
        yield entry.baseline_rev
    for entry, _ in queue.iter_failed():
        yield entry.baseline_rev
    dated = []
    for ref in exp_refs(repo.scm):
        commit = repo.scm.resolve_commit(repo.scm.get_ref(str(ref)))
        dated.append((commit.commit_time, ref.baseline_sha))
    for _, base in sorted(dated, reverse=True)[:number]:
        yield base


def chosen(choices: dict[str, str]) -> Composed | None:
    """What conf/ gives for choices of data and model; None where it does not give anything."""
    return _composed(tuple(f"{name}={choices[name]}" for name in CHOICES if name in choices))


@cache
def _composed(overrides: tuple[str, ...]) -> Composed | None:
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(str(CONFIG.resolve()), version_base=None):
            made = compose("config", list(overrides))
            settings: Any = OmegaConf.to_container(made, resolve=True)
            written: Any = OmegaConf.to_container(made, resolve=False)
    except (HydraException, OmegaConfBaseException):  # a choice of another version
        return None
    return Composed(settings, frozenset(_derived(written, settings)))


def _derived(written: Any, resolved: Any, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Dotted keys of values that are written as a reference to another, or lie in one."""
    if isinstance(resolved, dict):
        for key, value in resolved.items():
            part = written[key] if isinstance(written, dict) else None
            yield from _derived(part, value, (*above, str(key)))
    elif written != resolved:
        yield ".".join(above)


if __name__ == "__main__":
    run(main)
