"""A row of a dataset: read from its metadata, checked with the pictures it names.

A split is a folder with `metadata.jsonl` (or `metadata.csv`, which an imagefolder may have instead) and the
pictures in it or below it. Names are found on disk in whichever form of Unicode they have there.
"""

from __future__ import annotations

import csv
import json
import os
import posixpath
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize
from urllib.parse import quote, unquote

from wallpaint.errors import UserError
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import read_size
from wallpaint.pixels.photo_files import open_picture, orientation

SPLITS = ("train", "validation")
ALIASES = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
}  # as `datasets` has it
METADATA = ("metadata.jsonl", "metadata.csv")  # the first that is there is read; metadata.jsonl is written
KINDS = ("plain", "dark", "patterned", "accent")
REQUIRED = ("file_name", "mask_file_name", "reference_color_rgb", "text", "room_id")
MAX_LINE = 1_000_000  # characters; a row is about 200, and a file without line ends must not fill the memory
SURROGATE = re.compile("[\ud800-\udfff]")
# An absolute path, of whichever system, or '..' anywhere in it; on Windows 'C:x' is one too.
DRIVE = "[A-Za-z]:" if os.name == "nt" else r"[A-Za-z]:[/\\]"
LEADS_OUT = re.compile(rf"^[/\\]|^{DRIVE}|(^|[/\\])\.\.([/\\]|$)")
Row = dict[str, Any]
SizeOf = Callable[[Path], tuple[int, int]]


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


def find_metadata(where: Path) -> Path:
    """Find a split's metadata; where there is none, the path at which it should be."""
    return next((where / name for name in METADATA if (where / name).is_file()), where / METADATA[0])


def find_splits(folder: str | Path) -> list[str]:
    """Name the splits of a dataset that have metadata."""
    return [split for split in SPLITS if find_metadata(Path(folder) / split).is_file()]


def find_unread(folder: str | Path) -> list[str]:
    """Name the folders of a dataset that have metadata and are none of SPLITS."""
    there = {path.parent.name for name in METADATA for path in Path(folder).glob(f"[!.]*/{name}")}
    return sorted(there - {*SPLITS})


def explain_missing(where: Path) -> str:
    """Say what stands where a split without metadata was looked for, and what to give."""
    other = "".join(f", {path.name} is not read" for path in list(where.glob("metadata.*"))[:1])
    remedy = "give a dataset folder with a metadata.jsonl in it"
    if where.name in SPLITS:
        other += "".join(f", {name}/ is not read" for name in find_unread(where.parent))
        if find_metadata(where.parent).is_file():
            remedy = f"{where.parent} has rows of its own, give the folder above it, and call it {where.name}"
        elif where.parent.is_file():
            remedy = f"{where.parent} is a file, unzip it and give the folder"
    elif splits := find_splits(where):
        remedy = f"give {' or '.join(str(where / split) for split in splits)}"
    return f"{other}: {remedy}"


def scan_rows(where: Path) -> Iterator[tuple[str, Row | UserError]]:
    """Yield ('FILE row N', row or what is wrong with it) of a split; empty lines count as lines alone.

    Raises:
        UserError: the file is missing or no text at all.
    """
    metadata = find_metadata(where)
    if not metadata.is_file():
        raise UserError(f"{metadata} does not exist{explain_missing(where)}")
    with open(metadata, "rb") as raw:
        wide = raw.read(2) in (b"\xff\xfe", b"\xfe\xff")  # as PowerShell redirects
    # Bytes that are no UTF-8 come as lone surrogates, so that each spoils its own row alone.
    encoding, errors = ("utf-16", "strict") if wide else ("utf-8-sig", "surrogateescape")
    read = _scan_csv if metadata.suffix == ".csv" else _scan_json
    try:
        with open(
            metadata, encoding=encoding, errors=errors, newline="" if metadata.suffix == ".csv" else None
        ) as file:
            for number, row in read(file):
                place = f"{metadata} row {number}"
                yield place, UserError(f"{place} {row}") if isinstance(row, str) else row
    except UnicodeError:
        raise UserError(f"{metadata} is not UTF-8 text: save it again as UTF-8") from None
    except csv.Error as error:
        raise UserError(f"{metadata} is no CSV ({error}): save it again, or as metadata.jsonl") from None


