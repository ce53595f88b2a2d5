# SPDX-License-Identifier: Apache-2.0
"""Made-up results, as the files of metrics/ have them."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import yaml

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
