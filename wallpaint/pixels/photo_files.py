"""Picture files as phones, cameras and tools make them: opened upright, in sRGB, or refused by what they are."""

from __future__ import annotations

import contextlib
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError, features

from wallpaint.errors import UserError, reason_of
from wallpaint.pixels.color import XYZ_TO_RGB, linear_to_bytes, srgb_to_linear

# The largest common phone camera, 12000 x 9000: 324 MB as RGB. A file of 20 KB can claim any size.
MAX_PIXELS = 108_000_000
BAND = 256  # rows worked on at once
MAX_ASPECT = 64  # at 512 px the short side is one multiple (64) of a model's size; panoramas have 10 at most
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")  # no EPS: PIL would start Ghostscript on it


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


PHOTO_SUFFIXES = _suffixes("jpg jpeg jpe jfif mpo png apng webp bmp dib tif tiff gif heic heif hif avif")
RAW_SUFFIXES = _suffixes(
    "3fr ari arw cr2 cr3 crw dcr dng erf fff gpr iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf srw x3f"
)
HEIF, AVIF, RAW, VIDEO = "a HEIC picture", "an AVIF picture", "a camera raw file", "a video"
PNG = b"\x89PNG\r\n\x1a\n"
# (offset, bytes there, what the file is), the first that fits.
SIGNATURES = (
    *((4, b"ftyp" + brand, HEIF) for brand in (b"hei", b"hev", b"mif1", b"msf1")),
    *((4, b"ftyp" + brand, AVIF) for brand in (b"avif", b"avis")),
    (4, b"ftypcrx", RAW),
    (4, b"ftyp", VIDEO),
    *((0, magic, RAW) for magic in (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"FOVb")),
    *((0, magic, "a JPEG XL picture") for magic in (b"\xff\x0a", b"\0\0\0\x0cJXL ")),
    *((0, magic, "a web page") for magic in (b"<!DOCTYPE", b"<!doctype", b"<html")),
    *((0, magic, "an SVG drawing") for magic in (b"<svg", b"<?xml")),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    *((0, b"%PDF", "a PDF"), (0, b"%!PS", "a PostScript file"), (0, b"8BPS", "a Photoshop file")),
    *((0, b"gimp xcf", "a GIMP file"), (0, b"PK\3\4", "a zip archive"), (0, b"\x1aE\xdf\xa3", VIDEO)),
    *((8, b"AVI ", VIDEO), (0, b"version https://git-lfs", "a Git LFS pointer, not the file")),
    *((0, b"v/1\x01", "an OpenEXR picture"), (0, b"#?RADIANCE", "a Radiance picture")),
    *((0, b"\xd0\xcf\x11\xe0", "an Office document"), (0, b"{\\rtf", "an RTF document")),
    *((0, b"\x93NUMPY", "a NumPy array"), (0, b"{", "a JSON file")),
)
DEEP_TIFF = "a TIFF of a layout that is not read here"
REMEDIES = {
    RAW: "export it as JPEG",
    VIDEO: "take a still from it",
    DEEP_TIFF: "save it with 8 or 16 bits a channel, or as PNG",
}

