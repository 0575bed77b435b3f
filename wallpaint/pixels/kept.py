"""What is reckoned of a photo or its wall once, and kept for the next paint on them."""

import contextlib
import functools
import hashlib
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from PIL import Image

MOST = 20_000_000  # pixels of a picture that is kept, or what is known of it: a phone's 64 megapixels are too large
KEPT = 30_000_000  # pixels of the pictures of which a function keeps results: of a phone's photos all take 300 MB
LEAST = 300_000  # a result counts as so many, however small
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
    kept: dict[tuple, tuple[Any, int]] = {}  # result and pixels, the newest last

    @functools.wraps(function)
    def wrapped(*args: Given.args, **named: Given.kwargs) -> Result:
        asked = max(map(_pixels, args), default=0)
        if asked > MOST:
            return function(*args, **named)
        key = (*map(_key, args), *named.items())
        known = kept.pop(key, None)  # another thread that comes now reckons it too
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
        with contextlib.suppress(OSError):  # which the function itself has words for
            stat = arg.stat()
            return arg, stat.st_mtime_ns, stat.st_size
    return arg
