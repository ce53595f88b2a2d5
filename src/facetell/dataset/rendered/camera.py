# SPDX-License-Identifier: Apache-2.0
"""The camera of the rendered demo faces: lens blur, sensor noise, JPEG and a platform's second
JPEG, every setting drawn without knowledge of the class."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

PLATFORMS = ("presocial", "facebook", "telegram", "twitter")
PLATFORM_SHARES = (0.76, 0.08, 0.08, 0.08)
_SUBSAMPLING = {"4:4:4": 0, "4:2:0": 2}


@dataclass(frozen=True)
class Camera:
    """Settings of one exposure.

    `blur` is the standard deviation of the lens blur in pixels, `noise` that of the sensor noise
    in levels of 255, `grain` its share of coarse grain, `chroma` its share of colour noise,
    `quality` the JPEG quality, `platform_quality` that of the second JPEG or None.
    """

    blur: float
    noise: float
    grain: float
    chroma: float
    quality: int
    subsampling: str
    platform_quality: int | None


def sample_camera(rng: np.random.Generator, size: int, platform: str) -> Camera:
    """Draw the settings for a picture of `size` pixels that went through `platform`."""
    second = {
        "presocial": None,
        "facebook": int(rng.integers(61, 93)),
        "telegram": 85,
        "twitter": 87,
    }
    return Camera(
        blur=rng.uniform(0.28, 0.85) * math.sqrt(size / 64),
        noise=math.exp(rng.uniform(math.log(1.6), math.log(7.5))),
        grain=rng.uniform(0.0, 0.6),
        chroma=rng.uniform(0.1, 0.4),
        quality=int(rng.integers(80, 98)),
        subsampling=("4:2:0", "4:4:4")[rng.integers(2)],
        platform_quality=second[platform],
    )


def lens(picture: np.ndarray, blur: float) -> np.ndarray:
    """Return `picture` (H x W x C, float32) blurred by a Gaussian of `blur` pixels."""
    reach = max(1, math.ceil(2.6 * blur))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / blur) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    for axis in (0, 1):
        pads = [(0, 0)] * picture.ndim
        pads[axis] = (reach, reach)
        wide = np.pad(picture, pads, mode="edge")
        length = picture.shape[axis]
        picture = sum(
            tap * (wide[k : k + length] if axis == 0 else wide[:, k : k + length])
            for k, tap in enumerate(taps)
        )
    return picture


def sensor(picture: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Return `picture` with sensor noise as uint8 (H x W x 3)."""
    shape = picture.shape[:2]
    luma: np.ndarray = rng.standard_normal((*shape, 1), dtype=np.float32)
    coarse = lens(rng.standard_normal((*shape, 1), dtype=np.float32), 0.7) * 2.4
    luma = luma * (1 - camera.grain) + coarse * camera.grain
    colour = rng.standard_normal((*shape, 3), dtype=np.float32)
    noise = camera.noise * (luma + camera.chroma * colour)
    # Bright pixels carry more photon noise; a square root keeps the range small.
    noise *= 0.7 + 0.5 * np.sqrt(picture.mean(axis=2, keepdims=True) / 255)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def develop(picture: np.ndarray, camera: Camera) -> bytes:
    """Return the JPEG file of `picture` (H x W x 3, uint8) as the platform hands it on."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(
        stream, "JPEG", quality=camera.quality, subsampling=_SUBSAMPLING[camera.subsampling]
    )
    if camera.platform_quality is None:
        return stream.getvalue()
    again = io.BytesIO()
    with Image.open(stream) as image:
        image.save(again, "JPEG", quality=camera.platform_quality, subsampling=2)
    return again.getvalue()
