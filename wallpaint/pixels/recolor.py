"""The classical repaint, no diffusion: the baseline that every arm has to answer to.

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

Spot = tuple[float, float]  # a pixel (x, y) of a photo
FEW = 512
SPOT = 0.003  # radius of what is looked at round it, of the long side: trims are narrow
BLOWN, DARK = 254, 0.02  # sRGB above which a white is lost, linear light below which it is noise
FAINT = 0.02  # linear light added before dividing, so that black divides nothing
BRIGHT = np.float32(1.5)  # linear light above which all is as bright: it clips anyway
CLEAR = 3  # pixels at the rim of a decoded wall that its surroundings bleed into
# Standard deviation of what a painting is smoothed with, of its long side: what is finer is noise of a small model
# (tests/bench/bench_smooth.py).
SMOOTH = 0.25


def estimate_paint(photo: Image.Image, mask: Image.Image, whites: Sequence[Spot] = ()) -> Swatch:
    """The paint on the wall now, as far as the photo tells, and the pixels (x, y) that show something white.

    Raises:
        UserError: the mask is empty or not of the photo's size, or a pixel is outside or nothing white.
    """
    return Swatch(tuple(linear_to_bytes(read_light(photo, mask, None, whites).paint)))


def read_white(photo: Image.Image, spot: Spot) -> np.ndarray:
    """Something white as it is seen around a pixel (x, y): linear (3,).

    Raises:
        UserError: it is outside the photo, blown out, in the dark, or of a colour that no light has.
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
    """What lays a wall's repaint: the field of a guess at it, and what a painting has over that guess.

    Those that share one `field`, the very array, cost little more than one of them.
    """

    field: np.ndarray | None = None  # (h, w, 9) of any size, see `correct`; None for the light as it is
    gains: np.ndarray | None = None  # (h, w, 3) of any size, log; None for nothing


@dataclass(frozen=True)
class _Edge:
    """Where a wall is in its photo, and how its pixels show: nothing of it hangs on a paint."""

    box: Box
    rim: Rim
    soft: np.ndarray  # (N, 1) float32, 0 to 1: how much the rim's pixels show where they cannot be told apart
    shown: np.ndarray  # (h, w) uint8 of the box: what of it is laid over the photo


@keep
def _find_edge(photo: Image.Image, mask: Image.Image) -> _Edge:
    inside = _inside(mask)
    box = find_box(inside)
    cover, rim = make_cover(inside, box), find_rim(photo, inside, box)
    there = rim.y - box[1], rim.x - box[0]
    soft = cover[there][:, None] / np.float32(255)
    cover[there] = 255  # it is mixed here
    return _Edge(box, rim, soft, cover)


def repaint_each(coat: Coat, layings: Sequence[Laying]) -> list[Image.Image]:
    """`recolor`, once for every laying."""
    light, paint = coat.light, coat.swatch.linear
    photo = coat.photo if coat.photo.mode == "RGB" else coat.photo.convert("RGB")  # it copies RGB too
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
                told = None if field is None else resize(field, photo.size, BILINEAR, band)
                guesses[id(field)] = correct(light_of, told), correct(beside, None if told is None else told[there])
            wall, fresh = guesses[id(field)]
            if gains is not None:
                factor = resize(np.exp(gains), photo.size, BILINEAR, band)
                wall, fresh = wall * factor, fresh * factor[there]
            painted = linear_to_bytes(wall)
            # A pixel of the rim gets its share of wall painted, as far as it is known; else the soft cover.
            mixed = linear_to_bytes(rim.painted(here, mixing, fresh))
            covered = before + soft * (painted[there].astype(np.float32) - before)
            painted[there] = np.round(covered + sure * (mixed - covered))
            out.paste(Image.fromarray(painted), (left, top + y), seen)
    return outs


def correct(light: np.ndarray, told: np.ndarray | None) -> np.ndarray:
    """Painted light x (..., 3), linear, as a field (level, exponent, more) (..., 9) has it.

    It becomes exp(level) bend(x, exponent) + exp(more).
    """
    if told is None:
        return light
    level, exponent, more = told[..., :3], told[..., 3:6], told[..., 6:]
    return np.exp(level) * bend(np.minimum(light, BRIGHT), exponent) + np.exp(more)


def bend(light, exponent):
    """Linear light x, 0 to BRIGHT, to the power of 1 + exponent, which is -1 to 1: x itself at 0, and 1 at -1.

    Of x alone a black stripe would stay black however flat the wall is told to be, and of x + FAINT every shadow
    would be lifted. So what FAINT becomes is taken off again, the less of it the flatter the wall.
    """
    power = 1 + exponent
    return (light + FAINT) ** power - (1 - exponent**2) * FAINT**power


def gains_between(painted: Image.Image, guess: Image.Image, wall: Image.Image) -> np.ndarray:
    """The light of a painted wall over that of a guess at it, log (h, w, 3), smoothed over the wall alone.

    Both, and the mask of the wall, are of one size, and came through the same decoder, so what that cannot say right
    cancels; texture and edges are the guess's, level, tint and their slow change the painting's.
    """
    first, second = (bytes_to_linear(np.asarray(picture)) + FAINT for picture in (painted, guess))
    inside = _inside(wall)
    core = erode(inside, CLEAR)
    return blur_inside(np.log(first / second), core if core.any() else inside, SMOOTH * max(wall.size))


def read_light(
    photo: Image.Image, mask: Image.Image, old_paint: Swatch | None = None, whites: Sequence[Spot] = ()
) -> Light:
    """`estimate_light`, with the old paint where it is known, or by pixels of something white; errors as both."""
    check_wall(photo, mask)
    light = estimate_light(photo, mask)
    if old_paint is not None:
        return light.with_paint(old_paint.linear)
    if not whites:
        return light
    few = max(1, int(max(photo.size) / FEW))  # of so many pixels the middle is the same
    pixels, inside = np.asarray(photo.convert("RGB"))[::few, ::few], _inside(mask)[::few, ::few]
    inside = inside if inside.any() else np.ones_like(inside)
    wall = bytes_to_linear(np.median(pixels[inside], axis=0).round().astype(np.uint8))
    seen = [np.log(read_white(photo, spot)) for spot in whites]
    return light.with_white(wall, np.exp(np.mean(seen, axis=0)))


def _inside(mask: Image.Image) -> np.ndarray:
    return np.asarray(mask.convert("L")) >= 128


def check_wall(photo: Image.Image, mask: Image.Image) -> None:
    """Raise UserError where the mask is empty or not of the photo's size."""
    if mask.size != photo.size:
        raise UserError(f"the mask is {mask.size} and the photo {photo.size}: make them the same size")
    if not _inside(mask).any():
        raise UserError("the mask is empty: mark the wall first")
