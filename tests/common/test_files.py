# SPDX-License-Identifier: Apache-2.0
"""Outputs are whole or absent."""

import numpy as np
import pytest

from facetell.common.files import whole, write_json


def test_outputs_are_whole_or_absent(tmp_path):
    def interrupted():
        with whole(tmp_path / "a.txt") as path:
            path.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"auc": np.nan})
    assert list(tmp_path.iterdir()) == []
