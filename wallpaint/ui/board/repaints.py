"""The picture at hand with its walls painted, small and at once: what the board shows while one chooses a paint."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from wallpaint.pixels.color import Swatch, linear_to_bytes, parse_color
from wallpaint.pixels.light import Light
from wallpaint.pixels.mask_ops import overlapping, to_mask, uncovered
from wallpaint.pixels.recolor import Coat, read_light
from wallpaint.ui.board import pictures, segmenter
from wallpaint.ui.board.walls import Wall, wall_mask

PREVIEW = 768  # longest side


class Repaint(NamedTuple):
    """A picture with its walls painted, and what they were painted by; nobody may change it."""

    picture: Image.Image
    coats: tuple[Coat, ...]  # of each wall, whose masks share no pixel
    lights: tuple[Light, ...]


def repaint_walls(folder: str | Path, walls: Sequence[Wall]) -> Repaint:
    """Paint marked walls, each in its `paint`, by the classical repaint and its field, see `models.field`.

    The light on a wall comes from the paint on it now where a person said that, else from what they said is white,
    else from the photo alone. Where walls overlap a later one lies over those before it.
    """
    said = tuple(wall if wall.chosen else replace(wall, now="") for wall in walls)
    return _repaint(str(folder), said, tuple(pictures.read_whites(folder, (1, 1))))


@lru_cache(maxsize=4)  # the button Paint looks at what the board has just shown
def _repaint(folder: str, walls: tuple[Wall, ...], whites: tuple) -> Repaint:
    from wallpaint.paint.classical import CLASSICAL  # torch, only once somebody paints

    seen = [_read_wall(folder, replace(wall, paint=""), whites) for wall in walls]
    photo, lights = seen[0][0], tuple(light for *_, light in seen)
    masks = [to_mask(wall) for wall in uncovered([np.asarray(mask) > 0 for _, mask, _ in seen])]
    now = [Swatch(tuple(linear_to_bytes(light.paint))) for light in lights]
    coats = tuple(
        Coat(photo, mask, parse_color(wall.paint), old) for wall, mask, old in zip(walls, masks, now, strict=True)
    )
    picture = photo.copy()
    for coat, mask in zip(coats, overlapping(masks), strict=True):
        if coat.mask.getbbox():
            picture.paste(CLASSICAL["field"](replace(coat, mask=mask)), mask=coat.mask)
    return Repaint(picture, coats, lights)


@lru_cache(maxsize=16)  # a wall that is marked anew has a new name
def _read_wall(folder: str, wall: Wall, whites: tuple) -> tuple[Image.Image, Image.Image, Light]:
    """A small copy of the photo and of the wall's mask, and the light on it."""
    view = segmenter.load_view(folder)
    mask = wall_mask(folder, wall, view.size)
    assert mask is not None  # it is marked
    spots = [(x * view.width, y * view.height) for x, y in whites]
    light = read_light(view, mask, parse_color(wall.now) if wall.chosen else None, spots)
    view.thumbnail((PREVIEW, PREVIEW))
    small = mask.resize(view.size, Image.Resampling.BOX)
    return view, small.point(lambda value: 255 * (value >= min(128, small.getextrema()[1]))), light
