# SPDX-License-Identifier: Apache-2.0
"""Saved detectors come back whole, and the same weights are the same bytes."""

import dataclasses

import pytest
from support.training import RECIPE, run, same

from facetell.common.errors import UserError
from facetell.models.detector import Card, Detector, save
from facetell.models.preprocessing import HALF


def test_saved_detectors_come_back_whole(packed_set, tmp_path):
    result = run(packed_set, tmp_path / "s", dataclasses.replace(RECIPE, epochs=1))
    card = Card(network="simplenet", width=1.0, image_size=64, mean=HALF, std=HALF,
                threshold=result.threshold, data="f" * 64)  # fmt: skip
    save(result.detector, card, tmp_path / "m.safetensors")
    for _ in range(5):  # the same weights are the same bytes
        save(result.detector, card, tmp_path / "again.safetensors")
        again = (tmp_path / "again.safetensors").read_bytes()
        assert again == (tmp_path / "m.safetensors").read_bytes()
    back = Detector.load(tmp_path / "m.safetensors")
    assert back.card == card
    assert same(back, result.detector)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes((tmp_path / "m.safetensors").read_bytes()[:1000])
    with pytest.raises(UserError, match="train it again"):
        Detector.load(cut)
