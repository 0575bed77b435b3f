"""A row of a dataset: what it has to say, checked with the pictures it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from wallpaint.dataset.files import FileIndex
from wallpaint.dataset.metadata import REQUIRED, Row
from wallpaint.dataset.names import find_picture, is_text
from wallpaint.errors import OtherSize, UserError
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import load_mask, load_photo
from wallpaint.pixels.photo_files import open_picture, orientation

KINDS = ("plain", "dark", "patterned", "accent")


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
    file_name: str = ""  # the photo as its row names it, 'rooms/a.jpg' where it lies deeper

    def load(self) -> tuple[Image.Image, Image.Image]:
        """Its photo, RGB, and its mask, 'L' of the photo's size; UserError where one of them cannot be read."""
        photo = load_photo(self.image)
        return photo, load_mask(self.mask, photo.size, photo=self.image)


def picture_names(row: Row) -> list[str]:
    """Name the files of a row; of a broken one, those that it does name."""
    truths = row.get("truths")
    named = [row, *(truths if isinstance(truths, list) else [])]
    names = [row.get("mask_file_name"), *(one.get("file_name") for one in named if isinstance(one, dict))]
    return [name for name in names if isinstance(name, str)]


def rename_pictures(row: Row, names: dict[str, str]) -> Row:
    """Give a row with its pictures under their new names."""

    def rename(part: Any) -> Any:
        if not isinstance(part, dict):
            return part
        keys = [key for key in ("file_name", "mask_file_name") if isinstance(part.get(key), str)]
        return {**part, **{key: names[part[key]] for key in keys if part[key] in names}}

    new = rename(row)
    if isinstance(row.get("truths"), list):
        new["truths"] = [rename(truth) for truth in row["truths"]]
    return new


def read_row(row: Row, where: Path, place: str, files: FileIndex | None = None) -> Sample:
    """Check one row and the headers of its pictures: they must be pictures, and of the photo's size.

    A mask may fit the photo as it is stored, without its EXIF orientation: `load_mask` turns it.
    `files` reads a header, or remembers it.
    """
    files = files or FileIndex()
    sample = parse_row(row, where, place, files)
    size = _size(sample.image, place, files)
    for what, path in (("mask", sample.mask), *(("truth", truth.image) for truth in sample.truths)):
        found = _size(path, place, files)
        if found != size and not (
            what == "mask" and found == size[::-1] and orientation(open_picture(sample.image, False)) >= 5
        ):
            turned = ", when it stands upright" if found == size[::-1] else ""
            raise OtherSize(
                f"{place}: {what} {path} is {found[0]}x{found[1]} but its photo is {size[0]}x{size[1]}{turned}: "
                f"{'turn it as the photo stands' if turned else 'make them the same size'}"
            )
    return sample


def parse_row(row: Row, where: Path, place: str, files: FileIndex | None = None) -> Sample:
    """Check one row and that its pictures are there, without opening them.

    Raises:
        UserError: what is wrong, beginning with `place`, and what to do about it.
    """
    missing = [key for key in REQUIRED if key not in row]
    if missing:
        raise UserError(f"{place} has no {missing[0]!r}: every row needs {', '.join(REQUIRED)}")
    for key in ("text", "room_id"):
        if not is_text(row[key]) or (key == "room_id" and not row[key].strip()):
            raise UserError(f"{place}: {key!r} is {row[key]!a:.99}, not text: write it in quotes")
    kind = row.get("kind")
    if kind is not None and kind not in KINDS:
        raise UserError(f"{place}: 'kind' is {kind!a:.99}: write one of {', '.join(KINDS)}")
    color = _read_color(row["reference_color_rgb"], f"{place}: 'reference_color_rgb'")
    files = files or FileIndex()
    image = find_picture(where, row["file_name"], f"{place}: 'file_name'", files)
    mask = find_picture(where, row["mask_file_name"], f"{place}: 'mask_file_name'", files)
    truths = tuple(_read_truths(row.get("truths") or [], where, place, files))
    return Sample(image, mask, color, row["text"], row["room_id"], kind, truths, row["file_name"])


def _read_truths(truths: object, where: Path, place: str, files: FileIndex) -> Iterator[Truth]:
    """Check the `truths` of a row: [{"color": [R, G, B], "file_name": …}, …]."""
    if not isinstance(truths, list):
        raise UserError(f'{place}: \'truths\' is not a list of {{"color", "file_name"}}')
    for truth in truths:
        if not isinstance(truth, dict) or not {"color", "file_name"} <= truth.keys():
            raise UserError(f"{place}: a truth needs 'color' and 'file_name'")
        path = find_picture(where, truth["file_name"], f"{place}: a truth's 'file_name'", files)
        yield Truth(_read_color(truth["color"], f"{place}: a truth's 'color'"), path)


def _read_color(value: object, place: str) -> tuple[int, int, int]:
    """Turn [R, G, B] into a tuple of three bytes."""
    try:
        return Swatch(tuple(value)).rgb  # type: ignore[arg-type]  # Swatch checks what it is
    except (UserError, TypeError):
        raise UserError(f"{place} is {value!a:.99}: write three whole numbers from 0 to 255") from None


def _size(path: Path, place: str, files: FileIndex) -> tuple[int, int]:
    """Read a picture's size; an error names the row as well."""
    try:
        return files.size(path)
    except UserError as error:
        raise UserError(f"{place}: {error}") from None
