# SPDX-License-Identifier: Apache-2.0
"""Trees as people have them: what is understood of each, and that every file is accounted for."""

import io
import re
import zipfile
from dataclasses import dataclass, field

import pytest
from support import picture

from facetell.common.errors import UserError
from facetell.dataset.account import account
from facetell.dataset.build import build
from facetell.dataset.hints import Hints
from facetell.dataset.layouts import listing
from facetell.dataset.splits import Splitting
from facetell.images.opening import open_archive

PICTURES = [picture(seed, size=(32, 32)) for seed in range(900)]


def numbered(folder: str, count: int, suffix: str = ".jpg") -> list[str]:
    return [f"{folder}/{index:05d}{suffix}" for index in range(count)]


def both(form: str, count: int, real: str = "real", fake: str = "fake") -> list[str]:
    return [path for name in (real, fake) for path in numbered(form.format(name), count)]


def videos(form: str, frames: int, count: int = 8, real: str = "real", fake: str = "fake"):
    """``form`` with a class, a video's number and a frame's."""
    return [
        form.format(name, f"{number:03d}", f"{frame:04d}")
        for name in (real, fake)
        for number in range(count)
        for frame in range(frames)
    ]


def parts(train: int, valid: int, test: int) -> dict[str, dict[str, int]]:
    sizes = {"train": train, "valid": valid, "test": test}
    return {split: {"real": n, "fake": n} for split, n in sizes.items() if n}


def drawn(real: int, fake: int | None = None) -> dict[str, dict[str, int]]:
    return {"": {"real": real, "fake": real if fake is None else fake}}


@dataclass(frozen=True)
class Tree:
    """Files that are images, what is understood of them, and further files by why ignored."""

    images: list[str]
    understood: dict[str, dict[str, int]]
    groups: int | None = None  # None: each image on its own
    generators: dict[str, int] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    hints: Hints = field(default_factory=Hints)


