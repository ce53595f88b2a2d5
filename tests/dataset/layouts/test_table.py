# SPDX-License-Identifier: Apache-2.0
"""A user's table of images: what its columns mean, and what becomes of every file."""

from pathlib import Path

import pandas as pd
import pytest
from support import accounted, picture, write_zip

from facetell.common.errors import UserError
from facetell.dataset.build import build
from facetell.dataset.hints import Hints
from facetell.dataset.layouts import Listing, listing
from facetell.dataset.sources import local, table
from facetell.dataset.splits import Splitting
from facetell.images.opening import open_archive

PICTURES = [picture(seed, size=(32, 32)) for seed in range(40)]
REAL_IS_ZERO = Hints(classes={"real": ["0"], "fake": ["1"]})


def files(folder: Path, names: list[str]) -> None:
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PICTURES[seed])


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding, newline="")
    return path


def fetched(home: Path, path: Path, hints: Hints, root: Path | None = None) -> Listing:
    target = home / "raw/table/table.zip"
    table.fetch(target, table=path, hints=hints, root=root)
    with open_archive(target.parent) as archive:
        return listing("table", archive, hints)


FULL = """\
path,label,split,group,generator,platform
a/1.png,real,training,p,,
a/2.png,REAL,dev,q,ignored for real ones,
a/3.png,Real,testing,r,,facebook
b/1.png,fake,training,p,sd,
b/2.png,AI-generated,dev,q,gan,
b/3.png,Fake,testing,r,gan,facebook
"""


def test_every_column_is_kept(tmp_path):
    files(tmp_path, [f"{folder}/{n}.png" for folder in "ab" for n in (1, 2, 3)])
    listed = fetched(tmp_path, written(tmp_path / "my.csv", FULL, "utf-8-sig"), Hints())
    rows = listed.table.set_index("path")
    assert rows["label"].to_dict() == {
        **{f"a/{n}.png": 0 for n in (1, 2, 3)},
        **{f"b/{n}.png": 1 for n in (1, 2, 3)},
    }
    assert rows["split"].tolist() == ["train", "valid", "test"] * 2
    assert rows["person"].tolist() == ["p", "q", "r"] * 2
    assert rows["generator"].tolist() == ["", "", "", "sd", "gan", "gan"]
    assert rows["platform"].tolist() == ["presocial", "presocial", "facebook"] * 2
    assert listed.grouped == "the column group"
    said = accounted("table", tmp_path, listed)
    assert said["understood"] == {
        split: {"real": 1, "fake": 1} for split in ("train", "valid", "test")
    }
    assert said["generators"] == {"gan": 2, "sd": 1}
    assert said["files"]["images"] == 6


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.tsv", "path\tlabel\n1.png\treal\n2.png\tfake\n"),
        ("t.csv", "path;label\r\n1.png;real\r\n2.png;fake\r\n"),
        ("t.csv", 'File_Name,Class,note\n1.png,real,"a, b"\n2.png,fake,\n'),
        ("t.csv", "path,label\n./1.png,real\nx/../2.png,fake\n"),
    ],
)
def test_tables_as_programs_write_them(tmp_path, name, text):
    files(tmp_path, ["1.png", "2.png"])
    listed = fetched(tmp_path, written(tmp_path / name, text), Hints())
    assert listed.table[["path", "label"]].values.tolist() == [["1.png", 0], ["2.png", 1]]
    accounted("table", tmp_path, listed)


def test_parquet_with_numbers_as_the_user_says_them(tmp_path):
    files(tmp_path, ["1.png", "2.png", "3.png"])
    frame = pd.DataFrame({"path": ["1.png", "2.png", "3.png"], "label": [0.0, 1.0, None]})
    frame.to_parquet(tmp_path / "t.parquet")
    listed = fetched(tmp_path, tmp_path / "t.parquet", REAL_IS_ZERO)
    assert listed.table["label"].tolist() == [0, 1]
    assert listed.ignored == {"images that are in no class or not listed": 1}
    warnings = accounted("table", tmp_path, listed)["warnings"]
    assert any("1 images are left out" in one for one in warnings)


def test_truth_values_must_be_said_as_well(tmp_path):
    files(tmp_path, ["1.png", "2.png"])
    frame = pd.DataFrame({"path": ["1.png", "2.png"], "label": [True, False]})
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"'false', 'true', which may mean real or fake"):
        fetched(tmp_path, tmp_path / "t.parquet", Hints())
    hints = Hints(classes={"real": ["false"], "fake": ["true"]})
    assert fetched(tmp_path, tmp_path / "t.parquet", hints).table["label"].tolist() == [1, 0]


