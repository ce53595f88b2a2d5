# SPDX-License-Identifier: Apache-2.0
"""The compare stage on stored predictions of made-up detectors: what it writes, and from what."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from support import ROOT
from support.results import COST, DATA, NO_EPOCHS, explained, learning, trained

from facetell.common.errors import UserError
from facetell.dataset.stored import write_manifest
from facetell.evaluation import predictions
from facetell.evaluation.model_scores import model_scores
from facetell.evaluation.perturbations import suite
from facetell.evaluation.predictions import CONTROL
from facetell.report.detectors import headline_of
from pipeline import compare

SUITE = {
    "flip": {},
    "blur": {"sigma": [1, 2]},
    "low_pass": {"cutoff": [0.5]},
    "band_stop": {"band": [0, 1], "bands": 2},
}
FIGURES = ("roc", "det", "pr", "scores", "reliability", "robustness_auc", "robustness_accuracy",
           "drops", "flips", "frequency", "learning")  # fmt: skip
CURVES = ("roc", "det", "pr")
BELIEVED = ("leaderboard_single", "agreement", "regions")


def workspace(home, labels: np.ndarray) -> pd.DataFrame:
    """What the stages before leave for simplenet and the baseline; the manifest."""
    random = np.random.default_rng(1)
    number = len(labels)
    ids = [f"i{k}" for k in range(number)]
    manifest = pd.DataFrame({"id": ids, "split": "test", "label": labels, "person": ids})
    manifest["generator"] = np.where(labels == 1, "gan", "")
    for column in ("artefacts", "set", "platform"):
        manifest[column] = "presocial" if column == "platform" else ""
    manifest["psi"] = np.nan
    variants = suite({"quick": SUITE}, "quick")
    for folder in (
        "metrics/models",
        "metrics/tables",
        "metrics/explain",
        "plots/train",
        "data/epochs",
    ):
        (home / folder).mkdir(parents=True, exist_ok=True)
    write_manifest("data/manifest", manifest)
    for model in ("simplenet", "spectral"):
        margins = {
            name: 2.0 * labels - 0.5 + random.normal(size=number)
            for name in ("clean", *variants, CONTROL)
        }
        valid = predictions.table("valid", ["v0", "v1"], np.arange(2), {"clean": np.arange(2.0)})
        test = predictions.table("test", ids, labels, margins)
        predictions.write(
            f"data/predictions/{model}.parquet",
            pd.concat([valid, test.sample(frac=1, random_state=3)]),  # in any order
            threshold=0.5,
            variants={name: variant.metadata for name, variant in variants.items()},
        )
        stored = predictions.read(f"data/predictions/{model}.parquet")
        found = trained("simplenet", best_epoch=1, epochs=1)
        found |= model_scores(stored, manifest, resamples=5, seed=0)
        if model == "spectral":
            found["training"] = found["training"] | {"cost": COST | NO_EPOCHS}
        (home / f"metrics/models/{model}.json").write_text(json.dumps(found))
    (home / "metrics/explain/simplenet.json").write_text(json.dumps(explained()))
    (home / "metrics/data.json").write_text(json.dumps(DATA))
    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    settings["models"] = {"simplenet": settings["models"]["simplenet"]}
    settings["score"]["resamples"] = 5
    (home / "params.yaml").write_text(yaml.safe_dump(settings))
    log = learning("simplenet", epochs=1).drop(columns=["model", "test_loss", "test_accuracy"])
    log.to_csv("plots/train/simplenet.csv", index=False)
    margins = pd.DataFrame({"epoch": 1, "id": ids[::-1], "margin": 1.0})
    margins.to_parquet("data/epochs/simplenet.parquet")
    return manifest


def written(folder: str, home) -> set[str]:
    return {path.name for path in (home / folder).iterdir() if path.is_file()}


def test_every_table_and_figure_is_written_and_again_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = np.arange(40) % 2
    workspace(tmp_path, labels)
    (tmp_path / "metrics/tables/presocial.csv").write_text("of another selection")
    compare.main()
    row = pd.read_csv("plots/learning.csv").iloc[0]
    assert row["test_accuracy"] == 0.5
    expected = (np.logaddexp(0, -1) + np.logaddexp(0, 1)) / 2
    assert row["test_loss"] == pytest.approx(expected, rel=1e-4)
    assert written("plots/compare", tmp_path) == {
        f"{name}.{suffix}" for name in (*FIGURES, *BELIEVED) for suffix in ("png", "pdf")
    }
    assert written("metrics/tables", tmp_path) == {
        "cost.csv", "best_epoch.csv", "perturbations.csv", "pairs.csv"
    }  # fmt: skip
    for name in (*CURVES, "scores", "reliability", "robustness", "frequency"):
        table = pd.read_csv(f"plots/{name}.csv")
        assert set(table["model"]) == {"simplenet", "spectral"}, name
    pairs = pd.read_csv("metrics/tables/pairs.csv")
    assert pairs[["a", "b"]].to_numpy().tolist() == [["simplenet", "spectral"]]
    report = (tmp_path / "metrics/report.md").read_text()
    assert "Best epoch" in report
    assert "looks at the nose" in report
    board = "| simplenet | single | 20 of 25 | 0.96, 0.50 | 1 of 2 | gradcam at conv1"
    assert f"{board} | 0.850 (32 several) | 20 | 0.800" in report
    assert "+0.40 [+0.10, +0.60]" in report
    assert "| spectral |" in report.split("## Clean test images")[1].split("## ")[0]
    assert "spectral" not in set(pd.read_csv("metrics/tables/best_epoch.csv")["model"])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    compare.main()
    assert [str(path) for path in files if path.read_bytes() != before[path]] == []


def test_margins_meet_their_own_image(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = np.arange(40) % 2
    manifest = workspace(tmp_path, labels)
    monkeypatch.setattr(compare, "save_all", lambda *_: None)
    compare.main()
    stored = predictions.read("data/predictions/simplenet.parquet").table
    clean = stored[(stored["variant"] == "clean") & (stored["split"] == "test")]
    joined = clean.astype({"id": str}).merge(manifest, on="id", suffixes=("", "_told"))
    fakes = joined.loc[joined["label_told"] == 1, "margin"]
    reals = joined.loc[joined["label_told"] == 0, "margin"]
    found = pd.read_csv("plots/roc.csv").query("model == 'simplenet' and score == 'fake'")
    area = np.trapezoid(found["tpr"], found["fpr"])
    assert area == pytest.approx((fakes.to_numpy()[:, None] > reals.to_numpy()).mean(), abs=1e-3)
    short = stored[stored["id"] != "i0"]
    predictions.write("data/predictions/simplenet.parquet", short, threshold=0.5, variants={})
    with pytest.raises(UserError, match="does not score every test image exactly once"):
        compare.main()


def test_test_images_of_one_class_have_what_is_defined(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    workspace(tmp_path, np.ones(12, dtype=int))
    nothing = {"class_means": {}}
    (tmp_path / "metrics/explain/simplenet.json").write_text(json.dumps(nothing))
    compare.main()
    absent = {"roc", "det", "pr", "robustness_auc"}
    drawn = {name.split(".")[0] for name in written("plots/compare", tmp_path)}
    assert drawn == set(FIGURES) - absent
    for name in CURVES:
        assert not len(pd.read_csv(f"plots/{name}.csv"))


def test_the_headline_is_named_and_never_the_best():
    assert headline_of(["swin", "vit"], "vit") == "vit"
    assert headline_of(["swin"], "vit") == "swin"
    says = "headline: 'x' is not among the selected models; choose one of swin, vit"
    with pytest.raises(UserError, match=says):
        headline_of(["swin", "vit"], "x")
