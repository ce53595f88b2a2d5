# SPDX-License-Identifier: Apache-2.0
"""facetell audit: any set is judged without training, every file is accounted for, nothing is
copied."""

import json
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import folder_entries, picture, separable, write_zip

from facetell.app.audit import Choices, _name, audit
from facetell.app.command_line import main
from facetell.common.errors import UserError
from facetell.common.labels import SPLITS
from facetell.dataset.audit import SPECTRAL
from facetell.dataset.hints import Hints
from facetell.dataset.layouts import recognised
from facetell.dataset.rendered import RenderedSet, write_archive
from facetell.dataset.sources.folder import Folder, fetch, open_files
from facetell.images.opening import open_archive

KEYS = {
    *("understood", "files", "groups", "generators", "contradictions", "copies", "leaks"),
    *("shortcuts", "warnings"),
}
EVIL = "<script>alert(1)</script>"
QUALITY = {"real": 90, "fake": 95}  # of LFW and face swaps as published


def swaps(each: int) -> dict[str, bytes]:
    """Pictures of one kind whose classes differ in their JPEG quality only."""
    return {
        f"set/{name}/{number:02x}{name[0]}.jpg": picture(2 * number + label, quality=quality)
        for label, (name, quality) in enumerate(QUALITY.items())
        for number in range(each)
    }


def tree(home: Path, entries: dict[str, bytes]) -> Path:
    for name, data in entries.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return home


def run(tmp_path: Path, path: Path, *options: str) -> tuple[int, dict]:
    """Exit status and JSON, whose numbers of files add up."""
    status = main(["audit", str(path), "--json", str(tmp_path / "found.json"), *options])
    said = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert set(said) - {"error"} == KEYS
    assert ("error" in said) == bool(status)
    files = said["files"]
    assert set(files) == {"seen", "images", "set_aside", "ignored"}
    assert files["seen"] == files["images"] + files["set_aside"] + sum(files["ignored"].values())
    return status, said


