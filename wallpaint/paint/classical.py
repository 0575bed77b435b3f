"""Repaints without diffusion, one table: the arms that every diffusing one is compared with.

`recolor` and `field` are offered to people. `flat`, `keep_lightness` and `untouched` are there to be ranked: a
figure that praises a wall of one colour, or an unpainted one, is the wrong figure.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from wallpaint.models.field import recolor_by_field
from wallpaint.pixels.color import bytes_to_linear, lab_to_rgb, linear_to_lab
from wallpaint.pixels.mask_ops import from_mask, two_valued
from wallpaint.pixels.recolor import Coat, check_wall, recolor


def flat(coat: Coat) -> Image.Image:
    """The wall as one colour, the swatch's: no light, no shadow."""
    check_wall(coat.photo, coat.mask)
    plain = Image.new("RGB", coat.photo.size, coat.swatch.rgb)
    return Image.composite(plain, coat.photo.convert("RGB"), two_valued(coat.mask))


def keep_lightness(coat: Coat) -> Image.Image:
    """The wall's own CIELAB lightness with the swatch's a and b: what many a paint visualiser does."""
    check_wall(coat.photo, coat.mask)
    pixels, wall = np.array(coat.photo.convert("RGB")), from_mask(coat.mask)
    lab = linear_to_lab(bytes_to_linear(pixels[wall]))
    lab[:, 1:] = coat.swatch.lab[1:]
    pixels[wall] = np.round(255 * lab_to_rgb(lab))
    return Image.fromarray(pixels)


def untouched(coat: Coat) -> Image.Image:
    """The photo as it is."""
    check_wall(coat.photo, coat.mask)
    return coat.photo.convert("RGB")


CLASSICAL: dict[str, Callable[[Coat], Image.Image]] = {
    "recolor": recolor,
    "field": recolor_by_field,
    "flat": flat,
    "keep_lightness": keep_lightness,
    "untouched": untouched,
}
LAID = ("recolor", "field")  # of these, what is laid by a field, as a painting is: see `models.field.guess_gains`
