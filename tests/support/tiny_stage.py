# SPDX-License-Identifier: Apache-2.0
"""The stage of ``tiny_repository``: made-up predictions that depend on the settings, and every
number computed from them."""

import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from facetell.curves import RocCurve
from facetell.dataset.stored import write_manifest
from facetell.evaluation import predictions
from facetell.evaluation.model_scores import model_scores
from facetell.images import packing
from facetell.metrics.scored import Scored
from facetell.report.detectors import headline_of, summary

IMAGES = 60  # half of them for validation
BLUR = {"perturbation": "blur", "level": 1, "label": "blur (px)", "neutral": 0, "probe": False}


def main() -> None:
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    if params["train"]["epochs"] == 0:
        sys.exit("there is nothing to train in 0 epochs")
    for folder in ("data/predictions", "data/packed", "metrics/models", "metrics/explain", "plots"):
        Path(folder).mkdir(parents=True, exist_ok=True)
    manifest = listed(params["data"]["name"])
    write_manifest("data/manifest", manifest)
    pack(manifest[manifest["split"] == "test"])
    found, curves = {}, []
    for model in params["models"]:
        found[model], curve = judged(model, manifest, params)
        curves.append(curve)
        write(f"metrics/models/{model}.json", found[model])
        verdict = {"believed": params["train"]["seed"], "maps": 5, "scope": "general"}
        write(f"metrics/explain/{model}.json", {"planted": {"verdicts": {"single": verdict}}})
    pd.concat(curves).to_csv("plots/roc.csv", index=False, lineterminator="\n")
    headline = headline_of(list(found), params["headline"])
    write("metrics/summary.json", summary(found[headline]))
    write("metrics/data.json", {"persons": IMAGES // 2, "warnings": [params["data"]["name"]]})


def listed(name: str) -> pd.DataFrame:
    rows = np.arange(IMAGES)
    label = rows % 2
    return pd.DataFrame(
        {
            "id": [f"{name}/{row:02}.png" for row in rows],
            "split": np.where(rows < IMAGES // 2, "test", "valid"),
            "label": label,
            "person": [f"{name}/p{row // 2}" for row in rows],
            "generator": np.where(label == 1, "swapper", ""),
            "psi": np.nan, "artefacts": "", "platform": "", "set": name,
        }
    )  # fmt: skip


def pack(test: pd.DataFrame) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(buffer, "PNG")
    image = buffer.getvalue()
    with zipfile.ZipFile("data/raw.zip", "w") as archive:
        archive.writestr("teal.png", image)
    same = {"set": "set", "path": "teal.png", "mask": "", "twin": "", "laundered": False}
    same |= {"sha256": hashlib.sha256(image).hexdigest(), "bytes": len(image)}
    packing.pack([test.assign(**same)], {"set": Path("data/raw.zip")}, Path("data/packed/test"))


def judged(model: str, manifest: pd.DataFrame, params: dict) -> tuple[dict, pd.DataFrame]:
    labels, seed = manifest["label"].to_numpy(), params["train"]["seed"]
    random = np.random.default_rng(seed)
    clean = (labels - 0.5) * 1.2 + np.random.default_rng(99).normal(size=IMAGES)
    clean = clean + (0.7 * random.normal(size=IMAGES) if seed else 0)
    scores = {"clean": clean, "blur_1": 0.5 * (clean + np.roll(clean, 2))}
    tables = [
        predictions.table(split, part["id"].tolist(), part["label"].to_numpy(),
                          {name: margins[part.index] for name, margins in scores.items()})
        for split, part in manifest.groupby("split")
    ]  # fmt: skip
    path = f"data/predictions/{model}.parquet"
    predictions.write(path, pd.concat(tables), threshold=0.0, variants={"blur_1": BLUR})
    test = (manifest["split"] == "test").to_numpy()
    curve = RocCurve.from_scored(Scored(labels[test], clean[test], 0.0)).to_frame()
    said = model_scores(predictions.read(path), manifest, resamples=50, seed=0)
    return said, curve.assign(model=model, score="fake")


def write(path: str, value: object) -> None:
    Path(path).write_text(json.dumps(value), encoding="utf-8")


if __name__ == "__main__":
    main()
