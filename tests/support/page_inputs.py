# SPDX-License-Identifier: Apache-2.0
"""A made-up run for the page of the report: twelve test images of six persons, and detectors that
get some of them wrong."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from facetell.evaluation import predictions
from facetell.evaluation.model_scores import model_scores
from facetell.evaluation.perturbations import suite
from facetell.evaluation.predictions import CONTROL
from facetell.explain.survey.kept_maps import KeptMaps, Recommended
from facetell.images.packed import Packed
from facetell.images.packing import pack
from facetell.metrics.intervals import Resamples
from facetell.metrics.paired_tests import compare
from facetell.report.page.inputs import Inputs
from pipeline.report import plots_of
from support import ROOT, picture, write_zip
from support.results import DATA, trained

NUMBER, SIZE = 12, 32
SUITE = {"blur": {"sigma": [1, 2]}, "flip": {}, "band_stop": {"band": [0, 1], "bands": 2}}
MISTAKEN = 3  # the image that the first model is most surely wrong about: a fake


def page_inputs(
    home: Path,
    models: Sequence[str] = ("simplenet", "swin"),
    *,
    generators: Sequence[str] = ("gan", "swapper"),
    platforms: Sequence[str] = ("presocial", "twitter"),
    ids: str = "demo/",
    explained: dict[str, Any] | None = None,
    **changes: Any,
) -> Inputs:
    """The inputs of a page with these networks and the baseline; ``explained`` is what the explain
    stage says of each network."""
    home.mkdir(parents=True, exist_ok=True)
    test = _test_images(home, generators, platforms, ids)
    labels, draws = test["label"].to_numpy(), Resamples(test["person"], resamples=20, seed=0)
    made = {model: _predictions(home, model, place, test)
            for place, model in enumerate([*models, "spectral"])}  # fmt: skip
    scores = {}
    for model, stored in made.items():
        found = trained("simplenet", best_epoch=1, epochs=1)
        scores[model] = found | model_scores(stored, test, resamples=20, seed=0)
        scores[model].pop("twins", None)
    margins = {m: _margins(stored, test) for m, stored in made.items()}
    thresholds = {m: stored.threshold for m, stored in made.items()}
    facts = {} if explained is None else dict.fromkeys(models, explained)
    plots = plots_of(yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8")), ROOT)
    curves = {p.data: (ROOT / f"plots/{p.data}.csv").read_text(encoding="utf-8") for p in plots}
    values: dict[str, Any] = {
        "name": "demo", "scores": scores, "data": json.loads(json.dumps(DATA)),
        "files": {"leaks": 0}, "figures": home / "plots", "test": test, "predictions": made,
        "packed": Packed(home / "test"), "images": NUMBER, "seed": 0,
        "explained": facts, "pairs": compare(labels, margins, thresholds, draws),
        "plots": plots, "curves": curves,
        "maps": {model: _maps(test["id"].tolist()) for model in facts},
    }  # fmt: skip
    return Inputs(**values | changes)


def _test_images(
    home: Path, generators: Sequence[str], platforms: Sequence[str], ids: str
) -> pd.DataFrame:
    """Packed into ``home/test``; every second is a fake, two images of each person."""
    names = [f"{place}.jpg" for place in range(NUMBER)]
    files = {name: picture(place, (SIZE, SIZE)) for place, name in enumerate(names)}
    places = np.arange(NUMBER)
    table = pd.DataFrame({"id": [f"{ids}{place}" for place in places], "path": names})
    table["label"] = places % 2
    table["person"] = [f"p{place // 2}" for place in places]
    table["generator"] = [
        generators[(p // 2) % len(generators)] if p % 2 and generators else "" for p in places
    ]
    table["platform"] = [platforms[p // 4 % len(platforms)] for p in places]
    table["sha256"] = [hashlib.sha256(files[name]).hexdigest() for name in names]
    table = table.assign(set="set", split="test", mask="", twin="", psi=np.nan, laundered=False)
    table["artefacts"] = np.where(table["label"] == 1, "iris_mismatch", "")
    table["bytes"] = [len(files[name]) for name in names]
    pack([table], {"set": write_zip(home / "raw.zip", files)}, home / "test")
    return table


def _predictions(home: Path, model: str, place: int, test: pd.DataFrame) -> predictions.Predictions:
    """Margins that tell the classes apart, but for one image that each model gets wrong."""
    random = np.random.default_rng(place)
    labels = test["label"].to_numpy()
    clean = np.where(labels == 1, 2.0, -2.0) + random.normal(scale=0.5, size=len(labels))
    clean[MISTAKEN] = -6.0 if place == 0 else clean[MISTAKEN]
    clean[2 * place] = 3.0
    variants = suite({"quick": SUITE}, "quick")
    margins = {"clean": clean}
    for step, name in enumerate([*variants, CONTROL], start=1):
        margins[name] = clean / step - 0.3 * step
    valid = predictions.table("valid", ["v0", "v1"], np.arange(2), {"clean": np.arange(2.0)})
    table = pd.concat([valid, predictions.table("test", test["id"].tolist(), labels, margins)])
    path = home / f"{place}.parquet"
    said = {name: variant.metadata for name, variant in variants.items()}
    predictions.write(path, table, threshold=0.25, variants=said)
    return predictions.read(path)


def _margins(stored: predictions.Predictions, test: pd.DataFrame) -> np.ndarray:
    table = stored.table
    own = table[(table["split"] == "test") & (table["variant"] == "clean")]
    return own.set_index(own["id"].astype(str)).loc[test["id"], "margin"].to_numpy()


def _maps(ids: list[str]) -> KeptMaps:
    """Relevance that grows from left to right, and saliency in one corner."""
    relevance = np.tile(np.linspace(1, 255, 4).astype(np.uint8), (len(ids), 4, 1))
    saliency = np.full((len(ids), 6, 6), 128, np.uint8)
    saliency[:, 0, 0] = 255
    ends = np.ones(len(ids), np.float32)
    ends[0] = 0  # of the first image nothing is to be believed
    return KeptMaps(ids, saliency, relevance, {"saliency": ends, "relevance": ends},
                    Recommended("gradcam", "conv2", "Grad-CAM", "none", "No map."))  # fmt: skip
