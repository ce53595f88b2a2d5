# SPDX-License-Identifier: Apache-2.0
"""Shards: where they are cut, which of them are written again, and how they are read."""

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image
from scipy.stats import chisquare
from support import encoded
from torch.utils.data import DataLoader

from facetell.common.errors import UserError
from facetell.dataset.layouts import PRESOCIAL
from facetell.images import packed as reading
from facetell.images.loading import Images, TrainingImages, training_order
from facetell.images.packed import INDEX, Packed
from facetell.images.packing import pack
from facetell.images.sharding import cut

IMAGES = 400
LARGEST = 20_000  # bytes, of some 750 an image


def picture(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels))


def listed(home: Path, numbers: list[int]) -> pd.DataFrame:
    """The rows of these pictures, whose archive is ``home/raw.zip``."""
    data = {f"{number:04}.png": picture(number) for number in numbers}
    with zipfile.ZipFile(home / "raw.zip", "w") as archive:
        for name, content in data.items():
            archive.writestr(name, content)
    return pd.DataFrame(
        {
            "id": data.keys(), "path": data.keys(), "person": [name[:3] for name in data],
            "label": [number % 2 for number in numbers], "set": "set", "mask": "", "twin": "",
            "artefacts": "", "platform": PRESOCIAL, "laundered": False,
            "sha256": [hashlib.sha256(content).hexdigest() for content in data.values()],
            "bytes": [len(content) for content in data.values()],
        }
    )  # fmt: skip


def shards(folder: Path) -> dict[str, int]:
    """The shards that the index lists, in order, and when each was written."""
    said = json.loads((folder / INDEX).read_text())
    return {name: (folder / name).stat().st_mtime_ns for name, *_ in said["shards"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    home = tmp_path_factory.mktemp("sharded")
    rows = listed(home, list(range(IMAGES)))
    pack([rows], {"set": home / "raw.zip"}, home / "train", largest=LARGEST)
    return home, rows


def test_every_image_is_found_in_its_shard(made):
    home, rows = made
    packed = Packed(home / "train")
    assert len(shards(home / "train")) > 10
    assert list(packed.ids) == rows["id"].tolist()
    assert list(packed.persons) == rows["person"].tolist()
    assert packed.labels.tolist() == rows["label"].tolist()
    assert [packed.image(at) for at in range(IMAGES)] == [picture(at) for at in range(IMAGES)]
    assert packed.image(-1) == picture(IMAGES - 1)
    with pytest.raises(IndexError):
        packed.image(IMAGES)


def test_no_shard_is_larger_than_was_said(made):
    _, rows = made
    parts = list(cut([rows], LARGEST))
    assert max(part["bytes"].sum() for part in parts) <= LARGEST
    assert min(part["bytes"].sum() for part in parts[:-1]) >= LARGEST / 4
    assert max(map(len, cut([rows], LARGEST, rows=9))) <= 9
    one = rows[:3].assign(bytes=10 * LARGEST)
    assert list(map(len, cut([one], LARGEST))) == [1, 1, 1]


@pytest.mark.parametrize("workers", [1, 2])
def test_bytes_depend_on_neither_processes_nor_chunks(made, tmp_path, workers):
    home, rows = made
    parts = [rows[:7], rows[7:150], rows[150:]]
    pack(parts, {"set": home / "raw.zip"}, tmp_path / "a", largest=LARGEST, workers=workers)
    files = sorted(path.name for path in (home / "train").iterdir())
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == files
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (home / "train" / name).read_bytes()


def test_added_images_change_only_the_shards_that_they_fall_into(tmp_path):
    numbers = list(range(IMAGES))
    files = {"set": tmp_path / "raw.zip"}
    pack([listed(tmp_path, numbers)], files, tmp_path / "train", largest=LARGEST)
    before = shards(tmp_path / "train")
    numbers.insert(200, 5_000)
    pack([listed(tmp_path, numbers)], files, tmp_path / "train", largest=LARGEST)
    after = shards(tmp_path / "train")
    assert len(set(before) - set(after)) <= 2, "the one, and its neighbour where both are cut anew"
    assert all(after[name] == before[name] for name in set(before) & set(after))
    assert len(list((tmp_path / "train").iterdir())) == len(after) + 2, "old ones are removed"
    packed = Packed(tmp_path / "train")
    assert [packed.image(at) for at in range(len(numbers))] == [picture(at) for at in numbers]


def test_what_was_written_before_a_failure_is_not_written_again(made, tmp_path):
    home, rows = made
    changed = rows.copy()
    changed.loc[IMAGES - 1, "sha256"] = "0" * 64
    files, folder = {"set": home / "raw.zip"}, tmp_path / "train"
    with pytest.raises(UserError, match=r"0399\.png .* is not the image that the manifest"):
        pack([changed], files, folder, largest=LARGEST)
    left = {path.name: path.stat().st_mtime_ns for path in folder.glob("*-*.arrow")}
    assert not (folder / INDEX).exists()
    pack([rows], files, folder, largest=LARGEST)
    after = shards(folder)
    assert len(left) == len(after) - 1
    assert all(after[name] == left[name] for name in left)


@pytest.mark.parametrize("how", ["flipped", "cut off", "missing"])
def test_a_damaged_shard_is_named_and_written_anew(made, tmp_path, how):
    home, rows = made
    files, folder = {"set": home / "raw.zip"}, tmp_path / "train"
    pack([rows], files, folder, largest=LARGEST)
    victim = folder / list(shards(folder))[3]
    data = victim.read_bytes()
    middle = len(data) // 2
    if how == "missing":
        victim.unlink()
    else:
        end = data[middle + 1 :] if how == "flipped" else b""
        victim.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + end)
    if how == "flipped":
        (said,) = Packed(folder).damaged()
        assert f"{victim} is damaged" in said
    else:
        with pytest.raises(UserError, match=rf"{victim.name} is damaged .* remove it, and run"):
            Packed(folder)
    pack([rows], files, folder, largest=LARGEST)
    assert victim.read_bytes() == data
    assert list(Packed(folder).damaged()) == []


def test_another_mask_of_the_same_name_is_packed(tmp_path):
    rows, files = listed(tmp_path, [0, 1]), {"set": tmp_path / "raw.zip"}
    rows.loc[1, ["mask", "artefacts"]] = ["m.png", "iris_mismatch"]
    for content in (b"first", b"other"):
        with zipfile.ZipFile(tmp_path / "raw.zip", "w") as archive:
            archive.writestr("m.png", content)
            for number in (0, 1):
                archive.writestr(f"{number:04}.png", picture(number))
        pack([rows], files, tmp_path / "train")
        assert Packed(tmp_path / "train").mask(1) == content


def test_a_folder_without_packed_images_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"holds no packed images .* run the pack stage"):
        Packed(tmp_path)


