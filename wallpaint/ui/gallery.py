"""Galleries of small pictures to choose from, and the rooms that are shipped to be shown in them."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from wallpaint import paths
from wallpaint.dataset.folder import read_samples
from wallpaint.dataset.metadata import find_metadata, find_splits
from wallpaint.dataset.rows import Sample
from wallpaint.disk import written
from wallpaint.pixels.arrays import erode
from wallpaint.pixels.images import load_mask, load_photo, read_size
from wallpaint.pixels.mask_ops import to_mask, two_valued
from wallpaint.ui.page import Page
from wallpaint.ui.words.words import T

SHOWN_ROOMS = 24
TINT = (255, 64, 129)


def add_rooms(page: Page, rooms: Sequence[Sample], caption: str, **props: Any) -> gr.Gallery:
    """Make a gallery of shipped rooms to choose from, captioned by that field; unseen if there are none."""
    rooms = rooms[:SHOWN_ROOMS]
    said = [T(f"kind_{room.kind}") if caption == "kind" else getattr(room, caption) for room in rooms]
    shown = [(thumbnail(room.image, 160), words) for room, words in zip(rooms, said, strict=True)]
    return add_gallery(page, value=shown, visible=bool(rooms), fit_columns=True, **{"columns": 3} | props)


def add_gallery(page: Page, **props: Any) -> gr.Gallery:
    """Make a gallery of pictures to choose from."""
    usual = {"format": "jpeg", "object_fit": "cover", "buttons": [], "fit_columns": False}
    return page.add(gr.Gallery, interactive=False, allow_preview=False, **usual | props)


def read_rooms(which: str) -> list[Sample]:
    """Read a picture of each shipped room, `sample` (a dataset) or `test` (with truths); empty without."""
    pictures: dict[str, list[Sample]] = {}
    for sample in _read_folder(paths.ASSETS / "rooms" / which):
        pictures.setdefault(sample.room_id, []).append(sample)
    return [of_room[number % len(of_room)] for number, of_room in enumerate(pictures.values())]


@functools.cache  # what is shipped does not change while the studio runs
def _read_folder(folder: Path) -> list[Sample]:
    if find_metadata(folder).is_file():
        return read_samples(folder, None)
    return [sample for split in find_splits(folder) for sample in read_samples(folder, split)]


def thumbnail(path: str | Path, size: int = 320) -> Image.Image:
    """Load a small copy of a photo for a gallery; not to be changed, for the last ones are kept."""
    return _thumbnail(str(path), size, written(Path(path)))


@functools.lru_cache(maxsize=256)  # 100 KB each
def _thumbnail(path: str, size: int, stamp: int) -> Image.Image:
    image = load_photo(path)
    image.thumbnail((size, size))
    return image


def draw_sample(photo: Path, mask: Path, size: int) -> Image.Image:
    """Draw a photo small with its wall; not to be changed, for the last ones are kept.

    Raises:
        UserError: one of them cannot be read.
    """
    return _draw_sample(photo, mask, size, written(photo), written(mask))


@functools.lru_cache(maxsize=256)  # 100 KB each
def _draw_sample(photo: Path, mask: Path, size: int, *stamps: int) -> Image.Image:
    small = thumbnail(photo, size)
    wall = load_mask(mask, read_size(photo), photo=photo).resize(small.size)
    return draw_overlay(small, two_valued(wall))


def draw_overlay(view: Image.Image, mask: Image.Image | None) -> Image.Image:
    """Draw the outline of the marked wall, whose own colour stays to be seen."""
    shown = view.copy()
    if mask is not None:
        wall = np.asarray(mask) > 0
        shown.paste(TINT, mask=to_mask(wall & ~erode(wall, 2)))
    return shown
