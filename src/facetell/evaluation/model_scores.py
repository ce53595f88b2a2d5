# SPDX-License-Identifier: Apache-2.0
"""All numbers of one model, recomputed from its stored predictions: clean test images, variants of
them, and the parts of the set (generator, psi, platform, data set, planted artefact)."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from facetell.common.errors import UserError
from facetell.common.progress import progress, worked
from facetell.evaluation.predictions import CONTROL, Predictions
from facetell.metrics.calibration import temperature
from facetell.metrics.evaluate import Draws, Evaluation, evaluate
from facetell.metrics.intervals import Resamples, intervals_of, wilson, wilson_average

DROPS = ("accuracy", "accuracy_real", "accuracy_fake", "auc")
CALIBRATED = ("brier", "ece", "log_loss")
SEVERAL = "several"  # the group of fakes with two planted artefacts or more
Found = dict[str, Any]


def model_scores(
    predictions: Predictions,
    manifest: pd.DataFrame,
    *,
    resamples: int,
    seed: int,
    twins: Collection[str] = (),
) -> Found:
    """All numbers on the test split, at a threshold that was frozen on validation.

    Parameters
    ----------
    predictions : of one model. manifest : as data/manifest has it.
    resamples, seed : of the bootstrap of persons.
    twins : ids of test fakes that have a near copy or look-alike among the training images.

    Returns
    -------
    clean : as ``facetell.metrics.evaluate.evaluate`` gives them, operating points and intervals
        included.
    calibration : the temperature fitted on validation images, and the scores' calibration at it.
    variants.<name> : the same as clean without operating points; and compared with clean on the
        same images, with paired intervals: relative change of accuracy in percent (as the UIUC
        report states it), ``drop`` (clean minus variant), and ``flips``, shares of all images.
    robustness : mean over perturbations of their mean AUC over levels, and the worst variant;
        controls and probes do not count.
    generators, psis, artefacts : some of the fakes against all real images; of a generator with
        its operating points (APCER).
    twins : fakes ``with`` a twin in training and ``without`` one, against all real images: what
        the leak is worth. Only where there are both.
    platforms, sets : the test images of each.
    platform_average : accuracy and AUC, unweighted means over the platforms, with intervals that
        allow for persons who have images on several platforms.

    Raises
    ------
    UserError : an image was not scored exactly once per variant, or has another label.
    """
    test = manifest[manifest["split"] == "test"].reset_index(drop=True)
    labels, margins = test["label"].to_numpy(), _by_variant(predictions, test)
    draws = Resamples(test["person"], resamples=resamples, seed=seed)
    threshold, before = predictions.threshold, margins["clean"]
    clean = evaluate(labels, before, threshold, draws, generators=test["generator"])
    found: Found = {"clean": clean.numbers()}
    found["calibration"] = _calibration(predictions, labels, before, draws)
    found["variants"], drawn = {}, {}
    for name, margin in progress(margins.items(), "scores of versions"):
        worked()
        if name != "clean":
            after = evaluate(labels, margin, threshold, draws)
            flips = _flips(before >= threshold, margin >= threshold, draws.member)
            said = predictions.variants.get(name, {"perturbation": None})
            kept = ("perturbation", "level", "label", "neutral", "probe")
            found["variants"][name] = {key: said[key] for key in kept if key in said}
            found["variants"][name] |= after.numbers() | _against(clean, after) | flips
            drawn[name] = after.draws
    found["robustness"] = _robustness(found["variants"], drawn)
    return found | _parts(test, before, threshold, draws, twins)


def _parts(
    test: pd.DataFrame,
    margins: np.ndarray,
    threshold: float,
    draws: Resamples,
    twins: Collection[str],
) -> dict[str, Found]:
    """Numbers of the parts of the clean test images, whose ``margins`` are (N,)."""
    labels, found = test["label"].to_numpy(), {}

    def judged(chosen: np.ndarray, generators: "pd.Series[str] | None" = None) -> Evaluation:
        rows = np.flatnonzero(chosen)
        among = None if generators is None else generators.to_numpy()[rows]
        return evaluate(labels[rows], margins[rows], threshold, draws, rows=rows, generators=among)

    real = labels == 0
    psis = test["psi"].map(lambda psi: "" if pd.isna(psi) else f"{psi:g}")
    for name, values in (
        ("generators", test["generator"]),
        ("psis", psis),
        ("artefacts", artefact_group(test["artefacts"])),
    ):
        kinds = np.unique(values[~real & (values != "")].astype(str))
        of_each = values if name == "generators" else None
        found[name] = {
            kind: judged(real | (values == kind).to_numpy(), of_each).numbers() for kind in kinds
        }
    twin = test["id"].isin(list(twins)).to_numpy() & ~real
    if twin.any() and (~twin & ~real).any():
        found["twins"] = {
            "with": judged(real | twin).numbers(), "without": judged(~twin).numbers()
        }  # fmt: skip
    for name, values in (("platforms", test["platform"]), ("sets", test["set"])):
        parts = {str(value): judged((values == value).to_numpy()) for value in np.unique(values)}
        found[name] = {value: part.numbers() for value, part in parts.items()}
        if name == "platforms":
            right = (margins >= threshold) == (labels == 1)
            spread = wilson_average(right, values.to_numpy(dtype=str), draws.member)
            found["platform_average"] = _average(list(parts.values()), spread)
    return found


def _average(parts: list[Evaluation], spread: list[float]) -> Found:
    """Means over parts; ``spread`` is the interval of accuracy.

    That of AUC is from the mean of the parts' draws, which are of the same persons.
    """
    found: Found = {"n": len(parts), "interval": {"accuracy": spread}}
    found["accuracy"] = float(np.mean([part.values["accuracy"] for part in parts]))
    if all("auc" in part.values for part in parts):
        found["auc"] = float(np.mean([part.values["auc"] for part in parts]))
        drawn = np.mean([part.draws["auc"] for part in parts], axis=0)
        found["interval"] |= intervals_of({"auc": drawn})
    return found


def artefact_group(artefacts: "pd.Series[str]") -> "pd.Series[str]":
    """``several`` for fakes with two or more planted kinds, otherwise the one kind, or nothing.

    >>> artefact_group(pd.Series(["", "iris", "iris+wave"])).tolist()
    ['', 'iris', 'several']
    """
    return artefacts.where(~artefacts.str.contains("+", regex=False), SEVERAL)


def margins_of(
    predictions: Predictions, test: pd.DataFrame, variant: str, *, split: str = "test"
) -> np.ndarray:
    """Margins of one variant in the order of the test images, (N,), matched by id.

    With another ``split``, ``test`` are its images.

    Raises
    ------
    UserError : an image was not scored exactly once, or has another label.
    """
    table = predictions.table
    rows = table[(table["variant"] == variant) & (table["split"] == split)]
    places = pd.Index(test["id"]).get_indexer(rows["id"].astype(object))
    if len(places) != len(test) or not np.array_equal(np.sort(places), np.arange(len(test))):
        raise UserError(
            f"variant {variant!r} does not score every {split} image exactly once: "
            "the predictions are of other data; run the predict stage again"
        )
    if (test["label"].to_numpy()[places] != rows["label"].to_numpy()).any():
        raise UserError(
            "the predictions have other labels than data/manifest: run the predict stage again"
        )
    margins = np.empty(len(test))
    margins[places] = rows["margin"]
    return margins


def _by_variant(predictions: Predictions, test: pd.DataFrame) -> dict[str, np.ndarray]:
    table = predictions.table
    names = table.loc[table["split"] == "test", "variant"].unique()
    return {str(name): margins_of(predictions, test, str(name)) for name in names}


def _calibration(
    predictions: Predictions, labels: np.ndarray, margins: np.ndarray, draws: Resamples
) -> Found:
    """The temperature that fits validation images best, and the test scores divided by it."""
    table = predictions.table
    valid = table[(table["split"] == "valid") & (table["variant"] == "clean")]
    fitted = temperature(valid["label"].to_numpy(), valid["margin"].to_numpy(dtype=float))
    after = evaluate(labels, margins / fitted, predictions.threshold / fitted, draws)
    found: Found = {"temperature": fitted, "n_valid": len(valid)}
    found |= {name: after.values[name] for name in CALIBRATED if name in after.values}
    limits = {name: after.intervals[name] for name in CALIBRATED if name in after.intervals}
    return found | {"interval": limits}


def _against(clean: Evaluation, variant: Evaluation) -> Found:
    """What is lost from clean to variant, with intervals from draws of the same images."""
    found: Found = {"drop": {}}
    drawn: Draws = {}
    for name in DROPS:
        if name in clean.draws and name in variant.draws:
            found["drop"][name] = clean.values[name] - variant.values[name]
            drawn[name] = clean.draws[name] - variant.draws[name]
    if before := clean.values["accuracy"]:
        found["accuracy_change_pct"] = 100 * (variant.values["accuracy"] / before - 1)
        # of a draw in which nothing was right there is no relative change
        base = np.where(clean.draws["accuracy"] > 0, clean.draws["accuracy"], np.nan)
        drawn["accuracy_change_pct"] = 100 * (variant.draws["accuracy"] / base - 1)
    return found | {"drop_interval": intervals_of(drawn)}


def _flips(before: np.ndarray, after: np.ndarray, member: np.ndarray) -> Found:
    """Verdicts (true = fake) that changed, by direction, as shares of all images."""
    turned = {"fake_to_real": before & ~after, "real_to_fake": ~before & after}
    return {
        "flips": {name: float(which.mean()) for name, which in turned.items()},
        "flips_interval": {name: wilson(which, member) for name, which in turned.items()},
    }


def _robustness(variants: Found, drawn: dict[str, Draws]) -> Found:
    groups: dict[str, list[str]] = {}
    for name, numbers in variants.items():
        if name != CONTROL and not numbers.get("probe") and "auc" in numbers:
            groups.setdefault(numbers["perturbation"], []).append(name)
    if not groups:
        return {}
    means = np.mean([np.mean([drawn[n]["auc"] for n in names], 0) for names in groups.values()], 0)
    of_values = [np.mean([variants[n]["auc"] for n in names]) for names in groups.values()]
    counted = [name for names in groups.values() for name in names]
    worst = min(counted, key=lambda name: variants[name]["auc"])
    return {
        "perturbations": len(groups),
        "auc_mean": float(np.mean(of_values)),
        "auc_worst": variants[worst]["auc"],
        "worst": worst,
        "interval": intervals_of({"auc_mean": means, "auc_worst": drawn[worst]["auc"]}),
    }
