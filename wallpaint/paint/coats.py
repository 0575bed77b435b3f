"""Several walls of one photo, each in its own paint: painted each by itself, and joined without a seam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from wallpaint.errors import UserError
from wallpaint.models.field import throw_light
from wallpaint.paint.arms import Arms
from wallpaint.paint.settings import OnStep, SamplingSettings, share_of
from wallpaint.pixels.mask_ops import from_mask, overlapping, to_mask, uncovered
from wallpaint.pixels.recolor import Coat


def part_masks(masks: Sequence[Image.Image]) -> list[Image.Image]:
    """Give masks that share no pixel: where two overlap the later one keeps it.

    Raises:
        UserError: a mask that later ones cover wholly.
    """
    walls = uncovered([from_mask(mask) for mask in masks])
    for number, wall in enumerate(walls, 1):
        if not wall.any():
            raise UserError(f"mask {number} marks nothing that later masks do not cover: give it a wall of its own")
    return [to_mask(wall) for wall in walls]


def paint_coats(
    opened: Arms, coats: Sequence[Coat], settings: SamplingSettings, on_step: OnStep | None = None
) -> dict[str, tuple[Image.Image, float]]:
    """Repaint every wall of a photo in its paint with every arm, as `Arms.paint`.

    No pixel outside all masks changes unless `settings.bounce`. Each wall is painted on the photo as it is, all arms
    at once. The coats' masks share no pixel, see `part_masks`.
    """
    if len(coats) == 1:
        return opened.paint(coats[0], settings, on_step)
    photo = coats[0].photo
    done: dict[str, tuple[Image.Image, float]] = {}
    for number, (coat, mask) in enumerate(zip(coats, overlapping([coat.mask for coat in coats]), strict=True)):
        wide = replace(coat, mask=mask)
        painted = opened.paint(wide, replace(settings, bounce=False), share_of(on_step, number, 1, len(coats)))
        for name, (picture, seconds) in painted.items():
            before, spent = done.get(name, (photo.convert("RGB"), 0.0))
            done[name] = Image.composite(picture, before, coat.mask), spent + seconds
    if settings.bounce:
        lit = throw_light([picture for picture, _ in done.values()], coats)
        done = {name: (picture, done[name][1]) for name, picture in zip(done, lit, strict=True)}
    return done
