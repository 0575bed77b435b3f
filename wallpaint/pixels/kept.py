"""What is reckoned of a photo or its wall once, and kept for the next paint on them."""

import contextlib
import functools
import hashlib
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from PIL import Image

KEPT = 2  # results of a function, the newest: of a phone's photo all of them are 300 MB
MOST = 20_000_000  # pixels of a picture that is kept, or what is known of it: a phone's 64 megapixels are too large
_MISSING: Any = object()
Given = ParamSpec("Given")
Result = TypeVar("Result")

_known: list[tuple[weakref.ref[Image.Image], bytes]] = []  # the pictures that were told apart last


def digest(image: Image.Image) -> bytes:
    """What tells pictures apart: a hash of the pixels. Whoever asks may not change the picture any more."""
    for seen, told in list(_known):
        if seen() is image:
            return told
    told = hashlib.sha1(image.tobytes(), usedforsecurity=False).digest()
    _known[:] = [(weakref.ref(image), told), *_known[:7]]
    return told


def keep(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Let a function of pictures, files and numbers give what it gave for the same ones; nobody may change it."""
    kept: dict[tuple, Any] = {}  # the newest last

    @functools.wraps(function)
    def wrapped(*args: Given.args, **named: Given.kwargs) -> Result:
        if any(isinstance(arg, Image.Image) and arg.width * arg.height > MOST for arg in args):
            return function(*args, **named)
        key = (*map(_key, args), *named.items())
        result = kept.pop(key, _MISSING)  # another thread that comes now reckons it too
        if result is _MISSING:
            result = function(*args, **named)
        if not isinstance(result, Image.Image) or result.width * result.height <= MOST:
            kept[key] = result
        for old in list(kept)[:-KEPT]:
            kept.pop(old, None)
        return result

    return wrapped


def _key(arg: Any) -> Any:
    if isinstance(arg, Image.Image):
        return arg.mode, arg.size, digest(arg)
    if isinstance(arg, Path):
        with contextlib.suppress(OSError):  # which the function itself has words for
            stat = arg.stat()
            return arg, stat.st_mtime_ns, stat.st_size
    return arg
