"""What is known of a dataset's pictures: their content's hash and their size, remembered between runs.

To read a million photos takes minutes, to ask the system for their length and times takes seconds. So a file
is read again only where one of these has changed.
"""

import contextlib
import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

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
    width: int = 0  # 0: not read yet
    height: int = 0
    digest: bytes | None = None  # None: not hashed yet


class FileIndex:
    """Sizes and hashes of picture files, kept in `folder/files.sqlite`; without a folder in memory alone.

    Processes may share it. Where it cannot be read or written, files are read again: it only saves time.
    """

    def __init__(self, folder: str | Path | None = None):
        self._database = Path(folder) / "files.sqlite" if folder else None
        self._known: dict[str, dict[str, Entry]] = {}  # by folder, by name
        self._new: dict[tuple[str, str], Entry] = {}
        self._listed: dict[str, dict[str, list[str]]] = {}  # by folder, by name without capitals
        self._checked: dict[str, Entry] = {}  # by path; the system is asked once a file

    def is_plain(self, path: Path) -> bool:
        """Whether a file lies there that is no link; what the system says of it is kept for `size`."""
        place = str(path)
        try:
            found = os.lstat(place)
        except OSError:
            return False
        if plain := stat.S_ISREG(found.st_mode):
            self._check(place, found)
        return plain

    def alike(self, folder: str, name: str) -> str:
        """The path of the one file in a folder whose name differs in capitals or accents; '' if none or several do."""
        if folder not in self._listed:
            found: dict[str, list[str]] = {}
            with contextlib.suppress(OSError):
                for there in os.listdir(folder):
                    found.setdefault(normalize("NFC", there).casefold(), []).append(there)
            self._listed[folder] = found
        names = self._listed[folder].get(normalize("NFC", name).casefold(), [])
        return os.path.join(folder, names[0]) if len(names) == 1 else ""

    def size(self, path: Path) -> tuple[int, int]:
        """The (width, height) of a picture as it stands upright; it raises what `read_size` does."""
        entry = self._find(path)
        if not entry.width:
            entry = self._add(path, Entry(entry.stamp, *read_size(path)))
        return entry.width, entry.height

    def digest(self, path: Path) -> str:
        """The SHA-256 of a picture's file, as hexadecimal digits."""
        entry = self._find(path)
        if entry.digest is None:
            digest = hashlib.sha256(path.read_bytes()).digest()
            entry = self._add(path, Entry(entry.stamp, *self.size(path), digest))
        return (entry.digest or b"").hex()

    def hash_all(self, paths: Iterable[Path], workers: int) -> None:
        """Hash what is not known of `paths`, some at a time, and save what is new."""
        known = self._checked  # a million paths are asked for again and again: without a call each
        missing = list(dict.fromkeys(path for path in paths if not (known.get(str(path)) or self._find(path)).digest))
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

    def _find(self, path: Path) -> Entry:
        """What is known of a file as it is now."""
        place = str(path)  # a million paths are compared and hashed much faster as text
        if entry := self._checked.get(place):
            return entry
        try:
            return self._check(place, os.stat(place))
        except OSError:
            read_size(path)  # says that it is not there
            raise

    def _check(self, place: str, found: os.stat_result) -> Entry:
        folder, _, name = place.rpartition(os.sep)
        known = self._known.get(folder)
        if known is None:
            known = self._known[folder] = self._load(folder)
        stamp = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
        entry = known.get(name)
        if entry is None or entry.stamp != stamp:
            entry = Entry(stamp)
        self._checked[place] = entry
        return entry

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
                rows = database.execute(query, [os.path.abspath(folder)])
                return {name: Entry._make(values) for name, *values in rows}
        except sqlite3.OperationalError:  # locked, or of another layout
            return {}
        except sqlite3.DatabaseError:  # damaged
            with contextlib.suppress(OSError):
                self._database.unlink()
            return {}

    def _open(self) -> contextlib.closing[sqlite3.Connection]:
        return contextlib.closing(sqlite3.connect(str(self._database), timeout=30))
