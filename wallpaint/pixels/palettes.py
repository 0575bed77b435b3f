"""Palettes of named colours: the shipped ones, files (.gpl, .ase, .csv) of one's own, the nearest name."""

from __future__ import annotations

import csv
import functools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ImageColor

from wallpaint.errors import UserError
from wallpaint.paths import ASSETS
from wallpaint.pixels.color import Swatch, delta_e, lab_to_rgb, parse_color

PALETTES = ASSETS / "palettes"
MAX_BYTES, MAX_COLORS, MAX_NAME = 2_000_000, 5000, 80


@dataclass(frozen=True)
class Named:
    """A colour and what it is called."""

    name: str
    swatch: Swatch


@dataclass(frozen=True)
class Palette:
    """Named colours, and where they come from."""

    name: str
    colors: tuple[Named, ...]
    source: str = ""

    @functools.cached_property
    def lab(self) -> np.ndarray:
        """CIELAB of its colours, (N, 3)."""
        return np.stack([color.swatch.lab for color in self.colors])


@functools.cache
def shipped_palettes() -> dict[str, Palette]:
    """RAL Classic and the CSS names, by name."""
    ral = read_palette(PALETTES / "ral-classic.gpl")
    # getrgb, not the map's own values: Pillow puts a tuple in the place of each that was once asked for.
    colors = tuple(Named(name, Swatch(ImageColor.getrgb(name)[:3])) for name in sorted(ImageColor.colormap))
    css = Palette("CSS", colors, "CSS Color Module Level 4, the named colours, as Pillow lists them")
    return {"RAL Classic": ral, "CSS": css}


def read_palette(path: str | Path) -> Palette:
    """Read a GIMP palette (.gpl), an Adobe swatch exchange (.ase) or a table (.csv: name, hex or r, g, b).

    Raises:
        UserError: no such file, another format, larger than 2 MB, or no colour in it.
    """
    path = Path(path)
    readers = {".gpl": _read_gpl, ".ase": _read_ase, ".csv": _read_csv}
    if path.suffix.lower() not in readers:
        raise UserError(f"palette {path.name} is of no kind known here, give a .gpl, .ase or .csv file")
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise UserError(f"palette {path.name} is missing or larger than 2 MB, give a smaller file")
    try:
        name, colors = readers[path.suffix.lower()](path.read_bytes())
    except (struct.error, UnicodeDecodeError, csv.Error, IndexError, OverflowError) as error:
        raise UserError(f"palette {path.name} cannot be read ({error}), save it again") from None
    if not colors:
        raise UserError(f"palette {path.name} has no colour in it, look at what was saved")
    told = [line.strip("# ") for line in _comments(path)]
    return Palette(name or path.stem, tuple(colors[:MAX_COLORS]), " ".join(told))


def nearest_color(palette: Palette, swatch: Swatch) -> tuple[Named, float]:
    """Find the palette's colour nearest to a swatch, and its CIEDE2000."""
    difference = delta_e(palette.lab, swatch.lab)
    index = int(difference.argmin())
    return palette.colors[index], float(difference[index])


def _comments(path: Path) -> Iterator[str]:
    """Give the comment lines of a .gpl, which say where it comes from."""
    if path.suffix.lower() == ".gpl":
        yield from (line for line in _text(path.read_bytes()).splitlines() if line.startswith("#") and line[1:])


def _read_gpl(data: bytes) -> tuple[str, list[Named]]:
    """GIMP's palette: a header, then a line a colour, `R G B name`."""
    lines = _text(data).splitlines()
    if not lines or not lines[0].startswith("GIMP Palette"):
        raise UserError("a .gpl palette has to begin with 'GIMP Palette', save it from GIMP or Inkscape")
    name = next((line[5:].strip() for line in lines if line.startswith("Name:")), "")
    rows = (line.split(None, 3) for line in lines[1:] if line.strip()[:1].isdigit())
    return name, [_named("".join(row[3:]), [int(row[i]) / 255 for i in range(3)]) for row in rows]