def iterate_rows(where: Path) -> Iterator[tuple[str, Row]]:
    """Yield ('FILE row N', row) of a split; UserError at the first that cannot be read."""
    for place, row in scan_rows(where):
        if isinstance(row, UserError):
            raise row
        yield place, row


def _scan_json(file: Any) -> Iterator[tuple[int, Row | str]]:
    """Give each line's number and its object, or the words for what it is instead."""
    for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), ""), start=1):
        if len(line) == MAX_LINE:
            yield number, "is longer than a row can be: write one JSON object a line"
            return
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            line.encode()
        except UnicodeEncodeError:
            yield number, "is not UTF-8 text: save the file again as UTF-8"
        except (ValueError, RecursionError) as error:  # ValueError: also a number of 5,000 digits
            reason = getattr(error, "msg", "nested too deeply or a number too long")
            yield number, f"is not JSON ({reason}): write one JSON object a line"
        else:
            yield number, tidy_row(row) if isinstance(row, dict) else "is not a JSON object: write one a line"


def _scan_csv(file: Any) -> Iterator[tuple[int, Row | str]]:
    """Give each row's line number and the row; colours and truths stand as JSON in their cells."""
    delimiter = max(",;\t", key=file.readline().count)  # spreadsheets write the one of their country
    file.seek(0)
    reader = csv.DictReader(file, delimiter=delimiter)
    for cells in reader:
        row: Row = {key: cell for key, cell in cells.items() if key and cell is not None}
        try:
            for key in ("reference_color_rgb", "truths"):
                if row.get(key):
                    row[key] = json.loads(row[key])
        except (ValueError, RecursionError):
            yield reader.line_num, f"has a {key!r} that is not JSON: write it as [122, 158, 126]"
            continue
        yield reader.line_num, tidy_row({key: cell for key, cell in row.items() if cell != "" or key in REQUIRED})


def tidy_row(row: Row) -> Row:
    """Give a room one name, however its accents are composed and its spaces set."""
    if isinstance(row.get("room_id"), str) and row["room_id"].strip():
        row["room_id"] = tidy_room(row["room_id"])
    return row


def tidy_text(text: object) -> str:
    """Set single spaces, and escape what UTF-8 cannot write (names of files that are not UTF-8)."""
    return " ".join(str(text).encode("utf-8", "backslashreplace").decode().split())


def tidy_room(name: object) -> str:
    """Give a room's name in one form: accents composed (NFC), single spaces."""
    return normalize("NFC", tidy_text(name))


def plain_name(name: str) -> str:
    """Write a file's name with slashes and composed accents, as rows compare."""
    return posixpath.normpath(normalize("NFC", name.replace("\\", "/")))


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


def read_row(row: Row, where: Path, place: str, size_of: SizeOf = read_size) -> Sample:
    """Check one row and the headers of its pictures: they must be pictures, and of the photo's size.

    A mask may fit the photo as it is stored, without its EXIF orientation: `load_mask` turns it.
    `size_of` reads a header, or remembers it, see `FileIndex`.
    """
    sample = parse_row(row, where, place)
    size = _size(sample.image, place, size_of)
    for what, path in (("mask", sample.mask), *(("truth", truth.image) for truth in sample.truths)):
        found = _size(path, place, size_of)
        if found != size and not (
            what == "mask" and found == size[::-1] and orientation(open_picture(sample.image, False)) >= 5
        ):
            turned = ", when it stands upright" if found == size[::-1] else ""
            raise UserError(
                f"{place}: {what} {path} is {found[0]}x{found[1]} but its photo is {size[0]}x{size[1]}{turned}: "
                f"{'turn it as the photo stands' if turned else 'make them the same size'}"
            )
    return sample


