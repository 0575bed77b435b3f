"""Datasets as zips: out with what their rows name, in with nothing that has no place in a dataset."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path

from wallpaint.dataset.curate import dump_rows, picture_names, read_table
from wallpaint.dataset.folder import read_samples
from wallpaint.dataset.rows import SPLITS, read_row
from wallpaint.errors import UserError
from wallpaint.pixels.images import atomic_path

MAX_FILES, MAX_BYTES, MAX_FILE_BYTES = 20_000, 4_000_000_000, 200_000_000
MAX_RATIO = 100  # pictures hardly shrink in a zip; what grows more than this is a bomb


def export_zip(folder: str | Path, path: str | Path) -> Path:
    """Write both splits, and only what their rows name, as a zip; UserError when there is nothing."""
    folder, count = Path(folder), 0
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for split in SPLITS:
            rows = read_table(folder, split)
            for row in rows:
                read_row(row, folder / split, f"{split}/{row.get('file_name')}")  # leads nowhere else
            for name in sorted({name for row in rows for name in picture_names(row)}):
                archive.write(folder / split / name, f"{split}/{name}")
                count += 1
            if rows:
                archive.writestr(f"{split}/metadata.jsonl", dump_rows(rows))
        if not count:
            raise UserError(f"{folder.name} has no samples, save one first")
    return Path(path)


def import_zip(path: str | Path, folder: str | Path) -> dict[str, int]:
    """Unpack a zipped dataset into a folder that does not exist yet; give the samples of each split.

    Raises:
        UserError: no zip; a path that leads out, a link, a bomb, a file that has no place in a dataset;
            rows that cannot be read; or the folder is there already. Then nothing is left behind.
    """
    folder = Path(folder)
    if folder.exists():
        raise UserError(f"dataset {folder.name!r} exists, in this workspace, choose another name")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".import-", dir=folder.parent))
    try:
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(archive, temporary)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise UserError(f"{Path(path).name} is no readable zip ({error}), zip it again") from None
        counts = {
            split: len(read_samples(temporary, split))
            for split in SPLITS
            if (temporary / split / "metadata.jsonl").is_file()
        }
        if not counts:
            raise UserError(f"{Path(path).name} holds no train/metadata.jsonl, zip a dataset folder")
        temporary.chmod(0o755)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return counts


def _unpack(archive: zipfile.ZipFile, folder: Path) -> None:
    """Unpack what a dataset may hold, counting the bytes that really come out, not those announced."""
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MAX_FILES:
        raise UserError(f"the zip holds {len(entries)} files, more than {MAX_FILES}, split the dataset")
    total = 0
    for entry in entries:
        target = folder.joinpath(*_safe_parts(entry))
        limit = min(MAX_FILE_BYTES, MAX_RATIO * max(entry.compress_size, 1000), MAX_BYTES - total)
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as source, open(target, "xb") as sink:
            while chunk := source.read(1 << 20):
                limit -= len(chunk)
                total += len(chunk)
                if limit < 0:
                    raise UserError(f"{entry.filename!r} unpacks to far more than it takes: a zip bomb")
                sink.write(chunk)


def _safe_parts(entry: zipfile.ZipInfo) -> tuple[str, ...]:
    """Give an entry's place, split/…/file; anything but plain pictures and rows in a split is refused."""
    parts = tuple(entry.filename.replace("\\", "/").split("/"))
    if len(parts) > 1 and parts[0] not in SPLITS and parts[1] in SPLITS:
        parts = parts[1:]  # the dataset's own folder was zipped
    plain = all(part and part not in (".", "..") and ":" not in part and "\0" not in part for part in parts)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if not plain or kind not in (0, stat.S_IFREG) or entry.flag_bits & 1:
        raise UserError(f"{entry.filename!r} is a link, a secret or leads out, zip the folder plainly")
    known = Path(parts[-1]).suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".jsonl")
    if parts[0] not in SPLITS or len(parts) < 2 or not known:
        raise UserError(f"{entry.filename!r} has no place in a dataset, zip train/ and validation/ alone")
    return parts
