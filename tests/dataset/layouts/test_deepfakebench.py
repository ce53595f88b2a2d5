# SPDX-License-Identifier: Apache-2.0
"""Frames and JSON lists in the forms that DeepfakeBench writes."""

import json
from typing import Any

import pytest
from support import accounted, picture, write_zip

from facetell.common.errors import UserError
from facetell.dataset.hints import Hints
from facetell.dataset.layouts import Listing, listing
from facetell.images.opening import open_archive

PAIRS = {"train": ("000", "003"), "val": ("017", "020"), "test": ("035", "036")}
HOME = "/home/someone/datasets/rgb"
YOUTUBE, CHANGED = "original_sequences/youtube", "manipulated_sequences"


def frames(folder: str, count: int = 2) -> list[str]:
    return [f"{folder}/{frame:03d}.png" for frame in range(count)]


def video(label: str, folder: str) -> dict[str, Any]:
    return {"label": label, "frames": frames(f"{HOME}/{folder}")}


def forensics(methods: dict[str, str], levels: tuple[str, ...] = ("c23",)) -> dict[str, Any]:
    """Labels of FaceForensics++, by split and level: ``methods`` are {label: folder}."""

    def split(label: str, folder: str, names: list[str]) -> dict[str, Any]:
        return {
            level: {
                name: video(label, f"FaceForensics++/{folder}/{level}/frames/{name}")
                for name in names
            }
            for level in levels
        }

    lists = {"FF-real": {part: split("FF-real", YOUTUBE, [*both]) for part, both in PAIRS.items()}}
    for label, folder in methods.items():
        lists[label] = {
            part: split(label, f"{CHANGED}/{folder}", [f"{a}_{b}", f"{b}_{a}"])
            for part, (a, b) in PAIRS.items()
        }
    return lists


def celeb() -> dict[str, Any]:
    """As written: every video is listed for training, and those of the test twice more."""
    lists: dict[str, Any] = {}
    for label, folder, names in (
        ("CelebDFv2_real", "Celeb-real", ["id0_0000", "id0_0001", "id1_0000"]),
        ("CelebDFv2_fake", "Celeb-synthesis", ["id0_id1_0000", "id1_id0_0000", "id1_id0_0001"]),
    ):
        made = {name: video(label, f"Celeb-DF-v2/{folder}/frames/{name}") for name in names}
        tested = {names[-1]: made[names[-1]]}
        lists[label] = {"train": made, "val": tested, "test": tested}
    return {"Celeb-DF-v2": lists}


def dfdc() -> dict[str, Any]:
    """As written: all training videos are validated on, where one video stands without a name."""
    lists: dict[str, Any] = {}
    for label, names in (("DFDC_Real", ["ra", "rb", "rc"]), ("DFDC_Fake", ["fa", "fb", "fc"])):
        made = {name: video(label, f"DFDC/train/dfdc_1/frames/{name}") for name in names[:2]}
        test = video(label, f"DFDC/test/frames/{names[2]}")
        lists[label] = {"train": made, "test": {names[2]: test}, "val": {**test, **made}}
    return {"DFDC": lists}


def listed_files(node: Any) -> set[str]:
    if isinstance(node, list):
        return {one for one in node if isinstance(one, str)}
    return set().union(*map(listed_files, node.values())) if isinstance(node, dict) else set()


def archived(home, lists: dict[str, Any], *, start: str = "", without: str = "\0", more=None):
    """A zip of lists and of the frames that they name, below ``start``."""
    paths = sorted(
        path.replace("\\", "/").removeprefix(f"{HOME}/")
        for path in set().union(*map(listed_files, lists.values()))
    )
    entries = {
        f"{start}{path}": picture(seed, size=(32, 32))
        for seed, path in enumerate(paths)
        if without not in path
    }
    entries |= {name: json.dumps(content).encode("utf-8-sig") for name, content in lists.items()}
    (home / "raw/deepfakebench").mkdir(parents=True, exist_ok=True)
    return write_zip(home / "raw/deepfakebench/set.zip", entries | (more or {}))


def read(home, lists: dict[str, Any], hints: Hints | None = None, **options: Any) -> Listing:
    with open_archive(archived(home, lists, **options)) as archive:
        return listing("deepfakebench", archive, hints)


