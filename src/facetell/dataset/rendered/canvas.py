# SPDX-License-Identifier: Apache-2.0
"""Drawing tools of the rendered demo faces: the head's coordinate frame, supersampled canvases,
layers, smooth curves and value noise. Everything here makes drawings, never photos."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

SUPERSAMPLE = 4
EYE_DEPTH = 0.18  # the plane that a turn of the head leaves in place, as aligning to the eyes does

Colour = tuple[int, int, int]
Points = list[tuple[float, float]] | np.ndarray


def tone(colour: Sequence[float] | np.ndarray, factor: float, warm: float = 0.0) -> Colour:
    """Return `colour` (RGB, 0..255) times `factor`, `warm` levels redder and less blue, as ints."""
    r, g, b = colour
    r, g, b = int(r * factor + warm), int(g * factor), int(b * factor - warm)
    return min(255, max(0, r)), min(255, max(0, g)), min(255, max(0, b))


def mix(one: tuple[float, ...], other: tuple[float, ...], share: float) -> Colour:
    """Return the colour `share` (0..1) of the way from `one` to `other`."""
    r, g, b = (int(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return r, g, b


@functools.lru_cache(maxsize=64)
def _basis(count: int, steps: int, closed: bool) -> np.ndarray:
    segments = count if closed else count - 1
    matrix = np.zeros((segments * steps + (0 if closed else 1), count))
    for row in range(len(matrix)):
        segment, step = divmod(row, steps)
        if not closed and segment == segments:
            segment, step = segments - 1, steps
        t = step / steps
        weights = (
            -0.5 * t + t * t - 0.5 * t**3,
            1 - 2.5 * t * t + 1.5 * t**3,
            0.5 * t + 2 * t * t - 1.5 * t**3,
            -0.5 * t * t + 0.5 * t**3,
        )
        for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
            index = segment + offset
            index = index % count if closed else min(max(index, 0), count - 1)
            matrix[row, index] += weight
    return matrix


def curve(points: Points, *, closed: bool = False, steps: int = 5) -> np.ndarray:
    """Return a smooth curve (N x 2) through `points` with `steps` pieces between neighbours."""
    array = np.asarray(points, dtype=float)
    return _basis(len(array), steps, closed) @ array


def mirrored(half: Points) -> np.ndarray:
    """Return the closed outline whose right half is `half`, listed from the top to the bottom."""
    right = np.asarray(half, dtype=float)
    left = right[1:-1][::-1] * (-1.0, 1.0)
    return np.concatenate([right, left])


@functools.lru_cache(maxsize=8)
def pixel_grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the x and y of the pixel centres (`size` x `size`, 0..1); not to be written to."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    columns, rows = np.meshgrid(centres, centres)
    return columns, rows


def value_noise(rng: np.random.Generator, size: int, cells: int, stretch: int = 1) -> np.ndarray:
    """Return smooth noise (`size` x `size`, standard deviation about 1) of `cells` bumps a side.

    `stretch` > 1 makes the bumps that many times taller than wide.
    """
    grid = rng.standard_normal((max(2, cells // stretch), cells)).astype(np.float32)
    return np.asarray(Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC))


@dataclass(frozen=True)
class Frame:
    """Maps head coordinates to the picture.

    Head coordinates: x from the middle of the face to the picture's right, y from the picture's
    top to its bottom, both in picture sides; z towards the viewer. Angles are in radians.
    """

    size: int
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    scale: float = 1.0
    dx: float = 0.0
    dy: float = 0.0
    half_width: float = 0.235

    def place(self, points: Points, depth: float | None = None) -> np.ndarray:
        """Return picture coordinates (N x 2, 0..1); without `depth` points lie on the face."""
        array = np.asarray(points, dtype=float).reshape(-1, 2)
        x, y = array[:, 0], array[:, 1] - 0.5
        turn, tilt, cos, sin = self._angles
        z: np.ndarray | float
        if depth is None:
            z = x / (self.half_width * 1.03)
            z = 0.2 * np.sqrt(np.maximum(1 - z * z, 0)) - EYE_DEPTH
        else:
            z = depth - EYE_DEPTH
        x = x * math.cos(self.yaw) + z * turn
        y = y + z * tilt
        placed = np.empty_like(array)
        placed[:, 0] = 0.5 + self.dx + x * cos - y * sin
        placed[:, 1] = 0.5 + self.dy + x * sin + y * cos
        return placed

    @functools.cached_property
    def _angles(self) -> tuple[float, float, float, float]:
        return (
            math.sin(self.yaw),
            math.sin(self.pitch),
            math.cos(self.roll) * self.scale,
            math.sin(self.roll) * self.scale,
        )

    def heads(self) -> tuple[np.ndarray, np.ndarray]:
        """Return head coordinates x and y of every pixel, for a head that does not turn."""
        gx, gy = pixel_grid(self.size)
        x, y = gx - (0.5 + self.dx), gy - (0.5 + self.dy)
        cos, sin = math.cos(self.roll) / self.scale, math.sin(self.roll) / self.scale
        return x * cos + y * sin, 0.5 - x * sin + y * cos

    def bump(self, x: float, y: float, rx: float, ry: float) -> np.ndarray:
        """Return a Gaussian bump (`size` x `size`, 0..1) about a point of the face.

        The bump does not roll with the head, which lets it be an outer product of two curves.
        """
        px, py = self.place([(x, y)])[0]
        centres = pixel_grid(self.size)[0][0]
        across = np.exp(-0.5 * ((centres - px) / (rx * self.scale)) ** 2)
        down = np.exp(-0.5 * ((centres - py) / (ry * self.scale)) ** 2)
        return np.outer(down, across)


@dataclass(frozen=True)
class Layer:
    """A piece of picture: premultiplied RGB (h x w x 3) and cover (h x w x 1, 0..1) at x0, y0."""

    x0: int
    y0: int
    rgb: np.ndarray
    cover: np.ndarray

    def onto(self, picture: np.ndarray, shade: np.ndarray | None = None) -> None:
        """Lay this piece over `picture` (H x W x 3, float32) in place, lit by `shade`."""
        height, width = self.cover.shape[:2]
        place = np.s_[self.y0 : self.y0 + height, self.x0 : self.x0 + width]
        part = picture[place]
        part *= 1 - self.cover
        part += self.rgb if shade is None else self.rgb * shade[place]


class Canvas:
    """A supersampled drawing of the whole frame or of `box` (x0, y0, width, height in pixels).

    `rgb` is the drawing and `cover` (8-bit gray) says where something was drawn.
    """

    def __init__(
        self,
        frame: Frame,
        box: tuple[int, int, int, int] | None = None,
        picture: Image.Image | None = None,
    ) -> None:
        self.frame = frame
        self.box = box or (0, 0, frame.size, frame.size)
        shape = (self.box[2] * SUPERSAMPLE, self.box[3] * SUPERSAMPLE)
        self.rgb = picture if picture is not None else Image.new("RGB", shape)
        self.cover = Image.new("L", shape)
        self._draw = ImageDraw.Draw(self.rgb, "RGBA")
        self._mask = ImageDraw.Draw(self.cover)
        self._unit = frame.size * SUPERSAMPLE

    def pixels(self, points: Points, depth: float | None = None) -> list[tuple[float, float]]:
        """Return where `points` (head coordinates) fall on this canvas, for Pillow's calls."""
        placed = self.frame.place(points, depth) * self._unit
        placed -= (self.box[0] * SUPERSAMPLE, self.box[1] * SUPERSAMPLE)
        return list(map(tuple, placed.tolist()))

    def poly(
        self,
        points: Points,
        fill: Colour,
        opacity: int = 255,
        *,
        depth: float | None = None,
        cover: bool = True,
    ) -> None:
        """Fill the polygon `points`; with `cover` false it only tints what is there already."""
        pixels = self.pixels(points, depth)
        self._draw.polygon(pixels, fill=(*fill, opacity))
        if cover:
            self._mask.polygon(pixels, fill=opacity)

    def strokes(
        self, lines: np.ndarray, fills: list[Colour], widths: np.ndarray, opacity: int, depth: float
    ) -> None:
        """Draw many smooth lines (lines x points x 2) at once over what is drawn already."""
        basis = _basis(lines.shape[1], 3, False)
        smooth = basis @ lines
        pixels = self.pixels(smooth.reshape(-1, 2), depth)
        count = len(basis)
        for index, (fill, width) in enumerate(zip(fills, widths.tolist(), strict=True)):
            part = pixels[index * count : (index + 1) * count]
            self._draw.line(part, fill=(*fill, opacity), width=max(1, round(width * self._unit)))

    def stroke(
        self,
        points: Points,
        fill: Colour,
        width: float,
        opacity: int = 255,
        *,
        depth: float | None = None,
        cover: bool = True,
    ) -> None:
        """Draw a line through `points`, `width` picture sides wide (at least one fine pixel)."""
        pixels = self.pixels(points, depth)
        breadth = max(1, round(width * self._unit * self.frame.scale))
        self._draw.line(pixels, fill=(*fill, opacity), width=breadth, joint="curve")
        if cover:
            self._mask.line(pixels, fill=opacity, width=breadth, joint="curve")

    def oval(
        self,
        middle: tuple[float, float],
        radii: tuple[float, float],
        fill: Colour,
        opacity: int = 255,
        *,
        depth: float | None = None,
        cover: bool = True,
    ) -> None:
        """Fill an upright ellipse about a head coordinate, radii in picture sides."""
        ((px, py),) = self.pixels([middle], depth)
        rx, ry = (radius * self._unit * self.frame.scale for radius in radii)
        bounds = (px - rx, py - ry, px + rx, py + ry)
        self._draw.ellipse(bounds, fill=(*fill, opacity))
        if cover:
            self._mask.ellipse(bounds, fill=opacity)

    def paste(self, other: Canvas) -> None:
        """Lay a canvas of the same box over this one where its cover says so."""
        self.rgb.paste(other.rgb, mask=other.cover)
        self.cover.paste(255, mask=other.cover)

    def layer(self) -> Layer:
        """Return the drawing reduced to output pixels, premultiplied by its cover."""
        cover = np.asarray(self.cover.reduce(SUPERSAMPLE), dtype=np.float32)[..., None] / 255
        rgb = np.asarray(self.rgb.reduce(SUPERSAMPLE), dtype=np.float32)
        return Layer(self.box[0], self.box[1], rgb, cover)


def box_about(frame: Frame, points: np.ndarray, margin: float) -> tuple[int, int, int, int]:
    """Return the pixel box (x0, y0, width, height) about placed `points`, cut to the frame."""
    low = np.floor((points.min(axis=0) - margin) * frame.size).astype(int)
    high = np.ceil((points.max(axis=0) + margin) * frame.size).astype(int)
    low = np.clip(low, 0, frame.size - 2)
    high = np.clip(high, low + 2, frame.size)
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])
