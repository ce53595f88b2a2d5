# SPDX-License-Identifier: Apache-2.0
"""Perturbed test images: what breaks each detector, and which frequencies it depends on."""

from collections.abc import Mapping
from typing import Any

from facetell.evaluation.predictions import CONTROL
from facetell.evaluation.robustness import (
    BANDS,
    NYQUIST,
    Scores,
    by_variant,
    frequencies,
    robustness,
    weak_points,
)
from facetell.report.markdown import Block, Heading
from facetell.report.number_format import with_interval

PERTURBED = "What breaks the detectors"
FREQUENCIES = "Which frequencies they depend on"


def perturbed_images(scores: Scores) -> list[Block]:
    """Robustness in words and numbers, frequencies, and the control."""
    table = robustness(scores)
    points = weak_points(scores)
    parts: list[Block] = [
        Heading(PERTURBED),
        *([tuple(points)] if points else []),
        "AUC on each variant of the test images. Parentheses hold its change against the clean "
        "images, with the interval of that change on the same images. Accuracy, TPR, TNR and "
        "changed verdicts are in plots/robustness.csv.",
        by_variant(table),
    ]
    if sentences := frequencies(table):
        parts += [
            Heading(FREQUENCIES),
            f"One band of frequencies is removed at a time (`{BANDS}`). The highest frequency of "
            f"rows and columns is {NYQUIST:g} cycles per pixel.",
            tuple(sentences),
        ]
    return [*parts, *_control(scores)]


def _control(scores: Scores) -> list[str]:
    """What the scores are worth once the planted artefacts are gone."""
    controlled = {model: found for model, found in scores.items() if CONTROL in found["variants"]}
    if not controlled:
        return []
    planted, fakes = _planted(next(iter(controlled.values())))
    numbers = ", ".join(
        f"{with_interval(found['variants'][CONTROL], 'auc')} for `{model}`"
        for model, found in controlled.items()
    )
    if planted == fakes:
        what = (
            "every fake is rendered again without its artefacts, so that nothing is left to find "
            "and AUC should be 0.5"
        )
    else:
        what = (
            f"the {planted:,} of {fakes:,} fakes that carry planted artefacts are rendered again "
            "without them, so that nothing is left to find in these. The other fakes stay as they "
            "are, so that AUC may stay above 0.5"
        )
    return [f"`{CONTROL}` is a control: {what}. It is {numbers}."]


def _planted(found: Mapping[str, Any]) -> tuple[int, int]:
    """How many fakes carry planted artefacts, and how many there are."""
    planted = sum(group["n_fake"] for group in found["artefacts"].values())
    return planted, found["clean"]["n_fake"]