def _read_csv(data: bytes) -> tuple[str, list[Named]]:
    """A table: in each row a hex code, or the first three numbers up to 255; the rest is its name."""
    text = _text(data)
    delimiter = max(";\t,", key=text.split("\n", 1)[0].count)
    colors = []
    for row in csv.reader(text.splitlines(), delimiter=delimiter):
        cells = [cell.strip() for cell in row if cell.strip()]
        codes = [cell for cell in cells if _is_hex(cell)]
        numbers = [cell for cell in cells if cell.isascii() and cell.isdigit() and int(cell[:9]) <= 255]
        if not codes and len(numbers) < 3:
            continue  # a header, or an empty line
        rest = [cell for cell in cells if cell not in codes and not (cell.isdigit() and not codes)]
        if codes:
            code = next((code for code in codes if code.startswith("#")), codes[-1])
            colors.append(Named(" ".join(rest)[:MAX_NAME] or parse_color(code).hex, parse_color(code)))
        else:
            colors.append(_named(" ".join(rest), [int(number) / 255 for number in numbers[:3]]))
    return "", colors


def _read_ase(data: bytes) -> tuple[str, list[Named]]:
    """Adobe's swatch exchange: big-endian blocks; 1 is a colour, c001 and c002 bracket a group."""
    magic, _, _, count = struct.unpack_from(">4sHHI", data)
    if magic != b"ASEF":
        raise UserError("an .ase palette has to begin with 'ASEF', save it as Adobe Swatch Exchange")
    colors: list[Named] = []
    at = 12
    for _ in range(min(count, 2 * MAX_COLORS)):
        kind, length = struct.unpack_from(">HI", data, at)
        at += 6
        if kind == 1:
            (letters,) = struct.unpack_from(">H", data, at)
            name = data[at + 2 : at + 2 + 2 * letters].decode("utf-16-be").rstrip("\0")
            colors.append(_named(name, _ase_color(data, at + 2 + 2 * letters)))
        at += length
    return "", colors


def _ase_color(data: bytes, at: int) -> list[float]:
    """The four-letter model at `at` and its numbers, as sRGB; CMYK without a profile can only be rough."""
    model = data[at : at + 4].decode("ascii")
    if model == "RGB ":
        return list(struct.unpack_from(">3f", data, at + 4))
    if model == "Gray":
        return 3 * list(struct.unpack_from(">f", data, at + 4))
    if model == "LAB ":
        lightness, a, b = struct.unpack_from(">3f", data, at + 4)
        return [float(v) for v in lab_to_rgb(np.array([100 * lightness, a, b], dtype=np.float32))]
    if model == "CMYK":
        *inks, black = struct.unpack_from(">4f", data, at + 4)
        return [(1 - ink) * (1 - black) for ink in inks]
    raise UserError(f"an .ase colour in model {model!r} is unknown here, save it in RGB")


def _named(name: str, rgb: list[float]) -> Named:
    """A colour from sRGB 0 to 1; without a name its hex stands for it."""
    if not all(0 <= value <= 1.0001 for value in rgb):
        raise UserError(f"a colour of {rgb} is out of range, write 0 to 255 for each channel")
    red, green, blue = (round(255 * min(1.0, value)) for value in rgb)
    swatch = Swatch((red, green, blue))
    return Named(" ".join(name.split())[:MAX_NAME] or swatch.hex, swatch)


def _is_hex(cell: str) -> bool:
    """Whether a cell is a hex colour: '#abc' or six digits."""
    digits = cell.lstrip("#")
    hexes = all(letter in "0123456789abcdefABCDEF" for letter in digits)
    return hexes and (len(digits) == 6 or (cell.startswith("#") and len(digits) == 3))


def _text(data: bytes) -> str:
    """UTF-8 with or without its mark, else Latin-1."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
