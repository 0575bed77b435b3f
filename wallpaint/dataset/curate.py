"""Keep a dataset in order: edit a sample, move a room to the other split, delete and take that back.

A row is written only when its pictures are there, and pictures go only when no row names them any more: a
reader that comes in between finds a whole dataset.
"""

import contextlib
import filecmp
import json
import secrets
import shutil
from pathlib import Path
from typing import Any

from PIL import Image

from wallpaint.dataset.folder import free_name, refuse_other_split
from wallpaint.dataset.metadata import SPLITS, Row, other_split, read_table, write_table
from wallpaint.dataset.names import find_picture, plain_name, tidy_room
from wallpaint.dataset.rows import Sample, parse_row, picture_names, read_row, rename_pictures
from wallpaint.dataset.saving import writing
from wallpaint.disk import atomic_path
from wallpaint.errors import UserError
from wallpaint.pixels.images import read_size
from wallpaint.pixels.mask_ops import two_valued

TRASH = ".deleted"
NAMES = ("file_name", "mask_file_name", "truths")  # what a row names its pictures by


def edit_sample(
    folder: str | Path, split: str, file_name: str, mask: Image.Image | None = None, **changes: Any
) -> Sample:
    """Change a sample's mask, `reference_color_rgb`, `text` or `room_id`; a room stays in one split.

    Raises:
        UserError: no such sample, or a change that the dataset's reader would refuse.
    """
    folder = Path(folder)
    where = folder / split
    with writing(folder):
        rows = read_table(folder, split)
        row = _find(rows, split, file_name)
        row.update({key: value for key, value in changes.items() if value is not None})
        if "room_id" in row:
            row["room_id"] = tidy_room(row["room_id"])
        sample = parse_row(row, where, file_name)
        row["reference_color_rgb"], old_mask = list(sample.color), row["mask_file_name"]
        refuse_other_split(folder, split, row["room_id"])
        if mask is not None:
            row["mask_file_name"] = _save_mask(where, row, mask)
        sample = read_row(row, where, file_name)
        write_table(where, rows)
        _drop_pictures(where, [old_mask], rows)
    return sample


def move_room(folder: str | Path, room_id: str, split: str) -> int:
    """Move all samples of a room into `split`; give how many moved.

    Raises:
        UserError: an unknown split, or no such room.
    """
    folder, room_id = Path(folder), tidy_room(room_id)
    if split not in SPLITS:
        raise UserError(f"split {split!r} is unknown, for room {room_id!r}, choose train or validation")
    source = other_split(split)
    with writing(folder):
        before, there = read_table(folder, source), read_table(folder, split)
        moving = [row for row in before if row.get("room_id") == room_id]
        if not moving:
            if any(row.get("room_id") == room_id for row in there):
                return 0
            raise UserError(f"no room {room_id!r}, in {folder.name}, choose one of the list")
        rest = [row for row in before if row.get("room_id") != room_id]
        moved: list[Row] = []
        try:
            for row in moving:
                if not any(_is_copy(row, folder / source, other, folder / split) for other in there):
                    moved.append(_copy_pictures(row, folder / source, folder / split))
            write_table(folder / split, [*there, *moved])
            write_table(folder / source, rest)
        except BaseException:
            _drop_pictures(folder / split, [name for row in moved for name in picture_names(row)], there)
            with contextlib.suppress(OSError):
                write_table(folder / split, there)
            raise
        _drop_pictures(folder / source, [name for row in moving for name in picture_names(row)], rest)
    return len(moving)


def delete_sample(folder: str | Path, split: str, file_name: str) -> str:
    """Take a sample out; give the name under which `undo_delete` finds it again."""
    folder = Path(folder)
    with writing(folder):
        rows = read_table(folder, split)
        row = _find(rows, split, file_name)
        name = f"{len(list((folder / TRASH).glob('*'))):05d}-{secrets.token_hex(4)}"
        trash = folder / TRASH / name
        copied = _copy_pictures(row, folder / split, trash)
        (trash / "row.json").write_text(json.dumps({"split": split, "row": copied}), "utf-8")
        rest = [one for one in rows if one is not row]
        write_table(folder / split, rest)
        _drop_pictures(folder / split, picture_names(row), rest)
    return name


