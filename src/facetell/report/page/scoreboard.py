# SPDX-License-Identifier: Apache-2.0
"""All detectors at a glance: the table of the first screen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facetell.explain.trust.verdict import Belief, stored
from facetell.images.spectra import NETWORK
from facetell.report.markdown import ABSENT
from facetell.report.page.claims.looks import named
from facetell.report.page.inputs import Inputs


@dataclass(frozen=True)
class Row:
    """Of one detector; ``value`` with ``low`` and ``high`` is drawn as a dot with a line, at
    ``places`` in percent of the axis."""

    model: str
    best: bool
    baseline: bool
    value: str
    limits: str
    places: tuple[float, float, float] | None
    accuracy: str
    worst: str
    generator: str
    believed: str


@dataclass(frozen=True)
class Scoreboard:
    """Rows in the order of rank, and the ends of the axis on which their number is drawn."""

    number: str
    low: float
    high: float
    rows: Sequence[Row]
    generators: bool
    perturbed: bool


def scoreboard(found: Inputs) -> Scoreboard:
    """Every detector, the highest number first; the baseline is marked as such."""
    clean = {model: one["clean"] for model, one in found.scores.items()}
    name = "auc" if all("auc" in one for one in clean.values()) else "accuracy"
    lows = [one.get("interval", {}).get(name, [one[name]])[0] for one in clean.values()]
    axis = (min(int(min(lows) * 10) / 10, 0.9), 1.0)
    order = sorted(clean, key=lambda model: -clean[model][name])
    rows = [_row(found, model, name, axis) for model in order]
    return Scoreboard(
        "AUC" if name == "auc" else "accuracy", *axis, rows,
        any(row.generator != ABSENT for row in rows), any(row.worst != ABSENT for row in rows),
    )  # fmt: skip


def _row(found: Inputs, model: str, name: str, axis: tuple[float, float]) -> Row:
    one = found.scores[model]
    clean, limits = one["clean"], one["clean"].get("interval", {}).get(name)
    hard, generators = one["robustness"], one["generators"]
    generator = ABSENT
    if len(generators) > 1:
        worst = min(generators, key=lambda n: (
            generators[n]["accuracy_fake"], generators[n].get("auc", 1)))  # fmt: skip
        generator = f"{worst}, {generators[worst]['accuracy_fake']:.0%}"
    return Row(
        model=model,
        best=model == found.best,
        baseline=model == NETWORK,
        value=f"{clean[name]:.3f}",
        limits=f"[{limits[0]:.3f}, {limits[1]:.3f}]" if limits else "",
        places=tuple(_place(v, axis) for v in (clean[name], *limits)) if limits else None,  # type: ignore[arg-type]
        accuracy=f"{100 * clean['accuracy']:.1f}%",
        worst=f"{hard['worst']}, {hard['auc_worst']:.3f}" if hard else ABSENT,
        generator=generator,
        believed=_believed(found.explained.get(model, {})),
    )  # fmt: skip


def _place(value: float, axis: tuple[float, float]) -> float:
    return round(100 * (value - axis[0]) / (axis[1] - axis[0]), 2)


def _believed(facts: Mapping[str, Any]) -> str:
    """The chosen map, where it is believed, and its reach, in a few words."""
    if "planted" not in facts:
        return ABSENT
    for kind, verdict in stored(facts["planted"]).items():
        if verdict.chosen_is_believed:
            reach = "all" if verdict.scope == Belief.GENERAL else f"{verdict.passed}"
            return f"{named(verdict)}, on {reach} of {verdict.fakes} {_fakes(kind)}"
    return "none"


def _fakes(kind: str) -> str:
    return "altered fakes" if kind == "altered" else f"{kind}-artefact fakes"