class Page(HTMLParser):
    """Tags of a page, images with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.images: list[dict] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.images += [dict(attributes)] if tag == "img" else []

    def handle_data(self, data):
        self.words += data


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """What is wrong with a published set: real at JPEG quality 90, fake at 95."""
    home = tmp_path_factory.mktemp("published")
    return write_zip(home / "swaps.zip", swaps(60))


def test_a_published_shortcut_is_warned_of_and_goes_when_harmonised(tmp_path, published, capsys):
    page = tmp_path / "found.html"
    status, said = run(tmp_path, published, "--html", str(page))
    assert status == 0
    assert said["understood"] == {"": {"real": 60, "fake": 60}}
    areas = said["shortcuts"]
    assert areas["file_size"]["auc"] > 0.8
    assert areas["jpeg_quality"] == {"auc": 1.0, "low": 1.0, "high": 1.0}
    for first in ("File size alone", "JPEG quality alone", "All shortcuts combined"):
        assert any(sentence.startswith(first) for sentence in said["warnings"]), first
    assert "-S data.harmonise=true" in said["warnings"][-1]
    out = capsys.readouterr().out
    assert re.search(r"file size +\S+ +\S+ to \S+ +warning", out)
    shown = Page(page.read_text(encoding="utf-8"))
    assert all(image["alt"] and image["src"].startswith("data:") for image in shown.images)
    assert any("JPEG quality 1.00" in image["alt"] for image in shown.images)
    assert any(image["alt"] == "real, train, image 1" for image in shown.images)
    assert not {"script", "link", "iframe"} & shown.tags
    assert "Can be trained on." in shown.words

    status, said = run(tmp_path, published, "--harmonise")
    assert status == 0
    # the spectrum still tells which images were saved at 90 before: that is no property of files
    areas = {name: area["auc"] for name, area in said["shortcuts"].items() if name != SPECTRAL}
    assert max(areas.values()) < 0.6, areas
    assert [sentence for sentence in said["warnings"] if "AUC" in sentence] == []


def test_a_folder_is_read_in_place_and_says_what_its_zip_would(tmp_path):
    entries = folder_entries({"train": 4, "valid": 3, "test": 3}, separable)
    entries |= {"notes.txt": b"words", "train/.thumbs/a.jpg": b"", "more.zip": b"PK"}
    entries |= {"train/real/broken.jpg": b"no image", "odd/b.png": picture(7, kind="PNG")}
    home = tree(tmp_path / "mine", entries)
    before = sorted(path for path in tmp_path.rglob("*"))
    found = audit(home)
    assert sorted(path for path in tmp_path.rglob("*")) == before, "nothing is copied"
    said = found.said
    assert said["understood"]["train"] == {"real": 5, "fake": 4}
    assert said["files"] == {
        "seen": 25, "images": 20, "set_aside": 1,
        "ignored": {"archives inside the archive": 1, "hidden or system files": 1,
                    "images that are in no class or not listed": 1, "txt files": 1},
    }  # fmt: skip
    assert said["shortcuts"] == {}
    assert "The audit was skipped" in said["warnings"][-1]
    fetch(tmp_path / "packed/mine.zip", root=home)
    assert audit(tmp_path / "packed/mine.zip").said == said
    assert audit(tmp_path / "packed").said["files"] == said["files"], "a folder of zips"


def same_file_twice(entries):
    entries["train/fake/again.jpg"] = entries["train/real/train000r.jpg"]


def a_face_on_both_sides(entries):
    entries["test/real/again.jpg"] = entries["train/real/train000r.jpg"]


def no_real_test_images(entries):
    for name in [name for name in entries if name.startswith("test/real")]:
        entries[name] = b"broken"


def no_folder_says_fake(entries):
    for name in [name for name in entries if "/fake/" in name]:
        entries[name.replace("fake", "pile")] = entries.pop(name)


def nothing_but_words(entries):
    entries.clear()
    entries["notes.txt"] = b"words"


def everything_is_broken(entries):
    entries.update(dict.fromkeys(entries, b"broken"))


@pytest.mark.parametrize(
    ("spoil", "words", "number"),
    [
        (same_file_twice, "one file, once called real and once fake", "contradictions"),
        (a_face_on_both_sides, "on two sides of a split", "leaks"),
        (no_real_test_images, "no usable real image is left for the split 'test'", ""),
        (no_folder_says_fake, "data.root has no fake images", ""),
        (nothing_but_words, "no images", ""),
        (everything_is_broken, "no usable real image is left for the split 'train'", ""),
    ],
)
def test_what_cannot_be_trained_on_ends_with_one_line(tmp_path, capsys, spoil, words, number):
    entries = folder_entries({"train": 4, "valid": 3, "test": 3}, separable)
    spoil(entries)
    page = tmp_path / "found.html"
    status, said = run(tmp_path, write_zip(tmp_path / "set.zip", entries), "--html", str(page))
    assert status == 1
    assert words in said["error"]
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("facetell: ")]
    assert lines == [f"facetell: {said['error']}"]
    assert said["files"]["seen"] == len(entries)
    if number:
        assert said[number] == 1
    assert "Cannot be trained on." in Page(page.read_text(encoding="utf-8")).words


def test_a_set_that_is_known_to_leak_can_be_trained_on_without_the_training_side(tmp_path):
    entries, rows = {}, {split: [",original_path,id,label,label_str,path"] for split in SPLITS}
    for name in folder_entries({"train": 4, "valid": 3, "test": 3}, lambda *_: b""):
        split, kind, file = name.split("/")
        entries[f"set/{name}"] = picture(len(entries))
        label = int(kind == "real")
        rows[split].append(f"0,x,{file.removesuffix('.jpg')},{label},{kind},{name}")
    entries["set/test/fake/test000f.jpg"] = entries["set/train/fake/train001f.jpg"]
    entries |= {f"{split}.csv": "\n".join(lines).encode() for split, lines in rows.items()}
    path = write_zip(tmp_path / "set.zip", entries)
    status, said = run(tmp_path, path)
    assert status == 0
    assert said["leaks"] == 1
    assert any("1 images that show what is in another split are left out" in sentence
               for sentence in said["warnings"])  # fmt: skip
    assert run(tmp_path, path, "--layout", "folder")[0] == 1


def test_names_are_text_wherever_they_are_shown(tmp_path, capsys):
    entries = {}
    for number in range(8):
        entries[f"real/{number}.png"] = picture(number, kind="PNG")
        entries[f"fake/{EVIL}/{number}.png"] = picture(100 + number, kind="PNG")
        entries[f"fake/鬼\x1b[31m$x_{{/{number}.png"] = picture(200 + number, kind="PNG")
    entries["fake/other/a<b>.png"] = b"broken"
    # as a stranger's zip has it: some of these are no names of files everywhere
    page = tmp_path / "found.html"
    path = write_zip(tmp_path / "a & b.zip", {n.replace("</", "<|"): d for n, d in entries.items()})
    status, said = run(tmp_path, path, "--html", str(page), "--generators",
                       EVIL.replace("</", "<|"), "--generators", "鬼\x1b[31m$x_{")  # fmt: skip
    assert status == 0
    assert said["generators"] == {EVIL.replace("</", "<|"): 8, "鬼\x1b[31m$x_{": 8}
    text = page.read_text(encoding="utf-8")
    shown = Page(text)
    assert "script" not in shown.tags
    assert "b" not in shown.tags
    assert {"&lt;script&gt;", "a &amp; b"} <= set(re.findall(r"&lt;script&gt;|a &amp; b", text))
    assert f"fake {EVIL.replace('</', '<|')}" in shown.words
    assert "\x1b" not in capsys.readouterr().out


def test_what_folders_do_not_say_can_be_said(tmp_path, capsys):
    entries = {
        f"{side}/{name}/{number % 4}_{number}.png": picture(hash((side, name, number)) % 2**31)
        for side in ("one", "two") for name in ("camera", "sdxl", "flux") for number in range(8)
    }  # fmt: skip
    path = write_zip(tmp_path / "set.zip", entries)
    status, said = run(tmp_path, path)
    assert status == 1
    assert said["files"]["ignored"] == {"images that are in no class or not listed": 48}
    names = [f"--classes={name}" for name in ("real=camera", "fake=sdxl", "fake=flux")]
    status, said = run(tmp_path, path, *names, "--splits", "train=one", "--splits", "test=two")
    assert status == 0
    assert said["understood"] == {
        "train": {"real": 8, "fake": 16}, "test": {"real": 8, "fake": 16},
    }  # fmt: skip
    status, said = run(tmp_path, path, *names, "--splits", "draw", "--group", "([a-z]+/[0-3])_")
    assert list(said["understood"]) == [""]
    assert said["groups"] == {"number": 12, "rule": "data.group=([a-z]+/[0-3])_"}
    capsys.readouterr()
    assert main(["audit", str(path), "--classes", "camera"]) == 1
    assert "'camera' is not like real=NAME" in capsys.readouterr().err
    assert main(["audit", str(tmp_path / "nothing")]) == 1
    assert "there is no file or folder" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_table_is_judged_where_its_images_lie(tmp_path, suffix):
    entries = folder_entries({"train": 4, "test": 3}, separable)
    home = tree(tmp_path / "faces", entries)
    rows = pd.DataFrame({"file": list(entries)})
    rows["target"] = [int("/fake/" in name) for name in entries]
    rows["split"] = [name.split("/")[0] for name in entries]
    rows.loc[len(rows)] = ["train/real/nowhere.jpg", 0, "train"]
    table = tmp_path / f"lists/faces{suffix}"
    table.parent.mkdir()
    if suffix == ".parquet":
        rows.to_parquet(table)
    else:
        rows.to_csv(table, index=False, sep="\t" if suffix == ".tsv" else ",", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    status, said = run(
        *(tmp_path, table, "--root", str(home)),
        *("--columns=path=file", "--columns=label=target", "--classes=real=0", "--classes=fake=1"),
    )
    assert status == 0
    assert sorted(set(tmp_path.rglob("*")) - {tmp_path / "found.json"}) == before
    assert said["understood"] == {"train": {"real": 5, "fake": 4}, "test": {"real": 3, "fake": 3}}
    assert said["files"] == {"seen": 14, "images": 14, "set_aside": 0, "ignored": {}}
    assert "1 images are listed, but are not there" in said["warnings"]
    with pytest.raises(UserError, match="none of its 15 images is there"):
        audit(table)


def test_parquet_files_that_hold_images_are_judged_where_they_lie(tmp_path):
    def image(number: int, kind: str) -> dict[str, object]:
        return {"bytes": picture(number, kind=kind), "path": f"{number}.{kind}"}

    for part, split in enumerate(("train", "test")):
        images = [image(10 * part + number, "PNG") for number in range(8)]
        rows = pa.table({"image": images, "label": ["real", "fake"] * 4})
        (tmp_path / "shards/data").mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, tmp_path / f"shards/data/{split}-00000-of-00001.parquet")
    (tmp_path / "shards/README.md").write_text("what it is", encoding="utf-8")
    status, said = run(tmp_path, tmp_path / "shards")
    assert status == 0
    assert said["understood"] == {name: {"real": 4, "fake": 4} for name in ("train", "test")}
    assert said["files"] == {"seen": 17, "images": 16, "set_aside": 0, "ignored": {"md files": 1}}
    one = tmp_path / "shards/data/train-00000-of-00001.parquet"
    assert audit(one).said["error"].startswith(f"{one} has the splits train")
    drawn = Choices(hints=Hints(splits="draw"))
    assert audit(one, drawn).said["understood"] == {"": {"real": 4, "fake": 4}}
    one.write_bytes(one.read_bytes()[:100])
    with pytest.raises(UserError, match="is not a Parquet file or is cut off"):
        audit(one)


def test_published_sets_are_recognised(tmp_path):
    listing = b",original_path,id,label,label_str,path\n"
    trees = {
        "faces140k": {f"{split}.csv": listing for split in ("train", "valid", "test")},
        "ciplab": {"training_real/real_1.jpg": b"", "training_fake/easy_1_0101.jpg": b""},
        "trueface": {"PreSocial/Real/1.png": b"", "PreSocial/StyleGAN2/Fake/2.png": b"",
                     "Facebook/StyleGAN2/Fake/2_FB.png": b""},
        "deepfakebench": {"rgb/UADFV/fake/1/001.png": b"", "lists/UADFV.json": json.dumps(
            {"UADFV": {"UADFV_Fake": {"train": {"1": {
                "label": "UADFV_Fake", "frames": ["UADFV/fake/1/001.png"]}}}}}
        ).encode()},
        "folder": {"real/1.png": b"", "fake/stylegan2/2.png": b"", "index.csv": b"file,label\n",
                   "train.csv": b"path,label\n"},
    }  # fmt: skip
    for layout, entries in trees.items():
        with open_archive(write_zip(tmp_path / f"{layout}.zip", entries)) as archive:
            assert recognised(archive) == layout
    content = RenderedSet(seed=0, size=32, train=2, valid=2, test=2, singles_per_kind=0)
    write_archive(tmp_path / "own.zip", content, workers=1, progress=False)
    with zipfile.ZipFile(tmp_path / "own.zip") as archive:
        archive.extractall(tmp_path / "own")
    with open_files(tmp_path / "own") as files:
        assert recognised(files) == "demo"
        assert files.names == Folder(tmp_path / "own").names


def test_a_set_has_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _name(Path()) == tmp_path.name
    assert _name(Path("/")) == "images"
