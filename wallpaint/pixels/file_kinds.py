"""What kind of file somebody has brought, by its name and its first bytes, and what to do with one not read here."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from PIL import Image


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


PHOTO_SUFFIXES = _suffixes("jpg jpeg jpe jfif mpo png apng webp bmp dib tif tiff gif heic heif hif avif")
RAW_SUFFIXES = _suffixes(
    "3fr ari arw cr2 cr3 crw dcr dng erf fff gpr iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf srw x3f"
)
HEIF, AVIF, RAW, VIDEO = "a HEIC picture", "an AVIF picture", "a camera raw file", "a video"
ZIP, ARCHIVE, JSON, TEXT = "a zip archive", "an archive", "a JSON file", "a text file"
DROPPING = "what macOS keeps beside a file"
# (offset, bytes there, what the file is), the first that fits.
SIGNATURES = (
    *((4, b"ftyp" + brand, HEIF) for brand in (b"hei", b"hev", b"mif1", b"msf1")),
    *((4, b"ftyp" + brand, AVIF) for brand in (b"avif", b"avis")),
    (4, b"ftypcrx", RAW),
    (4, b"ftyp", VIDEO),
    *((0, magic, RAW) for magic in (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"FOVb", b"\0MRM")),
    (6, b"HEAPCCDR", RAW),
    *((0, magic, "a JPEG XL picture") for magic in (b"\xff\x0a", b"\0\0\0\x0cJXL ")),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    *((0, b"%PDF", "a PDF"), (0, b"%!PS", "a PostScript file"), (0, b"8BPS", "a Photoshop file")),
    *((0, b"gimp xcf", "a GIMP file"), (0, b"PK\3\4", ZIP), (0, b"\x1aE\xdf\xa3", VIDEO)),
    *(
        (0, magic, ARCHIVE)
        for magic in (b"7z\xbc\xaf", b"Rar!", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
    ),
    *((257, b"ustar", ARCHIVE), (8, b"AVI ", VIDEO), (0, b"II\xbc", "a JPEG XR picture")),
    (0, b"\0\5\x16\7", DROPPING),
    *((0, b"v/1\x01", "an OpenEXR picture"), (0, b"#?RADIANCE", "a Radiance picture")),
    *((0, b"\xd0\xcf\x11\xe0", "an Office document"), (0, b"{\\rtf", "an RTF document")),
    (0, b"\x93NUMPY", "a NumPy array"),
)
# What a text begins with, blanks and capitals aside.
TEXTS = {b"<!doctype": "a web page", b"<html": "a web page", b"<svg": "an SVG drawing", b"<?xml": "an XML file"}
TEXTS |= {b"version https://git-lfs": "a Git LFS pointer, not the file", b"{": JSON, b"[{": JSON, b"[[": JSON}
DEEP_TIFF = "a TIFF of a layout that is not read here"
REMEDIES = {
    RAW: "export it as JPEG",
    VIDEO: "take a still from it",
    **dict.fromkeys((ZIP, ARCHIVE), "unpack it and give what is in it"),
    **dict.fromkeys((TEXT, DROPPING), "give the picture itself"),
    JSON: "give a picture, as a mask one that is white where the wall is",
    DEEP_TIFF: "save it with 8 or 16 bits a channel, or as PNG",
}
NO_TEXT = re.compile(rb"[\0-\x08\x0e-\x1f\x7f-\xff]")
SUBFILE, SUB_IFDS, DNG_VERSION = 254, 330, 50706  # TIFF tags: raw files hold a thumbnail first
HEAD = 1 << 16  # bytes in which a picture is looked for that something stands before


def kind_of(path: Path, head: bytes) -> str:
    """What a file is by its first bytes, else by its name; '' where neither tells anything but a common picture."""
    for at, magic, what in SIGNATURES:
        if head[at:].startswith(magic):
            return what
    text = head[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    by_name = RAW if path.suffix.lower() in RAW_SUFFIXES else ""
    return next((what for begin, what in TEXTS.items() if text.startswith(begin)), by_name)


def name_kind(path: Path, head: bytes) -> str:
    """What a file is that we do not open, as far as its first HEAD bytes or PIL tell; '' where they do not."""
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return DEEP_TIFF
    if b"\xff\xd8\xff" in head:
        return "a JPEG with something else before it"
    if head and not NO_TEXT.search(head):
        return TEXT
    Image.init()
    suffix = Image.registered_extensions().get(path.suffix.lower())
    # EPS would start Ghostscript; a kind without a signature is believed where the suffix says it too.
    kinds = [kind for kind, (_, accept) in Image.OPEN.items() if kind != "EPS" and (accept or kind == suffix)]
    with contextlib.suppress(Exception), Image.open(path, formats=kinds) as image:
        return f"a picture of kind {image.format}"
    return ""


def holds_raw(image: Image.Image, head: bytes) -> bool:
    """Whether a TIFF is a camera's raw file, whose first picture is only a thumbnail."""
    tags = getattr(image, "tag_v2", {})
    return DNG_VERSION in tags or head[8:10] == b"CR" or (SUB_IFDS in tags and bool(tags.get(SUBFILE, 0) & 1))


def is_misread(image: Image.Image) -> bool:
    """Whether Pillow would read a TIFF's numbers wrong: signs, or 16 bits with each channel on its own."""
    tags = getattr(image, "tag_v2", {})
    bits, planes, formats = tags.get(258, (1,)), tags.get(284, 1), tags.get(339, (1,))
    return (planes == 2 and len(bits) > 1 and max(bits) > 8) or (2 in formats and max(bits) <= 16)
