"""Datasets as zips: out with what their rows name, in with what their rows name and nothing else.

Zips come from the studio, from Finder, Explorer and the command line: in a folder of their own, with droppings
of the system in them, with names in the encoding of whoever made them.
"""

import lzma
import os
import re
import shutil
import stat
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from wallpaint.dataset.folder import read_samples
from wallpaint.dataset.metadata import (
    ALIASES,
    METADATA,
    SPLITS,
    dump_rows,
    find_splits,
    iterate_rows,
    read_table,
    write_table,
)
from wallpaint.dataset.names import check_name, find_picture, portable_names
from wallpaint.dataset.rows import picture_names, read_row, rename_pictures
from wallpaint.dataset.saving import LEFTOVER_SECONDS
from wallpaint.dataset.zip_names import add_small_names, find_entry, name_entries
from wallpaint.disk import FORBIDDEN, FULL, atomic_path, explain_disk
from wallpaint.errors import UserError, reason_of

MAX_BYTES = 100_000_000_000  # of a zip: a 12-megapixel photo with its mask takes 4 MB; the disk says the rest
MAX_FILES = 500_000  # the list of a zip's files takes 1 KB each in memory
CHUNK = 1 << 20  # bytes unpacked at once
MAX_RATIO, BOMB_BYTES = 100, 200_000_000  # pictures hardly shrink; what grows to more of either is no dataset
# What zipfile and its decompressors raise where a zip is no zip.
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError, ValueError)


def export_zip(folder: str | Path, path: str | Path) -> Path:
    """Write both splits, and only what their rows name, as a zip; a photo at a time, never all in memory.

    Raises:
        UserError: there is nothing, a row is wrong, a picture went away meanwhile, or the disk is full.
    """
    folder, count = Path(folder), 0
    with explain_disk(Path(path).parent), atomic_path(path) as temporary:
        with zipfile.ZipFile(temporary, "w", strict_timestamps=False) as archive:
            for split in SPLITS:
                where, rows = folder / split, read_table(folder, split)
                for row in rows:
                    read_row(row, where, f"{split}/{row.get('file_name')}")  # leads nowhere else
                names = portable_names(name for row in rows for name in picture_names(row))
                for name, new in names.items():
                    archive.write(find_picture(where, name, split), f"{split}/{new}")
                if rows:
                    archive.writestr(
                        f"{split}/{METADATA[0]}", dump_rows([rename_pictures(row, names) for row in rows])
                    )
                count += len(names)
        if not count:
            raise UserError(f"{folder.name} has no samples, save one first")
    return Path(path)


def import_zip(
    path: str | Path, folder: str | Path, say: Callable[[str], object] = lambda name: None
) -> dict[str, int]:
    """Unpack a zipped dataset into a folder that does not exist yet; give the samples of each split.

    A split may be called as in ALIASES; `say` is told each other folder with rows of its own, which is left out.

    Raises:
        UserError: no zip; a path that leads out, a link, a password, a bomb; a picture that is not in it; rows
            that cannot be read; or the folder is there already. Then nothing is left behind.
    """
    path, folder = Path(path), Path(folder)
    if folder.exists():
        raise UserError(f"dataset {folder.name!r} exists, in this workspace, choose another name")
    with explain_disk(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        for old in folder.parent.glob(".import-*"):  # of a process that was killed
            if time.time() - old.stat().st_mtime > LEFTOVER_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix=".import-", dir=folder.parent))
        try:
            left_out = _read_zip(path, temporary)
            counts = {split: len(read_samples(temporary, split)) for split in find_splits(temporary)}
            if not counts:
                raise UserError(f"the metadata.jsonl of {path.name} has no rows, zip a dataset with samples")
            temporary.chmod(0o755)
            os.rename(temporary, folder)
            for name in left_out:
                say(name)
        except UserError as error:
            raise UserError(str(error).replace(f"{temporary}{os.sep}", f"{path.name}: ")) from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return counts


