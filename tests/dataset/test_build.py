"""From rows to a manifest: splits by face, leaks, platforms, several sets as one."""

import io

import pandas as pd
import pytest
from PIL import Image
from support import built, folder_entries, picture, separable, write_zip

from facetell.common.errors import UserError
from facetell.dataset.build import build
from facetell.dataset.layouts import rows
from facetell.dataset.leaks import COPY, gate
from facetell.dataset.manifest import COLUMNS, SCHEMA, plan
from facetell.dataset.splits import assign, faces, used
from facetell.images.archive import open_archive
from facetell.images.decoding import inspect
from facetell.images.packed import Packed
from facetell.images.packing import pack
from facetell.images.reencoding import Treatment

PLACES = ("TrueFace_PreSocial", *(f"TrueFace_PostSocial/{p}" for p in ("Facebook", "Twitter")))
SUFFIX = {"Facebook": "_FB.jpg", "Twitter": "_TW.jpg"}


def trueface(count: int = 40, top: str = "") -> dict[str, bytes]:
    """Every face before and after two platforms: same picture, recompressed."""
    found = {}
    for what, folder in (("real", "Real/FFHQ"), ("fake", "Fake/StyleGAN/images-psi-0.7")):
        for number in range(count):
            image = Image.open(io.BytesIO(picture(1000 * (what == "fake") + number, kind="PNG")))
            for place in PLACES:
                platform = place.split("/")[-1]
                name = f"{number:05d}{SUFFIX.get(platform, '.png')}"
                if what == "fake" and platform not in SUFFIX:
                    name = f"seed{number:04d}.png"
                buffer = io.BytesIO()
                image.save(buffer, "PNG" if name.endswith("png") else "JPEG", quality=85)
                found[f"{top}{place}/{folder}/{name}"] = buffer.getvalue()
    return found


def frame(**columns) -> pd.DataFrame:
    size = max(len(value) for value in columns.values() if isinstance(value, list))
    table = pd.DataFrame({"split": [""] * size, "set": "s", "label": 0, "platform": "presocial"})
    for name in ("sha256", "person", "stem"):
        table[name] = [f"{name}{at}" for at in range(size)]
    unknown = {"ffhq_id": pd.array([pd.NA] * size, dtype="Int32")}
    return table.assign(**unknown | columns)


def test_copies_of_one_face_share_a_side_whatever_links_them():
    table = frame(
        person=["a", "a", "b", "c", "d", "e", "f"],
        stem=["", "", "x", "x", "", "", ""],
        sha256=["1", "2", "3", "4", "4", "5", "6"],
        ffhq_id=pd.array([pd.NA, 7, pd.NA, pd.NA, pd.NA, 7, pd.NA], dtype="Int32"),
    )
    assert faces(table).tolist() == [0, 0, 1, 1, 1, 0, 2]
    assert faces(table, [(0, 6)]).tolist() == [0, 0, 1, 1, 1, 0, 0]