def test_numbers_are_not_guessed(tmp_path):
    files(tmp_path, ["1.png", "2.png"])
    path = written(tmp_path / "t.csv", "path,label\n1.png,0\n2.png,1\n")
    with pytest.raises(UserError) as caught:
        fetched(tmp_path, path, Hints())
    message = str(caught.value)
    assert "\n" not in message
    assert "the column label has '0', '1'" in message
    assert "-S 'data.classes={real: [0], fake: [1]}'" in message
    assert "-S 'data.classes={real: [1], fake: [0]}'" in message
    assert fetched(tmp_path, path, REAL_IS_ZERO).table["label"].tolist() == [0, 1]


def test_paths_start_at_the_table_or_the_root_or_are_absolute(tmp_path):
    files(tmp_path / "images", ["1.png", "deep/2.png", "3.png", ".hidden/4.png"])
    files(tmp_path / "elsewhere", ["5.png"])
    (tmp_path / "images/notes.txt").write_text("words", encoding="utf-8")
    away = tmp_path / "elsewhere/5.png"
    text = f"path,label\n1.png,real\ndeep\\2.png,fake\n{away},fake\n.hidden/4.png,real\n"
    path = written(tmp_path / "lists/t.csv", text)
    listed = fetched(tmp_path, path, Hints(), root=tmp_path / "images")
    stored = away.relative_to(away.anchor).as_posix()
    assert listed.table["path"].tolist() == ["1.png", "deep/2.png", stored, ".hidden/4.png"]
    # what lies in the folder and is not listed is counted, once
    assert listed.ignored == {"images that are in no class or not listed": 1, "txt files": 1}
    assert accounted("table", tmp_path, listed)["files"]["images"] == 4
    relative = written(tmp_path / "lists/u.csv", "path,label\n1.png,real\ndeep/2.png,fake\n")
    with pytest.raises(UserError, match=r"none of its 2 images is there.*data.root=FOLDER"):
        fetched(tmp_path, relative, Hints())


def test_files_that_are_not_there_and_no_images_are_set_aside(tmp_path):
    files(tmp_path, ["1.png", "2.png"])
    (tmp_path / "3.png").write_text("no picture", encoding="utf-8")
    text = "path,label\n1.png,real\n2.png,fake\n3.png,fake\n4.png,real\n"
    listed = fetched(tmp_path, written(tmp_path / "t.csv", text), Hints())
    splitting = Splitting(valid=0, test=0, seed=0)
    aside = build({"table": listed.table}, {"table": tmp_path / "raw/table"}, splitting).aside
    reasons = aside.set_index("path")["reason"]
    assert reasons["4.png"] == "listed, but not in the archive"
    assert set(reasons.index) == {"3.png", "4.png"}
    numbers = accounted("table", tmp_path, listed)["files"]
    assert (numbers["seen"], numbers["images"], numbers["set_aside"]) == (3, 2, 1)
    assert numbers["missing"] == 1


def test_paths_in_an_archive(tmp_path):
    archive = write_zip(
        tmp_path / "mine.zip", {f"set/{n}.png": PICTURES[n] for n in range(5)} | {"a.txt": b"words"}
    )
    text = "path,label,generator\nset/0.png,real,\nset\\1.png,fake,sd\nset/2.png,fake,gan\n"
    path = written(tmp_path / "t.csv", text)
    target = tmp_path / "raw/table/table.zip"
    hints = Hints(generators=["SD"])
    table.beside(target, table=path, hints=hints)
    local.fetch(target, archive=archive, expected=None)
    with open_archive(target.parent) as opened:
        listed = listing("table", opened, hints)
    assert listed.table["generator"].tolist() == ["", "sd", ""]
    assert listed.ignored == {"images that are in no class or not listed": 2, "txt files": 1}
    assert accounted("table", tmp_path, listed)["files"]["seen"] == 6


def test_videos_are_told_by_names_where_no_column_does(tmp_path):
    names = [f"{c}/v{v}{c}/{f}.png" for c in ("x", "y") for v in range(4) for f in range(3)]
    files(tmp_path, names)
    rows = [f"{name},{'real' if name[0] == 'x' else 'fake'}" for name in names]
    path = written(tmp_path / "t.csv", "\n".join(["path,label", *rows]))
    listed = fetched(tmp_path, path, Hints())
    assert (listed.grouped, listed.table["person"].nunique()) == ("folders", 8)
    by_rule = fetched(tmp_path, path, Hints(group=r"v(\d)"))
    assert by_rule.table["person"].nunique() == 4


def test_a_column_of_the_users_names_the_source(tmp_path):
    files(tmp_path, ["1.png", "2.png", "3.png"])
    # `twin` and `mask` are columns of ours as well, and mean something else
    text = "path,label,twin,mask\n1.png,real,t,m.png\n2.png,fake,t,\n3.png,fake,u,\n"
    path = written(tmp_path / "t.csv", text)
    listed = fetched(tmp_path, path, Hints(group="twin"))
    assert listed.table["person"].tolist() == ["t", "t", "u"]
    assert listed.grouped == "the column twin"
    assert set(listed.table["mask"]) == set(listed.table["twin"]) == {""}
    with pytest.raises(UserError, match=r"column mask is empty for 2.png"):
        fetched(tmp_path, path, Hints(group="mask"))


