"""Rooms saved as training samples: writing them, listing them a page at a time, opening one again, zips."""

import itertools
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from wallpaint.dataset import curate, zips
from wallpaint.dataset.folder import list_samples
from wallpaint.dataset.metadata import SPLITS, read_table
from wallpaint.dataset.rows import Sample, read_row
from wallpaint.disk import locked
from wallpaint.errors import UserError
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import read_size
from wallpaint.ui.board import pictures
from wallpaint.ui.board.walls import Wall, read_walls, wall_mask
from wallpaint.ui.dataset.findings import draw_findings
from wallpaint.ui.dataset.photos import save_walls
from wallpaint.ui.gallery import draw_sample
from wallpaint.ui.page import check_name, plain_name, read_paint
from wallpaint.ui.words.words import t

DATASET = "my-rooms"
PER_PAGE = 60  # samples shown at once
CHECKED_UNASKED = 100  # samples up to which the doctor looks at them each time the list is shown, 10 ms each
Key = tuple[str, str]  # a sample: its split and its photo as the row names it


class Listing(NamedTuple):
    """A page of a dataset's list, newest first."""

    shown: list[tuple[Image.Image, str]]  # (picture, caption)
    keys: list[Key]
    pages: int
    checkup: str  # HTML


def save_sample(
    workspace: Path, picture: pictures.Picture | None, name: str, split: str, room: str, text: str, language: str
) -> str:
    """Write every marked wall into the dataset, or mend the sample that was opened; give the message."""
    if picture is None:
        raise UserError(t("no_photo", language))
    folder = dataset_folder(workspace, name, language)
    walls, working = read_walls(picture["folder"])[0], Path(picture["folder"])
    mends = picture.get("mends") and Path(picture["mends"][0]) == folder
    if not any(wall.mask for wall in (walls[:1] if mends else walls)):
        raise UserError(t("no_mask", language))
    if not mends:
        return say_saved(folder, save_walls(folder, working, split, room, text), language)
    # The first wall is the sample that was opened; those added to it are new ones.
    _, split, file_name = picture["mends"]
    mask = wall_mask(working, walls[0], read_size(working / "photo.png"))
    color = list(read_paint(walls[0].now).rgb)
    curate.edit_sample(folder, split, file_name, mask, reference_color_rgb=color)
    message = t("mended", language, file=file_name, dataset=folder.name)
    added = save_walls(folder, working, split, room, text, first=1)
    return f"{message} {say_saved(folder, added, language)}" if added else message


def say_saved(folder: Path, count: int, language: str) -> str:
    """Say how many samples came and what the dataset holds now."""
    rows = {split: len(list_samples(folder, split)[0]) for split in SPLITS}
    return t("saved", language, count=count, dataset=folder.name, **rows)


def dataset_folder(workspace: Path, name: str, language: str) -> Path:
    """Where the named dataset is; UserError for a name that leads elsewhere."""
    return workspace / "datasets" / check_name(name, language)


def list_datasets(workspace: Path) -> list[str]:
    """Name the datasets of the workspace, the usual one among them."""
    found = {p.name for p in (workspace / "datasets").glob("*") if p.is_dir() and not p.name.startswith(".")}
    return sorted({DATASET, *found})


def show_dataset(workspace: Path, name: str, language: str, page: int = 1, check: bool = False) -> Listing:
    """List a page of a dataset; rows that cannot be read are the doctor's, who looks at a large one if asked."""
    folder = dataset_folder(workspace, name, language)
    samples = {split: list_samples(folder, split)[0] for split in SPLITS}
    rows = [(split, sample) for split in SPLITS for sample in samples[split]][::-1]
    pages = max(1, -(-len(rows) // PER_PAGE))
    first = (min(max(1, int(page or 1)), pages) - 1) * PER_PAGE
    shown, keys = [], []
    for split, sample in rows[first : first + PER_PAGE]:
        try:
            picture = draw_sample(sample.image, sample.mask, 240)
        except (UserError, OSError):  # the doctor says why
            picture = Image.new("RGB", (240, 240), "gray")
        held = f"{t('split_validation', language)} · " if split == "validation" else ""
        shown.append((picture, held + sample.room_id))
        keys.append((split, sample.file_name))
    check = check or len(rows) <= CHECKED_UNASKED
    return Listing(shown, keys, pages, draw_findings(folder, samples, language, check))


def read_sample(workspace: Path, name: str, key: Sequence[str] | None, language: str) -> Sample:
    """Read the chosen sample; UserError when none is chosen or it is gone."""
    folder = dataset_folder(workspace, name, language)
    if key is not None:
        for row in read_table(folder, key[0]):
            if row.get("file_name") == key[1]:
                return read_row(row, folder / key[0], key[1])
    raise UserError(t("no_sample", language))


def open_saved(workspace: Path, name: str, key: Sequence[str] | None, language: str) -> pictures.Picture:
    """Open a saved sample on the board, to mark it again; saving then mends it."""
    sample = read_sample(workspace, name, key, language)
    wall = Wall(now=Swatch(sample.color).hex, chosen=True)
    picture = pictures.open_marked(sample.image, sample.mask, workspace, sample.room_id, wall)
    folder = dataset_folder(workspace, name, language)
    return {**picture, "mends": [str(folder), *(key or ())]}


def export_dataset(workspace: Path, name: str, language: str) -> str:
    """Zip the dataset to where results are served from; give the file."""
    folder = dataset_folder(workspace, name, language)
    out = workspace / "results" / f"export-{secrets.token_hex(12)}" / f"{folder.name}.zip"
    out.parent.mkdir(parents=True)
    with locked(out.parent):  # by which `clear_old` sees that somebody is at work there
        return str(zips.export_zip(folder, out))


def import_dataset(workspace: Path, path: str | Path, language: str) -> tuple[str, str]:
    """Unpack a zip as a new dataset named after it; give (its name, what to say)."""
    stem, left_out = plain_name(Path(path).stem) or DATASET, list[str]()
    names = (f"{stem}-{number}" if number > 1 else stem for number in itertools.count(1))
    name = next(name for name in names if not (workspace / "datasets" / name).exists())
    counts = zips.import_zip(path, workspace / "datasets" / name, left_out.append)
    message = t("imported_zip", language, dataset=name, **{split: counts.get(split, 0) for split in SPLITS})
    return name, message + (t("imported_without", language, folders=", ".join(left_out)) if left_out else "")
