# SPDX-License-Identifier: Apache-2.0
"""A face cut out of a photo as the training images were: the oriented square of FFHQ.

The rule is that of Karras, Laine and Aila ("A Style-Based Generator Architecture for Generative
Adversarial Networks", 2019, appendix A, and the published tool's ``recreate_aligned_images``): a
square whose up follows the eyes and the mouth, mirrored beyond the photo's edge, and blurred and
faded to the photo's median colour there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from facetell.common.errors import UserError
from facetell.images.loading import fit

Point = tuple[float, float]
Transform = tuple[float, float, float, float, float, float]

BORDER = 0.1  # of the side: what lies beyond the photo's edge by less is mirrored, not faded
PAD = 0.3  # of the side: over it, mirrored pixels fade to the median colour
BLUR = 0.02  # of the side: sigma of the blur beyond the edge
LARGEST = 4.0  # longer sides of the photo: a square beyond that is of no face


@dataclass(frozen=True)
class Frame:
    """How a set's faces lie in its images, in distances between eyes and from eyes to mouth.

    Half a side is the larger of ``eyes`` distances of the eyes and ``mouth`` distances from the
    eyes to the mouth; the centre lies ``down`` of the latter below the eyes.
    """

    eyes: float
    mouth: float
    down: float


# "demo" are the rendered faces: eyes 0.238 of the side apart and 0.47 from the top, mouth at 0.735
# (``facetell.dataset.rendered``).
FRAMES = {
    "ffhq": Frame(eyes=2.0, mouth=1.8, down=0.1),
    "demo": Frame(eyes=2.1, mouth=1.89, down=0.113),
}


@dataclass(frozen=True)
class Square:
    """An oriented square in a photo, in its pixels.

    ``centre`` is its middle, ``right`` leads from there to the middle of its right side. Pixel
    (0, 0) covers the square from (0, 0) to (1, 1), so a photo's right edge is at its width.

    >>> Square((50, 50), (50, 0)).corners()
    ((0.0, 0.0), (100.0, 0.0), (100.0, 100.0), (0.0, 100.0))
    """

    centre: Point
    right: Point

    @property
    def side(self) -> float:
        """Length of a side in pixels."""
        return 2 * float(np.hypot(*self.right))

    def corners(self) -> tuple[Point, Point, Point, Point]:
        """Top left, top right, bottom right and bottom left of the face, as it is upright."""
        top_left, top_right, bottom_right, bottom_left = self.to_photo(
            [(0, 0), (1, 0), (1, 1), (0, 1)]
        )
        return top_left, top_right, bottom_right, bottom_left

    def to_photo(self, points: Sequence[Point]) -> tuple[Point, ...]:
        """Points of the aligned image, in sides from its left and top, in pixels of the photo.

        A map's peak, for example, or the outline of a region.

        >>> Square((50, 50), (0, 50)).to_photo([(0.5, 0.5), (1, 0)])  # of a face that lies
        ((50.0, 50.0), (100.0, 100.0))
        """
        (cx, cy), (rx, ry) = self.centre, self.right
        return tuple(
            (float(cx + (2 * u - 1) * rx - (2 * v - 1) * ry),
             float(cy + (2 * u - 1) * ry + (2 * v - 1) * rx))
            for u, v in points
        )  # fmt: skip

    def to_aligned(self, points: Sequence[Point]) -> tuple[Point, ...]:
        """The inverse of ``to_photo``.

        >>> square = Square((60, 40), (30, 10))
        >>> [round(value, 6) for value in square.to_aligned(square.to_photo([(0.2, 0.7)]))[0]]
        [0.2, 0.7]
        """
        (cx, cy), (rx, ry) = self.centre, self.right
        scale = 2 * (rx**2 + ry**2)
        return tuple(
            (((x - cx) * rx + (y - cy) * ry) / scale + 0.5,
             ((y - cy) * rx - (x - cx) * ry) / scale + 0.5)
            for x, y in points
        )  # fmt: skip


def square_of(landmarks: Sequence[Point], frame: str = "ffhq") -> Square:
    """The square that a set's rule cuts out around a face.

    Parameters
    ----------
    landmarks : (left eye, right eye, nose, left mouth corner, right mouth corner) in pixels, left
        and right as seen in the picture; the nose is not used.
    frame : how the set's faces lie, one of ``FRAMES``.

    Raises
    ------
    UserError : there is no such frame, or the eyes and the mouth are in one place.

    >>> face = [(40, 47), (60, 47), (50, 60), (42, 75), (58, 75)]
    >>> square_of(face).centre, square_of(face).side  # half of it is 1.8 times 28 px
    ((50.0, 49.8), 100.8)
    """
    if frame not in FRAMES:
        raise UserError(f"there is no face frame {frame!r}; there are {', '.join(FRAMES)}")
    rule = FRAMES[frame]
    left, right, _, mouth_left, mouth_right = np.asarray(landmarks, dtype=float)
    middle = (left + right) / 2
    eyes, mouth = right - left, (mouth_left + mouth_right) / 2 - middle
    # across the face, as both the eyes and the line from them to the mouth say
    across = eyes + np.array([mouth[1], -mouth[0]])
    length = np.hypot(*across)
    if length < 1e-3:
        raise UserError("this is no face: its eyes and mouth are in one place, or upside down")
    half = max(rule.eyes * np.hypot(*eyes), rule.mouth * np.hypot(*mouth))
    x, y = across / length * half
    centre = middle + rule.down * mouth
    return Square((float(centre[0]), float(centre[1])), (float(x), float(y)))


def cut(pixels: np.ndarray, square: Square, size: int | None = None) -> np.ndarray:
    """What a photo shows in a square, upright, uint8 (size, size, 3).

    Parameters
    ----------
    pixels : the photo, RGB uint8 (H, W, 3).
    size : in pixels; None: as many as the square covers in the photo, so that nothing is lost
        before ``facetell.images.loading.fit``, which scales every image for a detector.

    Where the square reaches beyond the photo, the photo is mirrored; where by more than a tenth of
    its side, the mirrored part is blurred and fades to the median colour, as in FFHQ.

    Raises
    ------
    UserError : the square is much larger than the photo.

    >>> photo = np.random.default_rng(0).integers(0, 255, (80, 90, 3), dtype=np.uint8)
    >>> part = cut(photo, Square((40, 30), (20, 0)))
    >>> bool((part == photo[10:50, 20:60]).all())
    True
    >>> cut(photo, Square((40, 30), (20, 5)), size=64).shape
    (64, 64, 3)
    """
    if square.side > LARGEST * max(pixels.shape[:2]):
        raise UserError("this is no face: its square is much larger than the photo")
    own = max(1, round(square.side))
    part, (left, top) = _around(pixels, square)
    (x, y), (rx, ry) = square.corners()[0], square.right
    step_x, step_y = 2 * rx / own, 2 * ry / own
    transform: Transform = (step_x, -step_y, x - left, step_y, step_x, y - top)
    upright = Image.fromarray(part).transform(
        (own, own), Image.Transform.AFFINE, transform, Image.Resampling.BICUBIC
    )
    found = np.array(upright)
    return found if size is None else fit(found, size).permute(1, 2, 0).numpy()


def _around(pixels: np.ndarray, square: Square) -> tuple[np.ndarray, tuple[int, int]]:
    """The upright part of a photo that holds a square, continued beyond the photo's edges; and
    where its left and top lie."""
    corners = np.array(square.corners())
    margin = 3  # px that interpolation looks at
    low = np.floor(corners.min(axis=0)).astype(int) - margin
    high = np.ceil(corners.max(axis=0)).astype(int) + margin
    height, width = pixels.shape[:2]
    inner_low = np.clip(low, 0, (width - 1, height - 1))
    inner_high = np.clip(high, inner_low + 1, (width, height))
    before, after = np.maximum(inner_low - low, 0), np.maximum(high - inner_high, 0)
    part = pixels[inner_low[1] : inner_high[1], inner_low[0] : inner_high[0]]
    if not (before.any() or after.any()):
        return part, (int(low[0]), int(low[1]))
    fades = max(before.max(), after.max()) - margin > BORDER * square.side
    if fades:  # over a distance that does not depend on how much is missing
        least = round(PAD * square.side)
        before, after = (
            np.where(pad > margin, np.maximum(pad, least), pad) for pad in (before, after)
        )
    around = ((before[1], after[1]), (before[0], after[0]))
    padded = np.pad(part, (*around, (0, 0)), mode="reflect")
    if fades:
        fading = tuple(tuple(n if n > margin else 0 for n in pads) for pads in around)
        padded = _faded(padded, fading, BLUR * square.side)
    left, top = inner_low - before
    return padded, (int(left), int(top))


def _faded(pixels: np.ndarray, around: Sequence[Sequence[int]], sigma: float) -> np.ndarray:
    """Blur what lies beyond the edges, and fade it to the median colour on the way outwards."""
    down, across = (
        _beyond(length, pads[0], pads[1])
        for length, pads in zip(pixels.shape[:2], around, strict=True)
    )
    depth = np.maximum(down[:, None], across[None, :])[..., None].astype(np.float32)
    median = np.median(pixels, axis=(0, 1)).astype(np.float32)
    soft = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma))
    found = pixels.astype(np.float32)
    found += (np.asarray(soft, dtype=np.float32) - found) * np.clip(3 * depth + 1, 0, 1)
    found += (median - found) * np.clip(depth, 0, 1)
    return found.round().astype(np.uint8)


def _beyond(length: int, before: int, after: int) -> np.ndarray:
    """How far beyond an edge each pixel of a row is, in pads: 1 at the outer end, 0 at the photo's
    edge, negative inside."""
    at = np.arange(length) + 0.5
    return np.maximum(
        1 - at / max(before, 1e-6), 1 - (length - at) / max(after, 1e-6)
    )  # fmt: skip