ORIENTATION, COLOR_SPACE, INDEX = 0x0112, 0xA001, 1  # EXIF tags
EXIF_IFD, INTEROP_IFD = 0x8769, 0xA005
SUBFILE, SUB_IFDS, DNG_VERSION = 254, 330, 50706  # TIFF tags: raw files hold a thumbnail first
PAGES, MAX_CHUNKS = 32, 1000  # of a TIFF, of a PNG that are looked at
MAX_MENDED = 200_000_000  # bytes of a broken PNG that is read whole, twice, to mend it
HEAD = 1 << 16  # bytes in which a picture is looked for that something stands before
_T = Image.Transpose
TURNS = {2: _T.FLIP_LEFT_RIGHT, 3: _T.ROTATE_180, 4: _T.FLIP_TOP_BOTTOM}  # what EXIF's orientation asks for
TURNS |= {5: _T.TRANSPOSE, 6: _T.ROTATE_270, 7: _T.TRANSVERSE, 8: _T.ROTATE_90}
# What a picture without a profile may say it is in: to XYZ at D65, and each byte's linear light.
# Adobe RGB (1998) Color Image Encoding, 4.3.5.3 and 4.3.4.2; SMPTE EG 432-1 with sRGB's curve.
ADOBE_TO_XYZ = np.array([[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]])
P3_TO_XYZ = np.array([[0.48657, 0.26567, 0.19822], [0.22897, 0.69174, 0.07929], [0, 0.04511, 1.04394]])
SPACES = {
    "Adobe RGB": (ADOBE_TO_XYZ, ((np.arange(256) / 255) ** 2.19921875).astype(np.float32)),
    "Display P3": (P3_TO_XYZ, srgb_to_linear(np.arange(256) / 255)),
}
# ITU-T H.273: primaries and transfer, in a PNG's chunk and in the box of AVIF and HEIC.
CODED = re.compile(rb"cICP(?P<png>..)|nclx\0(?P<primaries>.)\0(?P<transfer>.)", re.S)
P3, HDR = 12, (16, 18)
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # refused earlier, in one line
warnings.filterwarnings("ignore", module="PIL.TiffImagePlugin")  # a broken EXIF block is ignored


def open_picture(path: str | Path, decode: bool = True) -> Image.Image:
    """Open a picture file by its content: its first frame, turned upright if decoded, in the file's own mode.

    Of a TIFF's pages the largest is taken: some have a thumbnail first.

    Raises:
        UserError: no such file, no picture or one of a kind not read here (named), too large, or cut short.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"image {path} does not exist: give the path of a JPEG, PNG or WebP file")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
        kind = RAW if path.suffix.lower() in RAW_SUFFIXES else ""
        kind = next((what for at, magic, what in SIGNATURES if head[at:].startswith(magic)), kind)
        formats: tuple[str, ...] = FORMATS
        if kind == HEIF and b"avif" not in head:
            _register_heif(path)
            formats = (*FORMATS, "HEIF")  # which Pillow knows only once it is registered
        if kind == HEIF or (kind == AVIF and features.check("avif")):
            kind = ""  # it can be read unless it is broken
        with _open(path, formats, head) as image:
            if image.format == "TIFF" and (kind == RAW or _holds_raw(image, head)):
                raise UserError(f"image {path} is {RAW} ({path.suffix}): {REMEDIES[RAW]}")
            if image.format == "TIFF":
                _turn_to_largest(image)
            if image.format == "PNG":
                _read_ahead(image)
            image.info["coded"] = _coded_space(image, head, path)
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            if max(image.size) > MAX_ASPECT * min(image.size):
                raise UserError(f"image {path} is {image.width}x{image.height}, too long and narrow: crop it")
            if not decode:
                return image
            image.load()
            turn = TURNS.get(orientation(image))
            return image if turn is None else image.transpose(turn)
    except UserError:
        raise
    except Image.DecompressionBombError:
        limit = MAX_PIXELS // 1_000_000
        raise UserError(f"image {path} is larger than {limit} megapixels: make it smaller") from None
    except Exception as error:  # PIL: OSError, SyntaxError, struct.error, EOFError… as the format goes
        kind = kind or (_name_kind(path) if isinstance(error, UnidentifiedImageError) else "")
        if kind:
            raise UserError(f"image {path} is {kind}: {REMEDIES.get(kind, 'save it as JPEG or PNG')}") from None
        raise UserError(f"image {path} cannot be read ({reason_of(error)}): save it again as JPEG or PNG") from None


def _open(path: Path, formats: tuple[str, ...], head: bytes) -> Image.Image:
    """Open a file by PIL; a PNG over whose broken EXIF or text PIL stumbles, without that."""
    try:
        return Image.open(path, formats=formats)
    except UnidentifiedImageError:
        if not head.startswith(PNG) or path.stat().st_size > MAX_MENDED:
            raise
        data, at, sound = path.read_bytes(), len(PNG), [PNG]
        while len(sound) < MAX_CHUNKS and data[at + 4 : at + 8] not in (b"IDAT", b""):
            end = at + 12 + int.from_bytes(data[at : at + 4], "big")
            whole = zlib.crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")
            if whole or data[at + 4 : at + 5].isupper():  # a capital: the pixels need it
                sound.append(data[at:end])
            at = end
        return Image.open(BytesIO(b"".join([*sound, data[at:]])), formats=("PNG",))


def _turn_to_largest(image: Image.Image) -> None:
    """Turn to the page of most pixels, the first of these."""
    areas = [0]
    with contextlib.suppress(Exception):  # the last page, or a broken one
        for page in range(PAGES):
            image.seek(page)
            areas.append(image.width * image.height)
    image.seek(max(0, areas.index(max(areas)) - 1))


def _read_ahead(image: Any) -> None:
    """Let a PNG tell the EXIF and XMP that exiftool puts after its pixels; PIL reads them once it decodes."""
    file = image.fp
    here, at = file.tell(), len(PNG)
    with contextlib.suppress(Exception):  # its end, or a broken chunk
        while True:
            file.seek(at)
            length, kind = struct.unpack(">I4s", file.read(8))
            if at > here and kind in (b"eXIf", b"iTXt", b"zTXt", b"tEXt"):
                image.png.call(kind, at + 8, length)
            at += length + 12
    file.seek(here)


def _name_kind(path: Path) -> str:
    """What a file is that FORMATS do not know, as far as its first bytes or PIL tell; '' where they do not."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return DEEP_TIFF
    if b"\xff\xd8\xff" in head:
        return "a JPEG with something else before it"
    Image.init()
    suffix = Image.registered_extensions().get(path.suffix.lower())
    # EPS would start Ghostscript; a kind without a signature is believed where the suffix says it too.
    kinds = [kind for kind, (_, accept) in Image.OPEN.items() if kind != "EPS" and (accept or kind == suffix)]
    with contextlib.suppress(Exception), Image.open(path, formats=kinds) as image:
        return f"a picture of kind {image.format}"
    return ""


