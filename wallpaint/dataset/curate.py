"""Keep a dataset in order: edit a sample, move a room to the other split, delete and take that back.

A row is written only when its pictures are there, and pictures go only when no row names them any more: a
reader that comes in between finds a whole dataset.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
from pathlib import Path
from typing import Any

from PIL import Image

from wallpaint.dataset.folder import WRITING, free_name
from wallpaint.dataset.rows import SPLITS, Sample, iterate_rows, read_row
from wallpaint.errors import UserError
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import atomic_path, read_size

TRASH = ".deleted"
Row = dict[str, Any]


def read_table(folder: str | Path, split: str) -> list[Row]:
    """Read the rows of a split as they are; none where there is no such split."""
    metadata = Path(folder) / split / "metadata.jsonl"
    return [row for _, row in iterate_rows(metadata)] if metadata.is_file() else []


def edit_sample(
    folder: str | Path, split: str, file_name: str, mask: Image.Image | None = None, **changes: Any
) -> Sample:
    """Change a sample's mask, `reference_color_rgb`, `text` or `room_id`; a room stays in one split.

    Raises:
        UserError: no such sample, or a change that the dataset's reader would refuse.
    """
    folder = Path(folder)
    with WRITING:
        rows = read_table(folder, split)
        row = _find(rows, split, file_name)
        row.update({key: value for key, value in changes.items() if value is not None})
        row["reference_color_rgb"] = list(Swatch(tuple(row["reference_color_rgb"])).rgb)
        row["room_id"] = str(row["room_id"]).strip()
        other = SPLITS[1 - SPLITS.index(split)]
        if any(one.get("room_id") == row["room_id"] for one in read_table(folder, other)):
            raise UserError(f"room {row['room_id']!r} is in {other}, {file_name}, choose another name")
        before = dict(row)
        if mask is not None:
            row["mask_file_name"] = _save_mask(folder / split, row, mask)
        sample = read_row(row, folder / split, file_name)
        _write_table(folder, split, rows)
        if mask is not None:
            _drop_pictures(folder / split, [{**before, "file_name": before["mask_file_name"]}], rows)
    return sample


def move_room(folder: str | Path, room_id: str, split: str) -> int:
    """Move all samples of a room into `split`; give how many moved.

    Raises:
        UserError: an unknown split, or no such room.
    """
    folder = Path(folder)
    if split not in SPLITS:
        raise UserError(f"split {split!r} is unknown, for room {room_id!r}, choose train or validation")
    source = SPLITS[1 - SPLITS.index(split)]
    with WRITING:
        stay, there = read_table(folder, source), read_table(folder, split)
        moving = [row for row in stay if row.get("room_id") == room_id]
        if not moving:
            if any(row.get("room_id") == room_id for row in there):
                return 0
            raise UserError(f"no room {room_id!r}, in {folder.name}, choose one of the list")
        stay = [row for row in stay if row not in moving]
        moved = [_copy_pictures(row, folder / source, folder / split) for row in moving]
        _write_table(folder, split, [*there, *moved])
        _write_table(folder, source, stay)
        _drop_pictures(folder / source, moving, stay)
    return len(moving)


def delete_sample(folder: str | Path, split: str, file_name: str) -> str:
    """Take a sample out; give the name under which `undo_delete` finds it again."""
    folder = Path(folder)
    with WRITING:
        rows = read_table(folder, split)
        row = _find(rows, split, file_name)
        name = f"{len(list((folder / TRASH).glob('*'))):05d}-{secrets.token_hex(4)}"
        bin_ = folder / TRASH / name
        kept = _copy_pictures(row, folder / split, bin_)
        (bin_ / "row.json").write_text(json.dumps({"split": split, "row": kept}), "utf-8")
        rest = [one for one in rows if one is not row]
        _write_table(folder, split, rest)
        _drop_pictures(folder / split, [row], rest)
    return name


def undo_delete(folder: str | Path) -> Sample:
    """Bring back the sample deleted last.

    Raises:
        UserError: nothing was deleted, or its room is in the other split by now.
    """
    folder = Path(folder)
    with WRITING:
        bins = sorted((folder / TRASH).glob("*/row.json"))
        if not bins:
            raise UserError(f"nothing to bring back, in {folder.name}, no sample was deleted")
        said = json.loads(bins[-1].read_text("utf-8"))
        split, row = said["split"], said["row"]
        other = SPLITS[1 - SPLITS.index(split)]
        if any(one.get("room_id") == row["room_id"] for one in read_table(folder, other)):
            raise UserError(f"room {row['room_id']!r} is in {other} by now, move it back first")
        back = _copy_pictures(row, bins[-1].parent, folder / split)
        _write_table(folder, split, [*read_table(folder, split), back])
        shutil.rmtree(bins[-1].parent)
    return read_row(back, folder / split, back["file_name"])


def _save_mask(folder: Path, row: Row, mask: Image.Image) -> str:
    """Write a new mask for a row beside the old one; UserError when it is empty or of another size."""
    if mask.size != read_size(folder / row["file_name"]) or mask.getbbox() is None:
        raise UserError(f"the mask of {row['file_name']} is empty or of another size, mark the wall again")
    name = f"{free_name(folder, str(row['room_id']))}_mask.png"
    with atomic_path(folder / name) as temporary:
        mask.convert("L").point([0] * 128 + [255] * 128).save(temporary)
    return name


def _find(rows: list[Row], split: str, file_name: str) -> Row:
    """Find a sample's row; UserError where there is none."""
    for row in rows:
        if row.get("file_name") == file_name:
            return row
    raise UserError(f"no sample {file_name!r}, in {split}, it may be deleted: look at the list again")


