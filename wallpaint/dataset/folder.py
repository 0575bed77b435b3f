"""A dataset folder: read it, add a sample to it; what a row is and has to be is in rows.py.

The folder is a Hugging Face `imagefolder`: `train/metadata.jsonl` and `validation/metadata.jsonl`, a JSON
object a row, the pictures beside it or below. Test rooms hold one such split right in the folder, with
`truths` and `kind`.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from wallpaint.dataset.files import FileIndex
from wallpaint.dataset.metadata import (
    SPLITS,
    Row,
    append_row,
    find_metadata,
    iterate_rows,
    other_split,
    read_table,
    scan_rows,
)
from wallpaint.dataset.names import tidy_room, tidy_text
from wallpaint.dataset.rows import Sample, parse_row, read_row
from wallpaint.dataset.saving import sweep, writing
from wallpaint.disk import atomic_path
from wallpaint.errors import UserError
from wallpaint.paths import ascii_name
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.mask_ops import two_valued
from wallpaint.pixels.recolor import check_wall
from wallpaint.process import collector_paused

PROMPT = "a room with painted walls"  # names no colour: that is what the swatch is for


def read_samples(folder: str | Path, split: str | None, files: FileIndex | None = None) -> list[Sample]:
    """Read and check every row of a split of `folder` (split None: of the folder itself).

    Headers alone are read of the pictures: they must be there, be pictures, and be of the photo's size.

    Raises:
        UserError: the first row that is wrong, named by its number, with the file and what to do about it.
    """
    where = Path(folder) / split if split else Path(folder)
    with collector_paused():
        files = files or FileIndex()
        samples = [read_row(row, where, place, files) for place, row in iterate_rows(where)]
    if not samples:
        raise UserError(f"{find_metadata(where)} has no rows: mark at least one wall first")
    return samples


def list_samples(folder: str | Path, split: str) -> tuple[list[Sample], int]:
    """List a split without opening a picture: (samples, how many rows the doctor would complain of).

    A picture that is there but broken is named by whoever opens it. 10,000 rows take 0.4 s of one core.
    """
    where, samples, broken, files = Path(folder) / split, [], 0, FileIndex()
    for place, row in scan_rows(where) if find_metadata(where).is_file() else ():
        try:
            if isinstance(row, UserError):
                raise row
            samples.append(parse_row(row, where, place, files))
        except UserError:
            broken += 1
    return samples, broken


def read_splits(folder: str | Path, files: FileIndex | None = None) -> dict[str, list[Sample]]:
    """Read `train` and, where there is one, `validation`; no room may be in both.

    Raises:
        UserError: as `read_samples`, and a room that is in both splits.
    """
    folder = Path(folder)
    splits = {"train": read_samples(folder, "train", files)}
    if find_metadata(folder / "validation").exists():
        splits["validation"] = read_samples(folder, "validation", files)
        shared = {s.room_id for s in splits["train"]} & {s.room_id for s in splits["validation"]}
        if shared:
            raise UserError(f"room {min(shared)!r} is in both splits of {folder}: keep each room in one alone")
    return splits


def refuse_other_split(folder: Path, split: str, room_id: str) -> None:
    """Refuse a room that is in the other split: a model would be praised for what it has seen."""
    other = other_split(split)
    if any(row.get("room_id") == room_id for row in read_table(folder, other)):
        raise UserError(f"room {room_id!r} is in {other} already, {folder}, put all its photos into one split")


def add_sample(
    folder: str | Path,
    split: str,
    photo: Image.Image,
    mask: Image.Image,
    color: tuple[int, int, int],
    text: str,
    room_id: str,
) -> Sample:
    """Write a photo, its mask and its row; the row comes last and whole: no reader meets half of it.

    The folder is made where it does not exist; the photo is stored as PNG without EXIF; an empty text gives PROMPT.
    Photos of one room share `room_id`, of whose letters and digits the files' names are made.

    Raises:
        UserError: an unknown split, a bad colour, a mask empty or of another size, a room of the other one.
    """
    swatch, room_id, folder = Swatch(color), tidy_room(room_id), Path(folder)
    mask = two_valued(mask)
    if split not in SPLITS:
        raise UserError(f"split {split!r} is unknown: choose train or validation")
    check_wall(photo, mask)
    if not room_id:
        raise UserError("the room has no name: give it one, the same for all photos of that room")
    where = folder / split
    with writing(folder):
        refuse_other_split(folder, split, room_id)
        name = free_name(where, room_id)
        row: Row = {
            "file_name": f"{name}.png",
            "mask_file_name": f"{name}_mask.png",
            "reference_color_rgb": list(swatch.rgb),
            "text": tidy_text(text) or PROMPT,
            "room_id": room_id,
        }
        bare = Image.fromarray(np.asarray(photo.convert("RGB")))  # no EXIF, no profile
        pictures = {where / row["file_name"]: bare, where / row["mask_file_name"]: mask}
        try:
            for path, picture in pictures.items():
                with atomic_path(path) as temporary:
                    picture.save(temporary)
            append_row(where, row)
        except BaseException:
            for path in pictures:
                path.unlink(missing_ok=True)
            raise
    return read_row(row, where, name)


def free_name(where: Path, room_id: str) -> str:
    """Choose a file name that is not taken, also where case does not count: letters, digits and a number."""
    stem = ascii_name(str(room_id).replace(".", "-"), 40) or "room"
    where.mkdir(parents=True, exist_ok=True)
    sweep(where)
    taken = {os.path.splitext(name)[0].lower() for name in os.listdir(where)}
    number = 1
    while taken & {f"{stem}-{number:03d}".lower(), f"{stem}-{number:03d}_mask".lower()}:
        number += 1
    return f"{stem}-{number:03d}"
