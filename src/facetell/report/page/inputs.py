# SPDX-License-Identifier: Apache-2.0
"""What the page is made of, as it was read from files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from facetell.evaluation.predictions import Predictions
from facetell.evaluation.robustness import Scores
from facetell.explain.survey.kept_maps import KeptMaps
from facetell.images.packed import Packed
from facetell.images.spectra import NETWORK


@dataclass(frozen=True)
class Plot:
    """One of the plots of ``dvc plots``: a Vega-Lite template and the table that it draws.

    ``template`` is a specification with the anchors that dvc fills; ``data`` names the table, such
    as ``roc``.
    """

    title: str
    template: Mapping[str, Any]
    data: str
    x: str
    y: str
    x_label: str
    y_label: str


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Everything of one run. What a run has not is empty, and the page leaves it out.

    name : of the data set.
    scores : contents of metrics/models/<model>.json by model, the baseline last.
    data, files : contents of metrics/data.json and metrics/files.json.
    explained : contents of metrics/explain/<model>.json of the models that were explained.
    pairs, tables : of metrics/tables. leaks : of metrics/leaks.csv.
    cross : tables of metrics/cross, by kind.
    plots, curves : what dvc plots draws, and the CSV text of its tables by name.
    figures : the folder in which data/, compare/ and explain/<model>/ hold pictures.
    test : the rows of the manifest that are tested.
    predictions, maps : by model; of the baseline there are no maps.
    packed : the test images.
    images, seed : how many test images can be looked at, and how they are drawn.
    """

    name: str
    scores: Scores
    data: Mapping[str, Any]
    files: Mapping[str, Any]
    figures: Path
    test: pd.DataFrame
    predictions: Mapping[str, Predictions]
    packed: Packed
    images: int
    seed: int
    explained: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    pairs: pd.DataFrame = field(default_factory=pd.DataFrame)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    leaks: pd.DataFrame = field(default_factory=pd.DataFrame)
    cross: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    plots: Sequence[Plot] = ()
    curves: Mapping[str, str] = field(default_factory=dict)
    maps: Mapping[str, KeptMaps] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        """The networks, without the baseline."""
        return [model for model in self.scores if model != NETWORK]

    @property
    def best(self) -> str:
        """The network with the highest AUC on clean test images, or accuracy where AUC is not
        defined."""
        clean = {model: self.scores[model]["clean"] for model in self.models}
        number = "auc" if all("auc" in found for found in clean.values()) else "accuracy"
        return max(clean, key=lambda model: clean[model][number])
