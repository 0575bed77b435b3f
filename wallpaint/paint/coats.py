"""Several walls of one photo, each in its own paint: painted each by itself, and joined without a seam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from wallpaint.errors import UserError
from wallpaint.models.field import throw_light
from wallpaint.paint.arms import Arms
from wallpaint.paint.settings import OnStep, SamplingSettings, share_of
from wallpaint.pixels.arrays import grow
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.mask_ops import to_mask, uncovered


@dataclass(frozen=True)
class Coat:
    """A wall and the paint it gets."""

    mask: Image.Image  # 'L' of the photo's size, 255 = repaint
    swatch: Swatch
    old_paint: Swatch | None = None  # on it now, where that is known


def part_masks(masks: Sequence[Image.Image]) -> list[Image.Image]:
    """Give masks that share no pixel: where two overlap the later one keeps it.

    Raises:
        UserError: a mask that later ones cover wholly.
    """
    walls = uncovered([np.asarray(mask) >= 128 for mask in masks])
    for number, wall in enumerate(walls, 1):
        if not wall.any():
            raise UserError(f"mask {number} marks nothing that later masks do not cover: give it a wall of its own")
    return [to_mask(wall) for wall in walls]


def paint_coats(
    opened: Arms, photo: Image.Image, coats: Sequence[Coat], settings: SamplingSettings, on_step: OnStep | None = None
) -> dict[str, tuple[Image.Image, float]]:
    """Repaint every wall in its paint with every arm, as `Arms.paint`.

    No pixel outside all masks changes unless `settings.bounce`. Each wall is painted on the photo as it is, all arms
    at once. Its rim is soft, so where walls meet a wall is painted a little way on into its neighbours, and cut off
    at its edge. The coats' masks share no pixel, see `part_masks`; their old paints count, not that of `settings`.
    """
    bounce = settings.bounce and len(coats) > 1  # of one wall the arms see to it
    union = np.any([np.asarray(coat.mask) > 0 for coat in coats], axis=0)
    over = 2 * max(1, round(max(photo.size) / 1000)) + 1  # `make_cover`'s window
    done: dict[str, tuple[Image.Image, float]] = {}
    for number, coat in enumerate(coats):
        wall = np.asarray(coat.mask) > 0
        mask = coat.mask if len(coats) == 1 else to_mask(grow(wall, over) & union)
        progress = share_of(on_step, number, 1, len(coats))
        own = replace(settings, old_paint=coat.old_paint, bounce=settings.bounce and not bounce)
        painted = opened.paint(photo, mask, coat.swatch, own, progress)
        for name, (picture, seconds) in painted.items():
            before, spent = done.get(name, (photo.convert("RGB"), 0.0))
            joined = picture if len(coats) == 1 else Image.composite(picture, before, coat.mask)
            done[name] = joined, spent + seconds
    if bounce:
        first, *more = ((coat.mask, coat.swatch, coat.old_paint) for coat in coats)
        lit = throw_light([picture for picture, _ in done.values()], photo, *first, more)
        done = {name: (picture, done[name][1]) for name, picture in zip(done, lit, strict=True)}
    return done
