# SPDX-License-Identifier: Apache-2.0
"""What a detector is without a band of frequencies, on a table that is worked by hand."""

import numpy as np
import pandas as pd
import pytest

from facetell.evaluation.frequency_sensitivity import sensitivity


def frequencies() -> pd.DataFrame:
    """A robustness table of four bands and a low-pass filter."""
    rows = [{"variant": "clean", "perturbation": None, "level": None}]
    rows += [{"variant": f"b{k}", "perturbation": "band_stop", "level": k} for k in (2, 0, 1, 3)]
    rows += [{"variant": "low", "perturbation": "low_pass", "level": 0.5}]
    rows += [{"variant": "blur", "perturbation": "blur", "level": 2}]
    table = pd.DataFrame(rows).assign(model="m")
    for place, name in enumerate(("accuracy", "auc", "drop_accuracy", "drop_auc")):
        for end in ("", "_low", "_high"):
            table[name + end] = place + np.arange(len(table)) / 10
    return table


def test_frequencies_are_in_cycles_per_pixel():
    found = sensitivity(frequencies()).set_index(["filter", "removed_from"])
    assert found.loc[("band_stop", 0.25), "removed_to"] == 0.375
    assert found.loc[("band_stop", 0.25), "auc"] == 1.1  # the first row: band 2
    assert found.loc[("band_stop", 0.375), "removed_to"] == pytest.approx(np.sqrt(0.5))
    assert found.loc[("low_pass", 0.25), "removed_to"] == pytest.approx(np.sqrt(0.5))
    assert len(found) == 6  # clean among them, blur not
    without = frequencies().query("variant in ('clean', 'blur')")
    assert len(sensitivity(without)) == 0
