# SPDX-License-Identifier: Apache-2.0
"""What was found of one detector as JSON has it: numbers, intervals, sentences."""

from typing import Any

import pandas as pd

from facetell.explain.registry import METHODS
from facetell.explain.survey.class_means import ALPHA
from facetell.explain.survey.regions import sentence
from facetell.explain.survey.survey import Survey
from facetell.explain.trust.leaderboard import ELSEWHERE, LEADS
from facetell.explain.trust.planted import METRICS
from facetell.explain.trust.planted_benchmark import PlantedBenchmark
from facetell.explain.trust.trials import Trials
from facetell.explain.trust.verdict import with_beliefs

BOARD = (  # columns of the leaderboard that are kept
    *("source", "fakes", "method", "layer", "n", "persons", "area", "area_near"),
    *(f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")),
    *("rra_elsewhere", "rra_excess", "rra_excess_low", "rra_excess_high"),
    *(*LEADS, ELSEWHERE),
)


def of_survey(model: str, seen: Survey) -> dict[str, Any]:
    """Class means and regions as numbers and sentences."""
    facts: dict[str, Any] = {"class_means": {}}
    for name, means in seen.means.items():
        difference = means.difference()
        facts["class_means"][name] = {
            "p": difference.p_any,
            "cells": int(difference.p.size),
            "cells_significant": int((difference.p < ALPHA).sum()),
            "permutations": difference.permutations,
        }
    if seen.regions is not None:
        table = seen.regions.table()
        facts |= {"regions": records(table), "what_to_look_for": [], "looks_at": []}
        for method, layer, kind in table[["method", "layer", "class"]].drop_duplicates().to_numpy():
            own = table[(table["method"] == method) & (table["class"] == kind)].iloc[0]
            ranked = seen.regions.ranking((method, layer, kind))
            said = sentence(model, kind, ranked, n=int(own["n"]), persons=int(own["persons"]))
            said = f"{METHODS[method].title}: {said}"
            facts["what_to_look_for"].append(said)
            about = {"method": method, "layer": layer, "class": kind}
            facts["looks_at"].append(about | {"sentence": said})
    return facts


def of_replaced(table: pd.DataFrame) -> dict[str, Any]:
    """Relevance in replaced against kept regions; nothing where that is not known."""
    return {"replaced": records(table)} if len(table) else {}


def of_planted(truth: PlantedBenchmark) -> dict[str, Any]:
    """The leaderboard, what passed the gate, and what can be believed."""
    if not truth.gate:
        return {}
    tables = truth.tables()
    verdicts = truth.verdicts(tables)
    rows = []
    for kind, table in tables.items():
        rows += records(with_beliefs(table[list(BOARD)], verdicts[kind]))
    return {
        "planted": {
            "gate": truth.gate,
            "fakes_told": {kind: len(passed) for kind, passed in truth.passed.items()},
            "verdicts": {kind: verdict.record() for kind, verdict in verdicts.items()},
            "leaderboard": rows,
        }
    }


def of_trials(tried: Trials | None) -> dict[str, Any]:
    """Faithfulness, stability, sanity and agreement as records."""
    if tried is None:
        return {}
    names = ("faithfulness", "stability", "sanity", "agreement")
    return {"trials": {"images": tried.n} | {n: records(getattr(tried, n)) for n in names}}


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table; what is undefined is absent.

    >>> records(pd.DataFrame({"a": [1, 2], "b": [0.5, None]}))
    [{'a': 1, 'b': 0.5}, {'a': 2}]
    """
    return [
        {name: value for name, value in row.items() if not pd.isna(value)}
        for row in table.to_dict("records")
    ]
