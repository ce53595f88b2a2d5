"""compare: tables and curves over the models that params.yaml selects, and the headline."""

import json
from pathlib import Path

import pandas as pd

from facetell.curves import error_curves
from facetell.figures import curves as draw
from facetell.figures.style import save
from facetell.files import whole, write_json
from facetell.predictions import read
from facetell.report import report, robustness, summary
from pipeline.stage import params, run


def main() -> None:
    settings = params()
    # from the parameters, not from what lies in the folders: other runs leave files there
    models = list(settings["models"])
    scores = {m: json.loads(Path(f"metrics/models/{m}.json").read_text()) for m in models}
    tests = {}
    for model in models:
        predictions, _ = read(f"data/predictions/{model}.parquet")
        tests[model] = predictions.query("split == 'test' and variant == 'clean'")
    margins = {model: test["margin"].to_numpy() for model, test in tests.items()}
    labels = {model: test["label"].to_numpy() for model, test in tests.items()}
    curves = error_curves(margins, labels)
    logs = [pd.read_csv(f"plots/train/{model}.csv").assign(model=model) for model in models]
    tables = {
        "roc": curves[["model", "score", "point", "fpr", "tpr"]],
        "det": curves[["model", "score", "point", "fpr_deviate", "fnr_deviate"]],
        "learning": pd.concat(logs, ignore_index=True),
        "robustness": robustness(scores),
    }
    for name, table in tables.items():
        with whole(f"plots/{name}.csv") as path:
            table.to_csv(path, index=False, float_format="%.5g")
    save(draw.roc(curves), "plots/compare/roc.png")
    save(draw.det(curves), "plots/compare/det.png")
    save(draw.learning(tables["learning"]), "plots/compare/learning.png")
    save(draw.robustness(tables["robustness"]), "plots/compare/robustness.png")
    data = json.loads(Path("metrics/data.json").read_text())
    with whole("metrics/report.md") as path:
        path.write_text(report(scores, data, settings["data"]["name"]), encoding="utf-8")
    write_json("metrics/summary.json", summary(scores, settings["headline"]), digits=4)


if __name__ == "__main__":
    run(main)
