"""Archives, layouts, manifest and packed files."""

import numpy as np
import pytest
from support import SAMPLE, built, folder_entries, picture, separable, write_zip

from facetell.common.errors import UserError
from facetell.common.files import sha256, whole, write_json
from facetell.common.labels import SPLITS
from facetell.dataset.layouts import rows
from facetell.dataset.manifest import COLUMNS
from facetell.dataset.sources import folder as folder_source
from facetell.dataset.sources import local
from facetell.dataset.summary import counts
from facetell.images import archive as archives
from facetell.images.decoding import Unusable
from facetell.images.packed import Packed
from facetell.images.packing import pack


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
    manifest, aside, leaks = built(tmp_path, kaggle_entries(), "faces140k")
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
        archives.open_archive(write_zip(tmp_path / "a.zip", entries)) as archive,
        pytest.raises(UserError, match=r"test\.csv.*labelled 0 but called 'real'"),
    ):
        rows("faces140k", archive)


@pytest.mark.skipif(not SAMPLE.exists(), reason=f"no {SAMPLE}")
def test_the_real_sample_has_its_published_counts():
    with archives.open_archive(SAMPLE) as archive:
        table = rows("faces140k", archive)
        names = set(archive.names)
    counts = table.groupby(["split", "label"]).size().to_dict()
    assert counts == {
        **{("train", 0): 797, ("train", 1): 563, ("valid", 0): 156},
        **{("valid", 1): 255, ("test", 0): 76, ("test", 1): 149},
    }
    assert set(table["path"]) <= names


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["train/real/a.jpg", "test/real/b.jpg", "test/fake/c.jpg"], "no fake"),
        (["fake/a.jpg", "fake/b.jpg"], "no real"),
        (["photos/a.jpg"], "real and fake"),
        (["valid/real/a.jpg", "valid/fake/b.jpg"], "train and test are both needed"),
    ],
)
def test_folders_without_a_class_or_split(tmp_path, names, says):
    path = write_zip(tmp_path / "a.zip", {name: picture() for name in names})
    with archives.open_archive(path) as archive, pytest.raises(UserError, match=says):
        rows("folder", archive)


@pytest.mark.parametrize("synthetic", ["fake", "Synthetic"])
@pytest.mark.parametrize("valid", ["val", "valid", "validation"])
def test_folder_names_are_understood(tmp_path, synthetic, valid):
    names = [
        f"set/{s}/{c}/x{i}.png"
        for s in ("train", valid, "test")
        for c in ("real", synthetic)
        for i in range(2)
    ]
    path = write_zip(tmp_path / "a.zip", dict.fromkeys(names, b""))
    with archives.open_archive(path) as archive:
        table = rows("folder", archive)
    assert sorted(set(table["split"])) == ["test", "train", "valid"]
    assert (table["label"] == table["path"].str.contains(synthetic)).all()


def test_broken_images_are_set_aside_with_a_reason(tmp_path):
    entries = folder_entries({"train": 3, "valid": 2, "test": 2}, separable)
    entries["train/fake/broken.jpg"] = picture()[:500]
    entries["train/real/empty.png"] = b""
    manifest, aside, _ = built(tmp_path, entries)
    assert set(aside["path"]) == {"train/fake/broken.jpg", "train/real/empty.png"}
    assert set(aside["set"]) == {"folder"}
    assert (aside["reason"] != "").all()
    assert counts(manifest)["train"] == {"real": 3, "fake": 3}


def test_nothing_left_of_a_class_stops_with_one_error(tmp_path):
    entries = folder_entries({"train": 2, "valid": 2, "test": 2}, separable)
    entries = {n: (b"" if n.startswith("test/fake") else d) for n, d in entries.items()}
    with pytest.raises(UserError, match="no usable fake image is left for the split 'test'"):
        built(tmp_path, entries)


@pytest.mark.parametrize("name", ["../evil.jpg", "/etc/evil.jpg", "a/../../b.jpg", "C:\\evil.jpg"])
def test_entries_that_point_outside_are_refused(tmp_path, name):
    path = write_zip(tmp_path / "a.zip", {"real/a.jpg": b"", name: b""})
    with pytest.raises(UserError, match="points outside"):
        archives.open_archive(path)


def test_missing_and_truncated_archives(tmp_path):
    with pytest.raises(UserError, match="missing"):
        archives.open_archive(tmp_path / "none.zip")
    path = write_zip(tmp_path / "a.zip", kaggle_entries())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match="cut off"):
        archives.open_archive(path)


def test_a_damaged_entry_is_unusable_not_fatal(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a.jpg": picture(), "b.jpg": picture(1)})
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(bytes(data))
    with archives.open_archive(path) as archive:
        with pytest.raises(Unusable, match="damaged"):
            archive.read("a.jpg")
        with pytest.raises(Unusable, match="not in the archive"):
            archive.read("c.jpg")
        assert archive.read("b.jpg") == picture(1)


def test_local_archive_is_checked_before_anything_is_written(tmp_path):
    path, target = write_zip(tmp_path / "a.zip", kaggle_entries()), tmp_path / "out/t.zip"
    with pytest.raises(UserError, match=r"data\.archive"):
        local.fetch(target, archive=tmp_path / "none.zip", expected=None)
    with pytest.raises(UserError, match=r"data\.sha256"):
        local.fetch(target, archive=path, expected="0" * 64)
    assert not target.exists()
    assert list(target.parent.iterdir()) == []
    local.fetch(target, archive=path, expected=sha256(path).upper())
    assert sha256(target) == sha256(path)


def test_folder_source_packs_the_same_bytes_twice(tmp_path):
    root = tmp_path / "set"
    for name, data in folder_entries({"train": 2, "valid": 1, "test": 1}, separable).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "notes.txt").write_text("not an image")
    folder_source.fetch(tmp_path / "1.zip", root=root)
    folder_source.fetch(tmp_path / "2.zip", root=root)
    assert sha256(tmp_path / "1.zip") == sha256(tmp_path / "2.zip")
    with archives.open_archive(tmp_path / "1.zip") as archive:
        assert len(rows("folder", archive)) == 8
    with pytest.raises(UserError, match="there is no folder"):
        folder_source.fetch(tmp_path / "3.zip", root=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no image"):
        folder_source.fetch(tmp_path / "3.zip", root=tmp_path / "empty")
    assert not (tmp_path / "3.zip").exists()


def test_packed_images_are_the_original_bytes_in_manifest_order(packed_set, manifest):
    packed = Packed(packed_set / "train.arrow")
    part = manifest[manifest["split"] == "train"]
    assert packed.ids == list(part["id"])
    assert (packed.labels == part["label"].to_numpy()).all()
    with archives.open_archive(packed_set / "raw/folder") as archive:
        for index, path in enumerate(part["path"]):
            assert packed.image(index) == archive.read(path)
    assert packed.mask(0) is None


def test_packing_twice_gives_the_same_bytes(packed_set, manifest, tmp_path):
    part = manifest[manifest["split"] == "valid"]
    with archives.open_archive(packed_set / "raw/folder") as archive:
        pack(part, {"folder": archive}, tmp_path / "again.arrow")
    assert sha256(tmp_path / "again.arrow") == sha256(packed_set / "valid.arrow")


def test_outputs_are_whole_or_absent(tmp_path):
    def interrupted():
        with whole(tmp_path / "a.txt") as path:
            path.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"auc": np.nan})
    assert list(tmp_path.iterdir()) == []
