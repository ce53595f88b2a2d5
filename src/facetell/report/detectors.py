# SPDX-License-Identifier: Apache-2.0
"""What ``compare`` says of the selected models: a dozen numbers, and a report in words."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from facetell.common.errors import UserError
from facetell.evaluation.robustness import Scores
from facetell.report.markdown import Block, in_markdown
from facetell.report.sections.beside import beside_published
from facetell.report.sections.clean import calibration, clean_images, operating_point
from facetell.report.sections.data import images, shortcuts
from facetell.report.sections.differences import differences
from facetell.report.sections.parts import leak, parts
from facetell.report.sections.perturbed import perturbed_images

HEADLINE = ("accuracy", "accuracy_real", "accuracy_fake", "auc", "ap", "eer", "f1", "ece")


def headline_of(models: list[str], wanted: str) -> str:
    """The model that the headline is of: it is named, never the best; of one model, that one.

    Raises
    ------
    UserError : several models are selected, and none of them is ``wanted``.

    Examples
    --------
    >>> headline_of(["swin"], "resnet50")
    'swin'
    """
    if len(models) == 1:
        return models[0]
    if wanted not in models:
        raise UserError(
            f"headline: {wanted!r} is not among the selected models; choose one of "
            f"{', '.join(models)}, for example -S headline={models[0]}"
        )
    return wanted


def summary(found: Mapping[str, Any]) -> dict[str, float]:
    """The numbers that a model is judged by first, always under the same names.

    ``found`` is the content of metrics/models/<model>.json. What a test set of one class leaves
    undefined is absent; without perturbations, the perturbed numbers are the clean ones.

    Examples
    --------
    >>> clean = {"accuracy": 0.81, "auc": 0.9, "interval": {"auc": [0.85, 0.94]}}
    >>> summary({"clean": clean, "robustness": {"auc_mean": 0.8, "auc_worst": 0.6}})
    ... # doctest: +NORMALIZE_WHITESPACE
    {'accuracy': 0.81, 'auc': 0.9, 'auc_low': 0.85, 'auc_high': 0.94,
     'perturbed_auc_mean': 0.8, 'perturbed_auc_worst': 0.6}
    """
    clean, hard = found["clean"], found["robustness"]
    said = {name: clean[name] for name in HEADLINE if name in clean}
    if "auc" in clean:
        if "auc" in clean["interval"]:
            said["auc_low"], said["auc_high"] = clean["interval"]["auc"]
        said["perturbed_auc_mean"] = hard.get("auc_mean", clean["auc"])
        said["perturbed_auc_worst"] = hard.get("auc_worst", clean["auc"])
    return said


def report(
    scores: Scores,
    data: Mapping[str, Any],
    name: str,
    tables: Mapping[str, pd.DataFrame],
    pairs: pd.DataFrame,
    headline: str,
) -> str:
    """Markdown of everything, with what a reader must know to judge it.

    Parameters
    ----------
    scores : contents of metrics/models/<model>.json by model, in the order of the tables.
    data : content of metrics/data.json.
    name : of the data set.
    tables : of ``facetell.report.published_tables``.
    pairs : of ``facetell.metrics.paired_tests``; empty for a single model.
    headline : the model whose pairs are put into words where there are many.
    """
    sections: list[list[Block]] = [
        [f"# Detectors on `{name}`"],
        images(data),
        shortcuts(data["audit"]),
        clean_images(scores),
        operating_point(scores),
        calibration(scores),
        differences(pairs, headline),
        parts(scores),
        leak(scores),
        perturbed_images(scores),
        beside_published(tables),
    ]
    return in_markdown(block for section in sections for block in section) + "\n"
