"""Repaints without diffusion, one table: the arms that every diffusing one has to answer to.

`recolor` and `field` are offered to people. `flat`, `keep_lightness` and `untouched` are there to be ranked: a
figure that praises a wall of one colour, or an unpainted one, is the wrong figure.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from wallpaint.models.field import recolor_by_field
from wallpaint.pixels.color import Swatch, bytes_to_linear, lab_to_rgb, linear_to_lab
from wallpaint.pixels.recolor import check_wall, recolor

Repaint = Callable[[Image.Image, Image.Image, Swatch, Swatch | None], Image.Image]  # photo, mask, paint, old paint


def flat(photo: Image.Image, mask: Image.Image, swatch: Swatch, old_paint: Swatch | None = None) -> Image.Image:
    """The wall as one colour, the swatch's: no light, no shadow."""
    check_wall(photo, mask)
    return Image.composite(Image.new("RGB", photo.size, swatch.rgb), photo.convert("RGB"), _binary(mask))


def keep_lightness(
    photo: Image.Image, mask: Image.Image, swatch: Swatch, old_paint: Swatch | None = None
) -> Image.Image:
    """The wall's own CIELAB lightness with the swatch's a and b: what many a paint visualiser does."""
    check_wall(photo, mask)
    pixels, wall = np.array(photo.convert("RGB")), np.asarray(_binary(mask)) > 0
    lab = linear_to_lab(bytes_to_linear(pixels[wall]))
    lab[:, 1:] = linear_to_lab(swatch.linear[None])[0, 1:]
    pixels[wall] = np.round(255 * lab_to_rgb(lab))
    return Image.fromarray(pixels)


def untouched(photo: Image.Image, mask: Image.Image, swatch: Swatch, old_paint: Swatch | None = None) -> Image.Image:
    """The photo as it is."""
    check_wall(photo, mask)
    return photo.convert("RGB")


def _binary(mask: Image.Image) -> Image.Image:
    return mask.convert("L").point(lambda value: 255 * (value >= 128))


CLASSICAL: dict[str, Repaint] = {
    "recolor": recolor,
    "field": recolor_by_field,
    "flat": flat,
    "keep_lightness": keep_lightness,
    "untouched": untouched,
}
LAID = ("recolor", "field")  # of these, what is laid by a field, as a painting is: see `models.field.guess_gains`
