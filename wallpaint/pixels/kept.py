"""Results that hang on a photo and its mask alone, kept for the next paint on the same wall."""

import contextlib
import functools
import hashlib
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from PIL import Image

MOST = 20_000_000  # pixels of the largest picture that is kept or has results kept: 64 megapixels would take too much
KEPT = 30_000_000  # pixels in all of the pictures that a function keeps results of: with a phone's photos 300 MB
LEAST = 300_000  # pixels that a result counts as, at least
Given = ParamSpec("Given")
Result = TypeVar("Result")

_known: list[tuple[weakref.ref[Image.Image], bytes]] = []  # digests of the pictures that were hashed last


def digest(image: Image.Image) -> bytes:
    """SHA-1 of a picture's pixels, as a key of caches. The picture must not be changed afterwards."""
    for known, found in list(_known):
        if known() is image:
            return found
    found = hashlib.sha1(image.tobytes(), usedforsecurity=False).digest()
    _known[:] = [(weakref.ref(image), found), *_known[:7]]
    return found


def keep(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Cache a function of pictures, paths and numbers; its results are shared, so nobody may change them."""
    kept: dict[tuple, tuple[Any, int]] = {}  # result and pixels, the newest last

    @functools.wraps(function)
    def wrapped(*args: Given.args, **named: Given.kwargs) -> Result:
        asked = max(map(_pixels, args), default=0)
        if asked > MOST:
            return function(*args, **named)
        key = (*map(_key, args), *named.items())
        known = kept.pop(key, None)  # another thread that asks now computes it too
        result = known[0] if known else function(*args, **named)
        if (pixels := max(asked, _pixels(result), LEAST)) <= MOST:
            kept[key] = result, pixels
        while sum(pixels for _, pixels in list(kept.values())) > KEPT:
            kept.pop(next(iter(kept)), None)
        return result

    return wrapped


def _pixels(value: Any) -> int:
    return value.width * value.height if isinstance(value, Image.Image) else 0


def _key(arg: Any) -> Any:
    if isinstance(arg, Image.Image):
        return arg.mode, arg.size, digest(arg)
    if isinstance(arg, Path):
        with contextlib.suppress(OSError):  # the function itself reports it
            stat = arg.stat()
            return arg, stat.st_mtime_ns, stat.st_size
    return arg
