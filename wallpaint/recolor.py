"""The classical repaint, no diffusion: the baseline that every arm has to answer to.

In linear light a matt wall is its paint times its light, so the new wall is the old one times new paint over
old paint, channel by channel. What the old paint was has to be guessed from the photo. A channel that the old
paint hardly reflects says little of the light, so there the others speak for it.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from wallpaint.arrays import erode
from wallpaint.color import Swatch, linear_to_srgb, luminance, srgb_to_linear
from wallpaint.composite import composite

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
        ValueError: the mask is empty or not of the photo's size.
    """
    linear = srgb_to_linear(np.asarray(photo.convert("RGB"), dtype=np.float32) / 255)
    return _to_swatch(_guess(linear, _wall(photo, mask), np.asarray(mask.convert("L")) < 128))


def recolor(
    photo: Image.Image, mask: Image.Image, swatch: Swatch, old_paint: Swatch | None = None
) -> Image.Image:
    """Repaint the wall by the ratio of the paints in linear light; nothing outside the mask changes.

    Args:
        photo: RGB.
        mask: 'L' of the photo's size, 255 = repaint.
        swatch: the new paint.
        old_paint: the paint on the wall now; guessed where None.

    Raises:
        ValueError: the mask is empty or not of the photo's size.
    """
    linear = srgb_to_linear(np.asarray(photo.convert("RGB"), dtype=np.float32) / 255)
    wall, outside = _wall(photo, mask), np.asarray(mask.convert("L")) < 128
    old = _guess(linear, wall, outside) if old_paint is None else old_paint.linear
    painted = linear_to_srgb(_light(linear, np.maximum(old, LEAST)) * swatch.linear)
    sharp = Image.fromarray((painted * 255).round().astype(np.uint8))
    return composite(photo, sharp, mask, detail=0)


def _wall(photo: Image.Image, mask: Image.Image) -> np.ndarray:
    """Boolean (H, W): the mask without its rim, or all of it where nothing else is left."""
    if mask.size != photo.size:
        raise ValueError(f"the mask is {mask.size} and the photo {photo.size}: make them the same size")
    wall = np.asarray(mask.convert("L")) >= 128
    if not wall.any():
        raise ValueError("the mask is empty: mark the wall first")
    core = erode(wall, max(1, round(0.01 * max(mask.size))))
    return core if core.any() else wall


def _guess(linear: np.ndarray, wall: np.ndarray, surroundings: np.ndarray) -> np.ndarray:
    """Linear RGB (3,) of the old paint from linear light (H, W, 3), wall and surroundings (H, W).

    A photo is exposed so that a wall gets much the same light whatever its paint; so the wall's brightness
    tells the paint's. The wall's tint is the paint's, but for a share of the surroundings', the lamp's.
    """
    pixels = linear[wall]
    useful = (pixels.max(axis=1) < CLIPPED) & (pixels.max(axis=1) > DARK)
    pixels = pixels[useful] if useful.mean() > 0.1 else pixels
    level = np.maximum(luminance(pixels), 1e-4)
    tint = np.median(pixels / level[:, None], axis=0)
    if surroundings.any():
        lamp = np.maximum(linear[surroundings].mean(axis=0), 1e-3)
        tint = tint / (lamp / luminance(lamp)) ** LAMP
        tint = tint / np.maximum(luminance(tint), 1e-3)
    level = np.median(level)
    return np.clip(tint * min(level / (LIT * level**ADAPTED), BRIGHTEST), LEAST, 1)


def _light(linear: np.ndarray, paint: np.ndarray) -> np.ndarray:
    """Light that falls on a wall of a paint (3,): (H, W, 3) from linear light (H, W, 3).

    For a white wall this is the plain ratio. A teal wall's red is noise and gloss; divided by next to nothing
    it would turn into red light. So the level comes from all channels by least squares, and a channel's own
    departure from it counts the less the less the paint reflects there.
    """
    level = np.maximum(linear @ paint / (paint @ paint), 1e-5)[..., None]
    tint = np.clip(linear / paint / level, 1 / TINT, TINT)
    return level * tint ** (paint / paint.max()) ** 2


def _to_swatch(linear: np.ndarray) -> Swatch:
    """Linear RGB (3,) to the nearest swatch."""
    red, green, blue = (int(v) for v in (linear_to_srgb(linear) * 255).round())
    return Swatch((red, green, blue))
