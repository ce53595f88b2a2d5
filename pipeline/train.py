"""train: fit one network; its checkpoint and threshold come from validation images alone."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facetell.common.distributed import current, launch
from facetell.common.errors import UserError
from facetell.common.files import sha256, whole, write_json
from facetell.common.machine import device
from facetell.images.packed import Packed
from facetell.models.detector import Card, save
from facetell.training.recipe import Recipe
from facetell.training.trainer import Engine, Fit, train
from pipeline.stage import params, run, user_path


def recipe(settings: dict[str, Any], model: str) -> Recipe:
    """The recipe that ``data.recipe`` chooses, the model's own changes, then the overrides."""
    chosen = settings["data"]["recipe"]
    models = settings["models"]
    if model not in models:
        raise UserError(f"model {model!r} is not selected; params.yaml has {', '.join(models)}")
    if chosen not in settings["recipes"]:
        known = ", ".join(settings["recipes"])
        raise UserError(f"data.recipe: no recipe {chosen!r}; there are {known}")
    merged = settings["recipes"][chosen] | (models[model].get(chosen) or {})
    overrides = {
        "epochs": settings["train"]["epochs"],
        "pretrained": settings["train"]["pretrained"],
        "image_size": settings["data"]["image_size"],
    }
    merged |= {name: value for name, value in overrides.items() if value is not None}
    if isinstance(merged.get("pretrained"), str):
        merged["pretrained"] = str(user_path(merged["pretrained"]))
    return Recipe.of(merged, f"recipe {chosen} of {model}")


def network(settings: dict[str, Any], model: str) -> str:
    """The name by which timm builds the model: its own, unless its file says another."""
    return settings["models"][model].get("network") or model


def main(model: str) -> None:
    launch(fit, params()["train"]["processes"], model)


def fit(model: str) -> None:
    """What every process of a training does; the first one writes."""
    settings = params()
    plan, chosen = recipe(settings, model), settings["train"]
    state = Path(f".cache/training/{model}")
    train_set, valid_set, test_set = (
        Packed(f"data/packed/{split}.arrow") for split in ("train", "valid", "test")
    )
    found = train(
        network(settings, model),
        plan,
        train_set,
        valid_set,
        seed=chosen["seed"],
        state=state,
        engine=Engine(
            device=device(),
            workers=chosen["workers"],
            deterministic=chosen["deterministic"],
            compile=chosen["compile"],
        ),
        watch=test_set,
        name=model,
    )
    if not current().first:
        return
    weights = Path(f"models/{model}.safetensors")
    card = Card(
        network=network(settings, model),
        width=plan.width,
        options=dict(plan.options),
        image_size=plan.image_size,
        mean=plan.mean,
        std=plan.std,
        threshold=found.threshold,
        data=train_set.fingerprint,
    )
    save(found.detector, card, weights)
    cost = found.cost | {"disk_mib": round(weights.stat().st_size / 2**20, 1)}
    start = {"start": sha256(Path(plan.pretrained))} if isinstance(plan.pretrained, str) else {}
    write_json(f"models/{model}.json", {"recipe": asdict(plan), "cost": cost} | start)
    with whole(f"plots/train/{model}.csv") as path:
        pd.DataFrame(found.log).to_csv(path, index=False, float_format="%.6g")
    with whole(f"data/epochs/{model}.parquet") as path:
        _watched(found, test_set).to_parquet(path, index=False)
    shutil.rmtree(state, ignore_errors=True)


def _watched(found: Fit, test_set: Packed) -> pd.DataFrame:
    """Margins of the test images after each epoch: for a figure, without their labels."""
    epochs = len(found.watched)
    return pd.DataFrame(
        {
            "epoch": np.repeat(np.arange(1, epochs + 1), len(test_set)),
            "id": test_set.ids * epochs,
            "margin": found.watched.ravel(),
        }
    )


if __name__ == "__main__":
    run(main)
