"""A row of a dataset: read from its metadata.jsonl, checked with the pictures it names.

Headers alone are read of the pictures: they must be there, be pictures, and be of the photo's size.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wallpaint.errors import UserError
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import read_size

SPLITS = ("train", "validation")
KINDS = ("plain", "dark", "patterned", "accent")
REQUIRED = ("file_name", "mask_file_name", "reference_color_rgb", "text", "room_id")


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


def iterate_rows(metadata: Path) -> Iterator[tuple[str, dict]]:
    """Yield ('FILE row N', row) of a metadata.jsonl; empty lines do not count as rows but as lines."""
    if not metadata.is_file():
        raise UserError(f"{metadata} does not exist: give a dataset folder with a metadata.jsonl in it")
    try:
        lines = metadata.read_text("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise UserError(f"{metadata} is not UTF-8 text: save it again as UTF-8") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{metadata} row {number}"
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            reason = getattr(error, "msg", "nested too deeply")
            raise UserError(f"{place} is not JSON ({reason}): write one JSON object a line") from None
        if not isinstance(row, dict):
            raise UserError(f'{place} is not a JSON object: write {{"file_name": …}}')
        yield place, row


def read_row(row: dict, where: Path, place: str) -> Sample:
    """Check one row and turn it into a Sample."""
    missing = [key for key in REQUIRED if key not in row]
    if missing:
        raise UserError(f"{place} has no {missing[0]!r}: every row needs {', '.join(REQUIRED)}")
    for key in ("text", "room_id"):
        if not isinstance(row[key], str) or (key == "room_id" and not row[key].strip()):
            raise UserError(f"{place}: {key!r} is {row[key]!r}, not text: write it in quotes")
    kind = row.get("kind")
    if kind is not None and kind not in KINDS:
        raise UserError(f"{place}: 'kind' is {kind!r}: write one of {', '.join(KINDS)}")
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
        raise UserError(f'{place}: \'truths\' is not a list of {{"color", "file_name"}}')
    for truth in truths:
        if not isinstance(truth, dict) or not {"color", "file_name"} <= truth.keys():
            raise UserError(f"{place}: a truth needs 'color' and 'file_name'")
        path = _inside(where, truth["file_name"], f"{place}: a truth's 'file_name'")
        _same_size(path, size, "truth", place)
        yield Truth(_read_color(truth["color"], f"{place}: a truth's 'color'"), path)


def _read_color(value: object, place: str) -> tuple[int, int, int]:
    """Turn [R, G, B] into a tuple of three bytes."""
    try:
        return Swatch(tuple(value)).rgb  # type: ignore[arg-type]  # Swatch checks what it is
    except (UserError, TypeError):
        raise UserError(f"{place} is {value!r}: write three whole numbers from 0 to 255") from None


def _inside(where: Path, name: object, place: str) -> Path:
    """Turn a file name of a row into a path, which must not leave the folder (links included)."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise UserError(f"{place} is {name!r}: write the name of a file in {where}")
    path = where / name
    if not path.resolve().is_relative_to(where.resolve()):
        raise UserError(f"{place} {name!r} leads out of {where}: keep every picture inside the folder")
    return path


def _size(path: Path, place: str) -> tuple[int, int]:
    """Read a picture's size; an error names the row as well."""
    try:
        return read_size(path)
    except UserError as error:
        raise UserError(f"{place}: {error}") from None


def _same_size(path: Path, size: tuple[int, int], what: str, place: str) -> None:
    """Refuse a mask or truth of another size than its photo."""
    found = _size(path, place)
    if found != size:
        raise UserError(
            f"{place}: {what} {path} is {found[0]}x{found[1]} but its photo is {size[0]}x{size[1]}: "
            "make them the same size"
        )
