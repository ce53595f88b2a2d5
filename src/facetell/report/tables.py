"""The reports' tables for the selected models: our numbers beside the published ones.

Frames of numbers, for CSV files and for ``facetell.report.detectors`` to word: rates in [0, 1], NaN
for what is missing. ``<column>_published`` stands beside ``<column>``, ``_low`` and ``_high`` bound
its 95% interval, and last comes ``what differs`` between our training and the published one.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import pandas as pd

from facetell.report import published
from facetell.report.published import Row, Setting

Scores = dict[str, dict[str, Any]]  # metrics/models/<model>.json by model
Counts = dict[str, dict[str, int]]  # images by split and class
DIFFERS = "what differs"
MIB = 2**20 / 1e9  # in GB
TEXT = ("model", "variant", "published_as", "device", "precision", DIFFERS)
WHOLE = (
    *("parameters", "parameters_published", "multiply_adds", "epoch", "epoch_published"),
    *("epochs", "epochs_published", "best_epoch", "image_size", "processes"),
)


def tables(
    scores: Scores, learning: pd.DataFrame, name: str, counts: Counts
) -> dict[str, pd.DataFrame]:
    """All tables by name; one that has no row for any selected model is left out.

    ``accuracy`` and ``presocial`` have the models of their publication; ``cost`` and
    ``best_epoch`` have every selected model, and so has ``perturbations`` (the UIUC report's five).

    Parameters
    ----------
    scores : by selected model, in the order in which the rows shall stand.
    learning : one row per model and epoch, as ``plots/learning.csv`` has it.
    name, counts : of the data set that the models were trained on.
    """
    images = sum(counts["train"].values())
    best = _best_rows(scores, learning)
    frames = {
        "accuracy": _accuracy(scores, best, name, images),
        "cost": _cost(scores, name, images),
        "best_epoch": _best_epoch(scores, best, name, images),
        "perturbations": _perturbations(scores, name, images),
        "presocial": _presocial(scores, name, images),
    }
    return {key: frame for key, frame in frames.items() if len(frame)}


def differences(recipe: dict[str, Any], name: str, images: int, theirs: Setting) -> str:
    """What sets a training of ours apart from a published one; empty if nothing stated does.

    ``images`` is our number of training images. Ours stands first: ``3 of 25 epochs``.
    """
    found = []
    if name != theirs.data:
        found += [name, f"{images:,} images"]
    elif theirs.images and images != theirs.images:
        found.append(f"{images:,} of {theirs.images:,} images")
    if theirs.epochs and recipe["epochs"] != theirs.epochs:
        found.append(f"{recipe['epochs']} of {theirs.epochs} epochs")
    if recipe["width"] != 1:
        found.append(f"width {ratio(recipe['width'])}")
    for option, value in recipe["options"].items():
        found.append(option if value is True else f"{option} {value}")
    if theirs.image_size and recipe["image_size"] != theirs.image_size:
        found.append(f"{recipe['image_size']} of {theirs.image_size} px")
    return ", ".join(found + _in_the_steps(recipe, theirs))


def _in_the_steps(recipe: dict[str, Any], theirs: Setting) -> list[str]:
    found = []
    if theirs.pretrained is not None and bool(recipe["pretrained"]) != theirs.pretrained:
        found.append("random weights" if theirs.pretrained else "pretrained")
    if theirs.optimizer and recipe["optimizer"] != theirs.optimizer:
        found.append(f"{recipe['optimizer']} for {theirs.optimizer}")
    elif theirs.lr and recipe["lr"] != theirs.lr:
        found.append(f"lr {recipe['lr']:g} for {theirs.lr:g}")
    if theirs.batch_size and recipe["batch_size"] != theirs.batch_size:
        found.append(f"batch {recipe['batch_size']} for {theirs.batch_size}")
    given = recipe["augment"] or ()
    augment = (given,) if isinstance(given, str) else tuple(given)
    if theirs.augment is not None and augment != theirs.augment:
        ours, there = (" + ".join(names) or "none" for names in (augment, theirs.augment))
        found.append(f"augment {ours} for {there}")
    if theirs.select and recipe["select"] != theirs.select:
        found.append(f"best by {recipe['select']} for {theirs.select}")
    return found


def ratio(width: float) -> str:
    """A width as people say it: ``1/16``, or the number where that is not exact."""
    near = Fraction(width).limit_denominator(64)
    return str(near) if abs(float(near) - width) < 1e-6 else f"{width:g}"


def _accuracy(scores: Scores, best: Scores, name: str, images: int) -> pd.DataFrame:
    """S0's Table 1. ``test`` is at margin >= 0, as theirs; the interval is of the other one."""
    rows = []
    for model, theirs in _pairs(scores, published.ACCURACY):
        clean, ours = scores[model]["clean"], best[model]
        row: dict[str, Any] = {"model": model, "published_as": theirs.name}
        for split in ("train", "valid", "test"):
            row |= {split: ours[f"{split}_accuracy"]}
            row |= {f"{split}_published": theirs.values[split] / 100}
        low, high = clean["interval"]["accuracy"]
        row |= {"at_threshold": clean["accuracy"], "at_threshold_low": low}
        row |= {"at_threshold_high": high}
        rows.append(row | _differs(scores[model], name, images, theirs))
    return _frame(rows)


def _cost(scores: Scores, name: str, images: int) -> pd.DataFrame:
    """S0's Table 2. Memory is the peak while training; a GB is 1e9 bytes."""
    rows = []
    for model, theirs in _pairs(scores, published.COST, every=True):
        recipe, cost = (scores[model]["training"][part] for part in ("recipe", "cost"))
        values = theirs.values if theirs else {}
        row = {
            "model": model,
            "published_as": theirs.name if theirs else None,
            "parameters": cost["parameters"],
            "parameters_published": values.get("parameters"),
            "multiply_adds": cost["multiply_adds"],
            "memory_gb": _gb(cost["memory_mib"]),
            "gpu_memory_gb": _gb(cost.get("gpu_memory_mib")),
            "gpu_memory_gb_published": values.get("gpu_memory_gb"),
            "seconds": cost["seconds"],
            "seconds_published": values.get("seconds"),
            "images_per_second": cost["images_per_second"],
            "images_per_second_published": _speed(theirs),
            "disk_gb": _gb(cost["disk_mib"]),
            "disk_gb_published": values.get("disk_gb"),
            "epochs": cost["epochs"],
            "epochs_published": theirs.setting.epochs if theirs else None,
            "best_epoch": cost["best_epoch"],
            "width": recipe["width"],
            "image_size": recipe["image_size"],
            "processes": cost["processes"],
            "device": cost["device"],
            "precision": cost["precision"],
        }
        rows.append(row | _differs(scores[model], name, images, theirs))
    return _frame(rows)


def _best_epoch(scores: Scores, best: Scores, name: str, images: int) -> pd.DataFrame:
    """The form of S2 and S4: loss (nats) and accuracy at the epoch whose weights were kept."""
    rows = []
    trained = {model: scores[model] for model in best}
    for model, theirs in _pairs(trained, published.BEST_EPOCH, every=True):
        ours, values = best[model], theirs.values if theirs else {}
        row = {"model": model, "published_as": theirs.name if theirs else None}
        row |= {"epoch": ours["epoch"], "epoch_published": values.get("epoch")}
        for split in ("train", "valid", "test"):
            row |= {f"{split}_loss": ours[f"{split}_loss"]}
            row |= {f"{split}_accuracy": ours[f"{split}_accuracy"]}
            row |= {f"{split}_accuracy_published": _rate(values.get(split))}
        rows.append(row | _differs(scores[model], name, images, theirs))
    return _frame(rows)


def _perturbations(scores: Scores, name: str, images: int) -> pd.DataFrame:
    """S0's Tables 3 and 4: accuracy, and its change against clean accuracy in percent."""
    rows = []
    for model, theirs in _pairs(scores, published.PERTURBED, every=True):
        for variant in published.VARIANTS:
            ours = scores[model]["variants"].get(variant)
            if ours is None:
                continue
            values = theirs.values if theirs else {}
            row = {"model": model, "published_as": theirs.name if theirs else None}
            row |= {"variant": variant, "accuracy": ours["accuracy"]}
            row["accuracy_low"], row["accuracy_high"] = ours["interval"]["accuracy"]
            row["accuracy_published"] = _rate(values.get(variant))
            row["change"] = ours.get("accuracy_change_pct")
            limits = ours["drop_interval"].get("accuracy_change_pct", (None, None))
            row["change_low"], row["change_high"] = limits
            row["change_published"] = values.get(f"{variant}_change")
            rows.append(row | _differs(scores[model], name, images, theirs))
    return _frame(rows)


def _presocial(scores: Scores, name: str, images: int) -> pd.DataFrame:
    """S3's table: test images that no platform recompressed, at the threshold of validation."""
    rows = []
    for model, theirs in _pairs(scores, published.PRESOCIAL):
        ours = scores[model]["platforms"].get("presocial", {})
        row: dict[str, Any] = {"model": model, "published_as": theirs.name}
        for what in ("accuracy", "f1"):
            row |= {what: ours.get(what)}
            row[f"{what}_low"], row[f"{what}_high"] = ours.get("interval", {}).get(
                what, (None, None)
            )
            row |= {f"{what}_published": _rate(theirs.values.get(what))}
        rows.append(row | _differs(scores[model], name, images, theirs))
    return _frame(rows)


def _pairs(scores: Scores, rows: Iterable[Row], every: bool = False) -> Iterator[tuple[str, Any]]:
    """Selected models with each published row of theirs; with ``every`` also those without one."""
    for model in scores:
        mine: list[Row | None] = [row for row in rows if row.model == model]
        yield from ((model, row) for row in mine or [None] * every)


def _best_rows(scores: Scores, learning: pd.DataFrame) -> Scores:
    """The row of ``learning`` at the epoch whose weights were kept, by model."""
    by_epoch = learning.set_index(["model", "epoch"], drop=False)
    best = {model: found["training"]["cost"]["best_epoch"] for model, found in scores.items()}
    return {
        model: by_epoch.loc[(model, epoch)].to_dict()
        for model, epoch in best.items()
        if epoch is not None  # what is not trained in epochs has none
    }


def _differs(found: dict[str, Any], name: str, images: int, theirs: Row | None) -> dict[str, Any]:
    recipe = found["training"]["recipe"]
    return {DIFFERS: differences(recipe, name, images, theirs.setting) if theirs else None}


def _speed(theirs: Row | None) -> float | None:
    """Images per second that a published training time amounts to, or None."""
    if theirs is None or not theirs.setting.images or not theirs.setting.epochs:
        return None
    return theirs.setting.images * theirs.setting.epochs / theirs.values["seconds"]


def _gb(mib: float | None) -> float | None:
    return None if mib is None else mib * MIB


def _rate(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Numeric but for ``TEXT``: None becomes missing, and counts stay whole beside it."""
    frame = pd.DataFrame(rows)
    for column in frame.columns.difference(TEXT):
        frame[column] = pd.to_numeric(frame[column]).astype(float)
    return frame.astype({column: "Int64" for column in WHOLE if column in frame})
