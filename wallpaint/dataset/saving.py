"""Writing into a dataset: by one at a time, whole or not at all; what stands in the way is said in one line."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wallpaint.disk import explain_disk, locked

LEFTOVER = re.compile(r"\.(?!_).+-[a-z0-9_]{8}(\.\w+)?")  # `atomic_path` of a process that was killed; no '._x'
LEFTOVER_SECONDS = 24 * 3600  # nobody writes one picture or unpacks one zip for that long
_threads = threading.RLock()
_swept: set[Path] = set()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Be the only one who writes into a dataset, of all threads and of all processes; make the folder.

    Raises:
        UserError: the disk is full, or nothing may be written there.
    """
    with explain_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _threads, locked(folder):
            yield


def sweep(where: Path) -> None:
    """Drop temporary files that a killed process left in a folder; looks once in this process's life."""
    if where in _swept:
        return
    _swept.add(where)
    for path in where.glob(".*"):
        if LEFTOVER.fullmatch(path.name) and path.is_file() and time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
            path.unlink(missing_ok=True)
