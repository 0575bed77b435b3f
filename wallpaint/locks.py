"""What holds a folder against other processes, and what brings a write to the disk. Imports nothing heavy.

Some disks (network drives) and systems (Windows) have no locks, or cannot sync a folder. Work goes on there, and
what is weaker is said once in a process.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

LOST = {errno.EIO, errno.ENOSPC, errno.EDQUOT}  # of a sync: what was written is not there
_warned: set[str] = set()


@contextlib.contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold a folder or a file; the system lets go of it however the process ends. False: there are no locks here.

    Raises:
        BlockingIOError: another process holds it, and `wait` is False.
    """
    try:
        import fcntl
    except ImportError:
        yield _warn("locks", "this system has no locks: let one studio at a time use a workspace")
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)  # network drives lock what may be written
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            held = True
        except BlockingIOError:
            raise
        except OSError as error:
            held = _warn("locks", f"no lock on {path} ({error.strerror}): let one studio at a time use its workspace")
        yield held
    finally:
        os.close(handle)


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk.

    Raises:
        OSError: the disk is full or broken.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if isinstance(error, FileNotFoundError) or error.errno in LOST:
            raise
        _warn("sync", f"{path} cannot be synced ({error.strerror}): what is saved may be lost if the power fails")


def _warn(kind: str, line: str) -> bool:
    """Say a line of this kind, the first time; False."""
    if kind not in _warned:
        _warned.add(kind)
        print(f"warning: {line}", file=sys.stderr, flush=True)
    return False
