# SPDX-License-Identifier: Apache-2.0
"""Frequency sensitivity: how good a detector is without some of the spatial frequencies."""

import numpy as np
import pandas as pd

from facetell.evaluation.robustness import BANDS, NYQUIST

CUTOFFS = "low_pass"
FINEST = NYQUIST * np.sqrt(2)  # cycles per pixel, along the diagonal
NUMBERS = ("accuracy", "auc", "drop_accuracy", "drop_auc")


def sensitivity(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each model and frequency filter.

    ``table`` is that of ``facetell.evaluation.robustness.robustness``. It must have all bands,
    which are of equal width from 0 to the Nyquist frequency.

    Returns
    -------
    Frame: model, filter (``clean``, ``band_stop`` or ``low_pass``), removed_from and removed_to
    (cycles per pixel; 0.5, the Nyquist frequency, is the highest of rows and columns, 0.71 that of
    diagonals), and accuracy, auc, drop_accuracy, drop_auc, each with _low and _high. Models without
    frequency filters have no rows.
    """
    columns = [f"{name}{end}" for name in NUMBERS for end in ("", "_low", "_high")]
    parts = []
    for _, rows in table.groupby("model", sort=False):
        bands = rows[rows["perturbation"] == BANDS]
        cutoffs = rows[rows["perturbation"] == CUTOFFS]
        if not len(bands) + len(cutoffs):
            continue
        clean = rows[rows["variant"] == "clean"]
        step, place = NYQUIST / max(1, len(bands)), bands["level"].astype(float)
        last = place == len(bands) - 1
        parts += [
            clean.assign(filter="clean", removed_from=np.nan, removed_to=np.nan),
            bands.assign(
                filter=BANDS,
                removed_from=step * place,
                removed_to=(step * (place + 1)).where(~last, FINEST),
            ),
            cutoffs.assign(
                filter=CUTOFFS,
                removed_from=NYQUIST * cutoffs["level"].astype(float),
                removed_to=FINEST,
            ),
        ]
    named = ["model", "filter", "removed_from", "removed_to", *columns]
    if not parts:
        return pd.DataFrame(columns=named)
    parts = [part[named] for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True)
