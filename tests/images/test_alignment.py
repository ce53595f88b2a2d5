# SPDX-License-Identifier: Apache-2.0
"""The oriented square around a face, and what is cut out of a photo with it."""

import numpy as np
import pytest
from support.photos import photo

from facetell.common.errors import UserError
from facetell.dataset.rendered.features import EYE_Y
from facetell.explain.survey import regions
from facetell.images.alignment import FRAMES, Square, cut, square_of
from facetell.images.loading import fit

FACE = np.array([(40, 47), (60, 47), (50, 60), (42, 75), (58, 75)], dtype=float)


def turned(points: np.ndarray, degrees: float, centre=(50, 50), scale: float = 1.0) -> np.ndarray:
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (points - centre) @ matrix.T * scale + centre


def published(points: np.ndarray) -> np.ndarray:
    """The corners as the formula of the FFHQ paper's appendix gives them, on complex numbers."""
    left, right, _, mouth_left, mouth_right = points @ np.array([1, 1j])
    eyes, middle = right - left, (left + right) / 2
    mouth = (mouth_left + mouth_right) / 2 - middle
    x = eyes - 1j * mouth
    x *= max(2.0 * abs(eyes), 1.8 * abs(mouth)) / abs(x)
    centre, y = middle + 0.1 * mouth, 1j * x
    corners = np.array([centre - x - y, centre + x - y, centre + x + y, centre - x + y])
    return np.stack([corners.real, corners.imag], axis=1)


@pytest.mark.parametrize("degrees", [0, 30, -75, 180])
@pytest.mark.parametrize("wide", [1, 2])
def test_the_square_is_that_of_the_paper(degrees, wide):
    face = (FACE - 50) * (wide, 1) + 50  # wide faces go by their eyes, others by the mouth
    face[3] += (-3, 2)  # no face is symmetric
    points = turned(face, degrees)
    square = square_of(points.tolist())
    assert np.allclose(square.corners(), published(points))
    assert square.side == pytest.approx(2 * max(2 * 20 * wide, 1.8 * 28), rel=0.1)


def test_the_square_moves_with_the_face():
    moved = turned(FACE, 25, scale=3) + np.array([11, -7])
    expected = turned(np.array(square_of(FACE.tolist()).corners()), 25, scale=3) + np.array(
        [11, -7]
    )
    assert np.allclose(square_of(moved.tolist()).corners(), expected)


def test_an_average_rendered_face_fills_its_frame():
    face = [(0.381, EYE_Y), (0.619, EYE_Y), (0.5, 0.62), (0.45, 0.735), (0.55, 0.735)]
    square = square_of(face, "demo")
    assert np.allclose(square.corners(), [(0, 0), (1, 0), (1, 1), (0, 1)], atol=0.01)


def test_points_map_there_and_back():
    square = square_of(turned(FACE, 33).tolist())
    points = np.random.default_rng(0).uniform(-1, 2, (9, 2)).tolist()
    assert np.allclose(square.to_aligned(square.to_photo(points)), points)
    left_eye, right_eye, *_ = square.to_aligned(turned(FACE, 33).tolist())
    assert left_eye[1] == pytest.approx(right_eye[1])
    assert 0.25 < left_eye[0] < right_eye[0] < 0.75


@pytest.mark.parametrize(
    ("face", "frame", "says"),
    [
        (FACE, "passport", "no face frame 'passport'; there are ffhq, demo"),
        (FACE * 0, "ffhq", "eyes and mouth are in one place"),
    ],
)
def test_what_has_no_square(face, frame, says):
    with pytest.raises(UserError, match=says):
        square_of(face.tolist(), frame)


def test_quarter_turns_lose_nothing():
    pixels = np.array(photo(1, 96))
    for turns, right in enumerate([(20, 0), (0, 20), (-20, 0), (0, -20)]):
        upright = cut(pixels, Square((40, 50), right))
        assert np.array_equal(upright, np.rot90(pixels[30:70, 20:60], turns)), turns


def test_smaller_and_larger_sizes():
    pixels = np.array(photo(2, 96))
    square = Square((48, 48), (48, 0))
    small = cut(pixels, square, 32)
    assert np.array_equal(small, fit(pixels, 32).permute(1, 2, 0).numpy())  # the one resampling
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::2] = 255
    assert abs(cut(stripes, square, 24).astype(int) - 128).max() < 30  # no moire
    assert cut(pixels, square, 200).shape == (200, 200, 3)


def test_a_turned_face_comes_back():
    pixels = np.array(photo(3, 128))
    soft = np.asarray(photo(3, 128).resize((32, 32)).resize((128, 128)))
    turn = Square((64, 64), (30, 17))
    inside = cut(soft, turn, 64).astype(int)
    # the same square, cut out of what was cut out around it with the turn undone
    around = cut(soft, Square((64, 64), (60, 34)))
    side = len(around)
    again = cut(around, Square((side / 2, side / 2), (side / 4, 0)), 64).astype(int)
    assert abs(inside - again).mean() < 2
    assert pixels.shape == (128, 128, 3)


def test_beyond_the_edge_it_is_mirrored():
    pixels = np.array(photo(4, 64))
    found = cut(pixels, Square((30, 32), (32, 0)))  # 2 px too far to the left
    assert np.array_equal(found[:, 2:], pixels[:, :62])
    assert np.array_equal(found[:, :2], pixels[:, 2:0:-1])


def test_far_beyond_the_edge_it_fades():
    pixels = np.array(photo(5, 64))
    found = cut(pixels, Square((12, 32), (32, 0)))  # 20 px too far
    assert np.array_equal(found[:, 30:], pixels[:, 10:44])  # well inside it is the photo
    outer, mirrored = found[:, 0].astype(int), pixels[:, 20].astype(int)
    assert np.ptp(outer, axis=0).mean() < 0.5 * np.ptp(mirrored, axis=0).mean()
    assert cut(pixels[:1, :1], Square((0, 0), (1.5, 0.5))).shape == (3, 3, 3)


def test_a_square_of_no_face():
    with pytest.raises(UserError, match="much larger than the photo"):
        cut(np.zeros((64, 64, 3), np.uint8), Square((30, 30), (5000, 0)))


def test_frames_are_those_whose_regions_are_known():
    assert set(FRAMES) == set(regions.FRAMES)
