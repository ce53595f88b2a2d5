# SPDX-License-Identifier: Apache-2.0
"""Faces in a photo, and each of them cut out as the training images were.

They are found by YuNet (Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023),
whose weights (230 KB, MIT) are part of this package, in ``weights``; OpenCV runs it. Its landmarks
hardly turn with the face (of 30 degrees they show 10), so those of ``landmarks`` are taken.
"""

import importlib.resources
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from facetell.common.errors import UserError
from facetell.images.alignment import Point, Square, cut, square_of
from facetell.images.landmarks import SIDE, onet

LANDMARKS = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")
MIRRORED = [1, 0, 2, 4, 3]  # the landmarks of a mirrored face
WEIGHTS = "face_detection_yunet_2023mar.onnx"
SIDES = (320, 1280)  # px: of the longer side, for large faces and for small ones
LEAST = 0.7  # score from which on it is a face
SAME = 0.3  # intersection over union from which on two boxes are of one face
# Landmarks are sought in squares around the middle of the face: so many sides of FFHQ's square
# below its centre, so large, and so turned (degrees); each is seen mirrored, too.
BELOW = 0.047
VIEWS = [(0.6, 0), *((zoom, turn) for zoom in (0.55, 0.65) for turn in (-10, 0, 10))]
ROUNDS = (1, 1, len(VIEWS))  # views, each time from where the last have found them
CLOSE = 192  # px: of the picture of the face in which that is done
SMALLEST = 20  # px: the side of a face's square from which on it has anything to tell