@pytest.mark.parametrize("workers", [0, 2])
def test_neither_files_nor_memory_grow_with_reading(made, monkeypatch, workers):
    monkeypatch.setattr(reading, "OPEN", 4)
    images = Images(Packed(made[0] / "train"), 16)
    order = np.random.default_rng(0).permutation(IMAGES).tolist()
    loader = DataLoader(
        images, batch_size=8, sampler=order, num_workers=workers, persistent_workers=workers > 0
    )
    for _ in loader:
        pass
    readers = psutil.Process().children() if workers else [psutil.Process()]
    before = [(one.num_fds(), one.memory_info().rss) for one in readers]
    for _ in range(5):
        for _ in loader:
            pass
    for one, (files, memory) in zip(readers, before, strict=True):
        assert one.num_fds() <= files + 1
        assert one.memory_info().rss < memory + 20 * 2**20


def test_shuffling_is_uniform_over_shards(made):
    """Each tenth of an epoch draws from every shard in proportion to its images."""
    images = TrainingImages(Packed(made[0] / "train"), 16, augment=None, seed=0)
    shards_of = images.packed.shard_of(np.arange(IMAGES))
    epochs = []
    for images.epoch in range(200):
        epochs.append(np.concatenate(training_order(images, 40)))
    tenths = shards_of[np.stack(epochs)].reshape(200, 10, 40)
    share = np.bincount(shards_of) / IMAGES
    for tenth in range(10):
        seen = np.bincount(tenths[:, tenth].ravel(), minlength=len(share))
        # sampling without replacement varies less than the test assumes
        assert chisquare(seen, share * seen.sum()).pvalue > 0.001


def test_mapped_pages_of_every_shard_are_handed_back(made, monkeypatch):
    """They count as the process's memory: a reader of all shards would hold the whole set."""
    handed = []
    monkeypatch.setattr(reading, "FORGET", 20 * reading.AROUND)
    monkeypatch.setattr(reading._Mapped, "forget", lambda shard: handed.append(shard))
    packed = Packed(made[0] / "train")
    for index in np.random.default_rng(0).permutation(IMAGES):
        packed.image(int(index))
    opened = len(shards(made[0] / "train"))
    assert len(set(handed)) == opened
    assert len(handed) > opened * (IMAGES / 20 - 3)
