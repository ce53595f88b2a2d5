# SPDX-License-Identifier: Apache-2.0
"""Stored predictions say what they hold, and foreign files are told apart."""

import numpy as np
import pytest

from facetell.common.errors import UserError
from facetell.evaluation.perturbations import suite
from facetell.evaluation.predictions import read, table, write

SUITE = suite(
    {"mine": {"grayscale": {}, "noise": {"deviation": [0.1, 0.2]}, "hue": {"amount": 0.2}}}, "mine"
)


def test_predictions_say_what_their_variants_are(tmp_path):
    scores = {"clean": np.array([0.1, -2.0]), "noise_0.1": np.array([1 / 3, 4.0])}
    rows = table("test", ["b", "a"], np.array([0, 1]), scores)
    metadata = {name: variant.metadata for name, variant in SUITE.items()}
    write(tmp_path / "p.parquet", rows, threshold=1 / 3, variants=metadata)
    found = read(tmp_path / "p.parquet")
    assert found.threshold == 1 / 3
    assert found.variants == metadata
    assert found.variants["noise_0.1"]["level"] == 0.1
    assert [str(found.table.dtypes[name]) for name in ("id", "variant", "margin")] == [
        "category", "category", "float64"
    ]  # fmt: skip
    assert found.table["id"].tolist() == ["b", "a", "b", "a"]
    assert found.table["variant"].tolist() == ["clean"] * 2 + ["noise_0.1"] * 2
    assert found.table["split"].tolist() == ["test"] * 4
    assert found.table["label"].tolist() == [0, 1, 0, 1]
    assert found.table["margin"].tolist() == [0.1, -2.0, 1 / 3, 4.0]


def test_an_old_or_foreign_file_is_told_apart(tmp_path, manifest):
    import pyarrow as pa
    import pyarrow.parquet as pq

    old = pa.table({"id": ["a"], "variant": ["clean"]}).replace_schema_metadata({"threshold": "1"})
    pq.write_table(old, tmp_path / "old.parquet")
    with pytest.raises(UserError, match=r"old\.parquet .* run the predict stage again"):
        read(tmp_path / "old.parquet")
    manifest.to_parquet(tmp_path / "other.parquet")
    for name in ("other.parquet", "missing.parquet"):
        with pytest.raises(UserError, match="is not a facetell predictions file"):
            read(tmp_path / name)