def picture_names(row: Row) -> list[str]:
    """Name the files of a row."""
    truths = [truth["file_name"] for truth in row.get("truths") or []]
    return [row["file_name"], row["mask_file_name"], *truths]


def _copy_pictures(row: Row, source: Path, target: Path) -> Row:
    """Copy a row's pictures into another folder; give the row under the names they have there."""
    target.mkdir(parents=True, exist_ok=True)
    stem = free_name(target, str(row["room_id"]))

    def copy(name: str, ending: str) -> str:
        path = target / f"{stem}{ending}{Path(name).suffix}"
        _find_inside(source, name)
        with atomic_path(path) as temporary:
            shutil.copyfile(source / name, temporary)
        return path.name

    photo, mask = copy(row["file_name"], ""), copy(row["mask_file_name"], "_mask")
    new: Row = {**row, "file_name": photo, "mask_file_name": mask}
    if row.get("truths"):
        new["truths"] = [
            {**truth, "file_name": copy(truth["file_name"], f"_truth{number}")}
            for number, truth in enumerate(row["truths"])
        ]
    return new


def _find_inside(folder: Path, name: str) -> None:
    """Refuse a row that names a file elsewhere: it would be copied, or deleted."""
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{name!r} leads out of {folder.name}, mend its row in metadata.jsonl")


def _drop_pictures(folder: Path, gone: list[Row], rest: list[Row]) -> None:
    """Delete the pictures of rows that are gone, but those that other rows name as well."""
    needed = {name for row in rest for name in picture_names(row)}
    for name in {name for row in gone for name in picture_names(row)} - needed:
        _find_inside(folder, name)
        with contextlib.suppress(FileNotFoundError):
            (folder / name).unlink()


def _write_table(folder: Path, split: str, rows: list[Row]) -> None:
    """Write a split's rows whole; a split without rows has no file."""
    metadata = folder / split / "metadata.jsonl"
    if not rows:
        metadata.unlink(missing_ok=True)
        return
    with atomic_path(metadata) as temporary:
        temporary.write_text(dump_rows(rows), "utf-8")


def dump_rows(rows: list[Row]) -> str:
    """Write rows as the text of a metadata.jsonl."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
