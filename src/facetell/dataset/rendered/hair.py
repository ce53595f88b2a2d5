# SPDX-License-Identifier: Apache-2.0
"""Hair, head wraps and beards of the rendered demo faces. No style hides the ear lobes, so an
earring can be drawn on anybody and its place tells nothing about the class."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from .canvas import Canvas, Colour, curve, mirrored, tone
from .person import Person

# How far each style stands off the skull, as a share of the skull's radius.
_VOLUME = {
    "buzz": 0.015,
    "short": 0.06,
    "quiff": 0.09,
    "receding": 0.04,
    "parted": 0.075,
    "fringe": 0.08,
    "bob": 0.09,
    "long": 0.07,
    "wavy": 0.09,
    "curly": 0.1,
    "afro": 0.16,
    "bun": 0.045,
    "wrap": 0.1,
}
_BACK = {"bob": 0.74, "long": 1.06, "wavy": 1.02, "curly": 0.66, "fringe": 0.92}


def _skull(person: Person, volume: float) -> np.ndarray:
    """Return the half outline of the skull from the top to the ear, `volume` outside of it."""
    w = person.half_width
    half = np.array(
        [(0, 0.12), (0.5 * w, 0.135), (0.85 * w, 0.205), (1.01 * w, 0.32), (1.03 * w, 0.47)]
    )
    reach = 1 + volume * np.array([1.25, 1.2, 1.1, 1.0, 0.45])[:, None]
    return (half - (0, 0.42)) * reach + (0, 0.42)


def _hairline(person: Person, rng: np.random.Generator) -> np.ndarray:
    """Return the edge of the hair on the forehead, from the right temple to the left one."""
    w, style = person.half_width, person.style
    side, temple, middle = (0.985 * w, 0.45), 0.30, 0.262 - 0.02 * person.age
    if style == "receding":
        right = [side, (0.95 * w, 0.34), (0.75 * w, 0.215), (0.4 * w, 0.19), (0.15 * w, 0.235)]
    elif style == "fringe":
        right = [side, (0.94 * w, 0.38), (0.78 * w, 0.355), (0.4 * w, 0.365)]
        middle = 0.36
    elif style in ("bun", "quiff", "afro", "curly"):
        right = [side, (0.95 * w, 0.36), (0.8 * w, 0.265), (0.42 * w, 0.24)]
        middle = 0.235
    else:
        right = [side, (0.95 * w, 0.37), (0.82 * w, temple), (0.42 * w, 0.272)]
    left = [(-x, y) for x, y in reversed(right)]
    line = np.array([*right, (0.0, middle), *left])
    if style in ("parted", "bob", "long"):
        # A parting lifts the line at one place and lets the hair fall to both sides of it.
        at = 0.4 * w * rng.choice((-1, 1))
        line[1:-1, 1] += 0.035 - 0.06 * np.exp(-(((line[1:-1, 0] - at) / (0.35 * w)) ** 2))
    line[2:-2, 1] += rng.normal(0, 0.004, len(line) - 4)
    return line


def _strands(canvas: Canvas, person: Person, rng: np.random.Generator, low: float) -> None:
    """Draw strands over the whole canvas; the cover of the hair keeps only those inside it."""
    w, count = person.half_width, 44
    at = rng.uniform(-0.3, 0.3) * w
    end = rng.uniform(-1.35, 1.35, count) * w
    bend = rng.normal(0, 0.01, count)
    top = 0.06 + 0.25 * (end / (1.4 * w)) ** 2
    xs = (at + 0.35 * (end - at), at + 0.8 * (end - at) + bend, end, end * 1.06 - bend)
    ys = (top, top + 0.12, np.full(count, 0.4), np.full(count, max(low, 0.42)))
    lines = np.stack([np.stack(xs, axis=1), np.stack(ys, axis=1)], axis=2)
    shades = [tone(person.hair, factor, 3) for factor in (0.66, 0.8, 1.22, 1.42)]
    fills = [shades[k] for k in rng.integers(4, size=count)]
    canvas.strokes(lines, fills, rng.uniform(0.003, 0.009, count), 120, 0.1)


def _curls(
    canvas: Canvas,
    centres: np.ndarray,
    radius: float,
    colour: Sequence[float] | np.ndarray,
    rng: np.random.Generator,
) -> None:
    for x, y in centres:
        r = radius * rng.uniform(0.75, 1.25)
        canvas.oval((x, y), (r, r), tone(colour, rng.uniform(0.72, 1.25)), depth=0.05)
        canvas.oval((x - r * 0.2, y - r * 0.3), (r * 0.5, r * 0.4),
                    tone(colour, 1.4, 4), 70, depth=0.05, cover=False)  # fmt: skip


def draw_back_hair(canvas: Canvas, person: Person) -> None:
    """Draw the hair behind the head and the shoulders, if the style has any."""
    style, w = person.style, person.half_width
    if style not in (*_BACK, "afro", "bun"):
        return
    rng = np.random.default_rng([person.hair_seed, 1])
    dark = tone(person.hair, 0.72)
    if style == "bun":
        radius = rng.uniform(0.06, 0.085)
        canvas.oval((0, 0.085), (radius, radius * 0.85), dark, depth=0.0)
        return
    if style in ("curly", "afro"):
        reach = 1.32 if style == "afro" else 1.18
        angles = np.linspace(-0.32 * math.pi, 1.32 * math.pi, 26)
        centre = 0.36 if style == "afro" else 0.4
        ring = np.stack([reach * w * np.cos(angles), centre - 0.29 * np.sin(angles)], axis=1)
        canvas.poly(ring, dark, depth=0.0)
        _curls(canvas, ring, 0.045, np.multiply(person.hair, 0.85), rng)
        return
    low = _BACK[style]
    wide = rng.uniform(1.2, 1.3)
    half = [(0, 0.1), (0.8 * w, 0.15), (1.12 * w, 0.32), (wide * w, 0.55), (wide * w, low - 0.1),
            (1.02 * w, low), (0.4 * w, low)]  # fmt: skip
    if style == "wavy":
        half[3:5] = [(1.2 * w, 0.46), (1.34 * w, 0.56), (1.22 * w, 0.67), (1.4 * w, 0.8)]
    outline = mirrored([*half, (0, low)])
    back = Canvas(canvas.frame, picture=canvas.rgb.copy())
    back.poly(curve(outline, closed=True, steps=4), dark, depth=0.0)
    x = rng.uniform(0.85, wide, 24) * w * np.repeat((-1, 1), 12)
    xs = (x * 0.95, x, x * rng.uniform(0.95, 1.06, 24), x)
    lines = np.stack([np.stack(xs, axis=1), np.tile((0.3, 0.5, 0.7, low), (24, 1))], axis=2)
    shades = [tone(person.hair, factor) for factor in (0.5, 0.95, 1.1)]
    fills = [shades[k] for k in rng.integers(3, size=24)]
    back.strokes(lines, fills, np.full(24, 0.006), 150, 0.0)
    canvas.paste(back)


def _draw_wrap(canvas: Canvas, person: Person, cloth: Colour, rng: np.random.Generator) -> None:
    w = person.half_width
    outer = _skull(person, _VOLUME["wrap"])
    brow = [(1.03 * w, 0.43), (0.86 * w, 0.32), (0.4 * w, 0.272), (0, 0.262)]
    line = [*brow, *[(-x, y) for x, y in reversed(brow[:-1])]]
    left = outer[1:][::-1] * (-1, 1)
    canvas.poly(
        np.concatenate([curve(np.concatenate([left, outer])), curve(line)]), cloth, depth=0.06
    )
    lean = rng.choice((-1, 1))
    for step in range(7):
        y = 0.1 + 0.028 * step
        fold = [(-lean * w, y + 0.13), (-lean * 0.3 * w, y + 0.06), (lean * 0.9 * w, y + 0.02)]
        shade = tone(cloth, rng.choice((0.7, 0.8, 1.25)))
        canvas.stroke(curve(fold), shade, rng.uniform(0.005, 0.012), 150, depth=0.1, cover=False)


def draw_front_hair(canvas: Canvas, person: Person, cloth: Colour) -> Image.Image | None:
    """Draw the hair over forehead and skull, or a wrap of the colour `cloth`; return its cover."""
    style = person.style
    if style == "bald":
        return None
    rng = np.random.default_rng([person.hair_seed, 2])
    top = Canvas(canvas.frame, picture=canvas.rgb.copy())
    if style == "wrap":
        _draw_wrap(top, person, cloth, rng)
        canvas.paste(top)
        return top.cover
    outer = _skull(person, _VOLUME[style])
    if style == "quiff":
        outer[:2, 1] -= 0.025
    left = outer[1:][::-1] * (-1, 1)
    arc, line = curve(np.concatenate([left, outer])), curve(_hairline(person, rng))
    opacity = 205 if style == "buzz" else 255
    top.poly(np.concatenate([arc, line]), tone(person.hair, 1.0), opacity, depth=0.07)
    if style in ("curly", "afro"):
        _curls(top, arc[1:-1:1], 0.034, person.hair, rng)
        inner = arc[2:-2:2] * (0.82, 1) + (0, 0.045)
        _curls(top, inner, 0.034, person.hair, rng)
    elif style != "buzz":
        _strands(top, person, rng, _BACK.get(style, 0.5))
    canvas.paste(top)
    return top.cover


def beard_outline(person: Person) -> np.ndarray | None:
    """Return the closed outline of the beard on the face, or None for a shaven one."""
    w, chin = person.half_width, person.chin
    if person.beard == "none":
        return None
    if person.beard == "moustache":
        half = [(0, 0.672), (0.06, 0.682), (0.094, 0.725), (0.055, 0.712), (0, 0.706)]
    elif person.beard == "goatee":
        half = [(0, 0.672), (0.065, 0.685), (0.1, 0.74), (0.09, 0.84), (0.05, chin), (0, chin)]
    else:
        half = [(0, 0.67), (0.07, 0.682), (0.125, 0.7), (0.9 * w, 0.6), (0.97 * w, 0.53),
                (0.95 * w, 0.64), (person.jaw * 1.2 * w, 0.76), (0.42 * w, chin - 0.01),
                (0, chin + 0.005)]  # fmt: skip
    return curve(mirrored(half), closed=True, steps=4)
