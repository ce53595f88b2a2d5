# SPDX-License-Identifier: Apache-2.0
"""The layout of Kaggle's 140k faces: its labels are turned round, its listings are checked."""

import pytest
from support import built, photos, picture, write_zip

from facetell.common.errors import UserError
from facetell.common.labels import SPLITS
from facetell.dataset.layouts import rows
from facetell.dataset.manifest import COLUMNS
from facetell.images.opening import open_archive


def listing(split: str, names: dict[str, int]) -> bytes:
    """A csv of the 140k set: there, label 1 is real."""
    lines = [",original_path,id,label,label_str,path"]
    for index, (name, label) in enumerate(names.items()):
        kind = "real" if label == 1 else "fake"
        lines.append(f"{index},,{name},{label},{kind},{split}/{kind}/{name}.jpg")
    return "\n".join(lines).encode()


def kaggle_entries() -> dict[str, bytes]:
    entries = {}
    for at, split in enumerate(SPLITS):
        names = {f"{at}000{i}": 1 for i in range(3)} | {f"FAKE{at}{i}": 0 for i in range(4)}
        entries[f"{split}.csv"] = listing(split, names)
        for seed, (name, label) in enumerate(names.items()):
            kind = "real" if label else "fake"
            path = f"real_vs_fake/real-vs-fake/{split}/{kind}/{name}.jpg"
            entries[path] = picture(100 * at + seed)
    return entries


def test_kaggle_labels_are_turned_round(tmp_path):
    manifest, aside, leaks, *_ = built(tmp_path, kaggle_entries(), "faces140k")
    assert len(aside) == 0
    assert len(leaks) == 0
    assert tuple(manifest.columns) == COLUMNS
    assert (manifest["label"] == manifest["path"].str.contains("/fake/")).all()
    assert manifest.groupby("split").size().to_dict() == {"train": 7, "valid": 7, "test": 7}
    assert (manifest["jpeg_quality"] == 75).all()
    assert (manifest["generator"] == "").eq(manifest["label"] == 0).all()
    assert (manifest["ffhq_id"].isna() == (manifest["label"] == 1)).all()
    assert set(manifest["platform"]) == {"presocial"}


def test_kaggle_contradicting_labels_are_refused(tmp_path):
    entries = kaggle_entries()
    entries["test.csv"] = entries["test.csv"].replace(b",1,real,", b",0,real,", 1)
    with (
        open_archive(write_zip(tmp_path / "a.zip", entries)) as archive,
        pytest.raises(UserError, match=r"test\.csv.*labelled 0 but called 'real'"),
    ):
        rows("faces140k", archive)


def test_photos_and_generated_pictures_are_counted_by_split_and_class(tmp_path):
    count = {"train": 4, "valid": 2, "test": 3}
    path = write_zip(tmp_path / "a.zip", photos.kaggle_entries(count))
    with open_archive(path) as archive:
        table = rows("faces140k", archive)
        names = set(archive.names)
    counts = table.groupby(["split", "label"]).size().to_dict()
    assert counts == {(split, label): n for split, n in count.items() for label in (0, 1)}
    assert set(table["path"]) <= names


@pytest.mark.skipif(photos.REAL is None, reason=photos.WHY)
def test_the_real_archive_has_both_classes_in_every_split():
    with open_archive(photos.REAL) as archive:
        table = rows("faces140k", archive)
        assert set(table["path"]) <= set(archive.names)
    assert len(table.groupby(["split", "label"])) == 6