def orientation(image: Image.Image) -> int:
    """What EXIF says of how a picture lies: 1 upright, 5 to 8 on its side; 1 if a broken block says nothing."""
    with contextlib.suppress(Exception):  # as with `open_picture`: whatever the block's parser stumbles over
        # The base class's getexif, because PNG's own decodes the picture first; a TIFF is turned by PIL already.
        value = 1 if image.format == "TIFF" else Image.Image.getexif(image).get(ORIENTATION, 1)
        return value if value in TURNS else 1
    return 1


def to_srgb(image: Image.Image) -> Image.Image:
    """A picture of any mode to RGB in sRGB: by its profile, or what else says its colour space; alpha over white."""
    profile = image.info.get("icc_profile")
    space = "" if profile else image.info.get("coded") or ("Adobe RGB" if _is_adobe_rgb(image) else "")
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(deep_to_bytes(image))
    elif image.mode == "LA":
        image = Image.composite(image.getchannel("L"), Image.new("L", image.size, 255), image.getchannel("A"))
    elif has_alpha(image):
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")  # of 108 megapixels a copy is 432 MB
        image = Image.new("RGB", rgba.size, "white")
        image.paste(rgba, mask=rgba)
    if image.mode == "LAB":
        return ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), SRGB, outputMode="RGB") or image
    image = image.convert("RGB") if image.mode == "P" else image
    if profile and image.mode in ("RGB", "CMYK", "L"):
        with contextlib.suppress(ImageCms.PyCMSError, OSError):  # a broken profile, or one of another kind of picture
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            image = ImageCms.profileToProfile(image, source, SRGB, outputMode="RGB") or image
    image = image if image.mode == "RGB" else image.convert("RGB")
    return _from_space(image, *SPACES[space]) if space else image


