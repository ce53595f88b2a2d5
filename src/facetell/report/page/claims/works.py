# SPDX-License-Identifier: Apache-2.0
"""Which detector works: the best, by how much for sure, and what its scores mean."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from facetell.images.spectra import NETWORK
from facetell.metrics.paired_tests import ALPHA, FINEST
from facetell.report.number_format import listed
from facetell.report.page.claims.claim import Said
from facetell.report.page.inputs import Inputs

NAMED = 4  # rivals that are named with numbers; more are counted


def works(found: Inputs) -> list[Said]:
    """The best network, which of the others it surely beats, and whether calibration helps it."""
    return [_best(found), *_surely(found), *_calibration(found)]


def _best(found: Inputs) -> Said:
    best, clean = found.best, found.scores[found.best]["clean"]
    limits = clean.get("interval", {})
    said = []
    if "auc" in clean:
        said.append(f"AUC **{_number(clean['auc'], limits.get('auc'))}**")
    rates = [
        f"{_percent(clean[f'accuracy_{kind}'])} of {words}"
        for kind, words in (("real", "real images"), ("fake", "fakes"))
        if f"accuracy_{kind}" in clean
    ]
    accuracy = f"accuracy {_percent(clean['accuracy'], limits.get('accuracy'))}"
    said.append(accuracy + (f" ({' and '.join(rates)} judged rightly)" if rates else ""))
    alone = len(found.models) == 1
    text = f"**{_code(best)}** " + ("is the only network here: " if alone else "ranks best: ")
    return Said(text + ", ".join(said) + ".", "detectors", "Clean test images")


def _surely(found: Inputs) -> list[Said]:
    """What the paired tests say of the best against every other."""
    number, test = ("auc", "delong") if "auc_difference" in found.pairs else ("accuracy", "mcnemar")
    if not len(found.pairs):
        return []
    rows = [_against(row, found.best) for row in found.pairs.to_dict("records")]
    rivals = [row for row in rows if row is not None]
    sure = [row for row in rivals if row[f"{test}_holm"] < ALPHA and row[number][0] > 0]
    unsure = [row for row in rivals if row not in sure]
    unit = "AUC" if number == "auc" else "accuracy"
    said = []
    if sure:
        said.append(f"It is surely better in {unit} than {_each(sure, number)}.")
    if unsure:
        said.append(
            f"It is **not surely better** than {_each(unsure, number, f'{test}_holm')}"
            ": these images cannot tell them apart."
        )
    if any(row["rival"] == NETWORK for row in unsure):
        said.append(
            f"That includes `{NETWORK}`, a linear classifier: its depth has bought nothing."
        )
    return [Said(text, "differences", "Which differences are real") for text in said]


def _against(row: dict[str, Any], best: str) -> dict[str, Any] | None:
    """A pair from the view of the best; None if it is of two others."""
    if best not in (row["a"], row["b"]):
        return None
    sign = 1 if row["a"] == best else -1
    seen: dict[str, Any] = {"rival": row["b"] if sign == 1 else row["a"]}
    for number in ("accuracy", "auc"):
        if f"{number}_difference" in row:
            low, high = sorted(sign * row[f"{number}_{end}"] for end in ("low", "high"))
            seen[number] = (sign * row[f"{number}_difference"], low, high)
    return seen | {name: row[name] for name in row if name.endswith("_holm")}


def _each(rows: Sequence[dict[str, Any]], number: str, p: str | None = None) -> str:
    """Rivals with the difference and its interval, and the p-value where that is wanted."""
    if len(rows) > NAMED:
        return f"{len(rows)} others ({listed([row['rival'] for row in rows])})"
    words = []
    for row in rows:
        value, low, high = row[number]
        some = f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"
        words.append(f"{_code(row['rival'])} ({some}{_p(row[p]) if p else ''})")
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _p(value: float) -> str:
    if pd.isna(value):
        return ""
    return f", p = {value:.2g}" if value >= FINEST else f", p < {FINEST:g}"


def _calibration(found: Inputs) -> list[Said]:
    """Whether temperature scaling makes the scores better probabilities."""
    helped = []
    for model in found.models:
        clean, after = found.scores[model]["clean"], found.scores[model]["calibration"]
        if "ece" in clean and "ece" in after:
            helped.append((model, clean, after))
    own = next((row for row in helped if row[0] == found.best), None)
    if own is None:
        return []
    _, clean, after = own
    limits = [part.get("interval", {}).get("ece") for part in (clean, after)]
    said = (
        f"calibration error (ECE) {_number(clean['ece'], limits[0])} before and "
        f"{_number(after['ece'], limits[1])} after temperature scaling"
    )
    better, apart = after["ece"] < clean["ece"], False
    if all(limits):
        apart = limits[0][0] > limits[1][1] or limits[1][0] > limits[0][1]
    if better:
        verdict = "helps" if apart else "does not clearly help"
    else:
        verdict = "makes it worse" if apart else "does not help"
    text = f"Calibration **{verdict}**: {said}."
    if len(helped) > 1:
        lower = sum(after["ece"] < clean["ece"] for _, clean, after in helped)
        text += f" ECE falls in {lower} of {len(helped)} networks."
    return [Said(text, "calibration", "Calibration")]


def _number(value: float, limits: Sequence[float] | None) -> str:
    return f"{value:.3f}" + (f" [{limits[0]:.3f}, {limits[1]:.3f}]" if limits else "")


def _percent(value: float, limits: Sequence[float] | None = None) -> str:
    some = f" [{100 * limits[0]:.1f}, {100 * limits[1]:.1f}]" if limits else ""
    return f"{100 * value:.1f}%{some}"


def _code(name: str) -> str:
    return f"`{name}`"
