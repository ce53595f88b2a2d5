# SPDX-License-Identifier: Apache-2.0
"""What a training cost: against a count by hand."""

import pytest
import torch
from support.training import run

from facetell.models import build


def test_what_a_training_cost(packed_set, tmp_path):
    cost = run(packed_set, tmp_path / "s").cost
    network = build("simplenet", image_size=64)
    assert cost["parameters"] == sum(p.numel() for p in network.parameters())
    # by hand: 7x7 convolutions 3-6-16-24 with outputs of 58, 23 and 5 px, then three layers
    convolutions = 49 * (3 * 6 * 58**2 + 6 * 16 * 23**2 + 16 * 24 * 5**2)
    assert cost["multiply_adds"] == convolutions + 24 * 2 * 2 * 1024 + 1024 * 256 + 256 * 2
    assert cost["images_per_second"] == pytest.approx(3 * 48 / cost["seconds"], rel=0.5)
    assert cost["memory_mib"] > 100
    assert cost["processes"] == 1
    assert cost["precision"] == "float32"
    assert "gpu_memory_mib" not in cost or torch.cuda.is_available()
