# SPDX-License-Identifier: Apache-2.0
"""train: fit one network; its checkpoint and threshold come from validation images alone."""

import shutil
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from facetell.common.distributed import current, launch
from facetell.common.files import sha256, whole, write_csv, write_json
from facetell.common.locks import alone
from facetell.common.machine import device
from facetell.images.packed import Packed
from facetell.models.detector import Card, save
from facetell.training.familiar import familiar
from facetell.training.job import Engine, Job
from facetell.training.probe import probe
from facetell.training.recipe import Recipe
from facetell.training.trainer import Fit, train
from pipeline import paths
from pipeline.settings import Settings
from pipeline.stage import run


def recipe(settings: Settings, model: str) -> Recipe:
    """The recipe of the run for one model, checked."""
    where = f"recipe {settings.data.recipe} of {model}"
    return Recipe.of(settings.recipe(model), where, settings.network(model))


def main(model: str) -> None:
    processes = Settings.load().processes
    if processes > 1:
        with alone(paths.training_state(model)):
            pass  # if there is one to wait for, before the others wait for the first of them
    launch(fit, processes, model)


def fit(model: str) -> None:
    """What every process of a training does; the first one writes, and holds the state."""
    with alone(paths.training_state(model)) if current().first else nullcontext():
        learn(model)


def learn(model: str) -> None:
    settings = Settings.load()
    plan, chosen = recipe(settings, model), settings.train
    if plan.frozen and not current().first:
        return  # a probe is the work of one process
    state = paths.training_state(model)
    train_set, valid_set, test_set = (Packed(path) for path in paths.PACKED.values())
    job = Job(
        network=settings.network(model),
        recipe=plan,
        train_set=train_set,
        valid_set=valid_set,
        watch=test_set,
        seed=chosen.seed,
        name=model,
    )
    engine = Engine(
        device=device(),
        workers=chosen.workers,
        deterministic=chosen.deterministic,
        compile=chosen.compile,
    )
    if plan.frozen:
        fitted = probe(job, features=paths.user_path(paths.FEATURES), engine=engine)
    else:
        fitted = train(job, state=state, engine=engine)
    if not current().first:
        return
    weights, images = paths.weights(model), plan.preprocessing(job.network)
    card = Card(
        network=job.network,
        width=plan.width,
        options=dict(plan.options),
        image_size=plan.image_size,
        mean=images.mean,
        std=images.std,
        threshold=fitted.threshold,
        temperature=fitted.temperature,
        data=train_set.fingerprint,
        familiar=familiar(valid_set, plan.image_size),
        frame=settings.data.frame,
    )
    save(fitted.detector, card, weights)
    cost = fitted.cost | {"disk_mib": round(weights.stat().st_size / 2**20, 1)}
    start = {"start": sha256(Path(plan.pretrained))} if isinstance(plan.pretrained, str) else {}
    used = asdict(plan) | {"mean": images.mean, "std": images.std}
    validation = {"auc": fitted.log[fitted.cost["best_epoch"] - 1]["valid_auc"]}
    facts = {"recipe": used, "cost": cost, "validation": validation}
    write_json(paths.training(model), facts | start)
    write_csv(paths.training_log(model), pd.DataFrame(fitted.log), digits=6)
    with whole(paths.epochs(model)) as path:
        _watched(fitted, test_set).to_parquet(path, index=False)
    shutil.rmtree(state, ignore_errors=True)


def _watched(fitted: Fit, test_set: Packed) -> pd.DataFrame:
    """Margins of the test images after each epoch: for a figure, without their labels."""
    epochs = len(fitted.watched)
    return pd.DataFrame(
        {
            "epoch": np.repeat(np.arange(1, epochs + 1), len(test_set)),
            "id": test_set.ids.take(np.tile(np.arange(len(test_set)), epochs)),
            "margin": fitted.watched.ravel(),
        }
    )


if __name__ == "__main__":
    run(main)
