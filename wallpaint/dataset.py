"""A dataset folder: read it, check every row of it, add a sample to it.

The folder is a Hugging Face `imagefolder`: `train/metadata.jsonl` and `validation/metadata.jsonl`, a JSON
object a row, the pictures beside it. Test rooms hold one such split right in the folder, with `truths`
and `kind`.
"""

from __future__ import annotations

import json
import re
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wallpaint.color import Swatch
from wallpaint.images import atomic_path, read_size

SPLITS = ("train", "validation")
KINDS = ("plain", "dark", "patterned", "accent")
REQUIRED = ("file_name", "mask_file_name", "reference_color_rgb", "text", "room_id")
WRITING = threading.Lock()  # two browser tabs may save into one dataset at the same moment
PROMPT = "a room with painted walls"  # names no colour: that is what the swatch is for


@dataclass(frozen=True)
class Truth:
    """A picture of the very same room with its wall in this paint."""

    color: tuple[int, int, int]
    image: Path


@dataclass(frozen=True)
class Sample:
    """A row of a dataset: a photo, the wall in it (mask, 255 = repaint), the wall's paint, a prompt."""

    image: Path
    mask: Path
    color: tuple[int, int, int]
    text: str
    room_id: str
    kind: str | None = None
    truths: tuple[Truth, ...] = ()


def read_samples(folder: str | Path, split: str | None) -> list[Sample]:
    """Read and check every row of `folder/split/metadata.jsonl` (split None: of `folder/metadata.jsonl`).

    Headers alone are read of the pictures: they must be there, be pictures, and be of the photo's size.

    Raises:
        ValueError: the first row that is wrong, named by its number, with the file and what to do about it.
    """
    where = Path(folder) / split if split else Path(folder)
    metadata = where / "metadata.jsonl"
    samples = [read_row(row, where, place) for place, row in iterate_rows(metadata)]
    if not samples:
        raise ValueError(f"{metadata} has no rows: mark at least one wall first")
    return samples


def read_splits(folder: str | Path) -> dict[str, list[Sample]]:
    """Read `train` and, where there is one, `validation`; no room may be in both.

    Raises:
        ValueError: as `read_samples`, and a room that is in both splits.
    """
    folder = Path(folder)
    splits = {"train": read_samples(folder, "train")}
    if (folder / "validation" / "metadata.jsonl").exists():
        splits["validation"] = read_samples(folder, "validation")
        shared = {s.room_id for s in splits["train"]} & {s.room_id for s in splits["validation"]}
        if shared:
            raise ValueError(
                f"room {min(shared)!r} is in both splits of {folder}: keep each room in one alone"
            )
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
        ValueError: an unknown split, a bad colour, a mask empty or of another size, a room of the other one.
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
            where / row["file_name"]: Image.fromarray(
                np.asarray(photo.convert("RGB"))
            ),  # no EXIF, no profile
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


