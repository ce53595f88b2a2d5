"""The numbers of one model: clean and per variant, generator, platform and planted artefact."""

from typing import Any

import pandas as pd

from facetell.errors import UserError
from facetell.metrics import evaluate, intervals


def model_scores(
    predictions: pd.DataFrame,
    manifest: pd.DataFrame,
    threshold: float,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """All numbers on the test split, at a threshold that was frozen on validation.

    Returns
    -------
    ``clean`` and ``variants.<name>`` as ``facetell.metrics.evaluate`` gives them, each with 95%
    intervals resampled by person under ``interval``; variants also with the relative change of
    accuracy in percent, as the UIUC report states it. ``generators`` and ``artefacts`` set some of
    the fakes against all real images; ``platforms`` and ``sets`` are the test images of each.

    Raises
    ------
    UserError : an image was not scored exactly once per variant.
    """
    test = predictions[predictions["split"] == "test"].merge(
        manifest.drop(columns=["split", "label"]), on="id", how="left", validate="many_to_one"
    )
    expected = set(manifest.loc[manifest["split"] == "test", "id"])
    found: dict[str, Any] = {"clean": {}, "variants": {}}
    for variant, part in test.groupby("variant", sort=False):
        if part["id"].duplicated().any() or set(part["id"]) != expected:
            raise UserError(
                f"variant {variant!r} does not score every test image exactly once: "
                "the predictions are of other data; run the predict stage again"
            )
        numbers = evaluate(part["label"], part["margin"], threshold)
        numbers["interval"] = intervals(
            part["label"], part["margin"], threshold, part["person"], resamples=resamples, seed=seed
        )
        if variant == "clean":
            found["clean"] = numbers
        else:
            before = found["clean"]["accuracy"]
            change = (
                {"accuracy_change_pct": 100 * (numbers["accuracy"] / before - 1)} if before else {}
            )
            found["variants"][variant] = numbers | change
    clean = test[test["variant"] == "clean"]
    found["generators"] = _against_reals(clean, clean["generator"], threshold)
    found["artefacts"] = _against_reals(clean, artefact_group(clean["artefacts"]), threshold)
    for name, column in (("platforms", "platform"), ("sets", "set")):
        found[name] = {
            str(value): evaluate(part["label"], part["margin"], threshold)
            for value, part in clean.groupby(column)
        }
    return found


def artefact_group(artefacts: "pd.Series[str]") -> "pd.Series[str]":
    """``several`` for fakes with two planted kinds or more, else the one kind; empty for none."""
    return artefacts.where(~artefacts.str.contains("+", regex=False), "several")


def _against_reals(
    clean: pd.DataFrame, group: "pd.Series[str]", threshold: float
) -> dict[str, dict[str, float]]:
    reals = clean[clean["label"] == 0]
    fakes = clean[(clean["label"] == 1) & (group != "")]
    found = {}
    for name, part in fakes.groupby(group[fakes.index]):
        both = pd.concat([reals, part])
        found[str(name)] = evaluate(both["label"], both["margin"], threshold)
    return found
