"""Picture files as phones, cameras and tools make them: opened upright, or refused by what they are."""

from __future__ import annotations

import contextlib
import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError, features

from wallpaint.errors import UserError, reason_of
from wallpaint.pixels import file_kinds as kinds
from wallpaint.pixels.file_kinds import AVIF, DEEP_TIFF, HEAD, HEIF, RAW, REMEDIES
from wallpaint.pixels.photo_colors import told_space

# The largest common phone camera, 12000 x 9000: 324 MB as RGB. A file of 20 KB can claim any size.
MAX_PIXELS = 108_000_000
MAX_ASPECT = 64  # at 512 px the short side is one multiple (64) of a model's size; panoramas have 10 at most
# No EPS: PIL would start Ghostscript on it.
FORMATS: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")
PNG = b"\x89PNG\r\n\x1a\n"
ORIENTATION = 0x0112  # EXIF tag
PAGES, MAX_CHUNKS = 32, 1000  # of a TIFF, of a PNG that are looked at
MAX_MENDED = 200_000_000  # bytes of a broken PNG that is read whole, twice, to mend it
_T = Image.Transpose
TURNS = {2: _T.FLIP_LEFT_RIGHT, 3: _T.ROTATE_180, 4: _T.FLIP_TOP_BOTTOM}  # what EXIF's orientation asks for
TURNS |= {5: _T.TRANSPOSE, 6: _T.ROTATE_270, 7: _T.TRANSVERSE, 8: _T.ROTATE_90}
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # refused earlier, in one line
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY  # ComfyUI packs whole workflows into one
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
    kind, head = "", b""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
        kind, formats = kinds.kind_of(path, head), FORMATS
        if kind == HEIF and b"avif" not in head:
            _register_heif(path)
            formats = (*FORMATS, "HEIF")  # which Pillow knows only once it is registered
        if kind == HEIF or (kind == AVIF and features.check("avif")):
            kind = ""  # it can be read unless it is broken
        with _open(path, formats, head) as image:
            _check_header(image, path, head, kind)
            return _decode(image) if decode else image
    except UserError:
        raise
    except Image.DecompressionBombError:
        limit = MAX_PIXELS // 1_000_000
        raise UserError(f"image {path} is larger than {limit} megapixels: make it smaller") from None
    except Exception as error:  # PIL: OSError, SyntaxError, struct.error, EOFError… as the format goes
        unknown = isinstance(error, UnidentifiedImageError)
        if kind := kind or (kinds.name_kind(path, head) if unknown else ""):
            raise UserError(f"image {path} is {kind}: {REMEDIES.get(kind, 'save it as JPEG or PNG')}") from None
        reason = reason_of(error) if not unknown else "its content is no picture" if head else "it is empty"
        raise UserError(f"image {path} cannot be read ({reason}): save it again as JPEG or PNG") from None


def _check_header(image: Image.Image, path: Path, head: bytes, kind: str) -> None:
    """Turn to the page that counts, note what else the file tells, and refuse what is not to be decoded."""
    if image.format == "TIFF":
        if kind == RAW or kinds.holds_raw(image, head):
            raise UserError(f"image {path} is {RAW} ({path.suffix}): {REMEDIES[RAW]}")
        _turn_to_largest(image)
        if kinds.is_misread(image):
            raise UserError(f"image {path} is {DEEP_TIFF}: {REMEDIES[DEEP_TIFF]}")
    if image.format == "PNG":
        _read_ahead(image)
    image.info["space"] = told_space(image, head, path)
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError
    if max(image.size) > MAX_ASPECT * min(image.size):
        raise UserError(f"image {path} is {image.width}x{image.height}, too long and narrow: crop it")


def _decode(image: Image.Image) -> Image.Image:
    """The picture, turned upright."""
    image.load()
    if image.format == "TIFF" and image.mode.startswith("I;16"):
        return _grey_as_told(image)
    turn = TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


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


def _grey_as_told(image: Any) -> Image.Image:
    """Grey of a TIFF in 16 bits, 0 black, where the file has 0 for white or fewer bits, which Pillow leaves so."""
    bits, inverted = image.tag_v2.get(258, (16,))[0], image.tag_v2.get(262) == 0
    if bits >= 16 and not inverted:
        return image
    numbers, top = np.asarray(image).astype(np.uint32), 2 ** min(bits, 16) - 1
    return Image.fromarray(((top - numbers if inverted else numbers) * 65535 // top).astype(np.uint16))


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


def orientation(image: Image.Image) -> int:
    """What EXIF says of how a picture lies: 1 upright, 5 to 8 on its side; 1 if a broken block says nothing."""
    with contextlib.suppress(Exception):  # as with `open_picture`: whatever the block's parser stumbles over
        # The base class's getexif, because PNG's own decodes the picture first; a TIFF is turned by PIL already.
        value = 1 if image.format == "TIFF" else Image.Image.getexif(image).get(ORIENTATION, 1)
        return value if value in TURNS else 1
    return 1


def _register_heif(path: Path) -> None:
    """Let PIL read HEIC, as iPhones write it."""
    try:
        import pillow_heif
    except ImportError:
        raise UserError(f"image {path} is {HEIF}: run pip install pillow-heif, or save it as JPEG") from None
    if "HEIF" not in Image.OPEN:
        pillow_heif.register_heif_opener(thumbnails=False)
