# SPDX-License-Identifier: Apache-2.0
"""Stored predictions: one row per image and variant, from which every number is recomputed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from facetell.common.errors import UserError
from facetell.common.files import whole

COLUMNS = ("id", "split", "variant", "label", "margin")
REPEATED = ["id", "variant"]  # columns whose values are repeated many times
CONTROL = "without_artefacts"  # the variant in which nothing is left to find


@dataclass(frozen=True)
class Predictions:
    """The scores of one model on the validation and test images.

    table : columns id and variant (categorical), split, label (1 = fake), margin (float64).
    threshold : a margin, frozen on validation.
    variants : by perturbed variant: perturbation, level, label, neutral and probe, as
        ``facetell.evaluation.perturbations.Variant.metadata`` has them.
    """

    table: pd.DataFrame
    threshold: float
    variants: dict[str, dict[str, Any]]


def table(
    split: str, ids: Sequence[str] | pd.Index, labels: np.ndarray, scores: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Rows of one split, variant by variant in the order of ``scores`` (``clean`` first)."""
    parts = [
        pd.DataFrame(
            {
                "id": ids,
                "split": split,
                "variant": variant,
                "label": labels,
                "margin": margin,
            }
        )
        for variant, margin in scores.items()
    ]
    return pd.concat(parts, ignore_index=True)


def write(
    path: str | Path,
    predictions: pd.DataFrame,
    *,
    threshold: float,
    variants: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write as parquet; threshold and variants (see ``Predictions``) travel in the schema."""
    content = pa.Table.from_pandas(predictions[list(COLUMNS)], preserve_index=False)
    content = content.replace_schema_metadata(
        {"threshold": repr(threshold), "variants": json.dumps(variants)}
    )
    with whole(path) as temporary:
        pq.write_table(content, temporary)


def read(path: str | Path) -> Predictions:
    """The predictions of one model.

    Raises
    ------
    UserError : the file was not written by ``write``, or by an older version of it.
    """
    try:
        content = pq.read_table(path, read_dictionary=REPEATED)
        said = content.schema.metadata
        threshold = float(said[b"threshold"])
    except (OSError, KeyError, TypeError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} is not a facetell predictions file ({error})") from error
    if b"variants" not in said:
        raise UserError(f"{path} does not say what its variants are: run the predict stage again")
    return Predictions(content.to_pandas(), threshold, json.loads(said[b"variants"]))
