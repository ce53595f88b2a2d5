# SPDX-License-Identifier: Apache-2.0
"""Made-up results, as the files of metrics/ have them."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import yaml

from facetell.explain.survey.records import records
from facetell.explain.trust.choice import Choice
from facetell.explain.trust.planted import METRICS
from facetell.explain.trust.verdict import judge, with_beliefs
from facetell.training.recipe import Recipe
from support import ROOT

COUNTS = {split: {"real": 1100, "fake": 1100} for split in ("train", "valid", "test")}


WARNING = "JPEG quality alone separates fake from real images with an AUC of 0.70 [0.65, 0.75]."


DATA = {  # metrics/data.json
    "counts": COUNTS,
    "images": 6600,
    "unused": 0,
    "persons": 1500,
    "sets": {"demo": 6600},
    "platforms": {"presocial": 6600},
    "layouts": {"demo": "demo"},
    "rendered": {"images": 6600, "of": 6600, "sets": ["demo"]},
    "laundered": 0,
    "harmonised": False,
    "set_aside": {"count": 0, "reasons": {}},
    "pairs_across_splits": {},
    "grouped": "persons that the set names",
    "effective": {split: sum(sizes.values()) for split, sizes in COUNTS.items()},
    "contradictions": 0,
    "copies": 0,
    "warnings": [],
    "audit": {
        "images": 900,
        "limit": 0.6,
        "auc": {"jpeg_quality": {"auc": 0.7, "low": 0.65, "high": 0.75}},
        "warnings": [WARNING],
    },
}


NO_EPOCHS = {"epochs": None, "best_epoch": None}


CONFIG = yaml.safe_load((ROOT / "conf/config.yaml").read_text())


COST = {
    **{"parameters": 2073969, "multiply_adds": 12345678, "seconds": 98.0, "epochs": 3},
    **{"images_per_second": 67.4, "best_epoch": 2, "memory_mib": 1000, "disk_mib": 8.0},
    **{"processes": 1, "device": "cpu", "precision": "float32"},
}


def recipe(model: str, chosen: str) -> dict:
    """A model's recipe as the files in conf/ have it, in the form that metrics/ keeps."""
    own = yaml.safe_load((ROOT / f"conf/model/{model}.yaml").read_text())["models"][model]
    plan = Recipe.of(CONFIG["recipes"][chosen] | (own[chosen] or {}), model)
    return json.loads(json.dumps(asdict(plan)))


def trained(model: str, **cost) -> dict:
    """Scores of one model, as in metrics/models, with numbers that are easy to tell apart."""
    clean = {"accuracy": 0.81, "interval": {"accuracy": [0.77, 0.85], "auc": [0.9, 1.0]}}
    clean |= {"auc": 0.95}
    for name in ("ap", "eer", "f1", "tpr_at_fpr_1pct", "accuracy_real", "accuracy_fake"):
        clean |= {name: 0.5}
        clean["interval"] |= {name: [0.4, 0.6]}
    within = {"interval": {"accuracy": [0.6, 0.9]}}
    return {
        "clean": clean,
        "calibration": {"temperature": 1.5, "n_valid": 9, "interval": {}},
        "variants": {},
        "robustness": {},
        "artefacts": {},
        "generators": {},
        "psis": {},
        "platforms": {"presocial": {"accuracy": 0.803, "f1": 0.822, "n": 9} | within},
        "sets": {
            "demo": {"accuracy": 0.81, "n": 9} | within,
            "own": {"accuracy": 0.7, "auc": 0.8, "n": 4} | within,
        },
        "training": {"recipe": recipe(model, "quick"), "cost": COST | cost},
    }


def learning(*models: str, epochs: int = 3) -> pd.DataFrame:
    """In epoch e: training accuracy 0.5e, validation 0.25e, test 0.125e, and losses of 1 / e."""
    epoch = np.arange(1, epochs + 1)
    columns = {"epoch": epoch, "lr": 1e-3, "valid_auc": 0.6}
    for split, step in (("train", 0.5), ("valid", 0.25), ("test", 0.125)):
        columns |= {f"{split}_loss": 1 / epoch, f"{split}_accuracy": step * epoch}
    return pd.concat([pd.DataFrame({"model": model} | columns) for model in models])


def explained() -> dict:
    """What the explain stage says of simplenet: one map beats what knows nothing, one does not."""
    rows = []
    for source, method, layer, rra in (
        ("trained", "gradcam", "conv1", 0.8),
        ("trained", "saliency", "input", 0.2),
        ("untrained", "gradcam", "conv1", 0.1),
        ("baseline", "centre", "input", 0.5),
        ("baseline", "random", "input", 0.1),
        ("baseline", "edges", "input", 0.15),
    ):
        row = {"source": source, "fakes": "single", "method": method, "layer": layer, "n": 20}
        row |= {"persons": 12, "area": 0.1, "area_near": 0.2, "rra_elsewhere": 0.1}
        for metric in METRICS:
            row |= {metric: rra, f"{metric}_low": rra - 0.05, f"{metric}_high": rra + 0.05}
        excess = rra - 0.1
        row |= {"rra_excess": excess, "rra_excess_low": excess - 0.05,
                "rra_excess_high": excess + 0.05, "rra_excess_low_all": excess - 0.1}  # fmt: skip
        if source == "trained":
            lead = rra - 0.5
            row |= {"rra_lead": lead, "rra_lead_low": lead - 0.05, "rra_lead_low_all": lead - 0.1}
        rows.append(row)
    gate = {"accuracy_with": 0.96, "accuracy_without": 0.5, "passed": True}
    board = pd.DataFrame(rows)
    choice = Choice("several", 60, 40, 32, "gradcam", "conv1", 0.85, 0.8, 0.9)
    verdict = judge(board, "single", fakes=25, passed=20, gate=gate, titles={}, choice=choice)
    planted = {"gate": gate, "fakes_told": {"single": 20, "several": 0}}
    planted |= {"verdicts": {"single": verdict.record()}}
    planted |= {"leaderboard": records(with_beliefs(board, verdict))}
    region = {"method": "saliency", "layer": "input", "class": "fake", "region": "nose"}
    region |= {"n": 20, "persons": 12, "area": 0.1}
    for name, value in (("share", 0.2), ("ratio", 2.0)):
        region |= {name: value, f"{name}_low": 0.9 * value, f"{name}_high": 1.1 * value}
    sentence = "saliency: simplenet looks at the nose; 20 fake images."
    tau = {"measure": "road", "tau": 0.4, "low": 0.1, "high": 0.6, "maps": 2, "n": 9, "persons": 9}
    trial = {"method": "gradcam", "layer": "conv1", "n": 9}
    stable = trial | {"max_sensitivity": 0.1, "blur_change": 0.2, "margin_change": -1.0}
    return {
        "class_means": {"saliency": {"p": 0.01, "cells": 4, "cells_significant": 1}},
        "regions": [region],
        "what_to_look_for": [sentence],
        "looks_at": [{"class": "fake", "sentence": sentence}],
        "planted": planted,
        "trials": {"images": 9, "agreement": [tau], "stability": [stable],
                   "sanity": [trial | {"part": "conv1", "spearman": 0.05}]},
    }  # fmt: skip
