# SPDX-License-Identifier: Apache-2.0
"""How well faces are found and cut out: aligned photos must come back as they are.

    python benchmarks/faces.py ARCHIVE [--images 200]

ARCHIVE is that of Kaggle's 140k set, or a part of it. Its real images are photos of FFHQ, which
are the squares that the rule cuts out: of such a photo the square is the whole picture. Then each
is shrunk, turned and laid into another photo, and has to be found there again. Last come fakes,
drawn faces, photos without a face, and the time.
"""

import argparse
import io
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.draw import polygon2mask

from facetell.dataset.rendered import RenderedSet, plan, render
from facetell.images.alignment import Point, Square
from facetell.images.faces import align, find_faces

SIDE = 640  # px of the picture that a face is laid into
CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))


def pictures(archive: Path, kind: str, number: int) -> list[np.ndarray]:
    """Test images of a class, evenly spread over the archive."""
    with zipfile.ZipFile(archive) as file:
        names = sorted(n for n in file.namelist() if f"/test/{kind}/" in n and n.endswith(".jpg"))
        chosen = names[:: max(1, len(names) // number)][:number]
        return [np.array(Image.open(io.BytesIO(file.read(n))).convert("RGB")) for n in chosen]


def laid(face: np.ndarray, behind: np.ndarray, rng: np.random.Generator) -> tuple:
    """A picture with the face in it, and the square that the face fills."""
    canvas = Image.fromarray(behind).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    side = SIDE * rng.uniform(0.3, 1)
    turn = np.radians(rng.uniform(-30, 30))
    centre = SIDE / 2 + rng.uniform(-0.5, 0.5, 2) * (SIDE - side)
    half = side / 2 * np.array([np.cos(turn), np.sin(turn)])
    square = Square(tuple(centre.tolist()), tuple(half.tolist()))
    # from the canvas back into the face
    (x0, y0), (x1, y1), (x2, y2) = square.to_aligned([(0, 0), (1, 0), (0, 1)])
    size = len(face)
    back = ((x1 - x0) * size, (x2 - x0) * size, x0 * size,
            (y1 - y0) * size, (y2 - y0) * size, y0 * size)  # fmt: skip
    moved = [
        Image.fromarray(pixels).transform(
            (SIDE, SIDE), Image.Transform.AFFINE, back, Image.Resampling.BICUBIC
        )
        for pixels in (face, np.full(face.shape[:2], 255, np.uint8))
    ]
    canvas.paste(moved[0], (0, 0), moved[1])
    return np.array(canvas), square


def overlap(one: Square, other: Square) -> float:
    """Intersection over union, by counting points."""
    points = np.array([*one.corners(), *other.corners()])
    low, scale = points.min(axis=0), 500 / np.ptp(points, axis=0).max()
    masks = [
        polygon2mask((501, 501), (np.array(square.corners()) - low) * scale)
        for square in (one, other)
    ]
    return float((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum())


def error(found: Square, true: Square) -> float:
    """Mean distance of the corners, in sides."""
    distances = np.array(found.corners()) - np.array(true.corners())
    return float(np.hypot(*distances.T).mean() / true.side)


def nearest(pixels: np.ndarray, centre: Point) -> Square | None:
    """The square of the found face that lies around a point."""
    squares = [align(pixels, face, 64).square for face in find_faces(pixels)]
    near = [s for s in squares if np.hypot(*np.subtract(s.centre, centre)) < s.side / 2]
    return min(near, key=lambda s: np.hypot(*np.subtract(s.centre, centre)), default=None)


def report(title: str, pairs: list[tuple[Square | None, Square]]) -> None:
    found = [(one, true) for one, true in pairs if one is not None]
    unions = [overlap(one, true) for one, true in found]
    errors = [error(one, true) for one, true in found]
    print(
        f"| {title} | {len(pairs)} | {len(found) / len(pairs):.1%} "
        f"| {np.median(unions):.3f} | {np.quantile(unions, 0.05):.3f} "
        f"| {np.mean(errors):.3f} | {np.quantile(errors, 0.95):.3f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--images", type=int, default=200)
    given = parser.parse_args()
    print("| photos | n | found | IoU, median | 5th percentile | error, mean | 95th percentile |")
    print("|---|---|---|---|---|---|---|")
    reals = pictures(given.archive, "real", given.images)
    fakes = pictures(given.archive, "fake", given.images // 2)
    for title, images in (("FFHQ photos", reals), ("StyleGAN faces", fakes)):
        whole = [Square((len(p) / 2, len(p) / 2), (len(p) / 2, 0.0)) for p in images]
        report(title, [(nearest(p, s.centre), s) for p, s in zip(images, whole, strict=True)])
    rng = np.random.default_rng(0)
    pairs = []
    for at, face in enumerate(reals):
        pixels, square = laid(face, reals[at - 1], rng)
        pairs.append((nearest(pixels, square.centre), square))
    report("the same photos, laid into another", pairs)
    content = RenderedSet(seed=0, size=256, train=0, valid=0, test=40, singles_per_kind=0)
    drawn = [render(spec, seed=0, size=256).after for spec in plan(content)[:40]]
    print(f"drawn faces found: {np.mean([bool(find_faces(p)) for p in drawn]):.0%} of {len(drawn)}")
    large = np.array(Image.fromarray(reals[0]).resize((1000, 1000)))
    start = time.perf_counter()
    for _ in range(5):
        align(large, find_faces(large)[0])
    print(f"{(time.perf_counter() - start) / 5:.2f} s for a photo of 1,000 px with one face")


if __name__ == "__main__":
    main()
