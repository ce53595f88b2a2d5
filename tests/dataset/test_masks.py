# SPDX-License-Identifier: Apache-2.0
"""A user's masks find their fakes by name, and are packed as the fakes are cut."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import encoded

from facetell.common.errors import UserError
from facetell.dataset.build import build
from facetell.dataset.hints import Hints
from facetell.dataset.layouts import listing
from facetell.dataset.splits import Splitting
from facetell.images.opening import open_archive
from facetell.images.packed import Packed, planted_mask
from facetell.images.packing import pack
from facetell.images.reencoding import Treatment

WIDTH, HEIGHT = 48, 32


def photo(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels), "PNG")


def mask(left: int = 24, kind: str = "PNG", size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    """White from ``left`` on."""
    picture = Image.new("L", size, 0)
    picture.paste(255, (left, 0, *size))
    return encoded(picture, kind)


def written(path: Path, masks: dict[str, bytes]) -> Path:
    """Two fakes and two real images a split, and these masks."""
    with zipfile.ZipFile(path, "w") as file:
        for at, split in enumerate(("train", "valid", "test")):
            for kind in ("real", "fake/swap"):
                for number in range(2):
                    name = f"set/{split}/{kind}/{split}{number}.png"
                    file.writestr(name, photo(100 * at + 10 * len(kind) + number))
        for name, data in masks.items():
            file.writestr(f"set/{name}", data)
    return path


def listed(path: Path):
    with open_archive(path) as archive:
        return listing("folder", archive, Hints(masks="masks"))


def paths(found) -> dict[str, str]:
    table = found.table[found.table["mask"] != ""]
    return dict(zip(table["path"], table["mask"], strict=True))


def test_masks_are_no_images_and_go_to_the_fakes_of_their_names(tmp_path):
    masks = {
        "masks/swap/test0.png": mask(),  # by folder and name
        "masks/test1.jpg": mask(kind="JPEG"),  # by name, with another ending
        "masks/train/fake/swap/train0.png": mask(),
        "masks/train/train1.png": mask(),  # by split and name
        "masks/nobody.png": mask(),
        "masks/real/test0.png": mask(),  # of a real image
    }
    found = listed(written(tmp_path / "set.zip", masks))
    assert len(found.table) == 12
    assert paths(found) == {
        "set/test/fake/swap/test0.png": "set/masks/swap/test0.png",
        "set/test/fake/swap/test1.png": "set/masks/test1.jpg",
        "set/train/fake/swap/train0.png": "set/masks/train/fake/swap/train0.png",
        "set/train/fake/swap/train1.png": "set/masks/train/train1.png",
    }
    assert "2 files in 'masks' are masks of no fake" in found.warnings
    assert found.seen == len(found.table) + sum(found.ignored.values())


@pytest.mark.parametrize(
    ("masks", "says"),
    [
        ({}, "has no folder 'masks'"),
        ({"masks/else.png": b""}, "no fake has a mask in 'masks'"),
        ({"masks/test0.png": b"", "masks/test0.jpg": b""}, "are masks of one name"),
    ],
)
def test_masks_that_say_nothing_are_refused(tmp_path, masks, says):
    with pytest.raises(UserError, match=says):
        listed(written(tmp_path / "set.zip", masks))


def test_one_mask_is_not_guessed_to_be_of_one_of_two_fakes(tmp_path):
    path = written(tmp_path / "set.zip", {"masks/test0.png": mask()})
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("set/test/fake/other/test0.png", photo(7))
    with pytest.raises(UserError, match="let the folders in 'masks' be those of the images"):
        listed(path)


def packed(path: Path, home: Path, harmonise: bool = False) -> Packed:
    everyone = Treatment(harmonise=harmonise, size=16)
    found = listed(path)
    made = build(
        {"mine": found.table}, {"mine": path}, Splitting(valid=0.2, test=0.2, seed=0),
        harmonise=everyone,
    ).manifest  # fmt: skip
    pack([made[made["split"] == "test"]], {"mine": path}, home / "test", everyone)
    return Packed(home / "test")


@pytest.mark.parametrize("harmonise", [False, True])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_mask_is_cut_as_its_image_is(tmp_path, kind, harmonise):
    """White from the middle of a wide photo on: from the middle of the square that is seen."""
    path = written(tmp_path / "set.zip", {f"masks/test0.{kind.lower()}": mask(24, kind)})
    images = packed(path, tmp_path, harmonise)
    known = [planted_mask(images.mask(at), 8) for at in range(len(images))]
    (own,) = [one for one in known if one is not None]
    expected = np.zeros((8, 8), dtype=bool)
    expected[:, 4:] = True
    np.testing.assert_array_equal(own, expected)


def test_a_mask_of_another_size_or_kind_is_named(tmp_path):
    path = written(tmp_path / "a.zip", {"masks/test0.png": mask(size=(32, 32))})
    says = r"test0\.png in .* has 32 x 32 px, and its image .*test0\.png 48 x 32: they must be of"
    with pytest.raises(UserError, match=says):
        packed(path, tmp_path)
    path = written(tmp_path / "b.zip", {"masks/test0.png": b"no picture"})
    with pytest.raises(UserError, match=r"mask set/masks/test0\.png in"):
        packed(path, tmp_path)
