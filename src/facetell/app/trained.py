# SPDX-License-Identifier: Apache-2.0
"""The detectors that were trained here: weights in a folder, and what is known of each."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from facetell.app.commands.arguments import WEIGHTS_SUFFIX
from facetell.common.errors import UserError, printable

BASELINE = "spectral"  # judges, but is never the first choice


@dataclass(frozen=True)
class Trained:
    """A weights file, what it says of itself, how it was trained and how well it does.

    ``card`` are the fields of ``facetell.models.detector.Card``, ``training`` is the content of
    models/NAME.json, ``scores`` that of metrics/models/NAME.json and ``data`` that of
    metrics/data.json; the last three are empty where the file is missing or of other weights.
    """

    path: Path
    card: dict[str, Any]
    training: dict[str, Any]
    scores: dict[str, Any]
    data: dict[str, Any]

    @property
    def name(self) -> str:
        return self.path.name.removesuffix(WEIGHTS_SUFFIX)

    @property
    def validated(self) -> float:
        """AUC on validation images; below all others where it is not known."""
        return self.training.get("validation", {}).get("auc", -1.0)


def trained(folder: Path) -> list[Trained]:
    """Every detector in a folder, the best on validation images first, the baseline last.

    Raises
    ------
    UserError : there is none.
    """
    found = [one for path in sorted(folder.glob(f"*{WEIGHTS_SUFFIX}")) if (one := known_of(path))]
    if not found:
        raise UserError(
            f"there is no detector in {printable(folder)}: run dvc repro, go to the checkout, or "
            "name a weights file with --model"
        )
    return sorted(found, key=lambda one: (one.name == BASELINE, -one.validated, one.name))


def known_of(path: Path) -> Trained | None:
    """What is known of a weights file; None if it is none of ours."""
    card = {}
    with suppress(OSError, SafetensorError, ValueError), safe_open(path, "numpy") as file:
        card = {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
    if "threshold" not in card:
        return None
    training = _read(path.with_suffix(".json"))
    metrics = path.parent.parent / "metrics"
    scores = _read(metrics / "models" / f"{path.stem}.json")
    if scores.get("training", {}).get("cost") != training.get("cost"):  # of other weights
        scores = {}
    return Trained(path, card, training, scores, _read(metrics / "data.json"))


def chosen(wanted: Sequence[str], folder: Path, *, everyone: bool = False) -> list[Path]:
    """Weights files by the names or paths that a user gives.

    Without any, the detector that did best on validation images; all that there are if
    ``everyone``.

    Raises
    ------
    UserError : there is none of that name, with those that there are.
    """
    if everyone:
        return [one.path for one in trained(folder)]
    if not wanted:
        return [trained(folder)[0].path]
    return list(dict.fromkeys(_path(name, folder) for name in wanted))


def _path(name: str, folder: Path) -> Path:
    if name.endswith(WEIGHTS_SUFFIX):
        return Path(name)  # if it is missing, whoever reads it says so
    path = folder / f"{name}{WEIGHTS_SUFFIX}"
    if not path.is_file():
        there = ", ".join(one.name for one in trained(folder))
        raise UserError(f"there is no detector {name!r} in {printable(folder)}; there are {there}")
    return path


def _read(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    return {}


def rows(found: Sequence[Trained]) -> Iterator[dict[str, Any]]:
    """The facts that tell detectors apart, one row of plain values for each.

    ``auc``, ``accuracy`` and ``perturbed_auc`` are of the test images, with 95% intervals; None
    where they were not measured.
    """
    for one in found:
        clean, robustness = one.scores.get("clean", {}), one.scores.get("robustness", {})
        cost, counts = one.training.get("cost", {}), one.data.get("counts", {})
        known = one.scores != {}
        yield {
            "model": one.name,
            "network": one.card["network"],
            "image_size": one.card["image_size"],
            "parameters": cost.get("parameters"),
            "trained_on": ", ".join(one.data.get("sets", {})) if known else None,
            "training_images": sum(counts.get("train", {}).values()) if known else None,
            "validation_auc": one.training.get("validation", {}).get("auc"),
            "auc": clean.get("auc"),
            "auc_interval": clean.get("interval", {}).get("auc"),
            "accuracy": clean.get("accuracy"),
            "accuracy_interval": clean.get("interval", {}).get("accuracy"),
            "perturbed_auc": robustness.get("auc_mean"),
            "worst_perturbation": robustness.get("worst"),
            "threshold": clean.get("threshold"),
            "megabytes": round(one.path.stat().st_size / 1e6, 1),
            "path": str(one.path),
        }
