"""What is known of a dataset's pictures: their content's hash and their size, remembered between runs.

To read a million photos takes minutes, to ask the system for their length and times takes seconds. So a file
is read again only where one of these has changed.
"""

import contextlib
import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from wallpaint.pixels.images import read_size

TABLE = (
    "CREATE TABLE IF NOT EXISTS files (folder TEXT, name TEXT, stamp TEXT, width INTEGER, height INTEGER, "
    "digest BLOB, PRIMARY KEY (folder, name)) WITHOUT ROWID"
)
# A file written twice within one tick of the file system's clock (2 s on FAT) looks unchanged. What is younger
# than this when it is read is not remembered; git does the same and calls such entries racy.
YOUNG_NS = 2_000_000_000
SAVED_EVERY = 10_000  # files hashed: so much is lost by a kill


class Entry(NamedTuple):
    """A file as it was when it was read."""

    stamp: str  # length, and times of the last change of content and of anything, in ns
    width: int
    height: int
    digest: bytes | None  # None: not hashed yet


class FileIndex:
    """Sizes and hashes of picture files, kept in `folder/files.sqlite`; without a folder in memory alone.

    Processes may share it. Where it cannot be read or written, files are read again: it only saves time.
    """

    def __init__(self, folder: str | Path | None = None):
        self._database = Path(folder) / "files.sqlite" if folder else None
        self._known: dict[str, dict[str, Entry]] = {}  # by folder, by name
        self._new: dict[tuple[str, str], Entry] = {}
        self._checked: dict[str, Entry] = {}  # by path; the system is asked once a file

    def size(self, path: Path) -> tuple[int, int]:
        """The (width, height) of a picture as it stands upright; it raises what `read_size` does."""
        entry = self._checked.get(str(path))
        if entry is None:
            stamp, entry = self._find(path)
            entry = entry or self._add(path, Entry(stamp, *read_size(path), None))
        return entry.width, entry.height

    def digest(self, path: Path) -> str:
        """The SHA-256 of a picture's file, as hexadecimal digits."""
        entry = self._checked.get(str(path))
        if entry is None or entry.digest is None:
            stamp, entry = self._find(path)
        if entry is None or entry.digest is None:
            size = (entry.width, entry.height) if entry else read_size(path)
            entry = self._add(path, Entry(stamp, *size, hashlib.sha256(path.read_bytes()).digest()))
        return (entry.digest or b"").hex()

    def hash_all(self, paths: Iterable[Path], workers: int) -> None:
        """Hash what is not known of `paths`, some at a time, and save what is new."""
        known = self._checked  # a million paths are asked for again and again: without a call each
        unknown = (
            path for path in paths if not ((entry := known.get(str(path)) or self._find(path)[1]) and entry.digest)
        )
        missing = list(dict.fromkeys(unknown))
        with ThreadPoolExecutor(workers) as pool:
            for start in range(0, len(missing), SAVED_EVERY):
                list(pool.map(self.digest, missing[start : start + SAVED_EVERY]))
                self.save()
        self.save()

    def save(self) -> None:
        """Write what is new."""
        rows, self._new = [(*place, *entry) for place, entry in self._new.items()], {}
        if rows and self._database:
            with contextlib.suppress(OSError, sqlite3.Error):
                self._database.parent.mkdir(parents=True, exist_ok=True)
                with self._open() as database, database:
                    database.execute(TABLE)
                    database.executemany("REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _find(self, path: Path) -> tuple[str, Entry | None]:
        """A file's stamp, and what is known of it as it is now."""
        place = str(path)  # a million paths are compared and hashed much faster as text
        if checked := self._checked.get(place):
            return checked.stamp, checked
        folder, name = os.path.split(place)
        if folder not in self._known:
            self._known[folder] = self._load(folder)
        try:
            stat = os.stat(place)
        except OSError:
            read_size(path)  # says that it is not there
            raise
        stamp = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
        entry = self._known[folder].get(name)
        if entry and entry.stamp == stamp:
            self._checked[place] = entry
            return stamp, entry
        return stamp, None

    def _add(self, path: Path, entry: Entry) -> Entry:
        folder, name = os.path.split(path)
        self._checked[str(path)] = entry
        if time.time_ns() - int(entry.stamp.split()[2]) > YOUNG_NS:
            self._new[os.path.abspath(folder), name] = entry
        return entry

    def _load(self, folder: str) -> dict[str, Entry]:
        if not self._database or not self._database.is_file():
            return {}
        query = "SELECT name, stamp, width, height, digest FROM files WHERE folder = ?"
        try:
            with self._open() as database:
                return {name: Entry(*values) for name, *values in database.execute(query, [os.path.abspath(folder)])}
        except sqlite3.OperationalError:  # locked, or of another layout
            return {}
        except sqlite3.DatabaseError:  # damaged
            with contextlib.suppress(OSError):
                self._database.unlink()
            return {}

    def _open(self) -> contextlib.closing[sqlite3.Connection]:
        return contextlib.closing(sqlite3.connect(str(self._database), timeout=30))
