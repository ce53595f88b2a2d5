# SPDX-License-Identifier: Apache-2.0
"""What the commands and snippets of the pages find when they run."""

import shutil
from pathlib import Path

import pytest
import torch
from support import separable
from support.networks import HALF

from facetell.models import build
from facetell.models.detector import Card, Detector, save


@pytest.fixture(scope="session")
def workspace(tmp_path_factory, packed_set) -> Path:
    """A folder as ``dvc repro`` leaves it, as far as the pages use it; the network is a small
    ResNet with random weights."""
    home = tmp_path_factory.mktemp("workspace")
    (home / "data/packed").mkdir(parents=True)
    for split in ("train", "valid", "test"):
        shutil.copytree(packed_set / split, home / "data/packed" / split)
    torch.manual_seed(0)
    card = Card(network="resnet10t", width=1.0, image_size=64, mean=HALF, std=HALF, threshold=0.0,
                data="small")  # fmt: skip
    save(Detector(build("resnet10t"), HALF, HALF), card, home / "models/resnet50.safetensors")
    (home / "me.jpg").write_bytes(separable(7, 1, size=96))
    return home
