# SPDX-License-Identifier: Apache-2.0
"""Puts one rendered (drawn, not photographed) face together: albedo by Pillow, light and skin
texture by numpy, and separate layers for what an artefact may exchange."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from .accessories import decoy_layer, draw_shoulders, earring_layer, glasses_layer
from .background import backdrop
from .canvas import SUPERSAMPLE, Canvas, Frame, Layer, curve, mirrored, tone, value_noise
from .features import (
    EYE_Y,
    draw_age,
    draw_brow,
    draw_eye_ground,
    draw_mouth,
    draw_nose,
    eye_middle,
    iris_layer,
)
from .hair import beard_outline, draw_back_hair, draw_front_hair
from .person import Person, View

SIDES = (-1, 1)


@dataclass(frozen=True)
class Scene:
    """One drawn face before the camera.

    `ground` is H x W x 3 float32 (0..255) without irises, glasses and earrings; `irises` and
    `earrings` go with `SIDES`; `backdrop`, `skin`, `head` are boolean H x W; `decoy` is where the
    decoy patch lies (all False without one); `shade` is the light on the head (H x W x 3).
    """

    person: Person
    view: View
    frame: Frame
    ground: np.ndarray
    shade: np.ndarray
    irises: tuple[Layer, ...]
    glasses: Layer | None
    earrings: tuple[Layer | None, ...]
    backdrop: np.ndarray
    skin: np.ndarray
    head: np.ndarray
    decoy: np.ndarray

    def compose(
        self,
        irises: tuple[Layer, ...] | None = None,
        earrings: tuple[Layer | None, ...] | None = None,
    ) -> np.ndarray:
        """Return the picture (H x W x 3 float32, 0..255) with its own or with other layers."""
        picture = self.ground.copy()
        for layer in irises or self.irises:
            layer.onto(picture, np.clip(self.shade, 0.75, 1.1))
        if self.glasses is not None:
            self.glasses.onto(picture)
        for earring in earrings or self.earrings:
            if earring is not None:
                earring.onto(picture, np.clip(self.shade, 0.8, 1.1))
        return np.clip(picture, 0, 255, out=picture)


def _outline(person: Person) -> np.ndarray:
    w, jaw, chin = person.half_width, person.jaw, person.chin
    half = [(0, 0.135), (0.52 * w, 0.15), (0.88 * w, 0.24), (w, 0.4), (0.985 * w, 0.55),
            (jaw * 1.2 * w, 0.71), (jaw * 0.86 * w, 0.81), (0.3 * w, chin - 0.012),
            (0, chin)]  # fmt: skip
    return curve(mirrored(half), closed=True, steps=4)


def _draw_ears(canvas: Canvas, person: Person) -> None:
    w = person.half_width
    for side in SIDES:
        x = side * (w + 0.008)
        canvas.oval((x, 0.515), (0.036, 0.074), tone(person.skin, 0.88, 4), depth=0.0)
        canvas.oval((x - side * 0.004, 0.585), (0.024, 0.032), tone(person.skin, 0.9, 5), depth=0.0)
        canvas.oval(
            (x + side * 0.006, 0.51), (0.02, 0.048), tone(person.skin, 0.68, 4), 190, depth=0.0
        )
        canvas.oval((x + side * 0.003, 0.535), (0.016, 0.03), tone(person.skin, 0.86, 4), depth=0.0)


def _light(frame: Frame, person: Person, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Return the diffuse light (about 1 in front) and the highlights (0..1) on the head."""
    hx, hy = frame.heads()
    # The head's own centre lies behind the eyes, so a turn moves its outline the other way.
    nx = (hx + 0.18 * np.sin(view.yaw)) / 0.285
    ny = (hy - 0.5) / 0.44
    nz = np.sqrt(np.clip(1 - nx * nx - ny * ny, 0.03, 1))
    lx, ly, lz = view.light
    lambert = np.clip(nx * lx + ny * ly + nz * lz, 0, 1) / max(lz, 0.6)
    shade = 1 - view.contrast + view.contrast * lambert
    tip = person.nose_length
    bump = frame.bump
    lit = np.sign(lx) if abs(lx) > 0.05 else 1.0
    strength = 0.1 + 0.25 * view.contrast * abs(lx)
    shade -= strength * bump(-lit * (person.nose_width * 0.8), 0.575, 0.017, 0.055)
    shade += 0.5 * strength * bump(lit * 0.008, 0.56, 0.012, 0.06)
    shade -= 0.16 * bump(0, tip + 0.034, person.nose_width * 0.7, 0.012)
    shade -= 0.1 * bump(0, 0.79, 0.05, 0.012)
    shade += 0.05 * bump(0, 0.84, 0.05, 0.025)
    for side in SIDES:
        x, _ = eye_middle(person, side)
        shade -= 0.13 * bump(x - side * 0.03, EYE_Y - 0.032, 0.05, 0.02)
        shade -= (0.04 + 0.1 * person.age) * bump(x, EYE_Y + 0.045, 0.045, 0.014)
        shade += 0.07 * bump(side * 0.15, 0.57, 0.05, 0.035)
        shade -= 0.1 * bump(side * 0.155, 0.69, 0.03, 0.05)
    gloss = 0.55 * bump(0.004 * lit, tip - 0.012, 0.013, 0.012)
    gloss += 0.4 * bump(lit * 0.06, 0.27 if person.style != "fringe" else 0.38, 0.06, 0.025)
    gloss += 0.35 * bump(lit * 0.145, 0.56, 0.03, 0.02)
    return shade.astype(np.float32), gloss.astype(np.float32)


