# SPDX-License-Identifier: Apache-2.0
"""Which runs may share a cross table, and its cells."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from facetell.report import published
from facetell.report.cross.runs import Run, chosen, place, trained_on

OVERALL, AVERAGE = "overall", "average"  # of all test images, and over the platforms


@dataclass(frozen=True)
class Table:
    """Runs of one model, one per ``trained_on``, and the parts on which they were tested."""

    kind: str  # of ``runs.KINDS``
    runs: list[Run]
    parts: list[str]

    @property
    def model(self) -> str:
        return self.runs[0].model


def tables(runs: Iterable[Run], kind: str) -> list[Table]:
    """Tables of at least two rows and two columns; of runs that say the same, the first counts.

    A table by platform has a row that was trained on some platforms alone, one by set likewise.
    ``kind`` is one of ``runs.KINDS``. Of runs that say the same, the first is preferred. Tables are
    sorted by model, else by their first run.
    """
    found = []
    for group in _comparable(runs, kind):
        rows: dict[str, Run] = {}
        # one that was tested on more is preferred; the sort keeps the order of equals
        for run in sorted(group, key=lambda run: -len(run.scores[kind])):
            rows.setdefault(trained_on(run), run)
        names = sorted(rows, key=place)
        parts = sorted({part for run in rows.values() for part in run.scores[kind]}, key=place)
        if len(names) > 1 and len(parts) > 1 and _meant(kind, rows.values()):
            found.append(Table(kind, [rows[name] for name in names], parts))
    return sorted(found, key=lambda table: table.model)


def _comparable(runs: Iterable[Run], kind: str) -> Iterator[list[Run]]:
    """Runs that differ in nothing but what they were trained on, tested on the same images."""
    groups: dict[str, list[list[Run]]] = {}
    for run in runs:
        candidates = groups.setdefault(_key(run, kind), [])
        for group in candidates:
            if all(_same_images(run, other, kind) for other in group):
                group.append(run)
                break
        else:
            candidates.append([run])
    for candidates in groups.values():
        yield from candidates


def unused(runs: Iterable[Run], made: Iterable[Table]) -> list[Run]:
    """Runs that are in none of the tables."""
    used = [run for table in made for run in table.runs]
    return [run for run in runs if not any(run is other for other in used)]


def _meant(kind: str, rows: Iterable[Run]) -> bool:
    """Whether rows differ in the parts that the table has as columns; for parts of the fakes, in
    any."""
    choices = [chosen(run) for run in rows]
    column = {"platforms": 0, "sets": 1}.get(kind)
    return column is None or any(choice[column] for choice in choices)


def _key(run: Run, kind: str) -> str:
    data = {name: value for name, value in run.data.items() if name != "data.train_on"}
    if kind == "sets":  # `use` is another way to say what is trained on
        data["data.sets"] = {name: {**settings, "use": None} for name, settings in run.sets.items()}
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


def tested(table: Table, run: Run) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each column of a table, and the numbers of ``run`` there; empty where it has none."""
    for part in table.parts:
        yield part, run.scores[table.kind].get(part, {})
    if table.kind == "platforms":
        yield OVERALL, run.scores["clean"]
        yield AVERAGE, run.scores.get("platform_average", {})


def printed(table: Table, run: Run) -> dict[str, float]:
    """What the TrueFace study prints for a row: accuracy in [0, 1] by column; empty for nothing."""
    if table.kind != "platforms":
        return {}
    rows = published.of_model(published.CROSS.get(trained_on(run), ()), run.model)
    return {name: value / 100 for row in rows[:1] for name, value in row.values.items()}


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
