# SPDX-License-Identifier: Apache-2.0
"""report: everything that is known of the selected models, on one page that needs nothing else."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from facetell.common.files import read_json, write_text
from facetell.dataset.stored import read_manifest
from facetell.evaluation.predictions import read
from facetell.explain.survey import kept_maps
from facetell.images.packed import Packed
from facetell.images.spectra import NETWORK
from facetell.report.page.inputs import Inputs, Plot
from facetell.report.page.render import report_page
from pipeline import paths
from pipeline.settings import Settings
from pipeline.stage import run


def main() -> None:
    write_text(paths.PAGE, report_page(inputs()))
    print(paths.PAGE.resolve().as_uri())


def inputs() -> Inputs:
    """What the stages before have left for the models that the parameters select."""
    settings = Settings.load()
    models = list(settings.models)
    explained = [model for model in models if paths.explained(model).is_file()]
    kept = [model for model in models if paths.maps(model).is_file()]
    plots = plots_of(yaml.safe_load(paths.STAGES.read_text(encoding="utf-8")))
    found = tables(paths.TABLES)
    return Inputs(
        name=settings.data.name,
        scores={model: read_json(paths.scores(model)) for model in [*models, NETWORK]},
        data=read_json(paths.DATA),
        files=read_json(paths.FILES),
        figures=paths.COMPARISONS.parent,
        test=read_manifest(paths.MANIFEST, splits=["test"]),
        predictions={model: read(paths.predictions(model)) for model in [*models, NETWORK]},
        packed=Packed(paths.PACKED["test"]),
        images=settings.report.images,
        seed=settings.train.seed,
        explained={model: read_json(paths.explained(model)) for model in explained},
        pairs=found.pop("pairs", pd.DataFrame()),
        tables=found,
        leaks=pd.read_csv(paths.LEAKS),
        cross=tables(paths.CROSS),
        plots=plots,
        curves={plot.data: paths.curve(plot.data).read_text(encoding="utf-8") for plot in plots},
        maps={model: kept_maps.read(paths.maps(model)) for model in kept},
    )


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The CSV files of a folder by name; an empty file is no table."""
    found = {}
    for path in sorted(folder.glob("*.csv")):
        if path.read_text(encoding="utf-8").strip():
            found[path.stem] = whole_numbers(pd.read_csv(path))
    return found


def whole_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """With columns of whole numbers as such, although some are missing."""
    floats = table.select_dtypes("float")
    whole = [name for name in floats if ((floats[name].dropna() % 1) == 0).all()]
    return table.astype(dict.fromkeys(whole, "Int64"))


def plots_of(stages: dict[str, Any], home: Path = Path()) -> list[Plot]:
    """What dvc.yaml says that ``dvc plots`` draws; the templates lie in the checkout ``home``."""
    found = []
    for entry in stages["plots"]:
        for title, said in entry.items():
            ((table, column),) = said["y"].items()
            found.append(
                Plot(
                    title=title,
                    template=json.loads((home / said["template"]).read_text(encoding="utf-8")),
                    data=Path(table).stem,
                    x=said["x"],
                    y=column,
                    x_label=said.get("x_label", said["x"]),
                    y_label=said.get("y_label", column),
                )
            )
    return found


if __name__ == "__main__":
    run(main)