@dataclass(frozen=True)
class Face:
    """A face in a photo, in its pixels.

    ``box`` is (left, top, right, bottom); it may reach beyond the photo. ``landmarks`` are the
    points of ``LANDMARKS``, left and right as seen in the picture. ``score`` in [0, 1] says how
    sure the face detector is that it is a face.
    """

    box: tuple[float, float, float, float]
    landmarks: tuple[Point, ...]
    score: float

    @property
    def area(self) -> float:
        """Of the box, in square pixels."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


Detect = Callable[[np.ndarray], list[Face]]  # of RGB uint8 (H, W, 3)
Locate = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # as ``landmarks.onet``


def find_faces(
    pixels: np.ndarray, detect: Detect | None = None, locate: Locate = onet
) -> list[Face]:
    """The faces in a photo, the largest first; none: an empty list.

    The photo is searched at two sizes. Then the eyes and the mouth of each face are located again
    and again, upright, so that they hardly depend on where, how large and how turned it is.

    Parameters
    ----------
    pixels : RGB or grey, uint8 (H, W, 3), (3, H, W), (H, W) or (H, W, 1).
    detect : another face detector, from RGB uint8 (H, W, 3) to faces; None: YuNet.
    locate : where eyes, nose and mouth are in crops, as ``facetell.images.landmarks.onet``.

    Raises
    ------
    UserError : these are no pixels of a picture.

    >>> find_faces(np.zeros((200, 300, 3), np.uint8))
    []
    """
    photo, detect = rgb(pixels), detect or yunet
    found = [face for side in SIDES for face in _searched(photo, side, detect)]
    kept = [again for face in _distinct(found) if (again := _located(photo, face, locate))]
    return sorted(_distinct(kept), key=lambda face: face.area, reverse=True)


def rgb(pixels: np.ndarray) -> np.ndarray:
    """RGB uint8 (H, W, 3) from RGB or grey, channels first or last.

    >>> rgb(np.zeros((3, 40, 50), np.uint8)).shape, rgb(np.zeros((40, 50), np.uint8)).shape
    ((40, 50, 3), (40, 50, 3))
    """
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise UserError(
            f"a photo is uint8 (H, W, 3), not {pixels.dtype} {pixels.shape}; "
            "of values in [0, 1] take (255 * values).round().astype('uint8')"
        )
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[2] not in (1, 3) and pixels.shape[0] in (1, 3):
        pixels = pixels.transpose(1, 2, 0)
    if pixels.shape[2] not in (1, 3):
        raise UserError(f"a photo has 3 channels, or 1 if it is grey, not {pixels.shape}")
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def yunet(pixels: np.ndarray) -> list[Face]:
    """Faces as YuNet finds them in RGB uint8 (H, W, 3), at the size that it is given.

    Faces of 10 to 300 px are found. Landmarks are about a fiftieth of the face off.
    """
    import cv2

    network = _network()
    network.setInputSize((pixels.shape[1], pixels.shape[0]))
    _, rows = network.detect(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return [] if rows is None else [_face(row) for row in rows.astype(float).tolist()]


@lru_cache(maxsize=1)
def _network() -> Any:
    import cv2

    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # else it warns of itself
    try:
        file = importlib.resources.files("facetell.images") / "weights" / WEIGHTS
        # bytes, because OpenCV cannot open every path
        weights = np.frombuffer(file.read_bytes(), np.uint8)
        nothing = np.empty(0, np.uint8)
        return cv2.FaceDetectorYN.create("onnx", weights, nothing, (320, 320), LEAST, SAME)
    finally:
        cv2.utils.logging.setLogLevel(level)


def _face(row: Sequence[float]) -> Face:
    """From (left, top, width, height), five points, and the score."""
    left, top, width, height, *points, score = row
    pairs = tuple(zip(points[::2], points[1::2], strict=True))
    return Face((left, top, left + width, top + height), pairs, score)


def _mapped(face: Face, move: Callable[[Sequence[Point]], Sequence[Point]]) -> Face:
    """A face in the pixels of another picture; the box becomes the one around the moved box."""
    left, top, right, bottom = face.box
    corners = np.array(move([(left, top), (right, top), (right, bottom), (left, bottom)]))
    low, high = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return Face((*low, *high), tuple(move(face.landmarks)), face.score)


def _searched(photo: np.ndarray, side: int, detect: Detect) -> list[Face]:
    """Faces in a photo whose longer side is made ``side``; but it is enlarged only for the least of
    ``SIDES``."""
    import cv2

    longer = max(photo.shape[:2])
    if side > SIDES[0] >= longer:
        return []
    scale = min(side, max(longer, SIDES[0])) / longer
    size = [max(1, round(scale * length)) for length in photo.shape[1::-1]]
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    across, down = photo.shape[1] / size[0], photo.shape[0] / size[1]
    return [
        _mapped(face, lambda points: [(x * across, y * down) for x, y in points])
        for face in detect(small)
    ]


def _located(photo: np.ndarray, face: Face, locate: Locate) -> Face | None:
    """The face with its landmarks as they are seen upright; None if it turns out to be none."""
    left, top, right, bottom = face.box
    half = max(right - left, bottom - top) / 2
    square = Square(((left + right) / 2, (top + bottom) / 2), (half / VIEWS[0][0], 0.0))
    try:
        for views in ROUNDS:
            points, probability = _seen(photo, square, VIEWS[:views], locate)
            if probability < 0.5:
                return None
            square = square_of(points)
            (x, y), (across, down) = square.centre, square.right
            drop = 2 * BELOW
            square = replace(square, centre=(x - drop * down, y + drop * across))
    except UserError:  # no square is around it
        return None
    return replace(face, landmarks=points)


def _seen(
    photo: np.ndarray, square: Square, wanted: Sequence[tuple[float, float]], locate: Locate
) -> tuple[tuple[Point, ...], float]:
    """Landmarks and P(face), the mean over several views of what lies in and around a square."""
    close = cut(photo, square, CLOSE)
    crops, views = [], []
    for zoom, degrees in wanted:
        half, turn = zoom * CLOSE / 2, math.radians(degrees)
        view = Square((CLOSE / 2, CLOSE / 2), (half * math.cos(turn), half * math.sin(turn)))
        crop = cut(close, view, SIDE)
        crops += [crop, crop[:, ::-1]]
        views.append(view)
    points, probability = locate(np.ascontiguousarray(crops))
    mirrored = points[1::2][:, MIRRORED] * (-1, 1) + (1, 0)
    both = (points[::2] + mirrored) / 2
    mean = np.mean([view.to_photo(own) for view, own in zip(views, both, strict=True)], axis=0)
    return square.to_photo((mean / CLOSE).tolist()), float(probability.mean())


def _distinct(faces: Sequence[Face]) -> list[Face]:
    """One of those that are the same face, the one with the highest score."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: face.score, reverse=True):
        if all(_overlap(face, other) < SAME for other in kept):
            kept.append(face)
    return kept


