# SPDX-License-Identifier: Apache-2.0
"""What breaks a detector: its numbers on every variant of the test images, as a table and in words.

A variant is a perturbation at one level. Drops are clean minus variant, on the same images. Probes
are the frequency filters, which show what a detector uses rather than what breaks it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from facetell.evaluation.predictions import CONTROL

Scores = dict[str, dict[str, Any]]  # metrics/models/<model>.json by model
DROPS = ("accuracy", "auc", "accuracy_real", "accuracy_fake")
FLIPS = {"fake_to_real": "from fake to real", "real_to_fake": "from real to fake"}
BANDS, NYQUIST = "band_stop", 0.5  # cycles per pixel


def robustness(scores: Scores) -> pd.DataFrame:
    """One row for each model and variant, ``clean`` first.

    Columns: model, variant, perturbation, level, label (of the level's axis, with its unit),
    neutral (the level at which nothing happens), probe; accuracy, auc, drop_<number> for
    ``DROPS``, accuracy_change_pct, and the shares of all images whose verdict changed,
    fake_to_real and real_to_fake; each with _low and _high. Undefined values are missing.
    """
    rows = []
    for model, found in scores.items():
        for variant, numbers in ({"clean": found["clean"]} | found["variants"]).items():
            row: dict[str, Any] = {"model": model, "variant": variant}
            for name in ("perturbation", "level", "label", "neutral"):
                row[name] = numbers.get(name)
            row["probe"] = bool(numbers.get("probe"))
            limits = numbers["interval"]
            row |= _bounded("accuracy", numbers.get("accuracy"), limits.get("accuracy"))
            row |= _bounded("auc", numbers.get("auc"), limits.get("auc"))
            drops, limits = numbers.get("drop", {}), numbers.get("drop_interval", {})
            for name in DROPS:
                row |= _bounded(f"drop_{name}", drops.get(name), limits.get(name))
            change = "accuracy_change_pct"
            row |= _bounded(change, numbers.get(change), limits.get(change))
            flips, limits = numbers.get("flips", {}), numbers.get("flips_interval", {})
            for name in FLIPS:
                row |= _bounded(name, flips.get(name), limits.get(name))
            rows.append(row)
    table = pd.DataFrame(rows)
    # a column without any value would be one of objects
    numeric = [c for c in table if c.startswith(("accuracy", "auc", "drop_", *FLIPS))]
    return table.astype(dict.fromkeys([*numeric, "neutral"], float))


def _bounded(name: str, value: float | None, limits: list[float] | None) -> dict[str, Any]:
    low, high = limits or (None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def weak_points(scores: Scores) -> list[str]:
    """A line for each model: its mean and lowest AUC, and what changes the most verdicts."""
    said = []
    for model, part in robustness(scores).groupby("model", sort=False):
        summary = scores[str(model)]["robustness"]
        if not summary:  # nothing was perturbed, or there is no AUC
            continue
        limits = summary["interval"]
        mean = bounded(summary["auc_mean"], limits.get("auc_mean"))
        worst = bounded(summary["auc_worst"], limits.get("auc_worst"))
        part = part[part["perturbation"].notna() & ~part["probe"]]
        turned = part.loc[part[list(FLIPS)].sum(axis=1).idxmax()]
        most = max(FLIPS, key=lambda direction: turned[direction])
        other = next(direction for direction in FLIPS if direction != most)
        said.append(
            f"`{model}`: mean AUC {mean} over {summary['perturbations']} perturbations, lowest "
            f"with `{summary['worst']}` at {worst}. `{turned['variant']}` changes the most "
            f"verdicts: {turned[most]:.0%} of all images [{turned[f'{most}_low']:.0%}, "
            f"{turned[f'{most}_high']:.0%}] {FLIPS[most]}, {turned[other]:.0%} {FLIPS[other]}."
        )
    return said


def bounded(value: float, limits: Sequence[float] | None) -> str:
    """Three decimals with the interval, where there is one.

    >>> bounded(0.9, [0.85, 0.94]), bounded(0.9, None)
    ('0.900 [0.850, 0.940]', '0.900')
    """
    return f"{value:.3f}" + (f" [{limits[0]:.3f}, {limits[1]:.3f}]" if limits else "")


def frequencies(table: pd.DataFrame) -> list[str]:
    """A sentence for each model: the band of frequencies on which it depends most."""
    said = []
    for model, part in table[table["perturbation"] == BANDS].groupby("model", sort=False):
        if part["drop_auc"].isna().all():
            continue
        width = NYQUIST / len(part)
        ranked = part.sort_values("drop_auc", ascending=False)
        first = ranked.iloc[0]
        low, high = (width * (int(first["level"]) + end) for end in (0, 1))
        band = f"{low:.2f} to {high:.2f} cycles per pixel"
        upper = part.loc[part["level"].astype(float) >= len(part) / 2, "drop_auc"].mean()
        lower = part.loc[part["level"].astype(float) < len(part) / 2, "drop_auc"].mean()
        if first["drop_auc_low"] > 0:
            said.append(
                f"`{model}` depends most on {band}: without this band, AUC falls by "
                f"{first['drop_auc']:.3f} [{first['drop_auc_low']:.3f}, "
                f"{first['drop_auc_high']:.3f}]; a band of the upper half of frequencies costs "
                f"{signed(upper)} on average, one of the lower half {signed(lower)}."
            )
        else:
            said.append(f"`{model}` does not clearly depend on any single band.")
    return said


def signed(value: float) -> str:
    """Three decimals with a sign, and never minus zero.

    >>> signed(0.0123), signed(-0.0001)
    ('+0.012', '+0.000')
    """
    return f"{round(value, 3) + 0.0:+.3f}"


def by_variant(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each variant, a column for each model: AUC, and its drop with the interval."""
    table = table[table["variant"] != "clean"]
    cells = [
        ""
        if np.isnan(row.auc)
        else f"{row.auc:.3f} ({signed(-row.drop_auc)} "
        f"[{signed(-row.drop_auc_high)}, {signed(-row.drop_auc_low)}])"
        for row in table.itertuples()
    ]
    wide = table.assign(cell=cells).pivot(index="variant", columns="model", values="cell")
    order = list(dict.fromkeys(table["variant"]))
    wide = wide.loc[order, list(dict.fromkeys(table["model"]))]
    return wide[wide.index != CONTROL].reset_index()