def splits_of(listed: Listing) -> dict[str, str]:
    """The split of each video; it has one."""
    table = listed.table.assign(video=listed.table["path"].str.split("/").str[-2])
    assert (table.groupby("video")["split"].nunique() == 1).all()
    return table.groupby("video")["split"].first().to_dict()


METHODS = {"FF-DF": "Deepfakes", "FF-NT": "NeuralTextures"}


@pytest.mark.parametrize("start", ["", "datasets/rgb/", "mine/"])
def test_faceforensics_keeps_method_compression_and_video(tmp_path, start):
    lists = {"lists/FaceForensics++.json": {"FaceForensics++": forensics(METHODS, ("c23", "c40"))}}
    masks = {f"{start}FaceForensics++/masks/000.png": picture(99, size=(32, 32))}
    listed = read(tmp_path, lists, start=start, more=masks | {"train.json": b'[["000", "003"]]'})
    table = listed.table
    assert len(table) == 2 * 2 * (6 + 12)
    assert table["platform"].value_counts().to_dict() == {"c23": 36, "c40": 36}
    fakes = table[table["label"] == 1]
    assert fakes["generator"].value_counts().to_dict() == {"Deepfakes": 24, "NeuralTextures": 24}
    assert fakes["path"].str.contains("manipulated").all()
    # both sources of a swap, at every compression and by every method, are one
    assert table.groupby("person")["split"].agg(set).tolist() == [{"train"}, {"valid"}, {"test"}]
    said = accounted("deepfakebench", tmp_path, listed, share=0.2)
    assert said["files"]["ignored"] == {
        "images that are in no class or not listed": 1,
        "json files": 2,
    }
    assert (said["groups"]["number"], said["leaks"]) == (3, 0)


def test_lists_that_share_their_real_videos_give_each_frame_once(tmp_path):
    both = forensics({"FF-DF": "Deepfakes"})
    swapped = {
        # the list of DF40 has labels of another method
        "roop_Real": both["FF-real"],
        "roop_Fake": {
            part: {"c23": {f"{a}_{b}": video("roop_Fake", f"DF40/simswap/ff/frames/{a}_{b}")}}
            for part, (a, b) in PAIRS.items()
        },
    }
    lists = {"a/FF-DF.json": {"FF-DF": both}, "a/simswap_ff.json": {"simswap_ff": swapped}}
    table = read(tmp_path, lists).table
    assert (table["label"] == 0).sum() == 12
    fakes = table[table["label"] == 1]
    assert fakes["generator"].value_counts().to_dict() == {"Deepfakes": 12, "simswap": 6}
    assert table["person"].nunique() == 3


def test_celeb_df_is_not_tested_on_what_it_trains_on(tmp_path):
    listed = read(tmp_path, {"Celeb-DF-v2.json": celeb()})
    assert splits_of(listed) == {
        "id0_0000": "train",
        "id0_0001": "train",
        "id1_0000": "test",
        "id0_id1_0000": "train",
        "id1_id0_0000": "train",
        "id1_id0_0001": "test",
    }
    fakes = listed.table[listed.table["label"] == 1]
    assert set(fakes["generator"]) == {"Celeb-DF-v2"}
    assert listed.table["person"].nunique() == 6
    assert accounted("deepfakebench", tmp_path, listed, share=0.2)["files"]["images"] == 12


def test_dfdc_with_a_video_that_has_no_name(tmp_path):
    listed = read(tmp_path, {"DFDC.json": dfdc()})
    assert splits_of(listed) == {
        **dict.fromkeys(("ra", "rb", "fa", "fb"), "train"),
        **dict.fromkeys(("rc", "fc"), "test"),
    }
    assert accounted("deepfakebench", tmp_path, listed, share=0.2)["files"]["images"] == 12


def test_a_set_listed_alike_for_every_split_has_none(tmp_path):
    lists: dict[str, Any] = {}
    for label in ("UADFV_Real", "UADFV_Fake"):
        made = {f"{label[6]}{n}": video(label, f"UADFV/{label[6]}/frames/{n}") for n in range(5)}
        lists[label] = dict.fromkeys(("train", "val", "test"), made)
    listed = read(tmp_path, {"UADFV.json": {"UADFV": lists}})
    assert set(listed.table["split"]) == {""}
    assert listed.table["person"].nunique() == 10
    accounted("deepfakebench", tmp_path, listed, share=0.2)


