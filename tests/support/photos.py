"""Pictures with the statistics of photos, and an archive of them laid out as Kaggle's 140k set.

Nobody may ship photos of people with a program. What the tests need of photos is edges of every
strength and size, power that falls with the frequency, and grain; a picture of leaves that cover
one another ("dead leaves": Lee, Mumford and Huang, 2001) has these.
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from facetell.common.labels import SPLITS
from support import encoded

LEAVES = 60
SMALLEST, LARGEST = 0.06, 0.6  # radii of leaves, in picture sides
SOFT = 0.035  # sigma in picture sides
SPOTS = 5.5  # levels of 255: enough for other bits of a perceptual hash
_real = os.environ.get("FACETELL_PHOTOS")
# the archive of the 140k set, or a part of it in the same layout: it is tested on, too, if given
REAL = Path(_real) if _real else None
WHY = "set FACETELL_PHOTOS to the archive of Kaggle's 140k-real-and-fake-faces"


def leaves(seed: int, size: int = 128) -> np.ndarray:
    """Leaves from back to front, float (size, size, 3) in 0..255."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    tone = rng.uniform(60, 195) + rng.normal(0, 15, 3)
    pixels = np.broadcast_to(tone, (size, size, 3)).copy()
    # density of radii ~ r^-3, so that every scale looks the same
    radii = (rng.uniform(LARGEST**-2, SMALLEST**-2, LEAVES)) ** -0.5
    for radius in sorted(radii, reverse=True):
        across, down, turn, flat = rng.uniform((0, 0, 0, 0.4), (1, 1, np.pi, 1))
        u = (x - across) * np.cos(turn) + (y - down) * np.sin(turn)
        v = (y - down) * np.cos(turn) - (x - across) * np.sin(turn)
        inside = u**2 + (v / flat) ** 2 < radius**2
        # more light and dark than hue
        colour = tone + rng.normal(0, 50) + rng.normal(0, 12, 3)
        shade = 1 + rng.normal(0, 0.3) * u[inside] / radius
        pixels[inside] = colour * shade[:, None]
    return pixels.clip(0, 255)


def photo(seed: int, size: int = 128) -> Image.Image:
    """A picture as a camera takes it: sharp, with a little grain."""
    grain = np.random.default_rng([seed, 1]).normal(0, 2.5, (size, size, 3))
    return Image.fromarray((leaves(seed, size) + grain).clip(0, 255).round().astype(np.uint8))


def generated(seed: int, size: int = 128) -> Image.Image:
    """The same kind of picture as an upsampling network makes it: with a faint regular grid."""
    y, x = np.mgrid[:size, :size]
    grid = 4 * ((x % 2) ^ (y % 2))[..., None]
    pixels = leaves(seed, size) + grid + np.random.default_rng([seed, 1]).normal(0, 2.5, grid.shape)
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


def look_alikes(seed: int, size: int = 128) -> tuple[Image.Image, Image.Image]:
    """One soft scene with two kinds of detail, as a generator makes them from nearly one latent."""
    scene = Image.fromarray(leaves(seed, size).astype(np.uint8))
    soft = np.asarray(scene.filter(ImageFilter.GaussianBlur(SOFT * size)), dtype=float)
    return _spotted(soft, [seed, 2]), _spotted(soft, [seed, 3])


def _spotted(pixels: np.ndarray, seed: list[int]) -> Image.Image:
    spots = np.random.default_rng(seed).normal(0, SPOTS, (16, 16)).astype(np.float32)
    pattern = Image.fromarray(spots).resize(pixels.shape[:2], Image.Resampling.BICUBIC)
    pixels = pixels + np.asarray(pattern)[..., None]
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


def listing(split: str, names: dict[str, int]) -> bytes:
    """A csv of the 140k set: there, label 1 is real."""
    lines = [",original_path,id,label,label_str,path"]
    for index, (name, label) in enumerate(names.items()):
        kind = "real" if label == 1 else "fake"
        lines.append(f"{index},,{name},{label},{kind},{split}/{kind}/{name}.jpg")
    return "\n".join(lines).encode()


def kaggle_entries(count: dict[str, int], size: int = 64) -> dict[str, bytes]:
    """The archive of the 140k set with ``count[split]`` photos and as many generated pictures.

    The first generated picture of valid looks like the first of train.
    """
    entries = {}
    for at, split in enumerate(SPLITS):
        names = {f"{at}{index:04d}": 1 for index in range(count[split])}
        names |= {f"FAKE{at}{index:03d}": 0 for index in range(count[split])}
        entries[f"{split}.csv"] = listing(split, names)
        for number, (name, real) in enumerate(names.items()):
            seed = 1000 * (at + 1) + number
            made = photo(seed, size) if real else generated(seed, size)
            path = f"real_vs_fake/real-vs-fake/{split}/{'real' if real else 'fake'}/{name}.jpg"
            entries[path] = encoded(made, "JPEG", quality=95)
    first, second = look_alikes(1, size)
    for made, path in ((first, "train/fake/FAKE0000"), (second, "valid/fake/FAKE1000")):
        name = f"real_vs_fake/real-vs-fake/{path}.jpg"
        entries[name] = encoded(made, "JPEG", quality=95)
    return entries
