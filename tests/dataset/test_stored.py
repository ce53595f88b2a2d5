# SPDX-License-Identifier: Apache-2.0
"""The manifest on disk: what is written is read again, by split, by column and by image."""

import numpy as np
import pandas as pd
import pytest

from facetell.common.errors import UserError
from facetell.dataset import stored
from facetell.dataset.stored import (
    PARTITIONS,
    chunks,
    count,
    in_order,
    read_manifest,
    selected,
    write_manifest,
)

ROWS = 50


@pytest.fixture
def table(monkeypatch, tmp_path) -> pd.DataFrame:
    """A manifest in ``manifest``, of several files by split."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stored, "ROWS", 7)
    random = np.random.default_rng(0)
    split = random.choice(PARTITIONS[:3], ROWS)
    names = [f"image{number:02}" for number in range(ROWS)]
    made = pd.DataFrame({"id": names, "split": split, "label": random.integers(2, size=ROWS)})
    write_manifest("manifest", made)
    return made


def test_every_row_comes_back_by_split_and_column(table):
    found = read_manifest("manifest")
    assert in_order(found, table["id"])[list(table)].equals(table)
    for split in PARTITIONS:
        mine = table[table["split"] == split]
        assert read_manifest("manifest", ["id"], [split])["id"].tolist() == mine["id"].tolist()
        assert count("manifest", [split]) == len(mine)
        parts = list(chunks("manifest", ["id"], split, rows=4))
        assert pd.concat([mine[:0], *parts])["id"].tolist() == mine["id"].tolist()
        assert all(len(part) <= 4 for part in parts)


def test_some_images_come_in_the_order_of_their_ids(table):
    wanted = table["id"].sample(20, random_state=0)
    found = selected("manifest", ["id", "label", "split"], wanted)
    assert found.equals(in_order(table, wanted)[["id", "label", "split"]])


def test_without_a_manifest_the_stage_is_named():
    with pytest.raises(UserError, match="no manifest with a split train in nowhere: run the split"):
        read_manifest("nowhere")
