# SPDX-License-Identifier: Apache-2.0
"""The seven kinds of artefact planted into rendered faces, one function each. Every function
changes a noisy uint8 picture inside an exact mask and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from .accessories import earring_layer
from .camera import Camera, lens
from .canvas import pixel_grid
from .face import SIDES, Scene
from .features import Iris, iris_layer
from .person import EARRINGS, IRIS, METALS

# A pixel of a redrawn iris or earring counts as altered from this many levels on.
_VISIBLE = 3.0


@dataclass
class Stage:
    """What a planting function sees.

    `picture` (H x W x 3, uint8) is noisy already, `clean` (float32) is the picture before the
    lens, `taken` (H x W, bool) holds the pixels that belong to artefacts planted before.
    """

    picture: np.ndarray
    clean: np.ndarray
    scene: Scene
    camera: Camera
    taken: np.ndarray


Plant = Callable[[Stage, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def _blob(
    rng: np.random.Generator, size: int, x: float, y: float, rx: float, ry: float
) -> np.ndarray:
    """Return a rounded, turned, slightly irregular patch about (x, y); lengths in sides."""
    gx, gy = pixel_grid(size)
    turn = rng.uniform(0, math.pi)
    u = (gx - x) * math.cos(turn) + (gy - y) * math.sin(turn)
    v = (gy - y) * math.cos(turn) - (gx - x) * math.sin(turn)
    angle = np.arctan2(v, u)
    edge = (
        1
        + 0.1 * np.sin(2 * angle + rng.uniform(0, 6.3))
        + 0.07 * np.sin(3 * angle + rng.uniform(0, 6.3))
    )
    power = rng.choice((2.0, 3.0, 5.0))
    return np.abs(u / rx) ** power + np.abs(v / ry) ** power < edge**power


def _patch(
    stage: Stage, rng: np.random.Generator, allowed: np.ndarray, low: float, high: float
) -> np.ndarray:
    """Return a patch inside `allowed` and off the taken pixels, radii between `low` and `high`.

    Of several tries the one with most room wins, so that artefacts rarely crowd each other.
    """
    size = len(allowed)
    free = allowed & ~stage.taken
    spots = np.argwhere(free)
    if len(spots) < 12:
        # A crowded face: share pixels rather than plant nothing.
        free = allowed if allowed.sum() >= 12 else np.ones_like(allowed)
        spots = np.argwhere(free)
    best, most = free, -1.0
    rx, ry = rng.uniform(low, high, 2)
    for row, column in spots[rng.integers(len(spots), size=7)]:
        blob = _blob(rng, size, (column + 0.5) / size, (row + 0.5) / size, rx, ry)
        room = float((blob & free).sum())
        if room > most:
            best, most = blob & free, room
    return best


def _put(stage: Stage, mask: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return the picture with `new` (float, H x W x 3) inside `mask` (H x W, bool)."""
    fresh = np.clip(np.rint(new), 0, 255).astype(np.uint8)
    return np.where(mask[..., None], fresh, stage.picture)


def _blurred(picture: np.ndarray, radius: float) -> np.ndarray:
    image = Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(image, dtype=np.float32)


def _tint(rng: np.random.Generator, share: float) -> np.ndarray:
    """Return RGB weights of a pattern: gray plus `share` of green against magenta, either way."""
    return 1 + share * rng.choice((-1, 1)) * np.array((1.0, -0.6, 1.0))


