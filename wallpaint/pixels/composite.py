"""Blend a painted wall into its photo: outside the mask every pixel keeps its bytes, its edge is soft inwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from wallpaint.pixels.arrays import Box, box_mean, erode
from wallpaint.pixels.color import bytes_to_linear
from wallpaint.pixels.light import LOST

BAND = 256  # rows processed at once: a phone's 64 megapixels as floats would take gigabytes


def find_box(inside: np.ndarray) -> Box:
    """Bounding box of a wall, boolean (H, W): left, top, right, bottom; all 0 where there is none."""
    return Image.fromarray(inside).getbbox() or (0, 0, 0, 0)


TURNS = np.linspace(0, 2 * np.pi, 12, endpoint=False)  # directions in which a rim looks for wall and surroundings
UNLIKE = (0.1, 0.3)  # contrast to the wall below which surroundings cannot be told apart, and from which they can
LEEWAY = 1.25  # factor by which surroundings vary


@dataclass(frozen=True)
class Rim:
    """The N pixels just inside a wall's edge, where the camera mixed it with what stands before it, from the top down.

    A pixel is share · wall + (1 - share) · foreground: the model of matting (Levin et al., PAMI 2008, eq. 1).
    """

    y: np.ndarray  # (N,) int, of the photo
    x: np.ndarray
    share: np.ndarray  # (N,) float32, 0 to 1: how much of the pixel is wall
    wall: np.ndarray  # (N, 3) float32, linear: the wall beside it
    beyond: np.ndarray  # (N, 3) float32, linear: the surroundings beside it
    sure: np.ndarray  # (N,) float32, 0 to 1: how well wall and surroundings can be told apart there

    def rows(self, top: int, bottom: int) -> slice:
        """The slice of its pixels that lie in these rows."""
        return slice(*np.searchsorted(self.y, (top, bottom)))

    def painted(self, which: slice, seen: np.ndarray, wall: np.ndarray) -> np.ndarray:
        """Repaint the pixels `which`, (n, 3) linear: `seen` is what they show, `wall` the new wall beside them.

        The old wall's share is replaced by the new one's, but the result stays near a mixture of the new wall and
        the surroundings: where the share is wrong, a colour would be left that neither has.
        """
        share = self.share[which, None]
        likely = share * wall + (1 - share) * self.beyond[which]
        exact = seen + share * (wall - self.wall[which])
        return np.clip(exact, np.minimum(seen, likely / LEEWAY), np.maximum(seen, likely * LEEWAY))


def find_rim(photo: Image.Image, inside: np.ndarray, box: Box) -> Rim:
    """Estimate how much of each pixel at a wall's edge is wall, from the wall and the surroundings near it.

    The wall is `inside`, boolean (H, W), of the photo, and lies in `box`, see `find_box`.
    """
    step = max(1, round(max(inside.shape) / 1000))
    deep, reach = 1 + step, 1 + 4 * step  # pixels from the edge: where all is wall, and how far colours are sampled
    left, top = max(0, box[0] - reach), max(0, box[1] - reach)
    area = (left, top, min(inside.shape[1], box[2] + reach), min(inside.shape[0], box[3] + reach))
    pixels, inside = np.asarray(photo.crop(area)), inside[top : area[3], left : area[2]]
    core = erode(inside, deep)
    y, x = np.nonzero(inside & ~erode(inside, step))
    sums, counts = np.zeros((2, len(y), 3), np.float32), np.zeros((2, len(y), 1), np.float32)
    for radius in range(1, reach + 1, step):
        for turn in TURNS:
            there = (
                np.clip(y + round(radius * np.sin(turn)), 0, len(inside) - 1),
                np.clip(x + round(radius * np.cos(turn)), 0, inside.shape[1] - 1),
            )
            outside, seen = ~inside[there], bytes_to_linear(pixels[there])
            for number, chosen in enumerate((core[there], outside)):
                sums[number] += seen * chosen[:, None]
                counts[number] += chosen[:, None]
    wall, beyond = sums / np.maximum(counts, 1)
    apart = wall - beyond
    square = np.maximum((apart * apart).sum(1), 1e-8)
    along = ((bytes_to_linear(pixels[y, x]) - beyond) * apart).sum(1)
    # In the dark they differ by noise alone: LOST then draws the share to 1, the wall that the mask says it is.
    share = np.clip((along + LOST**2) / (square + LOST**2), 0, 1)
    unlike = np.sqrt(square) / np.maximum(np.linalg.norm(wall, axis=1), 1e-3)
    sure = np.clip((unlike - UNLIKE[0]) / (UNLIKE[1] - UNLIKE[0]), 0, 1) * (counts.min((0, 2)) > 0)
    return Rim(y + top, x + left, share.astype(np.float32), wall, beyond, sure.astype(np.float32))


def make_cover(inside: np.ndarray, box: Box) -> np.ndarray:
    """Opacity of a painting, (h, w) uint8 of the box: half at the wall's edge, full a thousandth of the side inwards.

    Half of the outermost pixel stays the photo's: there the camera mixed wall and foreground.
    """
    left, top, right, bottom = box
    wall, radius = inside[top:bottom, left:right], max(1, round(max(inside.shape) / 1000))
    # How many pixels a window holds: at the picture's border it is cut off. Beyond the box there is no wall.
    rows, columns = (np.convolve(np.ones(side), np.ones(2 * radius + 1), "same") for side in inside.shape)
    cover = np.empty(wall.shape, np.uint8)
    for start in range(0, len(wall), BAND):
        band, above = wall[start : start + BAND], min(start, radius)  # the window reaches above the band
        mean = box_mean(wall[start - above : start + BAND + radius].astype(np.float32), radius)
        here = rows[top + start : top + start + len(band)]
        counted = np.outer(here, columns[left:right]).astype(np.float32) / (2 * radius + 1) ** 2
        share = mean[above : above + len(band)] / counted
        cover[start : start + BAND] = (np.clip(share, 0.5, 1) * band * 255).round()
    return cover
