# SPDX-License-Identifier: Apache-2.0
"""The spectral baseline: it finds a faint trace, and is the regression that it says."""

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from support import encoded, folder_entries

from facetell.common.labels import SPLITS
from facetell.images.loading import Images
from facetell.images.packed import Packed
from facetell.images.spectra import features, length
from facetell.metrics.ranking import auc
from facetell.models.detector import Card, Detector, save
from facetell.models.inference import margins
from facetell.training import spectral_baseline as baseline

CPU = torch.device("cpu")


def weak(seed: int, label: int) -> bytes:
    """Noise; fakes carry a faint checkerboard."""
    pixels = np.random.default_rng(seed).normal(120, 20, (64, 64, 3))
    if label:
        pixels += 9 * (-1) ** np.add.outer(np.arange(64), np.arange(64))[..., None]
    return encoded(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), "PNG")


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Images]:
    from support import built

    from facetell.images.packing import pack

    home = tmp_path_factory.mktemp("weak")
    manifest = built(home, folder_entries({"train": 80, "valid": 40, "test": 40}, weak)).manifest
    for split in SPLITS:
        part = manifest[manifest["split"] == split]
        pack([part], {"folder": home / "raw/folder"}, home / split)
    return {split: Images(Packed(home / split), 64) for split in SPLITS}


def test_the_baseline_finds_a_faint_checkerboard(sets, tmp_path):
    found = baseline.fit(sets["train"], sets["valid"], CPU, seed=0)
    score = margins(found.detector, sets["test"], CPU)
    assert auc(sets["test"].packed.labels, score) > 0.95
    assert found.cost["parameters"] == 2 * (length(64) + 1)
    card = Card(
        network="spectral", width=1.0, image_size=64, mean=(0.0,) * 3, std=(1.0,) * 3,
        threshold=found.threshold, data="x",
    )  # fmt: skip
    save(found.detector, card, tmp_path / "s.safetensors")
    again = Detector.load(tmp_path / "s.safetensors")
    assert np.array_equal(margins(again, sets["test"], CPU), score)
    twice = baseline.fit(sets["train"], sets["valid"], CPU, seed=0)
    assert np.array_equal(margins(twice.detector, sets["test"], CPU), score)


def test_the_margin_is_the_decision_value_of_the_regression(sets):
    def of(split: str) -> np.ndarray:
        pixels = torch.stack([sets[split][at][1] for at in range(len(sets[split]))])
        return features(pixels.float() / 255).double().numpy()

    found = baseline.fit(sets["train"], sets["valid"], CPU, seed=0)
    scaler = StandardScaler().fit(of("train"))
    model = LogisticRegression(C=found.recipe["C"], max_iter=5000)
    model.fit(scaler.transform(of("train")), sets["train"].packed.labels)
    expected = model.decision_function(scaler.transform(of("test")))
    assert np.abs(margins(found.detector, sets["test"], CPU) - expected).max() < 1e-3


def test_no_more_training_images_are_used_than_needed(sets, monkeypatch):
    monkeypatch.setattr(baseline, "LIMIT", 50)
    read = []
    for split in ("train", "valid"):
        image = sets[split].packed.image
        monkeypatch.setattr(
            sets[split].packed, "image", lambda i, s=split, f=image: read.append((s, i)) or f(i)
        )
    baseline.fit(sets["train"], sets["valid"], CPU, seed=0)
    drawn = {index for split, index in read if split == "train"}
    assert len(drawn) == 50
    assert {index for split, index in read if split == "valid"} == set(range(80))
    read.clear()
    baseline.fit(sets["train"], sets["valid"], CPU, seed=1)
    assert drawn != {index for split, index in read if split == "train"}