def parse_row(row: Row, where: Path, place: str) -> Sample:
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
    image = find_picture(where, row["file_name"], f"{place}: 'file_name'")
    mask = find_picture(where, row["mask_file_name"], f"{place}: 'mask_file_name'")
    truths = tuple(_read_truths(row.get("truths") or [], where, place))
    return Sample(image, mask, color, row["text"], row["room_id"], kind, truths, row["file_name"])


def _read_truths(truths: object, where: Path, place: str) -> Iterator[Truth]:
    """Check the `truths` of a row: [{"color": [R, G, B], "file_name": …}, …]."""
    if not isinstance(truths, list):
        raise UserError(f'{place}: \'truths\' is not a list of {{"color", "file_name"}}')
    for truth in truths:
        if not isinstance(truth, dict) or not {"color", "file_name"} <= truth.keys():
            raise UserError(f"{place}: a truth needs 'color' and 'file_name'")
        path = find_picture(where, truth["file_name"], f"{place}: a truth's 'file_name'")
        yield Truth(_read_color(truth["color"], f"{place}: a truth's 'color'"), path)


def _read_color(value: object, place: str) -> tuple[int, int, int]:
    """Turn [R, G, B] into a tuple of three bytes."""
    try:
        return Swatch(tuple(value)).rgb  # type: ignore[arg-type]  # Swatch checks what it is
    except (UserError, TypeError):
        raise UserError(f"{place} is {value!a:.99}: write three whole numbers from 0 to 255") from None


def is_text(value: object) -> bool:
    """Whether this is text that can be written: JSON may hold half of a surrogate pair."""
    return isinstance(value, str) and (value.isascii() or not SURROGATE.search(value))


def check_name(where: Path, name: object, place: str) -> str:
    """Give a file's name of a row; UserError for what is none, or leads out of the folder by its words."""
    if not is_text(name) or not name or "\0" in str(name):
        raise UserError(f"{place} is {name!a:.99}: write the name of a file in {where}")
    name = str(name)
    if LEADS_OUT.search(name):
        raise UserError(f"{place} {name!r} leads out of {where}: keep every picture inside the folder")
    return name


def find_picture(where: Path, name: object, place: str) -> Path:
    """Find a file of a row in the split's folder or below, out of which no link may lead.

    Backslashes of Windows are slashes, unless the very name is there; accents may be composed or not, and
    letters written as on the web (`%20`) here and not there.

    Raises:
        UserError: no name, one that leads out, or no such file.
    """
    name = check_name(where, name, place)
    path = os.path.join(where, name)
    try:  # of a million rows nearly all name a plain file beside them: one question to the system, not four
        if "/" not in name and stat.S_ISREG(os.lstat(path).st_mode):
            return where / name
    except OSError:
        pass
    if not os.path.lexists(path):
        path = str(where)
        for part in name.replace("\\", "/").split("/"):
            forms = [os.path.join(path, form) for form in other_names(part)]
            path = next(filter(os.path.lexists, forms), forms[0])
    links, folder = [path], os.path.dirname(path)
    while len(folder) > len(str(where)):
        links.append(folder)
        folder = os.path.dirname(folder)
    if any(map(os.path.islink, links)) and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(where)):
        raise UserError(f"{place} {name!r} leads out of {where}: keep every picture inside the folder")
    if not os.path.isfile(path):  # not Path's own, which raises where a name is too long
        raise UserError(f"{place}: image {path} does not exist: bring it, or delete the row")
    return Path(path)


def other_names(name: str) -> list[str]:
    """Give the ways in which one name is written, itself first: accents composed or not, plain or as on the web."""
    plain = unquote(name)
    if "\0" in plain or LEADS_OUT.search(plain) or SURROGATE.search(plain):
        plain = name
    return [name, *(normalize(form, way) for way in (name, plain, quote(plain)) for form in ("NFC", "NFD"))]


def _size(path: Path, place: str, size_of: SizeOf) -> tuple[int, int]:
    """Read a picture's size; an error names the row as well."""
    try:
        return size_of(path)
    except UserError as error:
        raise UserError(f"{place}: {error}") from None
