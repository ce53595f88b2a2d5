"""train: fit one network; its checkpoint and threshold come from validation images alone."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from facetell.detector import Card, save
from facetell.errors import UserError
from facetell.files import whole, write_json
from facetell.machine import device
from facetell.packed import Packed
from facetell.recipe import Recipe
from facetell.training import train
from pipeline.stage import params, run


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
        "image_size": settings["data"]["image_size"],
    }
    merged |= {name: value for name, value in overrides.items() if value is not None}
    return Recipe.of(merged, f"recipe {chosen} of {model}")


def main(model: str) -> None:
    settings = params()
    plan = recipe(settings, model)
    state = Path(f".cache/training/{model}")
    train_set, valid_set = Packed("data/packed/train.arrow"), Packed("data/packed/valid.arrow")
    fit = train(
        model,
        plan,
        train_set,
        valid_set,
        seed=settings["train"]["seed"],
        device=device(),
        state=state,
        workers=settings["train"]["workers"],
    )
    card = Card(
        network=model,
        width=plan.width,
        options=dict(plan.options),
        image_size=plan.image_size,
        mean=plan.mean,
        std=plan.std,
        threshold=fit.threshold,
        data=train_set.fingerprint,
    )
    save(fit.detector, card, f"models/{model}.safetensors")
    write_json(f"models/{model}.json", {"recipe": asdict(plan), "cost": fit.cost})
    with whole(f"plots/train/{model}.csv") as path:
        pd.DataFrame(fit.log).to_csv(path, index=False, float_format="%.6g")
    shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    run(main)
