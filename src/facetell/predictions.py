"""Stored predictions: one row per image and variant, from which every number is recomputed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from facetell.errors import UserError
from facetell.files import whole

COLUMNS = ("id", "split", "variant", "label", "margin")
CONTROL = "without_artefacts"  # the variant in which nothing is left to find


def table(
    split: str, ids: list[str], labels: np.ndarray, scores: dict[str, np.ndarray]
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


def write(path: str | Path, predictions: pd.DataFrame, *, threshold: float) -> None:
    """Write as parquet; the threshold (a margin, frozen on validation) travels in the schema."""
    content = pa.Table.from_pandas(predictions[list(COLUMNS)], preserve_index=False)
    content = content.replace_schema_metadata({"threshold": repr(threshold)})
    with whole(path) as temporary:
        pq.write_table(content, temporary)


def read(path: str | Path) -> tuple[pd.DataFrame, float]:
    """The predictions and the frozen threshold; UserError if the file is not one of ours."""
    try:
        content = pq.read_table(path)
        threshold = float(content.schema.metadata[b"threshold"])
    except (OSError, KeyError, TypeError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} is not a facetell predictions file ({error})") from error
    return content.to_pandas(), threshold