def test_splits_as_the_user_says_them(tmp_path):
    files(tmp_path, [f"{n}.png" for n in range(4)])
    text = "path,label,split\n0.png,real,A\n1.png,fake,A\n2.png,real,B\n3.png,fake,B\n"
    path = written(tmp_path / "t.csv", text)
    with pytest.raises(UserError, match="'A', 'B', which is no split"):
        fetched(tmp_path, path, Hints())
    said = fetched(tmp_path, path, Hints(splits={"train": ["a"], "test": ["b"]})).table
    assert said["split"].tolist() == ["train", "train", "test", "test"]
    assert set(fetched(tmp_path, path, Hints(splits="draw")).table["split"]) == {""}


BOTH = "1.png,real\n2.png,fake\n"


@pytest.mark.parametrize(
    ("text", "hints", "says"),
    [
        ("path,label\n1.png,real\n1.png,fake\n", {}, r"1.png is listed more than once, .* 1, 2"),
        ("path,label\n1.png,real\n./1.png,real\n", {}, "1.png is listed more than once"),
        ("path,label\n1.png,real\n,fake\n", {}, "row 2 has no path"),
        ("path,label\n1.png,real\n2.png,maybe\n", {}, "has 'maybe', which may mean"),
        ("path,label\n1.png,real\n2.png,not real\n", {}, "has 'not real', which may mean"),
        ("path,label\n1.png,real\n2.png,real\n", {}, "no fake images"),
        ("path,label\n1.png,\n2.png,\n", {}, "gives no image a label"),
        ("path,label\n", {}, "has no rows"),
        ("", {}, "cannot be read"),
        ("path,label\n1.png,real,x,y\n", {}, "cannot be read"),
        ("where,label\n" + BOTH, {}, r"no column path; it has where, label.*data.columns=\{path"),
        ("path,what\n" + BOTH, {}, r"no column label; .*data.columns=\{label"),
        ("Label,label,path\nreal,real,1.png\n", {}, "several columns 'Label' and 'label'"),
        ("path,label\n" + BOTH, {"columns": {"path": "x"}}, "has no column 'x'"),
        ("path,label\n" + BOTH, {"columns": {"pth": "path"}}, "data.columns: there is no pth"),
        ("path,label\n" + BOTH, {"generators": ["sd"]}, "has no generator sd"),
        ("path,label\n" + BOTH, {"splits": "drew"}, "neither draw nor words"),
        ("path,label\n" + BOTH, {"classes": {"reel": ["1"]}}, "no 'reel'"),
        ("path,label\n9.png,real\n8.png,fake\n", {}, "none of its 2 images is there"),
        ("path,label,split\n1.png,real,train\n2.png,fake,train\n", {}, "train and test are both"),
        ("path,label,split\n1.png,real,train\n2.png,fake,\n", {}, "1 images are in no split"),
        ("path,label,split\n1.png,real,train\n2.png,fake,test\n", {}, "for the split"),
    ],
)
def test_what_cannot_be_understood_is_said_in_one_line(tmp_path, text, hints, says):
    files(tmp_path, ["1.png", "2.png"])
    path = written(tmp_path / "t.csv", text)
    with pytest.raises(UserError, match=says) as caught:
        fetched(tmp_path, path, Hints(**hints))
    assert "\n" not in str(caught.value)


def test_tables_that_cannot_be_read(tmp_path):
    for name, data in {
        "t.xlsx": b"",
        "t.csv": "path,label\n1.png,käse".encode("latin-1"),
        "t.parquet": b"no parquet",
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=f"data.table: .*{name}"):
            fetched(tmp_path, tmp_path / name, Hints())
    with pytest.raises(UserError, match=r"there is no file .*gone.csv"):
        fetched(tmp_path, tmp_path / "gone.csv", Hints())
    with pytest.raises(UserError, match=r"data.root: there is no folder"):
        fetched(tmp_path, tmp_path / "t.csv", Hints(), root=tmp_path / "gone")


def test_a_listing_for_another_archive_is_refused(tmp_path):
    target = tmp_path / "raw/table/table.zip"
    path = written(tmp_path / "t.csv", "path,label\na.png,real\nb.png,fake\n")
    table.beside(target, table=path, hints=Hints())
    write_zip(target, {"set/a.png": PICTURES[0]})
    with (
        open_archive(target.parent) as archive,
        pytest.raises(UserError, match=r"such as a.png; .* has files such as set/a.png"),
    ):
        listing("table", archive)
