"""A dataset folder: read it, add a sample to it; what a row is and has to be is in rows.py.

The folder is a Hugging Face `imagefolder`: `train/metadata.jsonl` and `validation/metadata.jsonl`, a JSON
object a row, the pictures beside it. Test rooms hold one such split right in the folder, with `truths`
and `kind`.
"""

from __future__ import annotations

import json
import re
import threading
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wallpaint.dataset.rows import SPLITS, Sample, Truth, iterate_rows, read_row
from wallpaint.errors import UserError
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import atomic_path

__all__ = ["SPLITS", "Sample", "Truth", "iterate_rows", "read_row"]  # who reads datasets finds them here

WRITING = threading.Lock()  # two browser tabs may save into one dataset at the same moment
PROMPT = "a room with painted walls"  # names no colour: that is what the swatch is for


def read_samples(folder: str | Path, split: str | None) -> list[Sample]:
    """Read and check every row of `folder/split/metadata.jsonl` (split None: of `folder/metadata.jsonl`).

    Headers alone are read of the pictures: they must be there, be pictures, and be of the photo's size.

    Raises:
        UserError: the first row that is wrong, named by its number, with the file and what to do about it.
    """
    where = Path(folder) / split if split else Path(folder)
    metadata = where / "metadata.jsonl"
    samples = [read_row(row, where, place) for place, row in iterate_rows(metadata)]
    if not samples:
        raise UserError(f"{metadata} has no rows: mark at least one wall first")
    return samples


def read_splits(folder: str | Path) -> dict[str, list[Sample]]:
    """Read `train` and, where there is one, `validation`; no room may be in both.

    Raises:
        UserError: as `read_samples`, and a room that is in both splits.
    """
    folder = Path(folder)
    splits = {"train": read_samples(folder, "train")}
    if (folder / "validation" / "metadata.jsonl").exists():
        splits["validation"] = read_samples(folder, "validation")
        shared = {s.room_id for s in splits["train"]} & {s.room_id for s in splits["validation"]}
        if shared:
            raise UserError(f"room {min(shared)!r} is in both splits of {folder}: keep each room in one alone")
    return splits


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

    Args:
        folder: the dataset; made where it does not exist.
        split: 'train' or 'validation'.
        photo: RGB, stored as PNG without EXIF.
        mask: 'L' of the photo's size, 255 = repaint.
        color: the wall's paint, 0 to 255.
        text: the prompt; empty gives PROMPT.
        room_id: photos of one room share it; letters and digits of it make the file names.

    Raises:
        UserError: an unknown split, a bad colour, a mask empty or of another size, a room of the other one.
    """
    swatch = Swatch(color)
    where = Path(folder) / split
    with WRITING:
        _check_new(Path(folder), split, photo, mask, room_id)
        name = free_name(where, room_id)
        row: dict[str, Any] = {
            "file_name": f"{name}.png",
            "mask_file_name": f"{name}_mask.png",
            "reference_color_rgb": list(swatch.rgb),
            "text": " ".join(str(text).split()) or PROMPT,
            "room_id": str(room_id).strip(),
        }
        pictures = {
            where / row["file_name"]: Image.fromarray(np.asarray(photo.convert("RGB"))),  # no EXIF, no profile
            where / row["mask_file_name"]: mask.convert("L").point([0] * 128 + [255] * 128),
        }
        try:
            for path, picture in pictures.items():
                with atomic_path(path) as temporary:
                    picture.save(temporary)
            _append_row(where / "metadata.jsonl", row)
        except BaseException:
            for path in pictures:
                path.unlink(missing_ok=True)
            raise
    return read_row(row, where, name)


def _append_row(metadata: Path, row: dict) -> None:
    """Add a row by writing the whole file anew beside it and renaming."""
    before = metadata.read_text("utf-8") if metadata.exists() else ""
    before += "\n" if before and not before.endswith("\n") else ""
    with atomic_path(metadata) as temporary:
        temporary.write_text(before + json.dumps(row, ensure_ascii=False) + "\n", "utf-8")


def _check_new(folder: Path, split: str, photo: Image.Image, mask: Image.Image, room_id: str) -> None:
    """Refuse what `add_sample` must not write."""
    if split not in SPLITS:
        raise UserError(f"split {split!r} is unknown: choose train or validation")
    if mask.size != photo.size:
        raise UserError(f"the mask is {mask.size} and the photo {photo.size}: make them the same size")
    if not mask.convert("L").point([0] * 128 + [255] * 128).getbbox():
        raise UserError("the mask is empty: mark the wall first")
    if not str(room_id).strip():
        raise UserError("the room has no name: give it one, the same for all photos of that room")
    other = folder / SPLITS[1 - SPLITS.index(split)] / "metadata.jsonl"
    if other.is_file() and any(row.get("room_id") == str(room_id).strip() for _, row in iterate_rows(other)):
        raise UserError(f"room {room_id!r} is in {other.parent} already: put all its photos into one split")


def free_name(where: Path, room_id: str) -> str:
    """Choose a file name that is not taken: the room's letters and digits and a number."""
    plain = unicodedata.normalize("NFKD", str(room_id).replace("đ", "d").replace("Đ", "D"))
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", plain.encode("ascii", "ignore").decode()).strip("-")[:40] or "room"
    where.mkdir(parents=True, exist_ok=True)
    number = 1
    while any((where / f"{stem}-{number:03d}{end}.png").exists() for end in ("", "_mask")):
        number += 1
    return f"{stem}-{number:03d}"