def _overlap(one: Face, other: Face) -> float:
    """Intersection over union of two boxes."""
    low, high = np.maximum(one.box[:2], other.box[:2]), np.minimum(one.box[2:], other.box[2:])
    common = float(np.clip(high - low, 0, None).prod())
    return common / (one.area + other.area - common)


@dataclass(frozen=True)
class Aligned:
    """A face cut out of a photo: RGB uint8 (S, S, 3), the face, and the square in the photo."""

    pixels: np.ndarray
    face: Face
    square: Square


def align(
    pixels: np.ndarray, face: Face, size: int | None = None, frame: str | None = "ffhq"
) -> Aligned:
    """Cut a face out of a photo as the training images were, upright and square.

    Parameters
    ----------
    pixels : the photo, as for ``find_faces``.
    size : side in pixels; None: as many as it has in the photo. ``Detector.predict`` takes either.
    frame : how the faces of the training images lie, one of ``FRAMES``; None: not known, so that
        of FFHQ is taken. ``caution`` says what that means for the verdict.

    Raises
    ------
    UserError : there is no such frame, or the landmarks are of no face.

    >>> from skimage.data import astronaut
    >>> photo = astronaut()
    >>> face, = find_faces(photo)
    >>> aligned = align(photo, face, size=128)
    >>> aligned.pixels.shape
    (128, 128, 3)
    >>> left_eye, right_eye, *_ = aligned.square.to_aligned(face.landmarks)
    >>> bool(abs(left_eye[1] - right_eye[1]) < 0.03)  # they are level
    True
    """
    square = square_of(face.landmarks, frame or "ffhq")
    return Aligned(cut(rgb(pixels), square, size), face, square)


def aligned_faces(
    pixels: np.ndarray, frame: str | None = "ffhq", *, size: int | None = None, name: str = "photo"
) -> list[Aligned]:
    """Every face of a photo, found and cut out; the largest first.

    ``name`` is what errors call the photo; the rest is as for ``align``. Faces whose square has
    less than ``SMALLEST`` px are left out: they have nothing to tell.

    Raises
    ------
    UserError : no face is found, or all are too small.
    """
    found = [align(pixels, face, size, frame) for face in find_faces(pixels)]
    kept = [one for one in found if one.square.side >= SMALLEST]
    if kept:
        return kept
    if found:
        raise UserError(
            f"{name}: the face is only {found[0].square.side:.0f} px large, at least {SMALLEST} "
            "are needed; give a larger photo"
        )
    raise UserError(
        f"{name}: no face is found; turn the photo upright, give one in which the face is larger "
        "and seen from the front, or crop it yourself and do without --crop"
    )


def caution(frame: str | None) -> str | None:
    """Why the verdict on an aligned photo may mean nothing, or None.

    >>> caution("ffhq") is None
    True
    """
    if frame == "ffhq":
        return None
    if frame is None:
        return (
            "how faces lie in the training images is not known: photos are cut as FFHQ's are, "
            "which may be unlike them"
        )
    return (
        "the detector was trained on rendered faces: cutting a face out does not make a photo like "
        "these, and the verdict on a photo means nothing"
    )
