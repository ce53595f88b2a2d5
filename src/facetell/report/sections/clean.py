# SPDX-License-Identifier: Apache-2.0
"""The numbers of the test images as they are: ranking, operating points, calibration."""

from collections.abc import Mapping

import pandas as pd

from facetell.evaluation.robustness import Scores
from facetell.images.spectra import NETWORK
from facetell.metrics import evaluate
from facetell.report.markdown import ABSENT, Block, Heading
from facetell.report.number_format import as_percent, listed, with_interval


def clean_images(scores: Scores) -> list[Block]:
    """Accuracy and ranking, and which metrics are omitted."""
    return [
        Heading("Clean test images"),
        f"`{NETWORK}` is a linear classifier on the power spectrum and the DCT. A network has to "
        "beat it before its depth is worth anything.",
        _numbers(scores, _headings()),
        *_omitted(scores),
    ]


def operating_point(scores: Scores) -> list[Block]:
    """Errors at the threshold of validation; nothing where no model has them."""
    table = _numbers(scores, _biometric())
    if len(table.columns) == 1:
        return []
    return [
        Heading("Errors at the validation threshold, in biometric terms"),
        "APCER is the share of fakes that pass as real, for the generator with the highest share. "
        "BPCER is the share of real images called fake. ACER is the mean of the two "
        "(ISO/IEC 30107-3).",
        table,
    ]


def calibration(scores: Scores) -> list[Block]:
    """How far the scores can be read as probabilities, before and after temperature scaling."""
    rows = []
    for model, found in scores.items():
        row = {"model": model, "temperature": f"{found['calibration']['temperature']:.2f}"}
        for name, title in (("ece", "ECE"), ("brier", "Brier"), ("log_loss", "log loss (nats)")):
            for part, when in (("clean", "before"), ("calibration", "after")):
                row[f"{title} {when}"] = with_interval(found[part], name)
        rows.append(row)
    return [
        Heading("Calibration"),
        "The temperature is fitted on validation images; above 1, the scores are overconfident. "
        "Each number is given before and after the margins are divided by the temperature.",
        pd.DataFrame(rows),
    ]


def _headings() -> dict[str, str]:
    """Headings by metric."""
    shown = {"accuracy": "accuracy", "accuracy_real": "real", "accuracy_fake": "fake"}
    shown |= {"auc": "AUC", "ap": "AP", "eer": "EER", "f1": "F1"}
    return shown | {
        name: f"TPR at FPR {as_percent(rate)}" for name, rate in evaluate.TPR_AT.items()
    }


def _biometric() -> dict[str, str]:
    shown = {"apcer": "APCER", "bpcer": "BPCER", "acer": "ACER"}
    return shown | {
        name: f"BPCER at APCER {as_percent(rate)}" for name, rate in evaluate.BPCER_AT.items()
    }


def _numbers(scores: Scores, shown: Mapping[str, str]) -> pd.DataFrame:
    """A row for each model; a column that no model has is omitted."""
    rows = [
        {"model": model}
        | {title: with_interval(found["clean"], key) for key, title in shown.items()}
        for model, found in scores.items()
    ]
    table = pd.DataFrame(rows)
    return table.loc[:, (table != ABSENT).any()]


def _omitted(scores: Scores) -> list[str]:
    """Why some metrics are missing; for some models only, these are named."""
    models: dict[tuple[str, str], list[str]] = {}
    for model, found in scores.items():
        for reason in found["clean"].get("left_out", {}).items():
            models.setdefault(reason, []).append(model)
    if not models:
        return []
    headings = _headings() | _biometric() | {"log_loss": "log loss"}
    said = "; ".join(
        headings.get(name, name)
        + f" of {listed(which)}" * (len(which) < len(scores))
        + f" ({reason})"
        for (name, reason), which in models.items()
    )
    return [
        "Metrics that need more images, or that these images leave undefined, are omitted, with "
        f"the reason: {said}."
    ]
