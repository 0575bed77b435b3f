"""Text files as editors and spreadsheets save them: which letters their bytes stand for."""

import contextlib
import re
from collections import Counter
from typing import Any

from wallpaint.errors import UserError

# What Windows, DOS and Macs wrote before UTF-8; of two that fit the first is taken.
NOT_LATIN = ("cp1251", "cp866", "cp1253")
ENCODINGS = (*NOT_LATIN, "cp1252", "mac_roman", "cp1250", "cp850")
FITS = 0.9  # share of a text's words that have to look like words
WORD = re.compile(r"[^\x00-@\[-`{-\x7f\s«»“”„‘’‚–—…·•©®™°²³½¼¾€]+")
ASCII = re.compile("[A-Za-z]")
UNSEEN = re.compile("[\u200b\u200e\u200f\u2060\ufeff]")  # marks that come along when text is copied


def decode(data: bytes) -> str:
    """Bytes of a text file to text, in UTF-8, UTF-16 or one of ENCODINGS.

    Raises:
        UserError: read in none of them its words look like words.
    """
    return UNSEEN.sub("", _decode(data))


def keys_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of JSON; UserError where it has a key twice, of which `json` would keep the last alone."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UserError(f"has {Counter(key for key, _ in pairs).most_common(1)[0][0][:80]!r} twice: keep one")
    return found


def _decode(data: bytes) -> str:
    for encoding, zeros in (("utf-16-le", data[1:200:2]), ("utf-16-be", data[:200:2])):
        if zeros.count(0) > 0.7 * len(zeros):
            return data.decode(encoding, "replace")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    texts = {}
    for encoding in ("utf-8", *ENCODINGS):
        with contextlib.suppress(UnicodeDecodeError):
            texts[encoding] = data.decode(encoding)
            if encoding == "utf-8":
                return texts[encoding]
    fits = {encoding: _fit(text, encoding not in NOT_LATIN) for encoding, text in texts.items()}
    best = max(fits, key=lambda encoding: fits[encoding])
    if fits[best] < FITS:
        raise UserError("it is not UTF-8 text: save it again as UTF-8")
    return texts[best]


def _fit(text: str, latin: bool) -> float:
    """The share of words with letters beyond a to z that have letters of one script and no capital inside."""
    words = [word for word in WORD.findall(text) if not word.isascii()]
    if not latin and max(map(len, words), default=0) < 3:
        return 0
    whole = [word for word in words if word.isalpha() and (len(word) == 1 or word[1:].islower() or word.isupper())]
    return sum(latin or not ASCII.search(word) for word in whole) / len(words) if words else 1