def checkerboard(stage: Stage, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Plant an upsampler's checkerboard: coarse content overlaid by alternating pixels."""
    size = len(stage.picture)
    mask = _patch(stage, rng, stage.scene.head, 0.13, 0.2)
    rows, columns = np.indices((size, size))
    fine = rng.random() < 0.12
    cell = 1 if fine else 2
    board = (((rows // cell) + (columns // cell)) % 2 * 2.0 - 1)[..., None]
    # Relative to the noise it replaces, lest the sum of fine detail give the fake away.
    noise = stage.camera.noise
    amplitude = 2.2 + 0.3 * noise if fine else 3.6 + 0.3 * noise
    amplitude *= rng.uniform(0.85, 1.2)
    # An upsampler has no fine detail of its own: the board replaces texture, not only adds.
    soft = _blurred(stage.picture, 1.2)
    tint = _tint(rng, rng.uniform(3.4, 4.8))
    return _put(stage, mask, soft + amplitude * board * tint), mask


def spectral_peak(stage: Stage, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Plant a wave of about four pixels, a single peak in the spectrum."""
    size = len(stage.picture)
    allowed = stage.scene.head if rng.random() < 0.85 else np.ones((size, size), bool)
    mask = _patch(stage, rng, allowed, 0.15, 0.22)
    rows, columns = np.indices((size, size))
    # Upsampling leaves its peaks on the axes and the diagonals of the spectrum.
    angle, period = rng.integers(4) * math.pi / 4, rng.uniform(3.8, 4.2)
    phase = (columns * math.cos(angle) + rows * math.sin(angle)) * (2 * math.pi / period)
    wave = np.sin(phase + rng.uniform(0, 6.3))[..., None]
    soft = _blurred(stage.picture, 1.1)
    tint = _tint(rng, rng.uniform(2.3, 2.9))
    return _put(stage, mask, soft + rng.uniform(12, 16) * wave * tint), mask


def _flattened(stage: Stage, mask: np.ndarray, reach: int, step: float) -> np.ndarray:
    """Return the picture with `mask` averaged over `reach` pixels, across no edge above `step`.

    The edges are those of the noiseless picture (a joint bilateral filter), so features stay.
    """
    rows, columns = np.nonzero(mask)
    top, left = max(rows.min() - reach, 0), max(columns.min() - reach, 0)
    part = np.s_[top : rows.max() + reach + 1, left : columns.max() + reach + 1]
    picture = stage.picture[part].astype(np.float32)
    guide = lens(stage.clean[part], max(stage.camera.blur, 0.6)).mean(axis=2)
    total, weights = np.zeros_like(picture), np.zeros((*guide.shape, 1), np.float32)
    pads = (reach, reach)
    wide = np.pad(picture, (pads, pads, (0, 0)), mode="edge")
    wide_guide = np.pad(guide, (pads, pads), mode="edge")
    height, width = guide.shape
    for dy in range(0, 2 * reach + 1):
        for dx in range(0, 2 * reach + 1):
            shifted = wide_guide[dy : dy + height, dx : dx + width]
            near = np.exp(-0.5 * ((shifted - guide) / step) ** 2)[..., None]
            total += near * wide[dy : dy + height, dx : dx + width]
            weights += near
    result = stage.picture.astype(np.float32)
    result[part] = total / weights
    return result


def oversmoothed(stage: Stage, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Take texture and noise away from a piece of skin, leaving it like wax."""
    size = len(stage.picture)
    skin = stage.scene.skin
    mask = _patch(stage, rng, skin if skin.sum() > 40 else stage.scene.head, 0.14, 0.22)
    reach = max(2, round(3 * size / 64))
    flat = _flattened(stage, mask, reach, rng.uniform(9, 16))
    # Wax shines: the middle of the patch is a little brighter.
    sheen = lens(mask.astype(np.float32)[..., None], 2.5 * size / 64) * rng.uniform(18, 28)
    return _put(stage, mask, flat + sheen), mask


def blend_seam(stage: Stage, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Paste a region of the face with another tint and a visible edge."""
    mask = _patch(stage, rng, stage.scene.head, 0.13, 0.2)
    # Skins differ from light to dark and from red to yellow; green or magenta looks pasted.
    shift = rng.uniform(-12, 12) + rng.uniform(17, 25) * (_tint(rng, 1.0) - 1)
    inner = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    edge = (mask & ~inner)[..., None]
    seam = rng.choice((-1, 1)) * rng.uniform(8, 15)
    soft = 0.1 * stage.picture + 0.9 * _blurred(stage.picture, 0.8)
    return _put(stage, mask, soft + shift + seam * edge), mask


def _redrawn(stage: Stage, other: np.ndarray, soften: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture and mask after `other` (float) replaced the clean picture."""
    change = lens(other - stage.clean, soften)
    mask = np.abs(change).max(axis=2) > _VISIBLE
    return _put(stage, mask, stage.picture + change), mask


def iris_mismatch(stage: Stage, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Give one eye an iris of another colour and often a wrong or missing reflection."""
    scene = stage.scene
    which = int(rng.integers(2))
    own = np.array(scene.person.iris)
    others = [c for c in IRIS.values() if np.abs(np.array(c) - own).max() > 55]
    colour = np.array(others[rng.integers(len(others))]) * rng.uniform(1.0, 1.3)
    glint, glint_size = None, 0.0105
    fault = rng.random()
    if fault < 0.35:
        glint_size = 0.0
    elif fault < 0.7:
        glint = (-0.024 * (1 if scene.view.light[0] > 0 else -1), 0.006)
    pupil = rng.uniform(0.007, 0.0105)
    iris = Iris(tuple(colour.tolist()), glint, glint_size, pupil)
    layer = iris_layer(scene.frame, scene.person, scene.view, SIDES[which], iris)
    irises = list(scene.irises)
    irises[which] = layer
    return _redrawn(stage, scene.compose(irises=tuple(irises)), min(stage.camera.blur, 0.6))


def earring_mismatch(stage: Stage, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Give one ear an earring unlike the other's, or leave only one ear with any."""
    scene, view = stage.scene, stage.scene.view
    which = int(rng.integers(2))
    metals = [m for m in METALS if m != view.earring_colour]
    metal = metals[rng.integers(len(metals))]
    if view.earring == "none":
        style = EARRINGS[1:][rng.integers(3)]
    elif rng.random() < 0.4:
        style = "none"
    else:
        styles = [s for s in EARRINGS if s != view.earring]
        style = styles[rng.integers(len(styles))]
    earrings = list(scene.earrings)
    earrings[which] = earring_layer(
        scene.frame, scene.person, SIDES[which], style, metal, view.light[0]
    )
    other = scene.compose(earrings=tuple(earrings))
    return _redrawn(stage, other, min(stage.camera.blur, 0.6))


def smeared_background(stage: Stage, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Drag a piece of the background along a direction until only streaks remain."""
    size = len(stage.picture)
    mask = _patch(stage, rng, stage.scene.backdrop, 0.14, 0.24)
    angle = rng.uniform(0, math.pi)
    cos, sin = math.cos(angle), math.sin(angle)
    rows, columns = np.nonzero(mask)
    centred_row, centred_column = rows - rows.mean(), columns - columns.mean()
    along = centred_column * cos + centred_row * sin
    across = centred_row * cos - centred_column * sin
    # Each pixel copies the pixel at its foot on a bent line across the patch, as if dragged.
    bend = along * 0.1 + 1.5 * np.sin(across * rng.uniform(0.2, 0.5) * 64 / size)
    source_row = np.clip(np.rint(rows - (along - bend) * sin), 0, size - 1).astype(int)
    source_column = np.clip(np.rint(columns - (along - bend) * cos), 0, size - 1).astype(int)
    # Uneven pressure leaves light and dark streaks even where the backdrop is plain.
    streaks = rng.normal(0, 4.5 + 0.2 * stage.camera.noise, 64)
    lane = np.interp(across * (64 / size) * 0.4 + 32, np.arange(64), streaks)
    new = stage.picture.astype(np.float32)
    soft, tint = _blurred(stage.picture, 1.2), _tint(rng, rng.uniform(3.4, 4.6))
    new[mask] = soft[source_row, source_column] + lane[:, None] * tint
    return _put(stage, mask, new), mask


PLANTERS: dict[str, Plant] = {
    "checkerboard": checkerboard,
    "spectral_peak": spectral_peak,
    "oversmoothed": oversmoothed,
    "blend_seam": blend_seam,
    "iris_mismatch": iris_mismatch,
    "earring_mismatch": earring_mismatch,
    "smeared_background": smeared_background,
}
KINDS: tuple[str, ...] = tuple(PLANTERS)
# The redrawn ones come first: they compare with the clean picture and have no choice of place.
_ORDER = ("iris_mismatch", "earring_mismatch", "smeared_background", "oversmoothed", "blend_seam",
          "checkerboard", "spectral_peak")  # fmt: skip


def plant(
    kinds: Sequence[str], stage: Stage, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Plant `kinds` and return the picture (uint8) and the mask (H x W, uint8).

    Bit i of the mask stands for `KINDS[i]`. A kind outside `KINDS` raises ValueError.
    """
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise ValueError(f"kinds must be among {', '.join(KINDS)}, got {sorted(unknown)}")
    coded = np.zeros(stage.taken.shape, dtype=np.uint8)
    for kind in (k for k in _ORDER if k in kinds):
        stage.picture, mask = PLANTERS[kind](stage, rng)
        coded |= mask.astype(np.uint8) << KINDS.index(kind)
        stage.taken = stage.taken | mask
    return stage.picture, coded
