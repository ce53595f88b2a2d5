# SPDX-License-Identifier: Apache-2.0
"""Features: computed once, whatever happens on the way, and anew when something has changed."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from support.networks import HALF

from facetell.common.errors import UserError
from facetell.images.loading import Images
from facetell.images.packed import Packed
from facetell.models import build
from facetell.models.detector import Detector
from facetell.models.inference import evaluating
from facetell.training import features
from facetell.training.features import FeatureStore, shrink
from facetell.training.trainer import silent

CHANNELS = 96


@pytest.fixture
def seen(monkeypatch) -> list[int]:
    """How many images went through the network, batch by batch."""
    counts: list[int] = []
    to_unit = features.to_unit

    def counted(pixels: torch.Tensor, device: torch.device) -> torch.Tensor:
        counts.append(len(pixels))
        return to_unit(pixels, device)

    monkeypatch.setattr(features, "to_unit", counted)
    monkeypatch.setattr(features, "BATCH", 8)
    return counts


@pytest.fixture
def images(packed_set: Path) -> Images:
    return Images(Packed(packed_set / "train"), 32)


def body(seed: int = 0, mean: tuple[float, ...] = HALF) -> Detector:
    torch.manual_seed(seed)
    return Detector(build("test_resnet", num_classes=0), mean, HALF)


def store(folder: Path, network: Detector | None = None, **options) -> FeatureStore:
    return FeatureStore(folder, network or body(), CHANNELS, **{"say": silent} | options)


def test_they_are_what_the_network_makes_of_the_images(images, tmp_path, seen):
    network = body()
    found = store(tmp_path, network).of(images)
    with evaluating(network), torch.inference_mode():
        direct = network(torch.stack([images[row][1] for row in range(48)]) / 255)
    assert found.dtype == np.float32
    assert np.allclose(found, direct.numpy(), atol=1e-5)
    assert seen == [8] * 6
    assert not list(tmp_path.glob("*.part"))


def test_what_is_kept_is_not_computed_again(images, tmp_path, seen):
    first = store(tmp_path)
    found = first.of(images)
    assert first.seconds > 0
    seen.clear()
    second = store(tmp_path)
    assert np.array_equal(second.of(images), found)
    assert (seen, second.seconds) == ([], 0)


def test_whatever_they_follow_from_has_a_key_of_its_own(images, packed_set):
    here = Path("unused")
    other = Images(Packed(packed_set / "valid"), 32)
    keys = [
        store(here).key(images),
        store(here).key(other),
        store(here).key(Images(images.packed, 33)),
        store(here, body(seed=1)).key(images),
        store(here, body(mean=(0.5, 0.5, 0.4))).key(images),
        store(here, dtype=torch.bfloat16).key(images),
    ]
    assert len(set(keys)) == len(keys)
    assert store(here).key(images) == keys[0]


def test_changed_weights_and_images_are_computed(images, packed_set, tmp_path, seen):
    found = store(tmp_path).of(images)
    changed = store(tmp_path, body(seed=1)).of(images)
    assert not np.allclose(found, changed)
    assert store(tmp_path).of(Images(Packed(packed_set / "valid"), 32)).shape[0] == 24
    assert sum(seen) == 48 + 48 + 24


def test_whoever_is_killed_goes_on_from_there(images, tmp_path, seen, monkeypatch):
    whole = store(tmp_path / "whole").of(images)
    rows = FeatureStore._rows

    def killed(self: FeatureStore, pixels: torch.Tensor, ids: list[str]) -> bytes:
        if len(seen) == 2:
            raise KeyboardInterrupt
        return rows(self, pixels, ids)

    seen.clear()
    monkeypatch.setattr(FeatureStore, "_rows", killed)
    with pytest.raises(KeyboardInterrupt):
        store(tmp_path / "half").of(images)
    monkeypatch.setattr(FeatureStore, "_rows", rows)
    assert not list((tmp_path / "half").glob("*.npy"))
    (part,) = (tmp_path / "half").glob("*.part")
    with open(part, "ab") as file:
        file.write(b"half a row")
    seen.clear()
    assert np.allclose(store(tmp_path / "half").of(images), whole, atol=1e-6)
    assert seen == [8] * 4
    assert not part.exists()


def test_a_part_of_something_else_is_begun_anew(images, tmp_path, seen):
    made = store(tmp_path)
    (tmp_path / f"{made.key(images)}.part").write_bytes(b"x" * 5000)
    assert np.isfinite(made.of(images)).all()
    assert sum(seen) == 48


def test_a_set_without_images_has_none(tmp_path, images):
    images.packed.labels = images.packed.labels[:0]
    assert store(tmp_path).of(images).shape == (0, CHANNELS)


def test_features_that_are_not_finite_name_the_image(images, tmp_path):
    network = body()
    next(network.parameters()).data[0] = float("nan")
    with pytest.raises(UserError, match=f"features of {images.packed.ids[0]} are not finite"):
        store(tmp_path, network).of(images)
    assert not list(tmp_path.glob("*.npy"))


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    for at, name in enumerate(["old.npy", "spared.npy", "half.part", "new.npy"]):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (at, at))
    shrink(tmp_path, 400, spare=[])
    assert len(list(tmp_path.iterdir())) == 4
    shrink(tmp_path, 250, spare=[tmp_path / "spared.npy"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.npy", "spared.npy"]


def test_a_store_keeps_to_its_limit_but_for_what_is_in_use(
    images, packed_set, tmp_path, monkeypatch
):
    monkeypatch.setattr(features, "LIMIT", 1)
    store(tmp_path).of(images)
    used = store(tmp_path, body(seed=1))
    used.of(images)
    used.of(Images(Packed(packed_set / "valid"), 32))
    assert len(list(tmp_path.glob("*.npy"))) == 2