def _read_zip(path: Path, folder: Path) -> list[str]:
    """Do as `_unpack` says; whatever zipfile stumbles over is a zip that cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            if len(archive.infolist()) > MAX_FILES or path.stat().st_size > MAX_BYTES:
                limit = f"{MAX_FILES} files or {MAX_BYTES // 10**9} GB"
                raise UserError(f"{path.name} holds more than {limit}, split the dataset")
            for entry in archive.infolist():
                _refuse_hostile(entry, path.name)
            needed, free = sum(entry.file_size for entry in archive.infolist()), shutil.disk_usage(folder).free
            most = max(BOMB_BYTES, MAX_RATIO * path.stat().st_size)
            if free < min(needed, most):
                raise UserError(f"{path.name} takes {needed / 1e9:.1f} GB and {free / 1e9:.1f} are free, make room")
            return _unpack(archive, path.name, folder, most)
    except OSError as error:
        if error.errno in (*FULL, *FORBIDDEN):
            raise
        raise UserError(f"{path.name} is no readable zip ({error.strerror or error}), zip it again") from None
    except BROKEN as error:
        raise UserError(f"{path.name} is no readable zip ({reason_of(error)}), zip it again") from None


def unpack_entry(archive: zipfile.ZipFile, entry: str | zipfile.ZipInfo, target: Path, most: int) -> int:
    """Unpack an entry to a new file; give its bytes, more than `most` where it was not unpacked to its end.

    What an entry announces need not be true.
    """
    count = 0
    with archive.open(entry) as source, open(target, "xb") as sink:
        while count <= most and (chunk := source.read(CHUNK)):
            sink.write(chunk)
            count += len(chunk)
    return count


def _refuse_hostile(entry: zipfile.ZipInfo, name: str) -> None:
    """Refuse a zip with a link, a password, or a place outside the folder it is unpacked into."""
    parts = entry.filename.replace("\\", "/").split("/")
    if parts[0] == "" or ".." in parts or re.match("[A-Za-z]:", parts[0]):
        raise UserError(f"{name}: {entry.filename!a:.99} leads out of the zip's folder, zip the dataset plainly")
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UserError(f"{name}: {entry.filename!a:.99} is a link, zip the pictures themselves")
    if entry.flag_bits & 1:
        raise UserError(f"{name}: {entry.filename!a:.99} needs a password, zip the dataset without one")


def _unpack(archive: zipfile.ZipFile, name: str, folder: Path, left: int) -> list[str]:
    """Unpack each split's rows, then the pictures they name; rows get the names on disk.

    Gives the folders beside the splits that have rows too. Counts down the bytes that may still come out.
    """
    entries, unsure = name_entries(archive, name)
    named_so = add_small_names(entries)

    def copy(where: str, named: str, target: Path) -> None:
        nonlocal left
        entry = find_entry(named_so, unsure, where, named)
        if entry is None:
            raise UserError(f"{name} lacks {where + named!a:.99}, which a row names, zip the whole dataset folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        left -= unpack_entry(archive, entry, target, left)
        if left < 0:
            raise UserError(f"{name} unpacks to far more than it takes: a zip bomb, zip the dataset anew")

    tops = _find_tops(entries)
    if not tops:
        raise UserError(f"{name} holds no train/metadata.jsonl, zip a dataset folder")
    top, *rest = tops
    found, others = _find_tables(entries, top)
    others += [f"{other}{inside}" for other in rest for inside in _find_tables(entries, other)[0].values()]
    for split in SPLITS:
        where, inside = folder / split, found.get(split)
        for metadata in [end for end in METADATA if f"{top}{inside}/{end}" in entries]:
            if (where / METADATA[0]).exists():
                raise UserError(f"{name} has {' and '.join(METADATA)} in {top}{inside}: keep the one that is right")
            copy(f"{top}{inside}/", metadata, where / metadata)
            rows = [row for _, row in iterate_rows(where)]
            (where / metadata).unlink()
            names = portable_names(name for row in rows for name in picture_names(row))
            for old, new in names.items():
                check_name(where, old, f"{split}: a picture")
                if not (where / new).exists():
                    copy(f"{top}{inside}/", old, where / new)
            write_table(where, [rename_pictures(row, names) for row in rows])
    return others


def _find_tops(entries: dict[str, zipfile.ZipInfo]) -> list[str]:
    """Find the folders in a zip that hold splits, 'mine/' or '', each once; the least deep first."""
    tops = []
    for name in entries:
        *above, split, file = ["", *name.split("/")]
        hidden = any(part.startswith((".", "__MACOSX")) for part in above)
        if ALIASES.get(split, split) in SPLITS and file in METADATA and not hidden:
            tops.append("".join(f"{part}/" for part in above[1:]))
    return sorted(dict.fromkeys(tops), key=lambda top: top.count("/"))


def _find_tables(entries: dict[str, zipfile.ZipInfo], top: str) -> tuple[dict[str, str], list[str]]:
    """Find what has rows in the folder `top`: by split its name in the zip, and what is no split."""
    tables = re.compile(rf"{re.escape(top)}([^/._][^/]*)/({'|'.join(map(re.escape, METADATA))})")
    there = dict.fromkeys(table[1] for name in entries if (table := tables.fullmatch(name)))
    found: dict[str, str] = {}
    for inside in sorted(there, key=lambda inside: inside not in SPLITS):
        found.setdefault(ALIASES.get(inside, inside), inside)
    return found, [inside for inside in there if inside not in map(found.get, SPLITS)]
