"""The classical repaint, no diffusion: the baseline that every arm has to answer to.

In linear light a matt wall is its paint times its light, so the new wall is the old one times new paint over
old paint, channel by channel. What the old paint was, and so how bright the light is, is read off the photo
(`light.estimate_light`).
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from wallpaint.errors import UserError
from wallpaint.pixels.arrays import BILINEAR, resize
from wallpaint.pixels.color import Swatch, bytes_to_linear, linear_to_bytes
from wallpaint.pixels.composite import composite
from wallpaint.pixels.light import Light, estimate_light

BAND = 256  # rows painted at once: a phone's 64 megapixels in linear light would take gigabytes


def estimate_paint(photo: Image.Image, mask: Image.Image) -> Swatch:
    """The paint on the wall now, as far as the photo tells.

    Raises:
        UserError: the mask is empty or not of the photo's size.
    """
    _check(photo, mask)
    return Swatch(tuple(linear_to_bytes(estimate_light(photo, mask).paint)))


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
    return repaint_in(read_light(photo, mask, old_paint), photo, mask, swatch)


def repaint_in(
    light: Light, photo: Image.Image, mask: Image.Image, swatch: Swatch, gains: np.ndarray | None = None
) -> Image.Image:
    """`recolor` in a light that is known.

    Args:
        light: of the wall.
        photo: RGB.
        mask: 'L' of the photo's size, 255 = repaint.
        swatch: the new paint.
        gains: (h, w, 3) logarithms of what the painted light is multiplied by, of any size; none where None.
    """
    pixels, inside = np.array(photo.convert("RGB")), _inside(mask)
    for top in range(0, len(pixels), BAND):
        part, wall = pixels[top : top + BAND], inside[top : top + BAND]
        painted = light.repaint(bytes_to_linear(part[wall]), swatch.linear)
        if gains is not None and wall.any():
            band = (0, top, photo.width, top + len(part))
            painted *= np.exp(resize(gains, photo.size, BILINEAR, band)[wall])
        part[wall] = linear_to_bytes(painted)
    return composite(photo, Image.fromarray(pixels), mask, detail=0)


def repainted_wall(
    photo: Image.Image, mask: Image.Image, swatch: Swatch, where: np.ndarray, old_paint: Swatch | None = None
) -> np.ndarray:
    """Linear RGB (N, 3) that the pixels of `where` (H, W) have once painted, above 1 where they would clip.

    The other arguments and errors are those of `recolor`.
    """
    light = read_light(photo, mask, old_paint)
    return light.repaint(bytes_to_linear(np.asarray(photo.convert("RGB"))[where]), swatch.linear)


def read_light(photo: Image.Image, mask: Image.Image, old_paint: Swatch | None = None) -> Light:
    """`estimate_light`, with the old paint where it is known; errors as `recolor`."""
    _check(photo, mask)
    light = estimate_light(photo, mask)
    return light if old_paint is None else light.with_paint(old_paint.linear)


def _inside(mask: Image.Image) -> np.ndarray:
    return np.asarray(mask.convert("L")) >= 128


def _check(photo: Image.Image, mask: Image.Image) -> None:
    if mask.size != photo.size:
        raise UserError(f"the mask is {mask.size} and the photo {photo.size}: make them the same size")
    if not _inside(mask).any():
        raise UserError("the mask is empty: mark the wall first")