SRGB = ImageCms.createProfile("sRGB")


def has_alpha(image: Image.Image) -> bool:
    """Whether any pixel of a picture may be transparent."""
    return "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info


def deep_to_bytes(image: Image.Image) -> np.ndarray:
    """Grey of 16 bits, or of floats up to 1 or 255, to uint8 (H, W); PIL's own conversion clips at 255."""
    most = max(np.nan_to_num(band).max() for _, band in bands(image))
    top = next(top for top in (1, 255, np.inf) if most <= top) if image.mode.startswith("F") else 65535
    out = np.empty(image.size[::-1], np.uint8)
    for rows, band in bands(image):
        out[rows] = (np.nan_to_num(band).clip(0, top) / min(top, 65535) * 255).clip(0, 255).round()
    return out


def bands(image: Image.Image) -> Iterator[tuple[slice, np.ndarray]]:
    """The pixels of a picture as arrays of BAND rows, each with where it is: floats of all would take gigabytes."""
    for top in range(0, image.height, BAND):
        rows = slice(top, min(top + BAND, image.height))
        yield rows, np.asarray(image.crop((0, rows.start, image.width, rows.stop)))


def _register_heif(path: Path) -> None:
    """Let PIL read HEIC, as iPhones write it."""
    try:
        import pillow_heif
    except ImportError:
        raise UserError(f"image {path} is {HEIF}: run pip install pillow-heif, or save it as JPEG") from None
    if "HEIF" not in Image.OPEN:
        pillow_heif.register_heif_opener(thumbnails=False)


def _holds_raw(image: Image.Image, head: bytes) -> bool:
    """Whether a TIFF is a camera's raw file, whose first picture is only a thumbnail."""
    tags = getattr(image, "tag_v2", {})
    return DNG_VERSION in tags or head[8:10] == b"CR" or (SUB_IFDS in tags and bool(tags.get(SUBFILE, 0) & 1))


def _is_adobe_rgb(image: Image.Image) -> bool:
    """Whether EXIF says Adobe RGB as cameras do: 'uncalibrated' with DCF's index R03, or a colour space of 2."""
    with contextlib.suppress(Exception):  # a broken block says nothing
        exif = Image.Image.getexif(image)
        space, index = exif.get_ifd(EXIF_IFD).get(COLOR_SPACE), exif.get_ifd(INTEROP_IFD).get(INDEX, "")
        return space == 2 or (space == 65535 and str(index).startswith("R03"))
    return False


def _coded_space(image: Image.Image, head: bytes, path: Path) -> str:
    """Name the space of SPACES that a PNG, AVIF or HEIC without a profile tells by numbers; '' for sRGB.

    Raises:
        UserError: light is coded as for HDR screens, which as sRGB would be grey and dull.
    """
    told = CODED.search(head) if image.format in ("PNG", "AVIF", "HEIF") else None
    if not told or image.info.get("icc_profile"):
        return ""
    primaries, transfer = told["png"] or (told["primaries"] + told["transfer"])
    if transfer in HDR:
        raise UserError(f"image {path} is an HDR picture: save it as JPEG")
    return "Display P3" if primaries == P3 else ""


def _from_space(image: Image.Image, to_xyz: np.ndarray, linear: np.ndarray) -> Image.Image:
    """Bytes in another space to sRGB bytes, some rows at a time."""
    pixels = np.array(image)
    to_rgb = (XYZ_TO_RGB @ to_xyz).T.astype(np.float32)
    for start in range(0, len(pixels), 256):
        rows = pixels[start : start + 256]
        rows[:] = linear_to_bytes(linear[rows] @ to_rgb)
    return Image.fromarray(pixels)
