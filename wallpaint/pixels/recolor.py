"""The classical repaint, no diffusion: the baseline that every arm has to answer to.

In linear light a matt wall is its paint times its light, so the new wall is the old one times new paint over
old paint, channel by channel. What the old paint was has to be guessed from the photo. A channel that the old
paint hardly reflects says little of the light, so there the others speak for it.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from wallpaint.errors import UserError
from wallpaint.pixels.arrays import erode
from wallpaint.pixels.color import Swatch, bytes_to_linear, linear_to_bytes, luminance
from wallpaint.pixels.composite import composite

# Fitted on 85 rendered training pictures, no test room among them: the light on a wall of luminance Y in the
# photo is about LIT * Y**ADAPTED (within 30 %), and LAMP of the surroundings' tint is the light's.
LIT, ADAPTED, LAMP = 0.64, 0.07, 0.25
BRIGHTEST = 0.9  # luminance of the whitest paint
CLIPPED, DARK = 0.95, 0.005  # linear light above and below which a wall pixel says nothing about its paint
TINT = 3.0  # no light on a wall is more than this times redder, greener or bluer than its mean
LEAST = 0.01  # no paint reflects less; keeps noise in a black wall from blowing up


def estimate_paint(photo: Image.Image, mask: Image.Image) -> Swatch:
    """Guess the paint on the wall now from its median brightness and tint.

    Raises:
        UserError: the mask is empty or not of the photo's size.
    """
    return Swatch(tuple(linear_to_bytes(_guess(photo, _wall(photo, mask), _inside(mask)))))


def recolor(photo: Image.Image, mask: Image.Image, swatch: Swatch, old_paint: Swatch | None = None) -> Image.Image:
    """Repaint the wall by the ratio of the paints in linear light; nothing outside the mask changes.

    Args:
        photo: RGB.
        mask: 'L' of the photo's size, 255 = repaint.
        swatch: the new paint.
        old_paint: the paint on the wall now; guessed where None.

    Raises:
        UserError: the mask is empty or not of the photo's size.
    """
    pixels, inside = np.array(photo.convert("RGB")), _inside(mask)
    pixels[inside] = linear_to_bytes(repainted_wall(photo, mask, swatch, inside, old_paint))
    return composite(photo, Image.fromarray(pixels), mask, detail=0)


def repainted_wall(
    photo: Image.Image, mask: Image.Image, swatch: Swatch, where: np.ndarray, old_paint: Swatch | None = None
) -> np.ndarray:
    """Linear RGB (N, 3) that the pixels of `where` (H, W) have once painted, above 1 where they would clip.

    The other arguments and errors are those of `recolor`.
    """
    wall = _wall(photo, mask)
    old = _guess(photo, wall, _inside(mask)) if old_paint is None else np.maximum(old_paint.linear, LEAST)
    return _light(bytes_to_linear(np.asarray(photo.convert("RGB"))[where]), old) * swatch.linear


def _inside(mask: Image.Image) -> np.ndarray:
    return np.asarray(mask.convert("L")) >= 128


def _wall(photo: Image.Image, mask: Image.Image) -> np.ndarray:
    """Boolean (H, W): the mask without its rim, or all of it where nothing else is left."""
    if mask.size != photo.size:
        raise UserError(f"the mask is {mask.size} and the photo {photo.size}: make them the same size")
    wall = _inside(mask)
    if not wall.any():
        raise UserError("the mask is empty: mark the wall first")
    core = erode(wall, max(1, round(0.01 * max(mask.size))))
    return core if core.any() else wall


def _guess(photo: Image.Image, wall: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Linear RGB (3,) of the old paint; `wall` (H, W) is looked at, `inside` (H, W) is the whole of it.

    A photo is exposed so that a wall gets much the same light whatever its paint; so the wall's brightness
    tells the paint's. The wall's tint is the paint's, but for a share of the surroundings', the lamp's.
    """
    photo = photo.convert("RGB")
    pixels = bytes_to_linear(np.asarray(photo)[wall])
    highest = np.maximum(np.maximum(pixels[:, 0], pixels[:, 1]), pixels[:, 2])
    useful = (highest < CLIPPED) & (highest > DARK)
    pixels = pixels[useful] if useful.mean() > 0.1 else pixels
    level = np.maximum(luminance(pixels), 1e-4)
    tint = np.array([np.median(pixels[:, c] / level) for c in range(3)])
    if not inside.all():
        counts = np.reshape(photo.histogram(Image.fromarray(~inside)), (3, 256))
        lamp = np.maximum(counts @ bytes_to_linear(np.arange(256)) / counts[0].sum(), 1e-3)
        tint = tint / (lamp / luminance(lamp)) ** LAMP
        tint = tint / np.maximum(luminance(tint), 1e-3)
    level = np.median(level)
    return np.clip(tint * min(level / (LIT * level**ADAPTED), BRIGHTEST), LEAST, 1)


def _light(linear: np.ndarray, paint: np.ndarray) -> np.ndarray:
    """Light that falls on a wall of a paint (3,): (N, 3) from linear light (N, 3).

    For a white wall this is the plain ratio. A teal wall's red is noise and gloss; divided by next to nothing
    it would turn into red light. So the level comes from all channels by least squares, and a channel's own
    departure from it counts the less the less the paint reflects there.
    """
    paint = paint.astype(np.float32)
    level = np.maximum(linear @ paint / (paint @ paint), np.float32(1e-5))
    light = np.empty_like(linear)
    for c, weight in enumerate((paint / paint.max()) ** 2):
        tint = np.clip(linear[:, c] / (paint[c] * level), 1 / TINT, TINT)
        light[:, c] = level * tint**weight
    return light
