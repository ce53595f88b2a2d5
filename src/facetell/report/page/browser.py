# SPDX-License-Identifier: Apache-2.0
"""The browser of test images: pictures, every model's margin on every variant, and small maps, as
compact columns for the script of the page."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from facetell.evaluation.model_scores import margins_of
from facetell.evaluation.predictions import CONTROL
from facetell.explain.survey.kept_maps import KeptMaps, Recommended
from facetell.explain.survey.sampled import sampled, worst_mistakes
from facetell.explain.trust.verdict import stored
from facetell.images.decoding import decode_inspected
from facetell.images.loading import fit
from facetell.report.page.inputs import Inputs
from facetell.report.page.parts import encoded, in_base64

SIDE = 128  # px of a picture, at most
QUALITY = 85
STEP = 100  # a margin of 1 is so many units of an int16; +-327 is as good as certain
FACETS = {"generator": "generator", "platform": "platform", "set": "data set"}


def browser(found: Inputs) -> dict[str, Any]:
    """For the page's script. Arrays are base64: ``distances`` int16 (variants, images) per model,
    margins from the threshold in steps of 1 / ``step``, and maps uint8 (images, height, width) as
    ``KeptMaps`` has them."""
    rows = shown(found)
    test = found.test.iloc[rows].reset_index(drop=True)
    variants = _variants(found)
    pictures = [_picture(found, int(place)) for place in found.packed.places(test["id"])]
    return {
        "step": STEP,
        "of": len(found.test),
        "best": found.best,
        "control": CONTROL,
        "variants": variants,
        "ids": test["id"].astype(str).tolist(),
        "labels": test["label"].astype(int).tolist(),
        "facets": [_facet(test, name, title) for name, title in FACETS.items()
                   if name in test and test[name].fillna("").nunique() > 1],
        "artefacts": test["artefacts"].fillna("").str.replace("+", ", ").tolist()
        if "artefacts" in test else [],
        "pictures": pictures,
        "models": [_model(found, model, rows, list(variants), test["id"].tolist())
                   for model in found.scores],
    }  # fmt: skip


def shown(found: Inputs) -> np.ndarray:
    """Rows of the test images that can be looked at: the sample that all models share, and the
    worst mistakes of each."""
    rows = set(sampled(found.test, found.images, found.seed).tolist())
    labels = found.test["label"].to_numpy()
    for predictions in found.predictions.values():
        margins = margins_of(predictions, found.test, "clean")
        rows |= set(worst_mistakes(labels, margins, predictions.threshold).tolist())
    return np.array(sorted(rows))


def _variants(found: Inputs) -> dict[str, str]:
    """Variants that every model was scored on, with what each is in words; ``clean`` first."""
    names: dict[str, str] = {"clean": "as they are"}
    for model, predictions in found.predictions.items():
        scored = found.scores[model]["variants"]
        for name, said in predictions.variants.items():
            if name in scored:
                level = said.get("level")
                names.setdefault(
                    name, f"{said.get('label', name)}" + (f" {level:g}" if _number(level) else "")
                )
        if CONTROL in scored:
            names.setdefault(CONTROL, "rendered without the planted artefacts")
    common = [set(one["variants"]) | {"clean"} for one in found.scores.values()]
    return {name: said for name, said in names.items() if all(name in part for part in common)}


def _number(level: Any) -> bool:
    return isinstance(level, int | float)


def _facet(test: pd.DataFrame, name: str, title: str) -> dict[str, Any]:
    """A column as codes of its values; fakes alone have generators."""
    values = test[name].fillna("").astype(str)
    names = sorted(values.unique())
    return {"key": name, "title": title, "values": names,
            "codes": pd.Categorical(values, names).codes.tolist()}  # fmt: skip


def _picture(found: Inputs, index: int) -> str:
    """WebP of an image as a detector sees it, at most ``SIDE`` px; "" where there is none (-1)."""
    if index < 0:
        return ""
    pixels = decode_inspected(found.packed.image(index))
    side = min(SIDE, *pixels.shape[:2])
    square: torch.Tensor = fit(pixels, side)
    picture = Image.fromarray(square.permute(1, 2, 0).numpy())
    return in_base64(encoded(picture, QUALITY))


def _model(
    found: Inputs, model: str, rows: np.ndarray, variants: Sequence[str], ids: Sequence[str]
) -> dict[str, Any]:
    """What the script knows of one model."""
    predictions = found.predictions[model]
    margins = np.stack([margins_of(predictions, found.test, name)[rows] for name in variants])
    kept = found.maps.get(model)
    said: dict[str, Any] = {
        "name": model,
        "threshold": predictions.threshold,
        "temperature": found.scores[model]["calibration"]["temperature"],
        "distances": in_base64(distances(margins, predictions.threshold)),
    }
    return said | (
        {"maps": _maps(kept, ids, _beliefs(found, model, kept.recommended))}
        if kept is not None
        else {}
    )


def distances(margins: np.ndarray, threshold: float) -> np.ndarray:
    """Margins from the threshold as int16; rounding changes no verdict.

    >>> distances(np.array([0.501, 0.499, 1e9]), 0.5).tolist()
    [0, -1, 32767]
    """
    limit = np.iinfo(np.int16).max
    steps = np.rint(STEP * (margins - threshold))
    steps = np.where(margins >= threshold, np.maximum(steps, 0), np.minimum(steps, -1))
    return np.clip(np.nan_to_num(steps), -limit, limit).astype(np.int16)


def _beliefs(found: Inputs, model: str, shown: Recommended) -> dict[str, str]:
    """How far the map that is shown can be believed, by kind of fakes."""
    planted = found.explained.get(model, {}).get("planted")
    beliefs = {}
    for kind, verdict in (stored(planted) if planted else {}).items():
        beliefs[kind] = str(verdict.belief_of(shown.method, shown.layer))
    return beliefs


def _maps(kept: KeptMaps, ids: Sequence[str], beliefs: dict[str, str]) -> dict[str, Any]:
    """Both maps of the images that are shown; ``places`` says which row of the arrays, -1: none."""
    place = {id_: row for row, id_ in enumerate(kept.ids)}
    wanted = [place[id_] for id_ in ids if id_ in place]
    order = {id_: at for at, id_ in enumerate(id_ for id_ in ids if id_ in place)}
    said = kept.recommended
    return {
        "places": [order.get(id_, -1) for id_ in ids],
        "method": said.title,
        "layer": said.layer,
        "beliefs": beliefs,
        "arrays": {
            name: {
                "shape": list(values.shape[1:]),
                "data": in_base64(values[wanted]),
                "empty": np.flatnonzero(kept.scales[name][wanted] == 0).tolist(),
            }
            for name, values in (("saliency", kept.saliency), ("relevance", kept.relevance))
        },
    }
