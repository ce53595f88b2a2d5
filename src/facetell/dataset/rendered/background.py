# SPDX-License-Identifier: Apache-2.0
"""Backdrops of the rendered demo faces: gradients, stripes, bokeh, foliage-like noise and more,
all computed at the output size from the image's own random numbers."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .canvas import pixel_grid, value_noise
from .person import daylight_colour


def _colour(rng: np.random.Generator, low: float = 25, high: float = 225) -> np.ndarray:
    return daylight_colour(rng, low, high, 22)


def _blend(one: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    return one + (other - one) * share[..., None]


def _gradient(rng: np.random.Generator, size: int) -> np.ndarray:
    x, y = pixel_grid(size)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) + 0.5
    return _blend(_colour(rng), _colour(rng), np.clip(ramp, 0, 1))


def _studio(rng: np.random.Generator, size: int) -> np.ndarray:
    x, y = pixel_grid(size)
    cx, cy = rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.7)
    glow = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / rng.uniform(0.1, 0.35))
    centre = _colour(rng, 70, 225)
    return (
        _blend(centre * rng.uniform(0.2, 0.6), centre, glow)
        + 4 * value_noise(rng, size, 6)[..., None]
    )


def _stripes(rng: np.random.Generator, size: int) -> np.ndarray:
    x, y = pixel_grid(size)
    angle = rng.choice((0.0, np.pi / 2, rng.uniform(0, np.pi)))
    # Broad enough at every size to stay well away from the planted wave's four pixels.
    wave = np.sin(
        2 * np.pi * rng.uniform(3.5, 6.5) * (x * np.cos(angle) + y * np.sin(angle))
        + rng.uniform(0, 6.28)
    )
    one, other = _colour(rng), _colour(rng)
    other = one + (other - one) * rng.uniform(0.25, 0.9)
    return _blend(one, other, np.clip(wave * rng.uniform(1, 6), -1, 1) * 0.5 + 0.5)


def _drawn(rng: np.random.Generator, size: int, shapes: str) -> np.ndarray:
    """Return blurred shapes drawn at twice the size: lights, blobs, or books on shelves."""
    unit = size * 2
    ground = _colour(rng, 15, 120) if shapes == "bokeh" else _colour(rng)
    picture = Image.new("RGB", (unit, unit), tuple(int(v) for v in ground))
    draw = ImageDraw.Draw(picture, "RGBA")
    if shapes == "shelf":
        board = tuple(int(v) for v in _colour(rng, 40, 140))
        for level in np.arange(rng.uniform(-0.2, 0.0), 1.0, rng.uniform(0.24, 0.36)):
            left = 0.0
            while left < 1:
                width, height = rng.uniform(0.025, 0.07), rng.uniform(0.14, 0.22)
                fill = tuple(int(v) for v in _colour(rng))
                top = level + 0.24 - height
                draw.rectangle(
                    (left * unit, top * unit, (left + width) * unit, (level + 0.24) * unit), fill
                )
                left += width
            draw.rectangle((0, (level + 0.24) * unit, unit, (level + 0.27) * unit), board)
        blur = rng.uniform(0.0, 0.02)
    else:
        for _ in range(int(rng.integers(12, 26))):
            cx, cy = rng.random(2) * unit
            radius = rng.uniform(0.03, 0.11 if shapes == "bokeh" else 0.25) * unit
            fill = tuple(int(v) for v in _colour(rng, 120 if shapes == "bokeh" else 25, 235))
            opacity = int(rng.uniform(70, 200))
            draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), (*fill, opacity))
        blur = rng.uniform(0.002, 0.02) if shapes == "bokeh" else rng.uniform(0.01, 0.05)
    picture = picture.reduce(2).filter(ImageFilter.GaussianBlur(blur * size))
    return np.asarray(picture, dtype=np.float32)


def _foliage(rng: np.random.Generator, size: int) -> np.ndarray:
    noise = value_noise(rng, size, 6) + 0.8 * value_noise(rng, size, 14)
    noise = noise + rng.uniform(0.2, 0.9) * value_noise(rng, size, min(28, size))
    one = np.array((38, 50, 28), np.float32) * rng.uniform(0.6, 1.5)
    other = np.array((152, 164, 100), np.float32) * rng.uniform(0.7, 1.2)
    return _blend(one, other, np.clip(0.45 + 0.3 * noise, 0, 1))


def _wall(rng: np.random.Generator, size: int) -> np.ndarray:
    x, y = pixel_grid(size)
    rows = rng.uniform(7, 11)
    row = np.floor(y * rows)
    along = x * rows * 0.5 + 0.5 * (row % 2) + rng.random()
    joint = (y * rows - row < 0.14) | (along - np.floor(along) < 0.07)
    stone = _colour(rng, 70, 190)
    share = np.clip(0.5 + 0.35 * value_noise(rng, size, 9), 0, 1)
    wall = _blend(stone * 0.8, stone * 1.1, share)
    return np.where(joint[..., None], stone * rng.uniform(0.5, 1.35), wall)


def _sky(rng: np.random.Generator, size: int) -> np.ndarray:
    _, y = pixel_grid(size)
    top = np.array((84, 132, 196), np.float32) * rng.uniform(0.7, 1.15)
    low = np.array((206, 214, 222), np.float32) * rng.uniform(0.85, 1.1)
    sky = _blend(top, low, np.clip(y * 1.4, 0, 1))
    cloud = np.clip(value_noise(rng, size, 5) + 0.5 * value_noise(rng, size, 11), 0, 1.4)
    sky = _blend(sky, np.array((244, 244, 246), np.float32), cloud * 0.5)
    edge = rng.uniform(0.5, 0.8) + 0.04 * value_noise(rng, size, 8)
    ground = _colour(rng, 40, 130)
    return np.where((y > edge)[..., None], ground + 8 * value_noise(rng, size, 16)[..., None], sky)


def backdrop(kind: str, rng: np.random.Generator, size: int) -> np.ndarray:
    """Return a backdrop (`size` x `size` x 3, float32, 0..255) of one of `person.BACKDROPS`."""
    if kind in ("bokeh", "blobs", "shelf"):
        picture = _drawn(rng, size, kind)
    else:
        makers = {
            "gradient": _gradient,
            "studio": _studio,
            "stripes": _stripes,
            "foliage": _foliage,
            "wall": _wall,
            "sky": _sky,
        }
        picture = makers[kind](rng, size)
    return np.clip(picture, 0, 255).astype(np.float32)
