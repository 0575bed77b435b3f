"""The lower half of tab 1: rooms kept as training samples, the list of them, and what the doctor says."""

from __future__ import annotations

import secrets
from pathlib import Path

from wallpaint.dataset import curate, zips
from wallpaint.dataset import folder as dataset
from wallpaint.errors import UserError
from wallpaint.pixels.images import load_mask
from wallpaint.ui.board import pictures as canvas
from wallpaint.ui.board.calls import FIRST_PAINT
from wallpaint.ui.dataset.checkup import write_checkup
from wallpaint.ui.dataset.roll import save_walls
from wallpaint.ui.page import check_name, plain_name, read_paint
from wallpaint.ui.words.words import t

DATASET = "my-rooms"
Key = tuple[str, str]  # a sample: its split and its photo's file name


def save_sample(
    workspace: Path, picture: canvas.Picture | None, name: str, split: str, room: str, text: str, language: str
) -> str:
    """Write every marked wall into the dataset, or mend the sample that was opened; give the message."""
    if picture is None:
        raise UserError(t("no_photo", language))
    folder = dataset_folder(workspace, name, language)
    if canvas.save_photo_mask(picture) is None:
        raise UserError(t("no_mask", language))
    if picture.get("mends") and Path(picture["mends"][0]) == folder:
        _, split, file_name = picture["mends"]
        mask = load_mask(canvas.save_photo_mask(picture)[1])  # type: ignore[index]  # it is there, see above
        walls, active = canvas.read_walls(picture["folder"])
        color = list(read_paint(walls[active].now).rgb)
        curate.edit_sample(folder, split, file_name, mask, reference_color_rgb=color)
        return t("mended", language, file=file_name, dataset=folder.name)
    count = save_walls(folder, picture, split, room, text)
    return say_saved(folder, count, language)


def say_saved(folder: Path, count: int, language: str) -> str:
    """Say how many samples came and what the dataset holds now."""
    rows = {part: len(found) for part, found in saved_samples(folder).items()}
    return t("saved", language, count=count, dataset=folder.name, **rows)


def dataset_folder(workspace: Path, name: str, language: str) -> Path:
    """Where the named dataset is; UserError for a name that leads elsewhere."""
    return workspace / "datasets" / check_name(name, "dataset", language)


def list_datasets(workspace: Path) -> list[str]:
    """Name the datasets of the workspace, the usual one among them."""
    found = {p.name for p in (workspace / "datasets").glob("*") if p.is_dir() and not p.name.startswith(".")}
    return sorted({DATASET, *found})


def saved_samples(folder: Path) -> dict[str, list[dataset.Sample]]:
    """Read the rows of both splits that can be read; the doctor tells of the others."""
    return {split: dataset.list_samples(folder, split)[0] for split in dataset.SPLITS}


def show_dataset(workspace: Path, name: str, language: str) -> tuple:
    """Give (gallery, keys of what it shows, the checkup), newest first."""
    folder = dataset_folder(workspace, name, language)
    found = saved_samples(folder)
    rows = [(split, sample) for split in dataset.SPLITS for sample in found[split]][::-1]
    shown = []
    for split, sample in rows[:300]:
        image = canvas.thumbnail(sample.image, 240)
        mask = load_mask(sample.mask).resize(image.size).point(lambda value: 255 * (value >= 128))
        caption = f"{sample.room_id} · {write_color(sample)} · {t('split_' + split, language)}"
        shown.append((canvas.draw_overlay(image, mask), caption))
    keys = [(split, sample.file_name) for split, sample in rows[:300]]
    return shown, keys, write_checkup(folder, found, language)


def write_color(sample: dataset.Sample) -> str:
    """A sample's paint as '#7A9E7E'."""
    return f"#{bytes(sample.color).hex().upper()}"


def read_sample(workspace: Path, name: str, key: Key | None, language: str) -> dataset.Sample:
    """Read the chosen sample; UserError when none is chosen or it is gone."""
    folder = dataset_folder(workspace, name, language)
    if key is not None:
        for row in dataset.read_table(folder, key[0]):
            if row.get("file_name") == key[1]:
                return dataset.read_row(row, folder / key[0], key[1])
    raise UserError(t("no_sample", language))


def open_saved(workspace: Path, name: str, key: Key | None, language: str) -> canvas.Picture:
    """Open a saved sample on the board, to mark it again; saving then mends it."""
    sample = read_sample(workspace, name, key, language)
    wall = canvas.Wall("", write_color(sample), FIRST_PAINT, chosen=True)
    picture = canvas.open_marked(sample.image, sample.mask, workspace, sample.room_id, wall)
    folder = dataset_folder(workspace, name, language)
    return {**picture, "mends": [str(folder), *(key or ())]}


def export_dataset(workspace: Path, name: str, language: str) -> str:
    """Zip the dataset to where results are served from; give the file."""
    folder = dataset_folder(workspace, name, language)
    out = workspace / "results" / f"export-{secrets.token_hex(12)}" / f"{folder.name}.zip"
    return str(zips.export_zip(folder, out))


def import_dataset(workspace: Path, path: str | Path) -> tuple[str, dict[str, int]]:
    """Unpack a zip as a new dataset named after it; give (its name, its samples)."""
    name = plain_name(Path(path).stem) or DATASET
    return name, zips.import_zip(path, workspace / "datasets" / name)
