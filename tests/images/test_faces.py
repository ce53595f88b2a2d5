# SPDX-License-Identifier: Apache-2.0
"""Faces are found in photos. The photo is a portrait in the public domain that scikit-image ships;
for the geometry a stand-in finds dots that are painted where eyes and mouth would be."""

import hashlib
import importlib.resources

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.data import astronaut
from support.photos import photo

from facetell.common.errors import UserError
from facetell.dataset.rendered import RenderedSet, plan, render
from facetell.images import faces, landmarks
from facetell.images.alignment import Square, square_of
from facetell.images.faces import (
    Face,
    align,
    aligned_faces,
    caution,
    find_faces,
    rgb,
    yunet,
)
from facetell.images.landmarks import onet

FACE = (224, 105)  # of the portrait, in px
DOTS = np.array([(-20, -13), (20, -13), (0, 0), (-16, 25), (16, 25)], dtype=float)  # of a stand-in


def portrait(size: int = 512) -> np.ndarray:
    return np.array(Image.fromarray(astronaut()).resize((size, size), Image.Resampling.LANCZOS))


def placed(pixels: np.ndarray, *, turn: float, scale: float, at: tuple, size: int = 700) -> tuple:
    """A canvas with the picture turned, scaled and its middle ``at``; and where points of it go."""
    angle = np.radians(turn)
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array(pixels.shape[1::-1]) / 2
    back = np.linalg.inv(matrix)
    offset = middle - back @ at
    transform = (*back[0], offset[0], *back[1], offset[1])
    canvas = Image.fromarray(pixels).transform(
        (size, size), Image.Transform.AFFINE, transform, Image.Resampling.BICUBIC
    )
    return np.array(canvas), lambda points: (np.array(points) - middle) @ matrix.T + at


def corner_error(found: Square, expected: np.ndarray) -> float:
    """Mean distance of the corners in sides."""
    return float(np.hypot(*(np.array(found.corners()) - expected).T).mean() / found.side)


@pytest.fixture(scope="module")
def upright() -> Square:
    (found,) = find_faces(astronaut())
    return align(astronaut(), found).square


def test_a_portrait(upright):
    (face,) = find_faces(astronaut())
    left, top, right, bottom = face.box
    assert left < FACE[0] < right
    assert top < FACE[1] < bottom
    assert 0.8 < face.score <= 1
    left_eye, right_eye, nose, mouth_left, mouth_right = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert mouth_left[0] < mouth_right[0]
    assert left_eye[1] < nose[1] < mouth_left[1]
    # as in FFHQ: eyes a quarter of the side apart or less, just above the middle
    (x0, y0), (x1, y1), *_ = upright.to_aligned(face.landmarks)
    assert x1 - x0 <= 0.2501
    assert 0.44 < y0 < 0.5
    assert y0 == pytest.approx(y1, abs=0.02)


@pytest.mark.parametrize(
    ("turn", "scale", "at"),
    [(30, 1, (350, 350)), (-25, 0.5, (250, 420)), (0, 1.3, (420, 380)), (10, 0.25, (600, 120))],
)
def test_turned_scaled_and_moved(upright, turn, scale, at):
    canvas, move = placed(astronaut(), turn=turn, scale=scale, at=at)
    found = find_faces(canvas)
    assert len(found) == 1
    assert corner_error(align(canvas, found[0]).square, move(upright.corners())) < 0.05


def test_grey_and_channels_first(upright):
    grey = np.asarray(Image.fromarray(astronaut()).convert("L"))
    first = astronaut().transpose(2, 0, 1)
    for pixels in (grey, grey[..., None], grey[None], first):
        (face,) = find_faces(pixels)
        assert corner_error(align(pixels, face).square, np.array(upright.corners())) < 0.06
    one, other = align(first, face, 64), align(astronaut(), face, 64)
    assert np.array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((9, 9, 3)),
        np.zeros((9, 9, 4), np.uint8),
        np.zeros((0, 9, 3), np.uint8),
        np.zeros(9, np.uint8),
    ],
)
def test_no_pixels(wrong):
    with pytest.raises(UserError, match="a photo "):
        rgb(wrong)


def test_at_the_border_tiny_and_gigantic(upright):
    half = astronaut()[:, 215:]  # cuts through the left eye's cheek
    assert len(find_faces(half)) <= 1
    top = astronaut()[85:]  # without forehead
    cut_off = aligned_faces(top, size=64)
    assert cut_off[0].pixels.shape == (64, 64, 3)
    assert cut_off[0].square.corners()[0][1] < 0
    face = Image.fromarray(astronaut()[10:200, 130:320])
    (tiny,) = find_faces(np.array(face.resize((48, 48))))
    assert 0 < tiny.landmarks[0][0] < tiny.landmarks[1][0] < 48
    (large,) = find_faces(portrait(3000))
    assert np.hypot(*np.subtract(large.landmarks[2], np.multiply(FACE, 5.86))) < 150
    assert find_faces(np.zeros((1, 1, 3), np.uint8)) == []
    assert find_faces(np.zeros((2, 3000, 3), np.uint8)) == []


