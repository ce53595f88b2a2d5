# SPDX-License-Identifier: Apache-2.0
"""Detectors of real photos: what docs/results.md reports of them, a table at a time.

Run: python -m benchmarks.photos TABLE [--archive ZIP] [--swaps ZIP] [--weights FILE]
                                       [--models NAME ...] [--home FOLDER]
benchmarks/photos.yaml says what a table trains and tests. Each gets a copy of the working tree in
the folder, in which the stages fetch, split, pack, train, predict, score and explain run as they do
under dvc. A model that is scored there already is not trained again. What was found is kept as
docs/results/TABLE/MODEL.json: the numbers of metrics/, with the machine and the recipe.
``python -m pipeline.publish --tables`` makes the tables of docs/results.md from these files.
"""

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from benchmarks.workspace import packed, stage, workspace
from facetell.common.errors import UserError
from facetell.common.files import read_json, write_json
from facetell.dataset.stored import read_manifest
from facetell.evaluation.learning_curve import by_epoch
from facetell.images.spectra import NETWORK
from pipeline.photo_tables import RESULTS
from pipeline.stage import run

PLAN = Path(__file__).with_suffix(".yaml")
EXPLAINED = ("images", "regions", "looks_at", "class_means", "trials")  # of metrics/explain


def main(*arguments: str) -> None:
    plan = yaml.safe_load(PLAN.read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photos", description=__doc__)
    parser.add_argument("table", choices=list(plan))
    for name in ("archive", "swaps", "weights"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--models", nargs="+", help="all of the table if not said")
    parser.add_argument("--home", type=Path, help="a folder to go on in later")
    parser.add_argument("--explain", action="store_true", help="look where the models look, too")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        Table(plan, options, options.home or Path(temporary)).run(options.table)


class Table:
    """One table: its images, its models, and the folder in which they are made."""

    def __init__(self, plan: dict[str, Any], options: argparse.Namespace, home: Path) -> None:
        self.plan, self.options, self.home = plan, options, home

    def run(self, name: str) -> None:
        """Train what is not trained yet, test it, and keep the numbers."""
        plan = self.plan[name]
        source = plan.get("trained", name)
        models = self.plan[source]["models"]
        clone = workspace(self.home / name)
        stage(clone, "compose", *map(self.filled, plan["data"]))
        packed(clone)
        if not (clone / "metrics/data.json").exists():
            stage(clone, "audit")
        for model in self.options.models or models:
            if model not in models:
                raise UserError(f"{name} has no model {model!r}; it has {', '.join(models)}")
            if source != name and not (self.home / source / weights(model)).exists():
                print(f"{model}: not trained in {self.home / source}, left out", flush=True)
                continue
            self.one(clone, model, models[model], self.home / source)
            write_json(RESULTS / name / f"{model}.json", self.found(clone, model, plan["data"]))

    def one(self, clone: Path, model: str, settings: dict[str, Any], source: Path) -> None:
        """Train, test and explain one model, as far as that is not done."""
        scores = clone / f"metrics/models/{model}.json"
        if not scores.exists():
            choose(clone, model, {key: self.filled(value) for key, value in settings.items()})
            if source != clone:
                for path in (weights(model), Path(f"models/{model}.json")):
                    (clone / path).parent.mkdir(exist_ok=True)
                    shutil.copy(source / path, clone / path)
            elif model == NETWORK:
                stage(clone, "baseline")
            else:
                stage(clone, "train", model)
            seconds = stage(clone, "predict", model) + stage(clone, "score", model)
            print(f"{clone.name} {model}: tested in {seconds:.0f} s", flush=True)
        explained = clone / f"metrics/explain/{model}.json"
        if self.options.explain and model != NETWORK and not explained.exists():
            choose(clone, model, {key: self.filled(value) for key, value in settings.items()})
            print(f"{model}: explained in {stage(clone, 'explain', model):.0f} s", flush=True)

    def found(self, clone: Path, model: str, data: list[str]) -> dict[str, Any]:
        """What is kept of a model: numbers, and how they were made."""
        scores = read_json(clone / f"metrics/models/{model}.json")
        recipe = scores["training"]["recipe"]
        if recipe.get("pretrained"):  # wherever it lies here
            recipe["pretrained"] = Path(recipe["pretrained"]).name
        audited = read_json(clone / "metrics/data.json")
        about = {"counts": audited["counts"], "trivia": audited["audit"]["auc"]}
        kept = {"settings": data, "data": about, "scores": scores}
        if (log := clone / f"plots/train/{model}.csv").exists():
            kept["learning"] = learned(clone, model, pd.read_csv(log))
        if (path := clone / f"metrics/explain/{model}.json").exists():
            explained = read_json(path)
            kept["explain"] = {key: explained[key] for key in EXPLAINED if key in explained}
        return kept

    def filled(self, value: Any) -> Any:
        """A setting with the paths of the command line in it.

        Raises
        ------
        UserError : it needs one that the command line does not name.
        """
        if not isinstance(value, str):
            return value
        for name in ("archive", "swaps", "weights"):
            if f"{{{name}}}" in value:
                path = getattr(self.options, name)
                if path is None:
                    raise UserError(f"{self.options.table} needs --{name} PATH")
                value = value.replace(f"{{{name}}}", str(path.resolve()))
        return value


def learned(clone: Path, model: str, log: pd.DataFrame) -> list[dict[str, Any]]:
    """The training log, with the loss and accuracy of the test images after each epoch."""
    manifest = read_manifest(clone / "data/manifest").set_index("id")
    margins = pd.read_parquet(clone / f"data/epochs/{model}.parquet")
    curve = by_epoch(margins, manifest.loc[manifest["split"] == "test", "label"])
    rows: list[dict[str, Any]] = log.merge(curve, on="epoch").to_dict("records")
    return rows


def choose(clone: Path, model: str, settings: dict[str, Any]) -> None:
    """Select one model in params.yaml, with changes in the recipe that it is trained by."""
    path = clone / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    if model != NETWORK:
        changes = dict(settings)
        of, recipe = changes.pop("of"), changes.pop("recipe")
        conf = yaml.safe_load((clone / f"conf/model/{of}.yaml").read_text(encoding="utf-8"))
        chosen = {"network": of} | conf["models"][of]
        chosen[recipe] = (chosen.get(recipe) or {}) | changes
        params["models"] = {model: chosen}
        params["data"]["recipe"] = recipe
        params["headline"] = model
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8", newline="\n")


def weights(model: str) -> Path:
    return Path(f"models/{model}.safetensors")


if __name__ == "__main__":
    run(main)