def list_deleted(folder: str | Path) -> list[Path]:
    """Give what `undo_delete` can bring back, the newest last."""
    return sorted((Path(folder) / TRASH).glob("*/row.json"))


def undo_delete(folder: str | Path) -> Sample:
    """Bring back the sample deleted last.

    Raises:
        UserError: nothing was deleted, or its room is in the other split by now.
    """
    folder = Path(folder)
    with writing(folder):
        bins = list_deleted(folder)
        if not bins:
            raise UserError(f"nothing to bring back, in {folder.name}, no sample was deleted")
        deleted = json.loads(bins[-1].read_text("utf-8"))
        split, row = deleted["split"], deleted["row"]
        refuse_other_split(folder, split, row["room_id"])
        back = _copy_pictures(row, bins[-1].parent, folder / split)
        write_table(folder / split, [*read_table(folder, split), back])
        shutil.rmtree(bins[-1].parent)
    return read_row(back, folder / split, back["file_name"])


def _save_mask(where: Path, row: Row, mask: Image.Image) -> str:
    """Write a new mask for a row beside the old one; UserError when it is empty or of another size."""
    mask = two_valued(mask)
    if mask.size != read_size(find_picture(where, row["file_name"], "'file_name'")) or mask.getbbox() is None:
        raise UserError(f"the mask of {row['file_name']} is empty or of another size, mark the wall again")
    name = f"{free_name(where, str(row['room_id']))}_mask.png"
    with atomic_path(where / name) as temporary:
        mask.save(temporary)
    return name


def _find(rows: list[Row], split: str, file_name: str) -> Row:
    """Find a sample's row; UserError where there is none."""
    for row in rows:
        if row.get("file_name") == file_name:
            return row
    raise UserError(f"no sample {file_name!r}, in {split}, it may be deleted: look at the list again")


def _copy_pictures(row: Row, source: Path, target: Path) -> Row:
    """Copy a row's pictures into another folder; give the row under the names they have there."""
    parse_row(row, source, str(row.get("file_name")))  # a row that leads elsewhere, or to nothing, stays
    stem = free_name(target, str(row["room_id"]))

    endings = {row["file_name"]: "", row["mask_file_name"]: "_mask"}
    for number, truth in enumerate(row.get("truths") or []):
        endings.setdefault(truth["file_name"], f"_truth{number}")
    names = {name: f"{stem}{ending}{Path(name).suffix}" for name, ending in endings.items()}
    try:
        for name, new in names.items():
            with atomic_path(target / new) as temporary:
                shutil.copyfile(find_picture(source, name, "a picture"), temporary)
    except BaseException:
        for new in names.values():
            (target / new).unlink(missing_ok=True)
        raise
    return rename_pictures(row, names)


def _is_copy(row: Row, where: Path, other: Row, there: Path) -> bool:
    """Whether a move that was killed has copied a row already: all is alike but the names of its pictures."""
    bare, other_bare = ({key: value for key, value in one.items() if key not in NAMES} for one in (row, other))
    pairs = list(zip(picture_names(row), picture_names(other), strict=False))
    return bare == other_bare and all(
        filecmp.cmp(find_picture(where, a, "a picture"), find_picture(there, b, "a picture"), shallow=False)
        for a, b in pairs
    )


def _drop_pictures(where: Path, names: list[str], rest: list[Row]) -> None:
    """Delete the pictures of rows that are gone, but those that other rows name as well.

    Names are compared without case, so that where case does not count no row loses its picture.
    """
    needed = {plain_name(name).casefold() for row in rest for name in picture_names(row)}
    for name in names:
        if plain_name(name).casefold() not in needed:
            with contextlib.suppress(UserError):  # it is gone already
                find_picture(where, name, "a picture").unlink()