def _skin_texture(frame: Frame, person: Person, rng: np.random.Generator) -> np.ndarray:
    """Return the skin's relative brightness (H x W x 3, about 1): pores, blotches, freckles."""
    size = frame.size
    pores: np.ndarray = rng.standard_normal((size, size)).astype(np.float32)
    pores = 0.02 * pores + 0.022 * value_noise(rng, size, max(4, size * 3 // 8))
    blotch = 0.018 * value_noise(rng, size, 9)
    texture = np.repeat((1 + pores + blotch)[..., None], 3, axis=2)
    blush = sum(frame.bump(side * 0.14, 0.6, 0.05, 0.04) for side in SIDES)
    blush = 0.05 * blush + 0.05 * frame.bump(0, person.nose_length, 0.03, 0.025)
    texture[..., 0] += blush * 0.5
    texture[..., 1:] -= blush[..., None]
    if person.freckles > 0.1:
        spots = (value_noise(rng, size, size // 2) > 1.1).astype(np.float32)
        zone = frame.bump(0, 0.57, 0.14, 0.06) * min(1.0, person.freckles) * 0.24
        texture -= (spots * zone)[..., None] * np.array((0.7, 1.0, 1.1), np.float32)
    return texture


def _draw_beard(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    outline = beard_outline(person)
    if outline is None:
        return
    layer = Canvas(canvas.frame, picture=canvas.rgb.copy())
    colour = tone(person.hair, 0.95)
    layer.poly(outline, colour, 95 if person.beard == "stubble" else 235)
    x, y = rng.uniform(-0.22, 0.22, 50), rng.uniform(0.6, 0.9, 50)
    lines = np.stack([np.stack([x, x * 0.96], axis=1), np.stack([y, y + 0.035], axis=1)], axis=2)
    shades = [tone(colour, factor) for factor in (0.6, 1.3, 1.5)]
    fills = [shades[k] for k in rng.integers(3, size=50)]
    layer.strokes(lines, fills, np.full(50, 0.005), 110, 0.15)
    layer.cover = layer.cover.filter(ImageFilter.BoxBlur(0.012 * canvas.cover.width))
    canvas.paste(layer)


def _draw(
    frame: Frame, person: Person, view: View, ground: np.ndarray, rng: np.random.Generator
) -> tuple:
    """Return the albedo (H x W x 3) and the covers of person, head and bare skin (H x W)."""
    fine = frame.size * SUPERSAMPLE
    picture = Image.fromarray(ground.astype(np.uint8)).resize(
        (fine, fine), Image.Resampling.BILINEAR
    )
    canvas = Canvas(frame, picture=picture)
    draw_back_hair(canvas, person)
    draw_shoulders(canvas, person, view)
    _draw_ears(canvas, person)
    outline = _outline(person)
    canvas.poly(outline, tone(person.skin, 1.0))
    face = Canvas(frame)
    face.poly(outline, (255, 255, 255))
    draw_age(canvas, person, view)
    _draw_beard(canvas, person, rng)
    draw_nose(canvas, person)
    draw_mouth(canvas, person, view)
    for side in SIDES:
        draw_eye_ground(canvas, person, view, side)
        draw_brow(canvas, person, view, side)
    hair = draw_front_hair(canvas, person, tone(view.clothes, 1.0))
    drawn = canvas.layer()
    head = np.asarray(face.cover.reduce(SUPERSAMPLE), dtype=np.float32) / 255
    skin = head
    if hair is not None:
        skin = head * (1 - np.asarray(hair.reduce(SUPERSAMPLE), dtype=np.float32) / 255)
    return drawn.rgb, drawn.cover[..., 0], head, skin


def draw_scene(
    person: Person, view: View, *, size: int, decoy: str, rng: np.random.Generator
) -> Scene:
    """Draw one face; `decoy` is one of `accessories.DECOYS` or "", `size` the side in pixels."""
    frame = Frame(size, view.yaw, view.pitch, view.roll, view.scale, view.dx, view.dy,
                  person.half_width)  # fmt: skip
    ground = backdrop(view.backdrop, rng, size)
    albedo, cover, face, skin = _draw(frame, person, view, ground, rng)
    diffuse, gloss = _light(frame, person, view)
    # Below and beside the face only the coarse light counts, dimmed under the chin.
    coarse = np.clip(diffuse, 0.55, 1.15)
    light = coarse + (diffuse - coarse) * face
    shade = light[..., None] * np.array(view.light_colour, dtype=np.float32)
    skin3 = skin[..., None].astype(np.float32)
    lit = albedo * (1 + (_skin_texture(frame, person, rng) - 1) * skin3) * shade
    lit += (gloss * skin)[..., None] * (34 + 22 * view.contrast)
    cover3 = cover[..., None]
    picture = ((ground + (lit - ground) * cover3) * view.exposure).astype(np.float32)
    mark = np.zeros((size, size), dtype=bool)
    if decoy:
        layer = decoy_layer(decoy, frame, person, rng)
        layer.onto(picture)
        height, width = layer.cover.shape[:2]
        mark[layer.y0 : layer.y0 + height, layer.x0 : layer.x0 + width] = layer.cover[..., 0] > 0.2
    glint = view.light[0]
    return Scene(
        person=person,
        view=view,
        frame=frame,
        ground=picture,
        shade=shade.astype(np.float32) * view.exposure,
        irises=tuple(iris_layer(frame, person, view, side) for side in SIDES),
        glasses=glasses_layer(frame, person, view),
        earrings=tuple(
            earring_layer(frame, person, side, view.earring, view.earring_colour, glint)
            for side in SIDES
        ),
        backdrop=cover < 0.02,
        skin=skin > 0.9,
        head=face > 0.5,
        decoy=mark,
    )
