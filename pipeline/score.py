# SPDX-License-Identifier: Apache-2.0
"""score: every number of one model, recomputed from its stored predictions."""

import pandas as pd

from facetell.common.files import read_json, write_json
from facetell.common.progress import estimating
from facetell.dataset.leaks import twins_in_training
from facetell.dataset.stored import read_manifest
from facetell.evaluation.model_scores import model_scores
from facetell.evaluation.predictions import read
from pipeline import paths
from pipeline.settings import Settings
from pipeline.stage import run

NEEDED = (  # of the manifest's columns
    *("id", "split", "label", "person", "generator"),
    *("psi", "artefacts", "platform", "set"),
)


def main(model: str) -> None:
    settings = Settings.load()
    predictions, resamples = read(paths.predictions(model)), settings.score.resamples
    versions = predictions.table["variant"].nunique()
    what = f"score {model}: {versions} versions, each resampled {resamples:,} times"
    with estimating(what, versions):
        found = model_scores(
            predictions,
            read_manifest(paths.MANIFEST, NEEDED, ["test"]),
            resamples=resamples,
            seed=settings.train.seed,
            twins=twins_in_training(pd.read_csv(paths.LEAKS)),
        )
    trained = read_json(paths.training(model))
    write_json(paths.scores(model), {"model": model} | found | {"training": trained})


if __name__ == "__main__":
    run(main)
