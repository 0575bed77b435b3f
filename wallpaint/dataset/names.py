"""Names in a dataset: what one may be, where it leads, and the forms in which systems write it.

A picture is found on disk in whichever form of Unicode its name has there.
"""

import os
import posixpath
import re
from collections.abc import Iterable
from pathlib import Path
from unicodedata import normalize
from urllib.parse import quote, unquote

from wallpaint.dataset.files import FileIndex
from wallpaint.errors import UserError

SURROGATE = re.compile("[\ud800-\udfff]")
# An absolute path, of whichever system, or '..' anywhere in it; on Windows 'C:x' is one too.
DRIVE = "[A-Za-z]:" if os.name == "nt" else r"[A-Za-z]:[/\\]"
LEADS_OUT = re.compile(rf"^[/\\]|^{DRIVE}|(^|[/\\])\.\.([/\\]|$)")
# What Windows allows in no file's name, and what it takes for a device whatever the suffix.
FOREIGN = re.compile(r'[<>:"|?*\x00-\x1f]|[. ]+(?=/|$)')
DEVICE = re.compile(r"(^|/)(?=(con|prn|aux|nul|com\d|lpt\d)(\.|/|$))", re.I)


def tidy_text(text: object) -> str:
    """Set single spaces, and escape what UTF-8 cannot write (names of files that are not UTF-8)."""
    return " ".join(str(text).encode("utf-8", "backslashreplace").decode().split())


def tidy_room(name: object) -> str:
    """Give a room's name in one form: accents composed (NFC), single spaces."""
    return normalize("NFC", tidy_text(name))


def plain_name(name: str) -> str:
    """Write a file's name with slashes and composed accents, as rows compare."""
    return posixpath.normpath(normalize("NFC", name.replace("\\", "/")))


def is_text(value: object) -> bool:
    """Whether this is text that can be written: JSON may hold half of a surrogate pair."""
    return isinstance(value, str) and (value.isascii() or not SURROGATE.search(value))


def check_name(where: Path, name: object, place: str) -> str:
    """Give a file's name of a row; UserError for what is none, or leads out of the folder by its words."""
    if not is_text(name) or not name or "\0" in str(name):
        raise UserError(f"{place} is {name!a:.99}: write the name of a file in {where}")
    name = str(name)
    if LEADS_OUT.search(name):
        raise UserError(f"{place} {name!r} leads out of {where}: keep every picture inside the folder")
    return name


def find_picture(where: Path, name: object, place: str, files: FileIndex | None = None) -> Path:
    """Find a file of a row in the split's folder or below, out of which no link may lead.

    Backslashes of Windows are slashes, unless the very name is there; accents may be composed or not, and
    letters written as on the web (`%20`) or as capitals here and not there.

    Raises:
        UserError: no name, one that leads out, or no such file.
    """
    name, files = check_name(where, name, place), files or FileIndex()
    # Of a million rows nearly all name a plain file beside them: one question to the system, not four.
    if "/" not in name and files.is_plain(beside := where / name):
        return beside
    path = os.path.join(where, name)
    if not os.path.lexists(path):
        path = str(where)
        for part in name.replace("\\", "/").split("/"):
            forms = [os.path.join(path, form) for form in other_names(part)]
            path = next(filter(os.path.lexists, forms), files.alike(path, part) or forms[0])
    links, folder = [path], os.path.dirname(path)
    while len(folder) > len(str(where)):
        links.append(folder)
        folder = os.path.dirname(folder)
    if any(map(os.path.islink, links)) and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(where)):
        raise UserError(f"{place} {name!r} leads out of {where}: keep every picture inside the folder")
    if not os.path.isfile(path):  # not Path's own, which raises where a name is too long
        raise UserError(f"{place}: image {path} does not exist: bring it, or delete the row")
    return Path(path)


def other_names(name: str) -> list[str]:
    """Give the ways in which one name is written, itself first: accents composed or not, plain or as on the web."""
    plain = unquote(name)
    if "\0" in plain or LEADS_OUT.search(plain) or SURROGATE.search(plain):
        plain = name
    return [name, *(normalize(form, way) for way in (name, plain, quote(plain)) for form in ("NFC", "NFD"))]


def portable_names(given: Iterable[str]) -> dict[str, str]:
    """Give every name one that all systems keep apart, case and accents aside: {old: new}."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    places: dict[str, str] = {}  # one file may be named with a backslash here and with a slash there
    for old in dict.fromkeys(given):
        if plain_name(old) not in places:
            stem, suffix = os.path.splitext(DEVICE.sub(r"\1_", FOREIGN.sub("_", plain_name(old))))
            new, number = f"{stem}{suffix}", 2
            while new.casefold() in taken:
                new, number = f"{stem}-{number}{suffix}", number + 1
            taken.add(new.casefold())
            places[plain_name(old)] = new
        names[old] = places[plain_name(old)]
    return names
