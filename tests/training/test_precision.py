# SPDX-License-Identifier: Apache-2.0
"""Precision: measured once per machine, and without a trace."""

import dataclasses

import pytest
import torch
from support.training import CPU, RECIPE, run

from facetell.models import build
from facetell.models.detector import Detector
from facetell.models.preprocessing import HALF
from facetell.training import precision


@pytest.mark.parametrize("gain", [0.6, 1.9])
def test_precision_is_measured_once(packed_set, tmp_path, monkeypatch, gain):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    asked = []
    monkeypatch.setattr(precision, "bfloat16_gain", lambda *_: asked.append(1) or gain)
    auto = dataclasses.replace(RECIPE, precision="auto", epochs=1)
    for attempt in range(2):
        found = run(packed_set, tmp_path / str(attempt), auto)
        assert found.cost["precision"] == ("bfloat16" if gain > 1.1 else "float32")
    assert len(asked) == 1
    monkeypatch.setattr(precision, "has_bfloat16", lambda: False)
    other = dataclasses.replace(auto, batch_size=7)
    assert run(packed_set, tmp_path / "c", other).cost["precision"] == "float32"
    assert len(asked) == 1


def test_measuring_precision_leaves_the_detector_as_it_was():
    model = Detector(build("mobilenetv2_100", image_size=64), HALF, HALF).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    assert precision.bfloat16_gain(model, dataclasses.replace(RECIPE, batch_size=2), CPU) > 0
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(random, torch.get_rng_state())
