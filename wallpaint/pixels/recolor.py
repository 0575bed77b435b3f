"""The classical repaint, no diffusion: the baseline that every arm is compared with.

In linear light a matt wall is its paint times its light, so the new wall is the old one times new paint over
old paint, channel by channel. What the old paint was, and so how bright the light is, is read off the photo
(`light.estimate_light`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from PIL import Image

from wallpaint.errors import UserError
from wallpaint.pixels.arrays import BILINEAR, Box, blur_inside, erode, resize
from wallpaint.pixels.color import Swatch, bytes_to_linear, linear_to_bytes
from wallpaint.pixels.composite import BAND, Rim, find_box, find_rim, make_cover
from wallpaint.pixels.kept import digest, keep
from wallpaint.pixels.light import TINT, Light, estimate_light
from wallpaint.pixels.mask_ops import from_mask

Spot = tuple[float, float]  # a pixel (x, y) of a photo
FEW = 512  # pixels of the long side that are enough for a median
SPOT = 0.003  # radius of the patch that is read around a white spot, of the long side: trims are narrow
BLOWN, DARK = 254, 0.02  # sRGB from which a white is clipped, linear light below which it is noise
FAINT = 0.02  # linear light added before ratios and powers, which would blow up at black
BRIGHT = np.float32(1.5)  # linear light above which all is as bright: it clips anyway
CLEAR = 3  # pixels at the rim of a decoded wall that its surroundings bleed into
# Standard deviation of the blur over a painting's gains, of its long side: what is finer is a small model's noise
# (tests/bench/bench_smooth.py).
SMOOTH = 0.25


def estimate_paint(photo: Image.Image, mask: Image.Image, whites: Sequence[Spot] = ()) -> Swatch:
    """Estimate the paint on the wall now from the photo, and from pixels (x, y) of it that show something white.

    Raises:
        UserError: the mask is empty or not of the photo's size, or a pixel is outside or nothing white.
    """
    return Swatch(tuple(linear_to_bytes(read_light(photo, mask, None, whites).paint)))


def read_white(photo: Image.Image, spot: Spot) -> np.ndarray:
    """Read the colour of something white around a pixel (x, y): the median, linear (3,).

    Raises:
        UserError: it is outside the photo, blown out, too dark, or too coloured to be white.
    """
    x, y, far = int(spot[0]), int(spot[1]), round(SPOT * max(photo.size))
    if not (0 <= x < photo.width and 0 <= y < photo.height):
        raise UserError(f"white {x},{y} is outside the photo, which is {photo.width}x{photo.height}, point inside it")
    box = max(0, x - far), max(0, y - far), min(photo.width, x + far + 1), min(photo.height, y + far + 1)
    seen = np.median(np.asarray(photo.crop(box).convert("RGB")).reshape(-1, 3), axis=0)
    white = bytes_to_linear(seen.round().astype(np.uint8))
    if seen.max() >= BLOWN:
        raise UserError(f"white {x},{y} is blown out, its colour is lost, point at something white in less light")
    if white.max() < DARK or white.max() > TINT * white.min():
        raise UserError(f"white {x},{y} is too dark or coloured to be white, point at paper or a white trim")
    return white


@dataclass(frozen=True)
class Coat:
    """A wall in a photo and the paint it gets."""

    photo: Image.Image
    mask: Image.Image  # 'L' of the photo's size, 255 = repaint
    swatch: Swatch
    old_paint: Swatch | None = None  # on the wall now; None: it is read off the photo

    @cached_property
    def light(self) -> Light:
        """The light on the wall.

        Raises:
            UserError: the mask is empty or not of the photo's size.
        """
        return read_light(self.photo, self.mask, self.old_paint)

    def in_light(self, light: Light) -> Coat:
        """The same coat in a light that is known otherwise."""
        coat = replace(self)
        vars(coat)["light"] = light  # where `cached_property` keeps it
        return coat

    @property
    def key(self) -> tuple:
        """What tells coats apart in a cache: hashes of photo and mask, and the paints."""
        return digest(self.photo), digest(self.mask), self.swatch, self.old_paint


def recolor(coat: Coat, field: np.ndarray | None = None) -> Image.Image:
    """Repaint the wall by the ratio of the paints in linear light; nothing outside the mask changes.

    Args:
        coat: the wall and its paints.
        field: a correction (h, w, 9) of any size, see `correct`.

    Raises:
        UserError: the mask is empty or not of the photo's size.
    """
    return repaint_each(coat, [Laying(field)])[0]


class Laying(NamedTuple):
    """One repaint of a wall: the field that corrects its light, and a painting's gains over the corrected repaint.

    Several that share one `field`, the very array, cost little more than one.
    """

    field: np.ndarray | None = None  # (h, w, 9) of any size, see `correct`; None: no correction
    gains: np.ndarray | None = None  # (h, w, 3) of any size, logarithms, see `gains_between`; None: no gains


@dataclass(frozen=True)
class _Edge:
    """Where a wall is in its photo, and how it is blended there: the same for every paint."""

    box: Box
    rim: Rim
    soft: np.ndarray  # (N, 1) float32, 0 to 1: opacity of the rim's pixels whose share of wall is not known
    shown: np.ndarray  # (h, w) uint8 of the box: opacity of what is pasted over the photo


@keep
def _find_edge(photo: Image.Image, mask: Image.Image) -> _Edge:
    inside = from_mask(mask)
    box = find_box(inside)
    cover, rim = make_cover(inside, box), find_rim(photo, inside, box)
    there = rim.y - box[1], rim.x - box[0]
    soft = cover[there][:, None] / np.float32(255)
    cover[there] = 255  # `repaint_each` blends the rim itself
    return _Edge(box, rim, soft, cover)


def repaint_each(coat: Coat, layings: Sequence[Laying]) -> list[Image.Image]:
    """Repaint the wall as `recolor` does, once for every laying."""
    light, paint = coat.light, coat.swatch.linear
    photo = coat.photo if coat.photo.mode == "RGB" else coat.photo.convert("RGB")  # which copies RGB too
    edge = _find_edge(photo, coat.mask)
    (left, top, right, bottom), rim = edge.box, edge.rim
    pixels, outs = np.asarray(photo.crop(edge.box)), [photo.copy() for _ in layings]
    for y in range(0, bottom - top, BAND):
        part, seen = pixels[y : y + BAND], Image.fromarray(edge.shown[y : y + BAND])
        light_of = light.repaint(bytes_to_linear(part).reshape(-1, 3), paint).reshape(part.shape)
        band = (left, top + y, right, top + y + len(part))
        here = rim.rows(top + y, top + y + len(part))
        there, beside = (rim.y[here] - top - y, rim.x[here] - left), light.repaint(rim.wall[here], paint)
        sure, before = rim.sure[here, None], part[there]
        mixing, soft = bytes_to_linear(before), edge.soft[here]
        guesses: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for out, (field, gains) in zip(outs, layings, strict=True):
            if id(field) not in guesses:
                local = None if field is None else resize(field, photo.size, BILINEAR, band)
                rim_field = None if local is None else local[there]
                guesses[id(field)] = correct(light_of, local), correct(beside, rim_field)
            wall, fresh = guesses[id(field)]
            if gains is not None:
                factor = resize(np.exp(gains), photo.size, BILINEAR, band)
                wall, fresh = wall * factor, fresh * factor[there]
            painted = linear_to_bytes(wall)
            # Of a rim pixel its share of wall is painted, as far as that is known; else it is blended softly.
            mixed = linear_to_bytes(rim.painted(here, mixing, fresh))
            covered = before + soft * (painted[there].astype(np.float32) - before)
            painted[there] = np.round(covered + sure * (mixed - covered))
            out.paste(Image.fromarray(painted), (left, top + y), seen)
    return outs


def correct(light: np.ndarray, field: np.ndarray | None) -> np.ndarray:
    """Correct painted light x (..., 3), linear, by a field (level, exponent, more) (..., 9).

    It becomes exp(level) bend(x, exponent) + exp(more).
    """
    if field is None:
        return light
    level, exponent, more = field[..., :3], field[..., 3:6], field[..., 6:]
    return np.exp(level) * bend(np.minimum(light, BRIGHT), exponent) + np.exp(more)


def bend(light, exponent):
    """Raise linear light x, 0 to BRIGHT, to the power 1 + exponent, from -1 to 1: x itself at 0, 1 everywhere at -1.

    A power of x would leave a black stripe black however flat the wall should become, and a power of x + FAINT
    would lift every shadow. So FAINT's own power is subtracted again, less of it the flatter the wall becomes.
    """
    power = 1 + exponent
    return (light + FAINT) ** power - (1 - exponent**2) * FAINT**power


def gains_between(painted: Image.Image, guess: Image.Image, wall: Image.Image) -> np.ndarray:
    """Log ratio (h, w, 3) of a painted wall's light to that of a guess at it, blurred over the wall alone.

    Both pictures and the mask `wall` have one size. Both came through the same decoder, so its errors cancel.
    A guess times these gains keeps its texture and edges, and has the level and tint of the painting.
    """
    first, second = (bytes_to_linear(np.asarray(picture)) + FAINT for picture in (painted, guess))
    inside = from_mask(wall)
    core = erode(inside, CLEAR)
    return blur_inside(np.log(first / second), core if core.any() else inside, SMOOTH * max(wall.size))


def read_light(
    photo: Image.Image, mask: Image.Image, old_paint: Swatch | None = None, whites: Sequence[Spot] = ()
) -> Light:
    """Estimate the light, by the old paint where it is known, or by white spots; UserError as in `estimate_paint`."""
    check_wall(photo, mask)
    light = estimate_light(photo, mask)
    if old_paint is not None:
        return light.with_paint(old_paint.linear)
    if not whites:
        return light
    step = max(1, int(max(photo.size) / FEW))
    pixels, inside = np.asarray(photo.convert("RGB"))[::step, ::step], from_mask(mask)[::step, ::step]
    inside = inside if inside.any() else np.ones_like(inside)
    wall = bytes_to_linear(np.median(pixels[inside], axis=0).round().astype(np.uint8))
    seen = [np.log(read_white(photo, spot)) for spot in whites]
    return light.with_white(wall, np.exp(np.mean(seen, axis=0)))


def check_wall(photo: Image.Image, mask: Image.Image) -> None:
    """Raise UserError where the mask is empty or not of the photo's size."""
    if mask.size != photo.size:
        raise UserError(f"the mask is {mask.size} and the photo {photo.size}: make them the same size")
    if not from_mask(mask).any():
        raise UserError("the mask is empty: mark the wall first")