def test_unsplit_sets_are_split_by_person_and_class():
    table = frame(
        person=[f"p{i // 2}" for i in range(400)], label=[int(i // 2 % 4 == 0) for i in range(400)]
    )
    face = faces(table)
    split = assign(table, face, valid=0.1, test=0.2, seed=1)
    assert (split.groupby(table["person"]).nunique() == 1).all()
    for label in (0, 1):
        share = split[table["label"] == label].value_counts(normalize=True)
        assert share["test"] == pytest.approx(0.2, abs=0.02)
        assert share["valid"] == pytest.approx(0.1, abs=0.02)
    assert split.equals(assign(table, face, valid=0.1, test=0.2, seed=1))
    assert not split.equals(assign(table, face, valid=0.1, test=0.2, seed=2))


def test_official_splits_stay_and_faces_of_other_sets_follow_them():
    official = frame(
        split=["train", "valid", "test"], ffhq_id=pd.array([1, 2, 3], dtype="Int32"),
        person=["a1", "a2", "a3"], sha256=["1", "2", "3"], stem=[""] * 3,
    )  # fmt: skip
    other = frame(
        set=["t"] * 60, ffhq_id=pd.array(range(60), dtype="Int32"),
        person=[f"t{i}" for i in range(60)], sha256=[f"t{i}" for i in range(60)], stem=[""] * 60,
    )  # fmt: skip
    table = pd.concat([official, other], ignore_index=True)
    split = assign(table, faces(table), valid=0.1, test=0.1, seed=0)
    assert split[:3].tolist() == ["train", "valid", "test"]
    assert split[3:][other["ffhq_id"].isin([1, 2, 3]).to_numpy()].tolist() == [
        "train", "valid", "test",
    ]  # fmt: skip
    assert set(split[3:]) == {"train", "valid", "test"}


def test_validation_is_drawn_from_training_where_a_set_has_none():
    table = frame(split=["train"] * 80 + ["test"] * 20)
    split = assign(table, faces(table), valid=0.25, test=0.5, seed=0)
    assert split.value_counts().to_dict() == {"train": 60, "valid": 20, "test": 20}
    assert (split[80:] == "test").all()


@pytest.mark.parametrize("top", ["", "set/Train/", "Test/"])
def test_trueface_is_split_by_stem_over_platforms(tmp_path, top):
    manifest, aside, leaks = built(
        tmp_path, trueface(top=top), "trueface", valid=0.2, test=0.2, seed=3
    )
    assert len(aside) == len(leaks) == 0
    assert tuple(manifest.columns) == COLUMNS
    assert (manifest.groupby("stem")["split"].nunique() == 1).all()
    assert manifest.groupby("stem")["platform"].nunique().eq(3).all()
    assert set(manifest["split"]) == {"train", "valid", "test"}
    assert manifest.groupby("split").size().to_dict() == {"train": 144, "valid": 48, "test": 48}
    assert set(manifest.loc[manifest["label"] == 1, "psi"]) == {0.7}
    assert manifest.loc[manifest["label"] == 0, "ffhq_id"].notna().all()
    assert set(manifest["subsampling"]) == {"", "4:2:0"}


@pytest.mark.parametrize("train_on", ["presocial", "facebook", ["facebook", "twitter"], "combined"])
def test_training_on_a_platform_leaves_every_platform_to_be_tested(tmp_path, train_on):
    manifest = built(
        tmp_path, trueface(), "trueface", valid=0.2, test=0.2, train_on=train_on
    ).manifest
    wanted = {train_on} if isinstance(train_on, str) else set(train_on)
    if wanted == {"combined"}:
        wanted = {"presocial", "facebook", "twitter"}
    for split in ("train", "valid"):
        assert set(manifest.loc[manifest["split"] == split, "platform"]) == wanted
    tested = manifest[manifest["split"] == "test"]
    assert tested["platform"].value_counts().to_dict() == dict.fromkeys(
        ("presocial", "facebook", "twitter"), 16
    )
    assert len(manifest) == 240, "what is not used stays in the manifest"


def test_sets_to_train_on_are_named_like_platforms_and_narrow_them():
    table = pd.DataFrame(
        [
            (set_, platform, split)
            for set_ in ("a", "b")
            for platform in ("presocial", "facebook")
            for split in ("train", "valid", "test")
        ],
        columns=["set", "platform", "split"],
    )
    for train_on, kept in (
        ("a", {("a", "presocial"), ("a", "facebook")}),
        (["b", "facebook"], {("b", "facebook")}),
        (["a", "b", "presocial"], {("a", "presocial"), ("b", "presocial")}),
    ):
        split = used(table, train_on=train_on, uses={})
        for part in ("train", "valid"):
            assert set(map(tuple, table.loc[split == part, ["set", "platform"]].values)) == kept
        assert (split == "test").sum() == 4


def test_wrong_platforms_and_uses_list_the_valid_ones(tmp_path):
    table = frame(split=["train", "test"], platform=["presocial", "facebook"])
    with pytest.raises(UserError, match=r"no telegram in .* facebook, presocial, the sets s,"):
        used(table, train_on="telegram", uses={})
    with pytest.raises(UserError, match=r"sets\.s\.use: no 'valid'; there are all, train, test"):
        used(table, train_on="combined", uses={"s": "valid"})
    with pytest.raises(UserError, match="no platform vk; there are presocial, facebook"):
        plan({"s": pd.DataFrame({"id": ["a"], "person": "a", "platform": "presocial"})}, "vk")


def leaking(kind: str) -> dict[str, bytes]:
    """A folder set in which one test image is in training too, in one way or another."""
    entries = folder_entries({"train": 6, "valid": 4, "test": 4}, separable)
    secret = picture(77, (128, 128), "PNG")
    image = Image.open(io.BytesIO(secret))
    if kind == "near copy":
        image = image.resize((96, 96))
    if kind == "mirror":
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    entries["test/real/secret.png"] = secret
    entries["train/real/other.jpg"] = secret if kind == "same file" else buffer.getvalue()
    return entries


@pytest.mark.parametrize("kind", ["same file", "near copy", "mirror"])
def test_a_picture_on_both_sides_is_a_leak(tmp_path, kind):
    found = built(tmp_path, leaking(kind))
    assert found.leaks["kind"].to_list() == [kind if kind == "same file" else COPY]
    row = found.leaks.iloc[0]
    assert (row["split"], row["id"]) == ("train", "folder/train/real/other.jpg")
    assert (row["other_split"], row["other_id"]) == ("test", "folder/test/real/secret.png")
    with pytest.raises(UserError, match=r"leak: .* leaks\.csv.*leaks=drop"):
        gate(found.leaks, "fail", "leaks.csv")
    kept = built(tmp_path, leaking(kind), drop=True).manifest
    assert set(found.manifest["id"]) - set(kept["id"]) == {"folder/train/real/other.jpg"}
    again = built(tmp_path, leaking(kind), drop=True)
    gate(again.leaks, "drop", "leaks.csv")


def test_the_same_picture_twice_in_one_split_is_no_leak(tmp_path):
    entries = folder_entries({"train": 4, "valid": 4, "test": 4}, separable)
    entries["train/real/a.jpg"] = entries["train/real/b.jpg"] = picture(5)
    assert len(built(tmp_path, entries).leaks) == 0


def test_a_person_or_ffhq_photo_on_both_sides_is_a_leak(tmp_path):
    """Two sets with official splits share a photo: one trains on it, the other tests it."""
    raw = tmp_path / "raw"
    tables = {}
    for name, side in (("one", "train"), ("two", "test")):
        entries = folder_entries({"train": 4, "valid": 4, "test": 4}, separable)
        entries = {path: picture(hash((name, path)) % 2**31) for path in entries}
        (raw / name).mkdir(parents=True)
        with open_archive(write_zip(raw / name / "s.zip", entries)) as archive:
            tables[name] = rows("folder", archive)
        where = (tables[name]["split"] == side) & (tables[name]["label"] == 0)
        tables[name].loc[where[where].index[0], "ffhq_id"] = 168
    found = build(tables, raw, valid=0, test=0, seed=0)
    assert found.leaks["kind"].tolist() == ["same FFHQ photo"]
    assert found.leaks[["split", "other_split"]].iloc[0].tolist() == ["train", "test"]
    dropped = build(tables, raw, valid=0, test=0, seed=0, drop=True).manifest
    assert dropped["ffhq_id"].notna().sum() == 1
    tables["two"].loc[:, "person"] = "somebody"
    kinds = build(tables, raw, valid=0, test=0, seed=0).leaks["kind"]
    assert set(kinds) == {"same person", "same FFHQ photo"}


def test_unsplit_sets_never_leak(tmp_path):
    """Copies are found before the draw, and stay together."""
    entries = {}
    for number in range(40):
        label = ("real", "fake")[number % 2]
        entries[f"{label}/{number}.png"] = picture(number, (96, 96), "PNG")
        entries[f"{label}/{number}-copy.jpg"] = picture(number, (96, 96), quality=50)
    manifest, _, leaks = built(tmp_path, entries, valid=0.2, test=0.2, seed=1)
    assert len(leaks) == 0
    face = manifest["path"].str.extract(r"(\d+)")[0]
    assert (manifest.groupby(face)["split"].nunique() == 1).all()
    assert set(manifest["split"]) == {"train", "valid", "test"}


def test_one_set_is_trained_on_and_another_tested(tmp_path):
    raw, tables = tmp_path / "raw", {}
    for name in ("one", "two"):
        entries = folder_entries({"train": 4, "valid": 4, "test": 4}, separable)
        entries = {path: picture(hash((name, path)) % 2**31) for path in entries}
        (raw / name).mkdir(parents=True)
        with open_archive(write_zip(raw / name / "s.zip", entries)) as archive:
            tables[name] = rows("folder", archive)
    uses = {"one": "train", "two": "test"}
    manifest = build(tables, raw, valid=0, test=0, seed=0, uses=uses).manifest
    by_split = manifest.groupby("split")["set"].unique().map(sorted).to_dict()
    assert by_split == {
        "train": ["one"], "valid": ["one"], "test": ["two"], "unused": ["one", "two"],
    }  # fmt: skip
    assert manifest["id"].is_unique
    assert manifest["id"].str.split("/").str[0].eq(manifest["set"]).all()


def test_laundering_makes_a_copy_for_each_platform_and_they_share_a_side(tmp_path):
    entries = folder_entries({"train": 6, "valid": 4, "test": 4}, separable)
    manifest, _, leaks = built(tmp_path, entries, launder=["presocial", "facebook", "twitter"])
    assert len(leaks) == 0
    assert manifest["platform"].value_counts().to_dict() == dict.fromkeys(
        ("presocial", "facebook", "twitter"), 28
    )
    assert (manifest.groupby("person")["split"].nunique() == 1).all()
    twitter = manifest[manifest["platform"] == "twitter"]
    assert set(twitter["jpeg_quality"]) == {87}
    assert twitter["laundered"].all()
    facebook = manifest[manifest["platform"] == "facebook"]
    assert facebook["jpeg_quality"].between(61, 92).all()
    assert facebook["jpeg_quality"].nunique() > 5
    assert (facebook["width"] == 48).all()
    only = built(tmp_path, entries, launder="telegram").manifest
    assert set(only["platform"]) == {"telegram"}
    assert set(only["jpeg_quality"]) == {85}


def test_harmonised_images_differ_in_nothing_but_pixels_and_are_packed_so(tmp_path):
    entries = folder_entries({"train": 5, "valid": 3, "test": 3}, separable)
    odd = {}
    for path, data in entries.items():
        image = Image.open(io.BytesIO(data))
        buffer = io.BytesIO()
        if "/fake/" in path:
            image.resize((80, 100)).save(buffer, "PNG")
        odd[path] = buffer.getvalue() or data
    same = Treatment(harmonise=True, size=64, quality=75)
    manifest = built(tmp_path, odd, harmonise=same).manifest
    for column in ("width", "height", "format", "mode", "jpeg_quality", "quant_table", "exif"):
        assert manifest[column].nunique() == 1, column
    train = manifest[manifest["split"] == "train"]
    with open_archive(tmp_path / "raw/folder") as archive:
        pack(train, {"folder": archive}, tmp_path / "train.arrow", same)
        with pytest.raises(UserError, match="is not the image that the manifest describes"):
            pack(train, {"folder": archive}, tmp_path / "other.arrow")
    packed = Packed(tmp_path / "train.arrow")
    facts, _ = inspect(packed.image(0))
    assert (facts.width, facts.height, facts.jpeg_quality) == (64, 64, 75)


def test_the_manifest_has_the_columns_that_users_rely_on(tmp_path):
    manifest = built(
        tmp_path, folder_entries({"train": 2, "valid": 2, "test": 2}, separable)
    ).manifest
    assert set(COLUMNS) >= {
        *("id", "path", "split", "label", "person", "generator", "platform", "sha256", "width"),
        *("height", "bytes", "jpeg_quality", "stem", "ffhq_id", "psi", "subsampling"),
        *("quant_table", "mode", "set"),
    }
    SCHEMA.validate(manifest)
