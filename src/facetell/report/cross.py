"""Cross tables: detectors that differ in nothing but what they were trained on, tested on the same
parts of the same data (platforms, sets, generators, psis).

Rows that differ in anything else - archives, laundering, split, test images, recipe, seed, code -
never share a table: they get tables of their own.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from facetell.dataset.splits import named
from facetell.report import published
from facetell.report.published import TESTED, Row

KINDS = {"platforms": "platform", "sets": "set", "generators": "generator", "psis": "psi"}
COMBINED = "combined"
ORDER = (COMBINED, *TESTED)  # as the TrueFace study has rows and columns; others follow by name
WHOLE = ("overall", "average")  # of the test images, and of the platforms


@dataclass(frozen=True)
class Run:
    """One model of one experiment.

    model : its key.
    data : what the split was made with, named as in params.yaml (``data.train_on``, ...).
    made_by : what else the numbers depend on, by name: archives, code, recipe.
    scores : as metrics/models/<model>.json has them.
    experiment, revision : where it was found.
    images : number of training images; None if the experiment does not tell.
    """

    model: str
    data: dict[str, Any]
    made_by: dict[str, Any]
    scores: dict[str, Any]
    experiment: str
    revision: str
    images: int | None = None


@dataclass(frozen=True)
class Table:
    """Runs of one model, one per ``trained_on``, and the parts on which they were tested."""

    kind: str  # of KINDS
    runs: list[Run]
    parts: list[str]

    @property
    def model(self) -> str:
        return self.runs[0].model


def chosen(run: Run) -> tuple[list[str], list[str]]:
    """The platforms and the sets that a run was trained on; none of either where it is all."""
    sets, train_on = run.data["data.sets"], run.data["data.train_on"]
    wanted = {train_on} if isinstance(train_on, str) else set(train_on)
    # what is no set is a platform, whether or not it has test images
    platforms, among = named(train_on, run.scores["platforms"].keys() | wanted - sets.keys(), sets)
    learnt = [name for name in among or sets if sets[name].get("use") != "test"]
    return sorted(platforms, key=_place), sorted(learnt) if len(learnt) < len(sets) else []


def trained_on(run: Run) -> str:
    """What a run was trained on, in a few words: sets, platforms, or ``combined`` for all."""
    platforms, sets = chosen(run)
    return ", ".join(" + ".join(names) for names in (sets, platforms) if names) or COMBINED


def tables(runs: Iterable[Run], kind: str) -> list[Table]:
    """Tables of at least two rows and two columns; of runs that say the same, the first counts.

    A table by platform has a row that was trained on some platforms alone, one by set likewise.
    ``kind`` is one of ``KINDS``. The order of the runs is that in which they shall be preferred,
    and tables stand in the order of their first run, by model.
    """
    groups: dict[str, list[list[Run]]] = {}
    for run in runs:
        candidates = groups.setdefault(_key(run, kind), [])
        for group in candidates:
            if all(_same_images(run, other, kind) for other in group):
                group.append(run)
                break
        else:
            candidates.append([run])
    found = []
    for group in (group for candidates in groups.values() for group in candidates):
        rows: dict[str, Run] = {}
        # one that was tested on more is preferred; the sort keeps the order of equals
        for run in sorted(group, key=lambda run: -len(run.scores[kind])):
            rows.setdefault(trained_on(run), run)
        names = sorted(rows, key=_place)
        parts = sorted({part for run in rows.values() for part in run.scores[kind]}, key=_place)
        if len(names) > 1 and len(parts) > 1 and _meant(kind, rows.values()):
            found.append(Table(kind, [rows[name] for name in names], parts))
    return sorted(found, key=lambda table: table.model)


def unused(runs: Iterable[Run], made: Iterable[Table]) -> list[Run]:
    """Runs that stand in none of the tables."""
    used = [run for table in made for run in table.runs]
    return [run for run in runs if not any(run is other for other in used)]


def _meant(kind: str, rows: Iterable[Run]) -> bool:
    """Whether rows differ in the parts that the table has as columns; for parts of the fakes, in
    any."""
    choices = [chosen(run) for run in rows]
    place = {"platforms": 0, "sets": 1}.get(kind)
    return place is None or any(choice[place] for choice in choices)


def _key(run: Run, kind: str) -> str:
    data = {name: value for name, value in run.data.items() if name != "data.train_on"}
    if kind == "sets":  # `use` is another way to say what is trained on
        sets = data["data.sets"].items()
        data["data.sets"] = {name: {**settings, "use": None} for name, settings in sets}
    return json.dumps([run.model, data, run.made_by], sort_keys=True)


def _same_images(run: Run, other: Run, kind: str) -> bool:
    """Whether both were tested on as many images of each part, as far as a part is in both."""
    ours, theirs = _counts(run, kind), _counts(other, kind)
    shared = ours.keys() & theirs.keys()
    if kind != "sets" and len(shared) < max(len(ours), len(theirs)):
        return False
    return all(ours[part] == theirs[part] for part in shared)


def _counts(run: Run, kind: str) -> dict[str, tuple[int, int]]:
    return {name: (part["n_real"], part["n_fake"]) for name, part in run.scores[kind].items()}


def _place(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def tested(table: Table, run: Run) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each column of a table, and the numbers of ``run`` there; empty where it has none."""
    for part in table.parts:
        yield part, run.scores[table.kind].get(part, {})
    if table.kind == "platforms":
        yield "overall", run.scores["clean"]
        yield "average", run.scores.get("platform_average", {})


def printed(table: Table, run: Run) -> dict[str, float]:
    """What the TrueFace study prints for a row: accuracy in [0, 1] by column; empty for nothing."""
    rows: Iterable[Row] = ()
    if table.kind == "platforms":
        rows = published.CROSS.get(trained_on(run), ())
    found = [row.values for row in rows if row.model == run.model]
    return {name: value / 100 for name, value in found[0].items()} if found else {}


def long_form(made: Iterable[Table]) -> pd.DataFrame:
    """One line per cell, for a CSV file: rates in [0, 1], NaN for what is missing.

    ``table`` numbers the tables. Generators and psis are some of the fakes against all real
    images; ``accuracy_fake`` is the share of the fakes found.
    """
    lines = []
    for number, table in enumerate(made, start=1):
        for run in table.runs:
            theirs = printed(table, run)
            for part, numbers in tested(table, run):
                line = {"table": number, "model": run.model, "data": run.data["data.name"]}
                line |= {"trained_on": trained_on(run), "training_images": run.images}
                line |= {"tested_on": part}
                line |= {name: numbers.get(name) for name in ("n_real", "n_fake")}
                for name in ("accuracy", "auc", "accuracy_fake"):
                    low, high = numbers.get("interval", {}).get(name, (None, None))
                    line |= {name: numbers.get(name), f"{name}_low": low, f"{name}_high": high}
                line["accuracy_published"] = theirs.get(part)
                lines.append(line | {"experiment": run.experiment, "revision": run.revision})
    frame = pd.DataFrame(lines)
    whole = [name for name in ("n_real", "n_fake", "training_images") if name in frame]
    return frame.astype(dict.fromkeys(whole, "Int64"))