def test_twenty_faces_the_largest_first():
    face = Image.fromarray(astronaut()[:220, 110:330])
    canvas = Image.new("RGB", (1100, 900), "grey")
    for at in range(20):
        size = 200 - 6 * at
        canvas.paste(face.resize((size, size)), (220 * (at % 5), 220 * (at // 5)))
    found = find_faces(np.array(canvas))
    assert len(found) == 20
    assert [face.area for face in found] == sorted((f.area for f in found), reverse=True)
    assert found[0].area > 3 * found[-1].area
    assert np.hypot(*found[0].landmarks[2]) < 220  # the first one that was pasted


def test_no_face():
    leaves = np.array(photo(0, 256))
    with pytest.raises(UserError, match=r"^tree\.jpg: no face is found; turn .* without --crop$"):
        aligned_faces(leaves, name="tree.jpg")


def test_a_face_that_is_too_small():
    canvas, _ = placed(astronaut(), turn=0, scale=0.1, at=(200, 200), size=400)
    if find_faces(canvas):  # 18 px: found or not, it is refused
        with pytest.raises(UserError, match="px large, at least 20 are needed"):
            aligned_faces(canvas)


def test_rendered_faces_fill_their_frame():
    content = RenderedSet(seed=0, size=256, train=0, valid=0, test=12, singles_per_kind=0)
    drawn = [render(spec, seed=0, size=256).after for spec in plan(content)[:8]]
    squares = [
        align(pixels, found[0], frame="demo").square
        for pixels in drawn
        if (found := find_faces(pixels))
    ]
    assert len(squares) >= 6
    corners = np.median([square.corners() for square in squares], axis=0)
    assert np.allclose(corners, [(0, 0), (256, 0), (256, 256), (0, 256)], atol=0.12 * 256)


def test_which_frames_warn():
    assert caution("ffhq") is None
    assert "rendered faces" in caution("demo")
    assert "means nothing" in caution("demo")
    assert "not known" in caution(None)
    (face,) = find_faces(astronaut())
    same = align(astronaut(), face, 32, None).pixels, align(astronaut(), face, 32).pixels
    assert np.array_equal(*same)
    with pytest.raises(UserError, match="no face frame"):
        align(astronaut(), face, 32, "passport")


def test_the_weights_are_those_that_were_published():
    folder = importlib.resources.files("facetell.images") / "weights"
    for name, licence in ((faces.WEIGHTS, "yunet"), (landmarks.WEIGHTS, "mtcnn")):
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        text = (folder / f"LICENSE.{licence}").read_text(encoding="utf-8")
        assert digest in text
        assert "MIT License" in text


def painted(scale: float, turn: float, centre: tuple, size: int = 600) -> tuple:
    """A grey picture with five white dots, and where they are."""
    angle = np.radians(turn)
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = DOTS @ matrix.T + centre
    y, x = np.mgrid[:size, :size] + 0.5
    spread = 3 * scale
    light = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * spread**2)) for px, py in points)
    return np.repeat((40 + 200 * light.clip(0, 1)).astype(np.uint8)[..., None], 3, axis=2), points


def dots(pixels: np.ndarray) -> np.ndarray | None:
    """Where five white dots are in a grey picture, the upper left first."""
    marks, number = ndimage.label(pixels[..., 0] > 140)
    if number != 5:
        return None
    points = np.array(ndimage.center_of_mass(pixels[..., 0] - 40.0, marks, range(1, 6)))
    points = points[np.argsort(points[:, 0])][:, ::-1] + 0.5
    return np.array([row for part in (points[:2], points[2:3], points[3:]) for row in sorted(
        part.tolist())])  # fmt: skip


def detect(pixels: np.ndarray) -> list[Face]:
    """A stand-in for YuNet: a box around the dots, not in their middle, and upright landmarks."""
    if (points := dots(pixels)) is None:
        return []
    low, high = points.min(axis=0), points.max(axis=0)
    side = max(high - low)
    wrong = tuple(map(tuple, (DOTS + (low + high) / 2).tolist()))
    return [Face((*(low - 0.3 * side), *(high + 0.5 * side)), wrong, 0.9)]


def locate(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A stand-in for O-Net."""
    found = [dots(crop) for crop in crops]
    points = np.stack([np.zeros((5, 2)) if one is None else one / 48 for one in found])
    return points, np.array([one is not None for one in found], dtype=float)


@pytest.mark.parametrize("turn", [0, 17, -22])
@pytest.mark.parametrize("scale", [1.2, 3])
def test_landmarks_do_not_depend_on_size_and_turn(scale, turn):
    pixels, points = painted(scale, turn, (280, 310))
    (face,) = find_faces(pixels, detect, locate)
    assert abs(np.array(face.landmarks) - points).max() < 0.6 * scale
    aligned = align(pixels, face, 128)
    expected = square_of(points.tolist())
    assert corner_error(aligned.square, np.array(expected.corners())) < 0.01


def test_what_is_no_face_when_looked_at_again():
    pixels, _ = painted(2, 0, (300, 300))
    assert find_faces(pixels, detect, locate)

    def nothing(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return locate(crops)[0], np.full(len(crops), 0.4)

    assert find_faces(pixels, detect, nothing) == []


def test_the_networks_see_what_they_were_made_for():
    crop = np.array(Image.fromarray(astronaut()[50:165, 167:282]).resize((48, 48)))
    points, probability = onet(np.stack([crop, np.zeros_like(crop)]))
    assert probability[0] > 0.95 > 0.5 > probability[1]
    # in every second pixel of the portrait: eyes, nose and corners of the mouth, by hand
    by_hand = [(200, 102), (246, 103), (221, 125), (202, 142), (241, 143)]
    assert abs(points[0] * 115 + (167, 50) - by_hand).max() < 6
    assert len(yunet(astronaut())) == 1
