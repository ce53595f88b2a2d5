# SPDX-License-Identifier: Apache-2.0
"""What breaks the best detector: perturbations, generators, platforms, frequencies."""

from typing import Any

import pandas as pd

from facetell.evaluation.robustness import FLIPS, bounded, frequencies, robustness
from facetell.report.page.claims.claim import Said
from facetell.report.page.inputs import Inputs
from facetell.report.sections.perturbed import FREQUENCIES, PERTURBED


def breaks(found: Inputs) -> list[Said]:
    """In the order of what an operator can least avoid: damage, then generators and platforms."""
    said = [*_worst(found), *_flips(found), *_generator(found), *_platform(found)]
    return said + _frequencies(found) or [
        Said(
            "Nothing was tried: no perturbation, generator or platform.",
            "detectors",
            "Clean test images",
        )
    ]


def _worst(found: Inputs) -> list[Said]:
    numbers = found.scores[found.best]
    hard = numbers["robustness"]
    if not hard:
        return []
    limits = hard.get("interval", {})
    worst, clean = hard["worst"], numbers["clean"]
    what = numbers["variants"][worst].get("label", "").partition(" (")[0]
    text = (
        f"**`{worst}`**{f' ({what})' * bool(what)} breaks it most: AUC falls from "
        f"{clean['auc']:.3f} to "
        f"**{bounded(hard['auc_worst'], limits.get('auc_worst'))}**; over all "
        f"{hard['perturbations']} perturbations it is "
        f"{bounded(hard['auc_mean'], limits.get('auc_mean'))} on average."
    )
    return [Said(text, "robustness", PERTURBED)]


def _flips(found: Inputs) -> list[Said]:
    """What changes the most verdicts of the best."""
    table = robustness({found.best: found.scores[found.best]})
    table = table[table["perturbation"].notna() & ~table["probe"]]
    if not len(table) or table[list(FLIPS)].isna().all().any():
        return []
    row = table.loc[table[list(FLIPS)].sum(axis=1).idxmax()]
    most = max(FLIPS, key=lambda direction: row[direction])
    return [
        Said(
            f"`{row['variant']}` changes the most verdicts: {row[most]:.0%} of all images "
            f"[{row[f'{most}_low']:.0%}, {row[f'{most}_high']:.0%}] {FLIPS[most]}.",
            "robustness", PERTURBED,
        )
    ]  # fmt: skip


def _generator(found: Inputs) -> list[Said]:
    parts = found.scores[found.best]["generators"]
    if len(parts) < 2:
        return []
    name, worst = min(parts.items(), key=lambda item: _found(item[1]))
    limits = worst.get("interval", {}).get("auc")
    auc = f"; AUC {bounded(worst['auc'], limits)}" if "auc" in worst else ""
    return [
        Said(
            f"The hardest generator is **`{name}`**: {worst['accuracy_fake']:.0%} of its "
            f"{worst['n_fake']:,} test fakes are found{auc}.",
            "fakes-by-generator", "Fakes by generator",
        )
    ]  # fmt: skip


def _found(numbers: dict[str, Any]) -> tuple[float, float]:
    return numbers["accuracy_fake"], numbers.get("auc", 1.0)


def _platform(found: Inputs) -> list[Said]:
    parts = found.scores[found.best]["platforms"]
    if len(parts) < 2:
        return []
    name, worst = min(parts.items(), key=lambda item: item[1]["accuracy"])
    limits = worst.get("interval", {}).get("accuracy")
    return [
        Said(
            f"The hardest platform is `{name}`: accuracy {bounded(worst['accuracy'], limits)} on "
            f"{worst['n']:,} test images.",
            "test-images-by-platform", "Test images by platform",
        )
    ]  # fmt: skip


def _frequencies(found: Inputs) -> list[Said]:
    table: pd.DataFrame = robustness({found.best: found.scores[found.best]})
    sentences = frequencies(table)
    if not sentences:
        return []
    text = sentences[0].partition(";")[0].rstrip(".").replace(f"`{found.best}` ", "It ", 1) + "."
    return [Said(text, "which-frequencies-they-depend-on", FREQUENCIES)]
