# SPDX-License-Identifier: Apache-2.0
"""Copies of a picture are found whatever was done to them, and nothing else is called a copy."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps
from support import encoded, separable
from support import photos as made

from facetell.dataset import copies, neighbours
from facetell.dataset.copies import SIMILAR, pairs
from facetell.dataset.hashes import BITS, SIDE, perceptual_hash
from facetell.dataset.neighbours import ALIKE
from facetell.dataset.pair import NEAR, Pair
from facetell.dataset.rendered import RenderedSet, plan, render
from facetell.dataset.thumbnails import luma, thumbnails
from facetell.images.opening import open_archive

SEED = 11
SEARCHES = {"every pair": 10_000, "index": 0}  # pictures up to which all pairs are compared


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def again(image: Image.Image, kind: str = "JPEG", **options) -> Image.Image:
    return opened(encoded(image.convert("RGB"), kind, **options))


def shrunk(image: Image.Image, factor: int) -> Image.Image:
    return image.resize((image.width // factor, image.height // factor))


def shifted(image: Image.Image, across: int) -> Image.Image:
    """Moved to the right; what is uncovered repeats the edge."""
    pixels = np.pad(np.asarray(image), ((0, 0), (across, 0), (0, 0)), mode="edge")
    return Image.fromarray(pixels[:, : image.width])


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "png": lambda image: again(image, "PNG"),
    "jpeg 75": lambda image: again(image, quality=75),
    "jpeg 30": lambda image: again(image, quality=30),
    "half": lambda image: shrunk(image, 2),
    "quarter": lambda image: shrunk(image, 4),
    "blur": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "darker": lambda image: image.point(lambda level: level * 0.8),
    "grey": lambda image: image.convert("L"),
    "mirror": ImageOps.mirror,
    "mirror, jpeg 50": lambda image: again(ImageOps.mirror(image), quality=50),
}
SMALL_COPIES = {"quarter, jpeg 50": lambda image: again(shrunk(image, 4), quality=50)}


def hashes_of(images: list[Image.Image]) -> np.ndarray:
    return np.stack([np.frombuffer(perceptual_hash(image), dtype=np.uint8) for image in images])


def thumbnails_of(images: list[Image.Image]) -> np.ndarray:
    return thumbnails(np.stack([luma(image) for image in images]))


def paired(images: list[Image.Image]) -> list[Pair]:
    return list(pairs(hashes_of(images), thumbnails_of(images).__getitem__))


def assert_only_copies_are_copies(images: list[Image.Image], change: Callable) -> None:
    """Each changed picture is the copy of its original, and of no other."""
    found = paired(images + [change(image) for image in images])
    wanted = {(place, place + len(images)) for place in range(len(images))}
    assert {(pair.first, pair.second) for pair in found if pair.copy} == wanted


def rendered(number: int, size: int) -> list[Image.Image]:
    """Faces of as many persons: a fake and its original are not among them."""
    specs = plan(RenderedSet(seed=SEED, train=2 * number, valid=0, test=0, singles_per_kind=0))
    real = [spec for spec in specs if not spec.label]
    return [opened(render(spec, seed=SEED, size=size).jpeg) for spec in real]


@pytest.fixture(scope="module")
def faces() -> list[Image.Image]:
    return rendered(60, 128)


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    """Real ones if they are at hand, else pictures with their statistics."""
    if made.REAL is None:
        return [made.photo(seed, 256) for seed in range(40)]
    with open_archive(made.REAL) as archive:
        names = [name for name in archive.names if "/real/" in name][::5][:200]
        return [opened(archive.read(name)) for name in names]


@pytest.fixture(params=SEARCHES)
def search(request, monkeypatch) -> None:
    """Both ways to search, whatever the number of pictures."""
    monkeypatch.setattr(neighbours, "EXACT", SEARCHES[request.param])


@pytest.mark.usefixtures("search")
@pytest.mark.parametrize("name", COPIES)
def test_copies_of_rendered_faces_are_found_and_nothing_else(faces, name):
    assert_only_copies_are_copies(faces, COPIES[name])


@pytest.mark.usefixtures("search")
def test_small_recompressed_copies_are_found():
    assert_only_copies_are_copies(rendered(20, 256), SMALL_COPIES["quarter, jpeg 50"])


@pytest.mark.usefixtures("search")
@pytest.mark.parametrize("name", [*COPIES, *SMALL_COPIES])
def test_copies_of_photos_are_found_and_nothing_else(photos, name):
    assert_only_copies_are_copies(photos, (COPIES | SMALL_COPIES)[name])


@pytest.mark.parametrize("content", ["faces", "photos"])
def test_every_copy_is_found_among_many_pictures(request, content):
    """By the index, in one search: whatever was done to the pictures, and nothing else."""
    images, changes = request.getfixturevalue(content), COPIES.values()
    every = [change(image) for change in (lambda image: image, *changes) for image in images]
    others = np.random.default_rng(0).integers(0, 256, (20_000, BITS // 8), dtype=np.uint8)
    looks = thumbnails_of(every)
    found = pairs(np.concatenate([hashes_of(every), others]), looks.__getitem__)
    copied = {(pair.first, pair.second) for pair in found if pair.copy}
    wanted = {
        (place, place + turn * len(images))
        for place in range(len(images))
        for turn in range(1, 1 + len(changes))
    }
    assert wanted <= copied
    assert all(first % len(images) == second % len(images) for first, second in copied)


@pytest.mark.usefixtures("search")
def test_most_photos_that_are_shifted_by_two_pixels_are_found(photos):
    found = {(pair.first, pair.second) for pair in paired(photos + [shifted(p, 2) for p in photos])}
    assert found <= {(place, place + len(photos)) for place in range(len(photos))}
    assert len(found) >= 0.98 * len(photos)


@pytest.mark.usefixtures("search")
def test_look_alikes_are_found_but_are_no_copies():
    """Two outputs of a generator that show nearly one scene."""
    images = [image for seed in range(3) for image in made.look_alikes(seed, 128)]
    found = paired(images)
    assert [(pair.first, pair.second) for pair in found] == [(0, 1), (2, 3), (4, 5)]
    assert not any(pair.copy for pair in found)
    assert all(0.93 <= pair.correlation < 1 for pair in found)


@pytest.mark.usefixtures("search")
def test_different_rendered_faces_are_no_pairs(faces):
    assert paired(faces) == []


@pytest.mark.usefixtures("search")
def test_noise_with_the_same_square_is_not_one_picture():
    images = [opened(separable(seed, 1)) for seed in range(60)]
    assert not any(pair.copy for pair in paired(images))


@pytest.mark.usefixtures("search")
def test_flat_pictures_are_never_paired():
    random = np.random.default_rng(0)
    grain = random.normal(128, 1, (2, 64, 64, 3)).round().astype(np.uint8)
    flat = [Image.new("RGB", (64, 64), colour) for colour in ("black", "white", "red", "red")]
    images = [*flat, *map(Image.fromarray, grain), Image.new("L", (64, 64), 90)]
    assert not hashes_of(images).any()
    assert paired(images) == []


@pytest.mark.usefixtures("search")
def test_a_mirror_image_has_another_hash_yet_is_paired(faces):
    hashes = hashes_of([faces[0], ImageOps.mirror(faces[0])])
    apart = np.unpackbits(hashes[0] ^ hashes[1]).sum()
    assert apart > ALIKE
    (pair,) = paired([faces[0], ImageOps.mirror(faces[0])])
    assert pair.distance <= NEAR
    assert pair.correlation == pytest.approx(1, abs=1e-4)


def test_a_thumbnail_and_its_mirror_image_change_places(faces):
    here, there = thumbnails_of([faces[1], ImageOps.mirror(faces[1])])
    np.testing.assert_allclose(here, there[::-1], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(here, axis=1), 1, atol=1e-5)
    assert not thumbnails_of([Image.new("RGB", (40, 40), "red")]).any()


def related(seed: int, number: int = 60) -> np.ndarray:
    """Hashes of a few families, mirrored or not, up to 70 bits from their founder; some zero."""
    random = np.random.default_rng(seed)
    founders = random.integers(0, 2, (4, BITS), dtype=np.uint8)
    bits = founders[random.integers(0, 4, number)]
    for row in bits:
        row[random.choice(BITS, random.integers(0, 71), replace=False)] ^= 1
        if random.random() < 0.4:
            row.reshape(SIDE, SIDE)[:, 1::2] ^= 1
    bits[random.choice(number, 5, replace=False)] = 0
    return np.packbits(bits, axis=1)


def by_hand(hashes: np.ndarray, thumbnails: np.ndarray) -> dict[tuple[int, int], tuple]:
    """Two loops over all pairs, each compared with the other and with its mirrored hash."""
    bits = np.unpackbits(hashes, axis=1).astype(int)
    odd = np.tile(np.arange(SIDE) % 2, SIDE)
    wanted = {}
    for first in range(len(bits)):
        for second in range(first + 1, len(bits)):
            if not bits[first].any() or not bits[second].any():
                continue
            here, there = bits[first], bits[second]
            distance = min(np.abs(here - there).sum(), np.abs(here - (there ^ odd)).sum())
            correlation = max(thumbnails[first][0] @ turned for turned in thumbnails[second])
            if distance <= ALIKE and correlation >= SIMILAR:
                wanted[first, second] = (distance, correlation)
    return wanted


@pytest.mark.parametrize("block", [1, 7, 59, 60, 2048])
def test_pairs_are_those_of_two_loops_whatever_the_block(monkeypatch, block):
    monkeypatch.setattr(neighbours, "BLOCK", block)
    monkeypatch.setattr(copies, "BATCH", block)
    hashes, random = related(3), np.random.default_rng(5)
    thumbnails = random.normal(size=(len(hashes), 2, 6)).astype(np.float32)
    thumbnails[:, :, 0] += 6  # about half of the correlations are high enough
    thumbnails /= np.linalg.norm(thumbnails, axis=2, keepdims=True)
    wanted = by_hand(hashes, thumbnails)
    found = list(pairs(hashes, thumbnails.__getitem__))
    assert len(wanted) > 30
    assert any(distance <= NEAR for distance, _ in wanted.values())
    assert any(distance > NEAR for distance, _ in wanted.values())
    assert len(found) == len(wanted)
    assert {(pair.first, pair.second): pair.distance for pair in found} == {
        places: distance for places, (distance, _) in wanted.items()
    }
    for pair in found:
        assert pair.first < pair.second
        assert pair.correlation == pytest.approx(wanted[pair.first, pair.second][1], abs=1e-5)
        assert pair.copy == (pair.distance <= NEAR)


def alike(indices: np.ndarray) -> np.ndarray:
    """Thumbnails of one picture, whichever are asked for."""
    return np.full((len(indices), 2, 4), 0.5, dtype=np.float32)


def test_more_thumbnails_than_are_kept_do_no_harm():
    """The first picture is alike all of the others, which are not alike each other."""
    random, number = np.random.default_rng(0), 4200
    bits = np.tile(random.integers(0, 2, BITS, dtype=np.uint8), (number, 1))
    for row in bits[1:]:
        row[random.choice(BITS, 48, replace=False)] ^= 1
    found = {(pair.first, pair.second) for pair in pairs(np.packbits(bits, axis=1), alike)}
    assert {(0, second) for second in range(1, number)} <= found


@pytest.mark.usefixtures("search")
def test_no_pictures_no_pairs():
    assert list(pairs(np.zeros((0, BITS // 8), dtype=np.uint8), alike)) == []
    assert list(pairs(np.zeros((5, BITS // 8), dtype=np.uint8), alike)) == []


@pytest.mark.usefixtures("search")
def test_one_picture_has_no_pair():
    assert list(pairs(related(0)[:1] | 1, alike)) == []


@pytest.mark.usefixtures("search")
def test_pictures_of_one_group_are_not_compared():
    hashes = np.tile(related(1)[:1] | 1, (4, 1))
    asked = []

    def look(indices: np.ndarray) -> np.ndarray:
        asked.extend(indices)
        return alike(indices)

    found = [(pair.first, pair.second) for pair in pairs(hashes, look, np.array([0, 0, 1, 2]))]
    assert found == [(0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert list(pairs(hashes, look, np.zeros(4, dtype=int))) == []
    assert set(asked) == {0, 1, 2, 3}


def test_few_thumbnails_are_asked_for_at_once(monkeypatch):
    monkeypatch.setattr(copies, "BATCH", 16)
    asked = []

    def look(indices: np.ndarray) -> np.ndarray:
        asked.append(len(indices))
        return alike(indices)

    assert len(list(pairs(related(3), look))) > 100
    assert max(asked) <= 32
