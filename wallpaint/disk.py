"""Files on a disk: written whole, locked against other processes, synced; a full disk, told from other failures.

Imports nothing heavy.

Some disks (network drives) and systems (Windows) have no locks, or cannot sync a folder. Work goes on there, and
what is weaker is said once in a process.
"""

import contextlib
import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from wallpaint.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no space, no quota, a file longer than it may be
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_PLACE = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR)  # a path that leads nowhere
# Writers that are not Python's say it in words alone: safetensors 'os error 28', torch 'file write failed'.
WORDS = re.compile(rf"os error ({'|'.join(str(n) for n in FULL)})\b|no space left|file write failed", re.I)
LOST = {errno.EIO, errno.ENOSPC, errno.EDQUOT}  # of a sync: what was written is not there
UMASK = os.umask(0)  # it can only be read by setting it, which other threads would see later
os.umask(UMASK)
_warned: set[str] = set()


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path` (same suffix); it takes its place on success, goes on failure."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with contextlib.suppress(OSError):  # a drive without modes
            temporary.chmod(0o666 & ~UMASK)  # mkstemp makes it 0600, which a web server could not read
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Give a file that nobody writes again a second name; a copy where the disk has no links, or it is another one."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


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


@contextlib.contextmanager
def explain_disk(folder: Path) -> Iterator[None]:
    """Turn a full disk and a read-only folder into what a person can mend."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise UserError(f"the disk is full, {folder}, make room and do it again") from error
        if error.errno in FORBIDDEN:
            raise UserError(f"nothing may be written ({error.strerror}), {folder}, choose another folder") from error
        raise


def is_full(problem: BaseException | None) -> bool:
    """Whether a full disk is what went wrong, in `problem` itself or in what led to it."""
    while problem is not None:
        if isinstance(problem, OSError) and problem.errno in FULL:
            return True
        if WORDS.search(str(problem)):
            return True
        problem = problem.__cause__ or problem.__context__
    return False


def written(path: Path) -> int:
    """When a file was last written, in ns; 0 where there is none, or none any more."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def free_bytes(path: str | Path) -> int:
    """Bytes that may still be written where `path` is, or will be."""
    path = Path(path).absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def format_bytes(count: float) -> str:
    """Bytes for people: 12.3 MB, 4.5 GB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _warn(kind: str, line: str) -> bool:
    """Say a line of this kind, the first time; False."""
    if kind not in _warned:
        _warned.add(kind)
        print(f"warning: {line}", file=sys.stderr, flush=True)
    return False
