# SPDX-License-Identifier: Apache-2.0
"""Tables of our numbers beside the published ones, for the selected models.

Frames of numbers, for CSV files and for ``facetell.report.sections.beside`` to word: rates in
[0, 1], NaN for what is missing. ``<column>_published`` stands beside ``<column>``, ``_low`` and
``_high`` bound its 95% interval, and the last column, ``what differs``, sets our training apart
from the published one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pandas as pd

from facetell.dataset.layouts import PRESOCIAL
from facetell.evaluation.robustness import Scores
from facetell.report import published
from facetell.report.published import Row, Setting

DIFFERS = "what differs"
MIB = 2**20 / 1e9  # in GB
TEXT = ("model", "variant", "published_as", "device", "precision", DIFFERS)
WHOLE = (
    *("parameters", "parameters_published", "multiply_adds", "epoch", "epoch_published"),
    *("epochs", "epochs_published", "best_epoch", "image_size", "processes"),
)


@dataclass(frozen=True)
class OurData:
    """What our detectors were trained on, to be set against what a publication trained on.

    name : what the user calls the data (``data.name``).
    layout : of its only set (see ``facetell.dataset.layouts``); None for several sets.
    images : number of training images.
    treated : what was done to the images that the set does not have in its original form.
    """

    name: str
    layout: str | None
    images: int
    treated: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, data: Mapping[str, Any]) -> "OurData":
        """``data`` is the content of metrics/data.json."""
        treated = {"laundered": data["laundered"], "re-encoded": data["harmonised"]}
        kinds = list(data["layouts"].values())
        return cls(
            name,
            layout=kinds[0] if len(kinds) == 1 else None,
            images=sum(data["counts"]["train"].values()),
            treated=tuple(word for word, applies in treated.items() if applies),
        )


def tables(scores: Scores, learning: pd.DataFrame, ours: OurData) -> dict[str, pd.DataFrame]:
    """All tables by name; one that has no row for any selected model is left out.

    ``accuracy`` and ``presocial`` have the models of their publication; ``cost`` and
    ``best_epoch`` have every selected model, and so has ``perturbations`` (the UIUC report's five).

    Parameters
    ----------
    scores : by selected model, in the order of the rows.
    learning : one row per model and epoch, as ``plots/learning.csv`` has it.
    ours : the data that the models were trained on.
    """
    best = _best_rows(scores, learning)
    frames = {
        "accuracy": _accuracy(scores, best, ours),
        "cost": _cost(scores, ours),
        "best_epoch": _best_epoch(scores, best, ours),
        "perturbations": _perturbations(scores, ours),
        "presocial": _presocial(scores, ours),
    }
    return {key: frame for key, frame in frames.items() if len(frame)}


def differences(recipe: Mapping[str, Any], ours: OurData, theirs: Setting) -> str:
    """What sets a training of ours apart from a published one; empty if nothing stated does.

    Ours comes first: ``3 of 25 epochs``.

    Examples
    --------
    >>> from dataclasses import asdict
    >>> from facetell.training.recipe import Recipe
    >>> recipe = Recipe(image_size=224, epochs=3, batch_size=64, lr=1e-3, optimizer="sgd")
    >>> ours = OurData("mine", layout="folder", images=2_200)
    >>> differences(asdict(recipe), ours, published.of_model(published.ACCURACY, "vit")[0].setting)
    'mine, 2,200 images, 3 of 25 epochs'
    """
    found = []
    if ours.layout != theirs.data:
        found += [ours.name, f"{ours.images:,} images"]
    elif theirs.images and ours.images != theirs.images:
        found.append(f"{ours.images:,} of {theirs.images:,} images")
    found += ours.treated
    if theirs.epochs and recipe["epochs"] != theirs.epochs:
        found.append(f"{recipe['epochs']} of {theirs.epochs} epochs")
    if recipe["width"] != 1:
        found.append(f"width {ratio(recipe['width'])}")
    for option, value in recipe["options"].items():
        found.append(option if value is True else f"{option} {value}")
    if theirs.image_size and recipe["image_size"] != theirs.image_size:
        found.append(f"{recipe['image_size']} of {theirs.image_size} px")
    return ", ".join(found + _in_the_steps(recipe, theirs))


def _in_the_steps(recipe: Mapping[str, Any], theirs: Setting) -> list[str]:
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


def _accuracy(scores: Scores, best: Scores, ours: OurData) -> pd.DataFrame:
    """S0's Table 1. ``test`` is at margin >= 0, as theirs; the interval is of the other one."""
    rows = []
    for model, theirs in _pairs(scores, published.ACCURACY):
        clean, epoch = scores[model]["clean"], best[model]
        row: dict[str, Any] = {"model": model, "published_as": theirs.name}
        for split in ("train", "valid", "test"):
            row |= {split: epoch[f"{split}_accuracy"]}
            row |= {f"{split}_published": theirs.values[split] / 100}
        low, high = clean["interval"]["accuracy"]
        row |= {"at_threshold": clean["accuracy"], "at_threshold_low": low}
        row |= {"at_threshold_high": high}
        rows.append(row | _differs(scores[model], ours, theirs))
    return _frame(rows)


def _cost(scores: Scores, ours: OurData) -> pd.DataFrame:
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
        rows.append(row | _differs(scores[model], ours, theirs))
    return _frame(rows)


def _best_epoch(scores: Scores, best: Scores, ours: OurData) -> pd.DataFrame:
    """The form of S2 and S4: loss (nats) and accuracy at the epoch whose weights were kept."""
    rows = []
    trained = {model: scores[model] for model in best}
    for model, theirs in _pairs(trained, published.BEST_EPOCH, every=True):
        epoch, values = best[model], theirs.values if theirs else {}
        row = {"model": model, "published_as": theirs.name if theirs else None}
        row |= {"epoch": epoch["epoch"], "epoch_published": values.get("epoch")}
        for split in ("train", "valid", "test"):
            row |= {f"{split}_loss": epoch[f"{split}_loss"]}
            row |= {f"{split}_accuracy": epoch[f"{split}_accuracy"]}
            row |= {f"{split}_accuracy_published": _rate(values.get(split))}
        rows.append(row | _differs(scores[model], ours, theirs))
    return _frame(rows)


def _perturbations(scores: Scores, ours: OurData) -> pd.DataFrame:
    """S0's Tables 3 and 4: accuracy, and its change against clean accuracy in percent."""
    rows = []
    for model, theirs in _pairs(scores, published.PERTURBED, every=True):
        variants = scores[model]["variants"]
        for printed, variant in published.variants_among(variants).items():
            found, values = variants[variant], theirs.values if theirs else {}
            row = {"model": model, "published_as": theirs.name if theirs else None}
            row |= {"variant": variant, "accuracy": found["accuracy"]}
            row["accuracy_low"], row["accuracy_high"] = found["interval"]["accuracy"]
            row["accuracy_published"] = _rate(values.get(printed))
            row["change"] = found.get("accuracy_change_pct")
            limits = found["drop_interval"].get("accuracy_change_pct", (None, None))
            row["change_low"], row["change_high"] = limits
            row["change_published"] = values.get(f"{printed}_change")
            rows.append(row | _differs(scores[model], ours, theirs))
    return _frame(rows)


def _presocial(scores: Scores, ours: OurData) -> pd.DataFrame:
    """S3's table: test images that no platform is known to have recompressed, at the threshold of
    validation."""
    rows = []
    for model, theirs in _pairs(scores, published.PRESOCIAL):
        found = scores[model]["platforms"].get(PRESOCIAL, {})
        row: dict[str, Any] = {"model": model, "published_as": theirs.name}
        for what in ("accuracy", "f1"):
            row |= {what: found.get(what)}
            limits = found.get("interval", {}).get(what, (None, None))
            row[f"{what}_low"], row[f"{what}_high"] = limits
            row |= {f"{what}_published": _rate(theirs.values.get(what))}
        rows.append(row | _differs(scores[model], ours, theirs))
    return _frame(rows)


def _pairs(scores: Scores, rows: Iterable[Row], every: bool = False) -> Iterator[tuple[str, Any]]:
    """Selected models with each published row of theirs; with ``every`` also those without one."""
    for model in scores:
        mine: list[Row | None] = [*published.of_model(rows, model)]
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


def _differs(found: dict[str, Any], ours: OurData, theirs: Row | None) -> dict[str, Any]:
    recipe = found["training"]["recipe"]
    return {DIFFERS: differences(recipe, ours, theirs.setting) if theirs else None}


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
