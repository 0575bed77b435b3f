"""A split's metadata: where it is, its rows read line by line, and written whole.

A split is a folder with `metadata.jsonl` (or `metadata.csv`, which an imagefolder may have instead) and the
pictures in it or below it. What a row has to say is checked in rows.py.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wallpaint.dataset.names import is_text, tidy_room
from wallpaint.disk import atomic_path
from wallpaint.errors import UserError
from wallpaint.pixels.color_cells import color_in
from wallpaint.pixels.plain_text import keys_once

SPLITS = ("train", "validation")
# As `datasets` has it.
ALIASES = {"training": "train", "val": "validation", "valid": "validation", "dev": "validation"}
METADATA = ("metadata.jsonl", "metadata.csv")  # the first that is there is read; metadata.jsonl is written
REQUIRED = ("file_name", "mask_file_name", "reference_color_rgb", "text", "room_id")
MAX_LINE = 1_000_000  # characters; a row is about 200, and a file without line ends must not fill the memory
Row = dict[str, Any]


def other_split(split: str) -> str:
    """Name the split that this one is not."""
    return SPLITS[1 - SPLITS.index(split)]


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
    there = sorted(path.name for path in where.iterdir()) if where.is_dir() else []
    other = "".join(f", {name} is not read" for name in [n for n in there if n.lower().startswith("metadata.")][:1])
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
    if sum((where / name).is_file() for name in METADATA) > 1:
        raise UserError(f"{where} has {' and '.join(METADATA)}: keep the one that is right")
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
            row = json.loads(line, object_pairs_hook=keys_once)
            line.encode()
        except UserError as error:
            yield number, str(error)
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
    reader = csv.DictReader(file, delimiter=delimiter, skipinitialspace=True)
    reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
    if twice := [name for name, count in Counter(reader.fieldnames).items() if name and count > 1]:
        yield 1, f"has {twice[0][:80]!r} twice: keep one"
        return
    for cells in reader:
        if any(cells.get(None) or []):  # type: ignore[call-overload]  # else its columns would be others'
            yield reader.line_num, "has more cells than the first line: put a text with a separator into quotes"
            continue
        row: Row = {key: cell for key, cell in cells.items() if key and cell is not None}
        if not all(map(is_text, row.values())):
            yield reader.line_num, "is not UTF-8 text: save the file again as UTF-8"
            continue
        try:
            for key in ("reference_color_rgb", "truths"):
                if row.get(key):
                    color = color_in(row[key])
                    row[key] = list(color.rgb) if color else json.loads(row[key])
        except (ValueError, RecursionError):
            yield reader.line_num, f"has a {key!r} that is not JSON: write it as [122, 158, 126]"
            continue
        yield reader.line_num, tidy_row({key: cell for key, cell in row.items() if cell != "" or key in REQUIRED})


def tidy_row(row: Row) -> Row:
    """Give a room one name, however its accents are composed and its spaces set; a colour of 122.0 is one of 122."""
    color = row.get("reference_color_rgb")
    if isinstance(color, list) and all(type(value) is float and value.is_integer() for value in color):
        row["reference_color_rgb"] = (
            [int(v) for v in color] if max(color, default=0) > 1 else color
        )  # 1.0: perhaps all
    if isinstance(row.get("room_id"), str) and row["room_id"].strip():
        row["room_id"] = tidy_room(row["room_id"])
    return row


def read_table(folder: str | Path, split: str) -> list[Row]:
    """Read the rows of a split as they are; none where there is no such split."""
    where = Path(folder) / split
    return [row for _, row in iterate_rows(where)] if find_metadata(where).is_file() else []


def write_table(where: Path, rows: list[Row]) -> None:
    """Write a split's rows whole, as metadata.jsonl; a split without rows has no file."""
    before = find_metadata(where)
    if rows:
        with atomic_path(where / METADATA[0]) as temporary:
            temporary.write_text(dump_rows(rows), "utf-8")
    if before.name != METADATA[0]:
        before.rename(before.with_name(f"{before.name}.old"))  # an imagefolder has one of the two
    elif not rows:
        before.unlink(missing_ok=True)


def dump_rows(rows: list[Row]) -> str:
    """Write rows as the text of a metadata.jsonl."""
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    # Half a surrogate pair, which JSON may hold in a column we do not know, can only be written escaped.
    return "".join((line if is_text(line) else json.dumps(json.loads(line))) + "\n" for line in lines)


def append_row(where: Path, row: Row) -> None:
    """Add a row by writing the whole file anew beside it and renaming; what the others say stays as it is."""
    metadata = find_metadata(where)
    if metadata.name != METADATA[0]:
        return write_table(where, [*(row for _, row in iterate_rows(where)), row])
    before = metadata.read_bytes() if metadata.exists() else b""
    if before.startswith((b"\xff\xfe", b"\xfe\xff")):
        before = before.decode("utf-16").encode()
    before += b"\n" if before and not before.endswith(b"\n") else b""
    with atomic_path(metadata) as temporary:
        temporary.write_bytes(before + dump_rows([row]).encode())
