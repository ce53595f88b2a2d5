"""score: every number of one model, recomputed from its stored predictions."""

import json
from pathlib import Path

import pandas as pd

from facetell.common.files import write_json
from facetell.evaluation.model_scores import model_scores
from facetell.evaluation.predictions import read
from pipeline.stage import params, run


def main(model: str) -> None:
    settings = params()
    predictions = read(f"data/predictions/{model}.parquet")
    manifest = pd.read_parquet("data/manifest.parquet")
    trained = json.loads(Path(f"models/{model}.json").read_text())
    found = model_scores(
        predictions,
        manifest,
        resamples=settings["score"]["resamples"],
        seed=settings["train"]["seed"],
    )
    write_json(f"metrics/models/{model}.json", {"model": model} | found | {"training": trained})


if __name__ == "__main__":
    run(main)
