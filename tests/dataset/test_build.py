# SPDX-License-Identifier: Apache-2.0
"""From archives to a manifest: platforms, several sets as one, treated images."""

import io

import pytest
from PIL import Image
from support import built, folder_entries, picture, separable, write_zip

from facetell.common.errors import UserError
from facetell.dataset.build import build
from facetell.dataset.layouts import rows
from facetell.dataset.leaks import INSIDE
from facetell.dataset.manifest import COLUMNS
from facetell.dataset.splits import Splitting
from facetell.images.decoding import inspect
from facetell.images.opening import open_archive
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


@pytest.mark.parametrize("top", ["", "set/Train/", "Test/"])
def test_trueface_is_split_by_stem_over_platforms(tmp_path, top):
    manifest, aside, leaks, *_ = built(
        tmp_path, trueface(top=top), "trueface", valid=0.2, test=0.2, seed=3
    )
    assert len(aside) == 0
    assert set(leaks["kind"]) <= set(INSIDE.values())  # one file stands for a face everywhere
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


def test_one_set_is_trained_on_and_another_tested(tmp_path):
    raw, tables = tmp_path / "raw", {}
    for name in ("one", "two"):
        entries = folder_entries({"train": 4, "valid": 4, "test": 4}, separable)
        entries = {path: picture(hash((name, path)) % 2**31) for path in entries}
        (raw / name).mkdir(parents=True)
        with open_archive(write_zip(raw / name / "s.zip", entries)) as archive:
            tables[name] = rows("folder", archive)
    uses = {"one": "train", "two": "test"}
    files = {name: raw / name for name in tables}
    manifest = build(tables, files, Splitting(valid=0, test=0, seed=0, uses=uses)).manifest
    by_split = manifest.groupby("split")["set"].unique().map(sorted).to_dict()
    assert by_split == {
        "train": ["one"], "valid": ["one"], "test": ["two"], "unused": ["one", "two"],
    }  # fmt: skip
    assert manifest["id"].is_unique
    assert manifest["id"].str.split("/").str[0].eq(manifest["set"]).all()


def test_laundering_makes_a_copy_for_each_platform_and_they_share_a_side(tmp_path):
    entries = folder_entries({"train": 6, "valid": 4, "test": 4}, separable)
    manifest, _, leaks, *_ = built(tmp_path, entries, launder=["presocial", "facebook", "twitter"])
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
    files = {"folder": tmp_path / "raw/folder"}
    pack([train], files, tmp_path / "train", same)
    with pytest.raises(UserError, match="is not the image that the manifest describes"):
        pack([train], files, tmp_path / "other")
    packed = Packed(tmp_path / "train")
    properties, _ = inspect(packed.image(0))
    assert (properties.width, properties.height, properties.jpeg_quality) == (64, 64, 75)