TREES = {
    "class alone": Tree(both("{}", 6), drawn(6)),
    "split, class": Tree(both("train/{}", 6) + both("test/{}", 4), parts(6, 0, 4)),
    "class, split": Tree(both("{}/train", 6) + both("{}/test", 4), parts(6, 0, 4)),
    "class, split, in capitals": Tree(
        both("{}/Train", 6, "Real", "Fake") + both("{}/TEST", 4, "Real", "Fake"), parts(6, 0, 4)
    ),
    "training and testing": Tree(
        both("Training/{}", 6, "0_real", "1_fake") + both("Testing/{}", 4, "0_real", "1_fake"),
        parts(6, 0, 4),
    ),
    "train, dev, test": Tree(
        both("train/{}", 6) + both("dev/{}", 3) + both("test/{}", 4), parts(6, 3, 4)
    ),
    "train, dev, eval": Tree(
        both("train/{}", 6) + both("dev/{}", 3) + both("eval/{}", 4), parts(6, 3, 4)
    ),
    "train, eval, test": Tree(
        both("train/{}", 6) + both("eval/{}", 3) + both("test/{}", 4), parts(6, 3, 4)
    ),
    "train and validation and test, under a name of both classes": Tree(
        both("real_vs_fake/real-vs-fake/train/{}", 6)
        + both("real_vs_fake/real-vs-fake/validation/{}", 3)
        + both("real_vs_fake/real-vs-fake/test/{}", 4),
        parts(6, 3, 4),
    ),
    "one folder for split and class": Tree(
        both("training_{}", 6) + both("test_{}", 4), parts(6, 0, 4)
    ),
    "camel case": Tree(
        both("{}", 6, "trainReal", "trainFake") + both("{}", 4, "testReal", "testFake"),
        parts(6, 0, 4),
    ),
    "GenImage": Tree(
        [
            path
            for name in ("imagenet_ai_0419_sdv4", "imagenet_glide")
            for split in ("train", "val", "test")
            for path in both(f"{name}/{split}/{{}}", 4, "nature", "ai")
        ],
        parts(8, 8, 8),
        generators={"imagenet_ai_0419_sdv4": 12, "imagenet_glide": 12},
    ),
    "original and altered": Tree(both("{}", 6, "original", "altered"), drawn(6)),
    "pristine and manipulated": Tree(both("{}", 6, "pristine", "manipulated_faces"), drawn(6)),
    "below a folder named deepfake": Tree(both("deepfake/{}", 6), drawn(6)),
    "generators": Tree(
        numbered("real", 12) + numbered("fake/stylegan2", 8) + numbered("fake/mine", 4),
        drawn(12),
        generators={"stylegan2": 8, "mine": 4},
    ),
    "versions of a generator": Tree(
        numbered("real", 12) + [p for n in (1, 2, 3) for p in numbered(f"fake/stylegan{n}", 4)],
        drawn(12),
        generators={"stylegan1": 4, "stylegan2": 4, "stylegan3": 4},
    ),
    "generators that the user names": Tree(
        numbered("real", 6) + numbered("fake/a1", 4) + numbered("fake/a2", 2),
        drawn(6),
        generators={"a1": 4, "a2": 2},
        hints=Hints(generators=["a1", "A2"]),
    ),
    "no generators, says the user": Tree(
        numbered("real", 6) + numbered("fake/stylegan", 6), drawn(6), hints=Hints(generators=False)
    ),
    "the same folders below both classes": Tree(
        both("{}/adults", 6) + both("{}/children", 6), drawn(12)
    ),
    "videos": Tree(videos("{}/vid{}/{}.png", 5, real="real", fake="fake"), drawn(40), groups=8),
    "videos of their own names": Tree(
        [p.replace("fake/vid", "fake/gen") for p in videos("{}/vid{}/{}.png", 5)],
        drawn(40),
        groups=16,
    ),
    "frames named by their video": Tree(videos("{}/vid{}_{}.png", 5), drawn(40), groups=8),
    "frames, said to be": Tree(videos("{}/v{}_frame{}.png", 5), drawn(40), groups=8),
    "videos numbered anew in each split": Tree(
        videos("train/{}/v{}/{}.png", 3) + videos("test/{}/v{}/{}.png", 3), parts(24, 0, 24), 16
    ),
    "identities": Tree(
        [
            f"{c}/Ann_{chr(97 + i)}son_{n:04d}.jpg"
            for c in ("real", "fake")
            for i in range(12)
            for n in range(3)
        ],
        drawn(36),
        groups=12,
    ),
    "swaps of two sources": Tree(
        [
            f"original_sequences/youtube/c23/frames/{v:03d}/{f:03d}.png"
            for v in range(12)
            for f in range(3)
        ]
        + [
            f"manipulated_sequences/{m}/c23/frames/{v:03d}_{v ^ 1:03d}/{f:03d}.png"
            for m in ("Deepfakes", "Face2Face")
            for v in range(12)
            for f in range(3)
        ],
        drawn(36, 72),
        groups=6,
        generators={"Deepfakes": 36, "Face2Face": 36},
    ),
    "one method in many folders of videos": Tree(
        numbered("real", 80) + [p for v in range(20) for p in numbered(f"fake/run{v:02d}", 4)],
        drawn(80),
        groups=100,
    ),
    "shards": Tree(
        [f"{c}/{n // 8:02d}000/{n:05d}.png" for c in ("real", "fake") for n in range(40)],
        drawn(40),
    ),
    "a rule for groups": Tree(
        [f"{c}/x{n:02d}.png" for c in ("real", "fake") for n in range(20)],
        drawn(20),
        groups=2,
        hints=Hints(group=r"/x(\d)"),
    ),
    "classes by the user's words": Tree(
        both("{}", 6, "ffhq", "sg2"),
        drawn(6),
        hints=Hints(classes={"real": ["FFHQ"], "fake": ["sg2"]}),
    ),
    "splits by the user's words": Tree(
        both("batch1/{}", 6) + both("holdout/{}", 4),
        parts(6, 0, 4),
        hints=Hints(splits={"train": ["batch1"], "test": ["holdout"]}),
    ),
    "splits that the user does not want": Tree(
        both("train/{}", 6) + both("extra/{}", 4), drawn(10), hints=Hints(splits="draw")
    ),
    "hidden and system folders": Tree(
        both("{}", 6),
        drawn(6),
        others={
            "__MACOSX/real/._1.jpg": "hidden or system files",
            "fake/@eaDir/00001.jpg/thumb.jpg": "hidden or system files",
            "fake/.ipynb_checkpoints/1-checkpoint.jpg": "hidden or system files",
            ".DS_Store": "hidden or system files",
        },
    ),
    "files of other kinds": Tree(
        both("{}", 6),
        drawn(6),
        others={
            "readme.txt": "txt files",
            "real/list.csv": "csv files",
            "LICENSE": "files without an ending",
            "fake/more.zip": "archives inside the archive",
            "masks/1.png": "images that are in no class or not listed",
        },
    ),
    "endings that are unusual": Tree(
        [
            *numbered("real", 3, ".jfif"),
            *numbered("real/x", 3, ""),
            *numbered("fake", 3, ".JPG"),
            *numbered("fake/x", 3, ".jpg_large"),
        ],
        drawn(6),
    ),
    "backslashes": Tree([p.replace("/", "\\") for p in both("set/{}", 6)], drawn(6)),
    "some backslashes": Tree(
        numbered("real", 6) + [p.replace("/", "\\") for p in numbered("fake", 6)], drawn(6)
    ),
    "names of all scripts": Tree(
        [f"{c}/顔_{n}_é ({n}).jpg" for c in ("real", "fake") for n in range(6)], drawn(6)
    ),
}


