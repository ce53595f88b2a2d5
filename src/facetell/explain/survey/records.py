"""What was found of one detector as JSON has it: numbers, intervals, sentences."""

from typing import Any

import pandas as pd

from facetell.explain.registry import METHODS
from facetell.explain.survey.regions import sentence
from facetell.explain.survey.survey import Planted, Survey
from facetell.explain.trust.planted import METRICS
from facetell.explain.trust.trials import Trials

ALPHA = 0.05
BOARD = (  # columns of the leaderboard that are kept
    *("source", "fakes", "method", "layer", "n", "persons", "area", "area_near"),
    *(f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")),
    *("rra_elsewhere", "rra_excess", "rra_excess_low", "rra_excess_high"),
)


def of_survey(model: str, seen: Survey, resamples: int, seed: int) -> dict[str, Any]:
    """Class means, regions and replaced regions as numbers and sentences."""
    found: dict[str, Any] = {"class_means": {}}
    for name, means in seen.means.items():
        difference = means.difference()
        found["class_means"][name] = {
            "p": difference.p_any,
            "cells": int(difference.p.size),
            "cells_significant": int((difference.p < ALPHA).sum()),
            "permutations": difference.permutations,
        }
    if seen.regions is not None:
        table = seen.regions.table(resamples=resamples, seed=seed)
        found["regions"], found["what_to_look_for"] = records(table), []
        for method, layer, kind in table[["method", "layer", "class"]].drop_duplicates().to_numpy():
            own = table[(table["method"] == method) & (table["class"] == kind)].iloc[0]
            places = seen.regions.ranking((method, layer, kind), resamples=resamples, seed=seed)
            said = sentence(model, kind, places, n=int(own["n"]), persons=int(own["persons"]))
            found["what_to_look_for"].append(f"{METHODS[method].title}: {said}")
    if seen.replaced is not None:
        found["replaced"] = records(seen.replaced.table(resamples=resamples, seed=seed))
    return found


def of_planted(truth: Planted, resamples: int, seed: int) -> dict[str, Any]:
    """The leaderboard, and what passed the gate."""
    if not truth.gate:
        return {}
    table = truth.table(resamples=resamples, seed=seed)
    told = {kind: len(fakes) for kind, fakes in truth.fakes.items()}
    if len(table):
        table = table[[name for name in BOARD if name in table]]
    return {"planted": {"gate": truth.gate, "fakes_told": told, "leaderboard": records(table)}}


def of_trials(tried: Trials | None) -> dict[str, Any]:
    """Faithfulness, stability, sanity and agreement as records."""
    if tried is None:
        return {}
    names = ("faithfulness", "stability", "sanity", "agreement")
    return {"trials": {"images": tried.n} | {n: records(getattr(tried, n)) for n in names}}


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table; what is undefined is absent."""
    return [
        {name: value for name, value in row.items() if not pd.isna(value)}
        for row in table.to_dict("records")
    ]
