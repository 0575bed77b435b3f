"""A disk that is full, told from other failures; what is free on it; bytes for people. Imports nothing heavy."""

import re
import shutil
from pathlib import Path

from wallpaint.dataset.saving import FULL

# Writers that are not Python's say it in words alone: safetensors 'os error 28', torch 'file write failed'.
WORDS = re.compile(rf"os error ({'|'.join(str(n) for n in FULL)})\b|no space left|file write failed", re.I)


def is_full(problem: BaseException | None) -> bool:
    """Whether a full disk is what went wrong, in `problem` itself or in what led to it."""
    while problem is not None:
        if isinstance(problem, OSError) and problem.errno in FULL:
            return True
        if WORDS.search(str(problem)):
            return True
        problem = problem.__cause__ or problem.__context__
    return False


def free_bytes(path: str | Path) -> int:
    """Bytes that may still be written where `path` is, or will be."""
    path = Path(path).absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def format_bytes(count: float) -> str:
    """Bytes for people: 12.3 MB, 4.5 GB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
