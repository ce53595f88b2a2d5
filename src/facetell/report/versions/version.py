# SPDX-License-Identifier: Apache-2.0
"""What is known of one version of all results."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from facetell.evaluation.predictions import Predictions
from facetell.images.packed import Packed


@dataclass(frozen=True)
class Model:
    """One model of a version.

    scores, explained : contents of metrics/models/<model>.json and metrics/explain/<model>.json;
        empty where there is no such file.
    predictions : of data/predictions/<model>.parquet; None where they are not at hand.
    """

    scores: Mapping[str, Any]
    explained: Mapping[str, Any] = field(default_factory=dict)
    predictions: Predictions | None = None


@dataclass(frozen=True)
class Version:
    """One version: a commit, an experiment or the workspace.

    name : as the user said it. commit : its hash, "" for the workspace.
    params : params.yaml. data : metrics/data.json. models : by name, as params.yaml has them.
    roc : plots/roc.csv.
    manifest : data/manifest; packed : data/packed/test; None where not at hand.

    Examples
    --------
    >>> Version("main", models={"swin": Model({"clean": {"auc": 0.9}})}).test is None
    True
    """

    name: str
    commit: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, Model] = field(default_factory=dict)
    roc: pd.DataFrame = field(default_factory=pd.DataFrame)
    manifest: pd.DataFrame | None = None
    packed: Packed | None = None

    @property
    def test(self) -> pd.DataFrame | None:
        """The rows of the test images; None where the manifest is not at hand."""
        if self.manifest is None:
            return None
        return self.manifest[self.manifest["split"] == "test"].reset_index(drop=True)