def test_paths_with_backslashes(tmp_path):
    text = json.dumps(celeb()).replace("/", "\\\\")
    listed = read(tmp_path, {"Celeb-DF-v2.json": json.loads(text)}, start="rgb/")
    assert listed.table["path"].str.startswith("rgb/Celeb-DF-v2/").all()
    assert accounted("deepfakebench", tmp_path, listed, share=0.2)["files"]["images"] == 12


def test_frames_that_are_not_there_are_set_aside_never_mistaken(tmp_path):
    lists = {"FaceForensics++.json": {"FaceForensics++": forensics(METHODS)}}
    listed = read(tmp_path, lists, without="Deepfakes/c23/frames/000_003")
    said = accounted("deepfakebench", tmp_path, listed, share=0.2)
    assert (said["files"]["missing"], said["files"]["images"]) == (2, 34)
    # the other method has frames of the same names
    listed = read(tmp_path, lists, without="Deepfakes")
    fakes = listed.table[listed.table["label"] == 1]
    with open_archive(tmp_path / "raw/deepfakebench/set.zip") as archive:
        there = fakes["path"].isin(archive.names)
    assert set(fakes.loc[there, "generator"]) == {"NeuralTextures"}
    assert (~there).sum() == 12


def test_a_list_of_a_set_that_is_not_there_is_said(tmp_path):
    lists = {"Celeb-DF-v2.json": celeb(), "DFDC.json": dfdc()}
    listed = read(tmp_path, lists, without="DFDC/")
    assert len(listed.table) == 12
    warnings = accounted("deepfakebench", tmp_path, listed, share=0.2)["warnings"]
    assert any("DFDC.json lists is there" in one for one in warnings)


def test_what_the_user_says_goes_first(tmp_path):
    lists = celeb()["Celeb-DF-v2"]
    for key, label in (("CelebDFv2_real", "A"), ("CelebDFv2_fake", "B")):
        for part in lists[key].values():
            for one in part.values():
                one["label"] = label
    with pytest.raises(UserError, match=r"labels A, B may mean real or fake.*data.classes"):
        read(tmp_path, {"x.json": {"Celeb-DF-v2": lists}})
    said = Hints(classes={"real": ["a"], "fake": ["b"]}, splits="draw", group="(id0|id1)_0")
    table = read(tmp_path, {"x.json": {"Celeb-DF-v2": lists}}, said).table
    assert table["label"].value_counts().to_dict() == {0: 6, 1: 6}
    assert set(table["split"]) == {""}
    assert set(table["person"]) == {"id0", "id1"}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"bad.json": b"{"}, "bad.json is not JSON"),
        ({"bad.json": b"\xff\xfe\x00"}, "bad.json is not JSON"),
    ],
)
def test_damaged_lists_are_named(tmp_path, more, says):
    with pytest.raises(UserError, match=says):
        read(tmp_path, {"Celeb-DF-v2.json": celeb()}, more=more)


def test_without_lists_or_frames(tmp_path):
    with pytest.raises(UserError, match="no list of DeepfakeBench"):
        read(tmp_path, {"other.json": {"a": [1, 2]}}, more={"a.png": picture(0)})
    with pytest.raises(UserError, match=r"none of the frames that Celeb-DF-v2.json lists is there"):
        read(tmp_path, {"Celeb-DF-v2.json": celeb()}, without="Celeb", more={"a.png": b""})


def test_a_frame_of_both_classes_is_refused(tmp_path):
    lists = celeb()
    labels = lists["Celeb-DF-v2"]
    labels["CelebDFv2_real"]["train"]["id0_0000"]["frames"] = frames(
        f"{HOME}/Celeb-DF-v2/Celeb-synthesis/frames/id0_id1_0000"
    )
    with pytest.raises(UserError, match="is listed as real and as fake"):
        read(tmp_path, {"Celeb-DF-v2.json": lists})
