"""Lay a painted wall over its photo: outside the mask every pixel keeps its bytes, the rim is soft inwards alone."""

from __future__ import annotations

import numpy as np
from PIL import Image

from wallpaint.pixels.arrays import Box, box_mean

BAND = 256  # rows worked on at once: a phone's 64 megapixels as floats would take gigabytes


def find_box(inside: np.ndarray) -> Box:
    """Where the wall, boolean (H, W), is: left, top, right, bottom; all 0 where there is none."""
    return Image.fromarray(inside).getbbox() or (0, 0, 0, 0)


def make_cover(inside: np.ndarray, box: Box) -> Image.Image:
    """How much of a painting shows, 'L' of the box: half at the wall's rim, all a thousandth of a side within.

    Half of the rim's first pixel stays the photo: there the camera mixed wall and foreground.
    """
    left, top, right, bottom = box
    wall, radius = inside[top:bottom, left:right], max(1, round(max(inside.shape) / 1000))
    # Beyond the box there is no wall, beyond the picture there is nothing to count.
    rows, columns = (np.convolve(np.ones(side), np.ones(2 * radius + 1), "same") for side in inside.shape)
    cover = np.empty(wall.shape, np.uint8)
    for start in range(0, len(wall), BAND):
        band, above = wall[start : start + BAND], min(start, radius)  # what lies above the band is counted too
        mean = box_mean(wall[start - above : start + BAND + radius].astype(np.float32), radius)
        here = rows[top + start : top + start + len(band)]
        counted = np.outer(here, columns[left:right]).astype(np.float32) / (2 * radius + 1) ** 2
        share = mean[above : above + len(band)] / counted
        cover[start : start + BAND] = (np.clip(share, 0.5, 1) * band * 255).round()
    return Image.fromarray(cover)


def lay(photo: Image.Image, wall: np.ndarray, box: Box, cover: Image.Image) -> Image.Image:
    """Give the photo, RGB, with its wall as painted.

    Args:
        photo: RGB.
        wall: (h, w, 3) uint8, the painted picture's box; off the wall it means nothing.
        box: see `find_box`.
        cover: see `make_cover`.
    """
    out = photo.copy()
    if cover.size[0]:
        out.paste(Image.fromarray(wall), box[:2], cover)
    return out
