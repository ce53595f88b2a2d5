# SPDX-License-Identifier: Apache-2.0
"""Updates: micro-batches add up to the batch."""

import dataclasses

import pytest
import torch
from support.training import RECIPE, run


def test_gradients_of_micro_batches_add_up_to_those_of_the_batch(packed_set, tmp_path):
    """48 images by 20: the last batch is smaller, and its parts too."""
    whole_batch = dataclasses.replace(RECIPE, batch_size=20, optimizer="sgd", lr=0.01)
    parts = dataclasses.replace(whole_batch, micro_batch=3)
    one, other = (run(packed_set, tmp_path / str(r.micro_batch), r) for r in (whole_batch, parts))
    for a, b in zip(one.detector.parameters(), other.detector.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
    assert one.log[0]["train_loss"] == pytest.approx(other.log[0]["train_loss"], rel=1e-5)
