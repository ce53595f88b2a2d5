# SPDX-License-Identifier: Apache-2.0
"""Parquet shards, as the Hugging Face Hub has them: what is understood, and what is read."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import accounted, picture

from facetell.common.errors import UserError
from facetell.dataset.hints import Hints
from facetell.dataset.layouts import Listing, listing
from facetell.dataset.sources import hub
from facetell.images.opening import open_archive

CLASS = {"label": {"names": ["fake", "real"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
LEFT_OUT = "images that are in no class or not listed"


def shard(
    path: Path,
    labels: list[Any],
    *,
    seed: int = 0,
    features: dict[str, Any] | None = None,
    names: list[str] | None = None,
    **columns: Any,
) -> Path:
    """A shard with an image for each label, as the library ``datasets`` writes them."""
    images = [
        {"bytes": picture(seed + at, size=(32, 32)), "path": names[at] if names else None}
        for at in range(len(labels))
    ]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(images, kind), "label": labels, **columns})
    if features:
        noted = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": noted})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=3)
    return path


def fetched(home: Path, given: Path, hints: Hints | None = None) -> Listing:
    hints = hints or Hints()
    target = home / "raw/hub"
    hub.fetch(target, given, str(given), hints, revision=None, downloads=home / "downloads")
    with open_archive(target) as archive:
        return listing("hub", archive, hints)


def test_shards_by_split_with_the_names_of_their_classes(tmp_path):
    root = tmp_path / "set"
    for at, name in enumerate(
        ("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001")
    ):
        shard(root / f"data/{name}.parquet", [0, 1, 1, 0, -1], seed=9 * at, features=CLASS)
    shard(root / "data/test-00000-of-00001.parquet", [1, 0], seed=50, features=CLASS)
    (root / "README.md").write_text("# Faces", encoding="utf-8")
    (root / ".gitattributes").write_text("", encoding="utf-8")
    listed = fetched(tmp_path, root)
    rows = listed.table.set_index("path")
    assert rows.loc["data/train-00001-of-00002/00000003", "label"] == 1
    assert rows.loc["data/train-00001-of-00002/00000001", "label"] == 0
    assert rows["split"].value_counts().to_dict() == {"train": 8, "valid": 4, "test": 2}
    # -1 is a row without a label
    assert listed.ignored == {LEFT_OUT: 3, "hidden or system files": 1, "md files": 1}
    said = accounted("hub", tmp_path, listed)
    assert said["understood"] == {
        "train": {"real": 4, "fake": 4},
        "valid": {"real": 2, "fake": 2},
        "test": {"real": 1, "fake": 1},
    }
    assert said["files"]["images"] == 14


def test_every_image_is_the_one_of_its_row(tmp_path):
    path = shard(tmp_path / "one.parquet", ["real", "fake"] * 20)
    fetched(tmp_path, path)
    with open_archive(tmp_path / "raw/hub") as archive:
        names = archive.names
        for at in (0, 39, 5, 4, 4, 17, 20):  # forwards, backwards and within a group of rows
            assert archive.read(names[at]) == picture(at, size=(32, 32))
        assert archive.read(names[7], 4) == picture(7, size=(32, 32))[:4]


def test_columns_of_words(tmp_path):
    path = shard(
        *(tmp_path / "one.parquet", ["real", "fake", "AI-generated", "Real"]),
        split=["training", "training", "testing", "testing"],
        video=["a", "a", "b", "c"],
        generator=[None, "sd", "gan", None],
        platform=pa.array(["x", "x", None, "x"]).dictionary_encode(),
        boxes=[[1, 2]] * 4,
    )
    listed = fetched(tmp_path, path)
    table = listed.table
    assert table["label"].tolist() == [0, 1, 1, 0]
    assert table["split"].tolist() == ["train", "train", "test", "test"]
    assert table["person"].tolist() == ["a", "a", "b", "c"]
    assert table["generator"].tolist() == ["", "sd", "gan", ""]
    assert table["platform"].tolist() == ["x", "x", "presocial", "x"]
    assert listed.grouped == "the column video"
    with pytest.raises(UserError, match="column generator is empty for one/00000000"):
        fetched(tmp_path, path, Hints(group="generator"))


def test_numbers_without_names_are_not_guessed(tmp_path):
    path = shard(tmp_path / "one.parquet", [0, 1])
    with pytest.raises(UserError, match=r"'0', '1', .*-S 'data.classes=\{real: \[0\], fake"):
        fetched(tmp_path, path)
    said = Hints(classes={"real": ["1"], "fake": ["0"]})
    assert fetched(tmp_path, path, said).table["label"].tolist() == [1, 0]


def test_stored_names_tell_videos(tmp_path):
    names = [f"clip{v}_{f:03d}.jpg" for v in range(4) for f in range(3)]
    labels = ["real"] * 6 + ["fake"] * 6
    listed = fetched(tmp_path, shard(tmp_path / "one.parquet", labels, names=names))
    assert (listed.grouped, listed.table["person"].nunique()) == ("file names", 4)
    said = fetched(tmp_path, tmp_path / "one.parquet", Hints(group="clip[01]|clip."))
    assert sorted(set(said.table["person"])) == ["clip0", "clip1", "clip2", "clip3"]
    # the same name twice is no source where the names tell nothing
    alike = shard(tmp_path / "two.parquet", ["real", "fake"], names=["image.jpg"] * 2)
    assert fetched(tmp_path, alike).table["person"].nunique() == 2


def test_rows_without_bytes_and_broken_ones_are_set_aside(tmp_path):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = [
        *({"bytes": picture(at, size=(32, 32)), "path": None} for at in range(2)),
        {"bytes": None, "path": "elsewhere.png"},
        {"bytes": b"no image", "path": None},
        None,
    ]
    labels = ["real", "fake", "real", "fake", "real"]
    table = pa.table({"image": pa.array(images, kind), "label": labels})
    pq.write_table(table, tmp_path / "one.parquet")
    said = accounted("hub", tmp_path, fetched(tmp_path, tmp_path / "one.parquet"))
    assert (said["files"]["images"], said["files"]["set_aside"]) == (2, 3)


def test_plain_bytes_under_another_name(tmp_path):
    data = [picture(at, size=(32, 32)) for at in range(2)]
    table = pa.table({"jpg": data, "cls": ["real", "fake"], "embedding": [b"1", b"2"]})
    pq.write_table(table, tmp_path / "one.parquet")
    with pytest.raises(UserError, match=r"no column image; it has jpg, embedding.*data.columns"):
        fetched(tmp_path, tmp_path / "one.parquet")
    hints = Hints(columns={"image": "jpg", "label": "cls"})
    assert accounted("hub", tmp_path, fetched(tmp_path, tmp_path / "one.parquet", hints))


def test_folders_name_splits_as_well(tmp_path):
    for split in ("train", "test"):
        shard(tmp_path / f"set/default/{split}/0000.parquet", ["real", "fake"])
    assert fetched(tmp_path, tmp_path / "set").table["split"].tolist() == [
        *("test", "test", "train", "train")
    ]
    shard(tmp_path / "set/default/more/0000.parquet", ["real", "fake"])
    with pytest.raises(UserError, match=r"default/more/0000 names no split"):
        fetched(tmp_path, tmp_path / "set")


def test_old_shards_do_not_stay(tmp_path):
    shard(tmp_path / "a/old.parquet", ["real", "fake"])
    shard(tmp_path / "b/new.parquet", ["real", "fake"])
    fetched(tmp_path, tmp_path / "a")
    assert fetched(tmp_path, tmp_path / "b").seen == 2


def test_what_cannot_be_read_is_said_in_one_line(tmp_path):
    def refused(given: Path, says: str) -> None:
        with pytest.raises(UserError, match=says) as caught:
            fetched(tmp_path, given)
        assert "\n" not in str(caught.value)

    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "has no Parquet files")
    (tmp_path / "cut").mkdir()
    whole = shard(tmp_path / "whole/a.parquet", ["real", "fake"])
    (tmp_path / "cut/a.parquet").write_bytes(whole.read_bytes()[:-100])
    refused(tmp_path / "cut", r"a.parquet is not a Parquet file or is cut off")
    pq.write_table(pa.table({"label": ["real"]}), tmp_path / "words.parquet")
    refused(tmp_path / "words.parquet", "no column with the bytes of images; it has label")
    shard(tmp_path / "whole/b.parquet", ["real", "fake"], more=[1, 2])
    refused(tmp_path / "whole", r"a.parquet and .*b.parquet have other columns")
    refused(shard(tmp_path / "one.parquet", ["real", "real"]), "no fake images")
    with pytest.raises(UserError, match=r"data.revision is of a repository"):
        hub.fetch(
            *(tmp_path / "raw/hub", whole, str(whole), Hints()),
            revision="main",
            downloads=tmp_path,
        )