def iterate_rows(metadata: Path) -> Iterator[tuple[str, dict]]:
    """Yield ('FILE row N', row) of a metadata.jsonl; empty lines do not count as rows but as lines."""
    if not metadata.is_file():
        raise ValueError(f"{metadata} does not exist: give a dataset folder with a metadata.jsonl in it")
    try:
        lines = metadata.read_text("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"{metadata} is not UTF-8 text: save it again as UTF-8") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{metadata} row {number}"
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            reason = getattr(error, "msg", "nested too deeply")
            raise ValueError(f"{place} is not JSON ({reason}): write one JSON object a line") from None
        if not isinstance(row, dict):
            raise ValueError(f'{place} is not a JSON object: write {{"file_name": …}}')
        yield place, row


def read_row(row: dict, where: Path, place: str) -> Sample:
    """Check one row and turn it into a Sample."""
    missing = [key for key in REQUIRED if key not in row]
    if missing:
        raise ValueError(f"{place} has no {missing[0]!r}: every row needs {', '.join(REQUIRED)}")
    for key in ("text", "room_id"):
        if not isinstance(row[key], str) or (key == "room_id" and not row[key].strip()):
            raise ValueError(f"{place}: {key!r} is {row[key]!r}, not text: write it in quotes")
    kind = row.get("kind")
    if kind is not None and kind not in KINDS:
        raise ValueError(f"{place}: 'kind' is {kind!r}: write one of {', '.join(KINDS)}")
    color = _read_color(row["reference_color_rgb"], f"{place}: 'reference_color_rgb'")
    image = _inside(where, row["file_name"], f"{place}: 'file_name'")
    size = _size(image, place)
    mask = _inside(where, row["mask_file_name"], f"{place}: 'mask_file_name'")
    _same_size(mask, size, "mask", place)
    truths = tuple(_read_truths(row.get("truths", []), where, size, place))
    return Sample(image, mask, color, row["text"], row["room_id"], kind, truths)


def _read_truths(truths: object, where: Path, size: tuple[int, int], place: str) -> Iterator[Truth]:
    """Check the `truths` of a row: [{"color": [R, G, B], "file_name": …}, …]."""
    if not isinstance(truths, list):
        raise ValueError(f'{place}: \'truths\' is not a list of {{"color", "file_name"}}')
    for truth in truths:
        if not isinstance(truth, dict) or not {"color", "file_name"} <= truth.keys():
            raise ValueError(f"{place}: a truth needs 'color' and 'file_name'")
        path = _inside(where, truth["file_name"], f"{place}: a truth's 'file_name'")
        _same_size(path, size, "truth", place)
        yield Truth(_read_color(truth["color"], f"{place}: a truth's 'color'"), path)


def _read_color(value: object, place: str) -> tuple[int, int, int]:
    """Turn [R, G, B] into a tuple of three bytes."""
    try:
        return Swatch(tuple(value)).rgb  # type: ignore[arg-type]  # Swatch checks what it is
    except (ValueError, TypeError):
        raise ValueError(f"{place} is {value!r}: write three whole numbers from 0 to 255") from None


def _inside(where: Path, name: object, place: str) -> Path:
    """Turn a file name of a row into a path, which must not leave the folder (links included)."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise ValueError(f"{place} is {name!r}: write the name of a file in {where}")
    path = where / name
    if not path.resolve().is_relative_to(where.resolve()):
        raise ValueError(f"{place} {name!r} leads out of {where}: keep every picture inside the folder")
    return path


def _size(path: Path, place: str) -> tuple[int, int]:
    """Read a picture's size; an error names the row as well."""
    try:
        return read_size(path)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def _same_size(path: Path, size: tuple[int, int], what: str, place: str) -> None:
    """Refuse a mask or truth of another size than its photo."""
    found = _size(path, place)
    if found != size:
        raise ValueError(
            f"{place}: {what} {path} is {found[0]}x{found[1]} but its photo is {size[0]}x{size[1]}: "
            "make them the same size"
        )


def _check_new(folder: Path, split: str, photo: Image.Image, mask: Image.Image, room_id: str) -> None:
    """Refuse what `add_sample` must not write."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is unknown: choose train or validation")
    if mask.size != photo.size:
        raise ValueError(f"the mask is {mask.size} and the photo {photo.size}: make them the same size")
    if not mask.convert("L").point([0] * 128 + [255] * 128).getbbox():
        raise ValueError("the mask is empty: mark the wall first")
    if not str(room_id).strip():
        raise ValueError("the room has no name: give it one, the same for all photos of that room")
    other = folder / SPLITS[1 - SPLITS.index(split)] / "metadata.jsonl"
    if other.is_file() and any(row.get("room_id") == str(room_id).strip() for _, row in iterate_rows(other)):
        raise ValueError(f"room {room_id!r} is in {other.parent} already: put all its photos into one split")


def free_name(where: Path, room_id: str) -> str:
    """Choose a file name that is not taken: the room's letters and digits and a number."""
    plain = unicodedata.normalize("NFKD", str(room_id).replace("đ", "d").replace("Đ", "D"))
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", plain.encode("ascii", "ignore").decode()).strip("-")[:40] or "room"
    where.mkdir(parents=True, exist_ok=True)
    number = 1
    while any((where / f"{stem}-{number:03d}{end}.png").exists() for end in ("", "_mask")):
        number += 1
    return f"{stem}-{number:03d}"