@pytest.mark.parametrize("name", TREES)
def test_tree_is_understood_and_every_file_accounted_for(tmp_path, name):
    tree = TREES[name]
    (tmp_path / "mine").mkdir()
    with zipfile.ZipFile(tmp_path / "mine/set.zip", "w") as file:
        for path, data in zip(tree.images, PICTURES, strict=False):
            file.writestr(path, data)
        for path in tree.others:
            file.writestr(path, PICTURES[-1] if path.endswith((".jpg", ".png")) else b"words")
    with open_archive(tmp_path / "mine") as archive:
        listed = listing("folder", archive, tree.hints)
    splitting = Splitting(valid=0.2, test=0.2, seed=0)
    files, grouped = {"mine": tmp_path / "mine"}, {"mine": listed.grouped}
    found = build({"mine": listed.table}, files, splitting, grouped=grouped)
    said = account({"mine": listed}, found)
    assert said["understood"] == tree.understood
    assert said["groups"]["number"] == (tree.groups or len(tree.images))
    assert said["generators"] == tree.generators
    files = said["files"]
    counted = {why: list(tree.others.values()).count(why) for why in tree.others.values()}
    assert files["ignored"] == dict(sorted(counted.items()))
    assert files["images"] == len(tree.images)
    assert files["seen"] == files["images"] + files["set_aside"] + sum(files["ignored"].values())
    assert said["leaks"] == said["contradictions"] == 0
    assert any("independent" in line for line in said["warnings"]) == (tree.groups is None)


@pytest.mark.parametrize(
    ("paths", "says"),
    [
        (
            both("train/{}", 2) + both("test/{}", 2) + both("holdout/{}", 2),
            "in no split, such as those in holdout.*train, real: 2 images in train/real",
        ),
        (both("{}/train", 2) + both("{}/test", 2) + both("{}", 2), "4 images are in no split"),
        (both("train/{}", 2) + both("valid/{}", 2), "train and test are both needed"),
        (both("train/test/{}", 2), "two splits, test and train"),
        (numbered("real/fake", 2) + numbered("fake/real", 2), "named both real and fake"),
        (numbered("cats", 2) + numbered("dogs", 2), "no class: 4 images in cats, dogs"),
        (numbered("real", 2), "no fake images"),
        (["a.txt"], "and no images"),
    ],
)
def test_what_is_not_understood_is_an_error_that_shows_the_tree(tmp_path, paths, says):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as file:
        for path in paths:
            file.writestr(path, b"" if path.endswith(".jpg") else b"words")
    with open_archive(tmp_path / "set.zip") as archive, pytest.raises(UserError) as error:
        listing("folder", archive)
    assert re.search(says, str(error.value), re.DOTALL), error.value


def test_an_archive_with_a_password_is_refused_in_a_line(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("real/1.jpg", PICTURES[0])
    data = bytearray(buffer.getvalue())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flags of both headers
        data[data.index(mark) + at] |= 1
    (tmp_path / "set.zip").write_bytes(data)
    with pytest.raises(UserError, match="encrypted: unpack it with its password"):
        open_archive(tmp_path / "set.zip")
