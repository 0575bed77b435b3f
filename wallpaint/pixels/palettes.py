"""Palettes of named colours: the shipped ones, files of one's own (see READERS), the nearest name."""

from __future__ import annotations

import csv
import difflib
import functools
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ImageColor

from wallpaint.errors import UserError
from wallpaint.paths import ASSETS
from wallpaint.pixels.color import Swatch, delta_e
from wallpaint.pixels.color_cells import plain
from wallpaint.pixels.file_kinds import kind_of
from wallpaint.pixels.palette_files import BY_CONTENT, MAX_COLORS, MAX_NAME, READERS, Named
from wallpaint.pixels.plain_text import decode

PALETTES = ASSETS / "palettes"
MAX_BYTES = 2_000_000
BLANKS = b"\xef\xbb\xbf \t\r\n"


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
    """Read a palette of a kind of READERS: GIMP's, Adobe's two, JSON, or a table (see `read_table`).

    Raises:
        UserError: no such file, another format, larger than 2 MB, more than 5,000 colours or none, or
            colours that can be read in more than one way.
    """
    path = Path(path)
    if path.suffix.lower() not in READERS:
        raise UserError(f"palette {path.name} is of no kind known here, give one of {' '.join([*READERS][:5])}")
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise UserError(f"palette {path.name} is missing or larger than 2 MB, give a smaller file")
    data = path.read_bytes()
    read = next((BY_CONTENT[magic] for magic in BY_CONTENT if data.lstrip(BLANKS).startswith(magic)), None)
    if not read and (kind := kind_of(path, data)):
        raise UserError(f"palette {path.name} is {kind}: save it as CSV in UTF-8")
    read = read or READERS[path.suffix.lower()]
    try:
        name, colors = read(data)
    except UserError as error:
        raise UserError(f"palette {path.name}: {error}") from None
    except (struct.error, ValueError, RecursionError, csv.Error) as error:
        raise UserError(f"palette {path.name} cannot be read ({error}), save it again") from None
    if not 0 < len(colors) <= MAX_COLORS:
        raise UserError(f"palette {path.name} has {len(colors) or 'no'} colours in it, give 1 to {MAX_COLORS}")
    comments = decode(data).splitlines() if read is READERS[".gpl"] else []
    source = " ".join(line.strip("# ") for line in comments if line.startswith("#") and line[1:])
    return Palette(name or path.stem, tuple(colors), source)


def find_paint(name: str, palette: Palette | None) -> Named:
    """Find a paint by its name or code ('RAL 6021', 'Signal yellow') in a palette, then in the shipped ones.

    Case, accents and spaces do not count. Some of a name's words do where only one has them.

    Raises:
        UserError: no paint is called so (with the nearest names), or several are, in different colours.
    """
    asked = _words(name)
    groups = [[*palette.colors] if palette else [], [c for each in shipped_palettes().values() for c in each.colors]]

    def whole(words: list[str]) -> bool:
        return "".join(asked) in ("".join(words), "".join(words[2:]) if words[:1] == ["ral"] else None)

    def part(words: list[str]) -> bool:
        return bool(asked) and any(words[i : i + len(asked)] == asked for i in range(len(words)))

    for group in groups:
        for matches in (whole, part):
            found = [color for color in group if matches(_words(color.name))]
            if len({color.swatch for color in found}) > 1:
                these = ", ".join(f"{color.name} ({color.swatch.hex})" for color in found[:4])
                raise UserError(f"{name[:MAX_NAME]!r} may be {these}{', …' if found[4:] else ''}: name one of them")
            if found:
                return found[0]
    names = {plain(color.name): color.name for group in groups for color in group}
    near = ", ".join(names[match] for match in difflib.get_close_matches(plain(name), names, n=3, cutoff=0.5))
    raise UserError(f"no paint is called {name[:MAX_NAME]!r}: {f'the nearest are {near}' if near else 'give its hex'}")


def nearest_color(palette: Palette, swatch: Swatch) -> tuple[Named, float]:
    """Find the palette's colour nearest to a swatch, and its CIEDE2000."""
    difference = delta_e(palette.lab, swatch.lab)
    index = int(difference.argmin())
    return palette.colors[index], float(difference[index])


def _words(name: str) -> list[str]:
    """The words and numbers of a name: 'RAL6021' and 'ral 6021' are the same."""
    return re.findall(r"[a-z]+|[0-9]+|[^\W\d_a-z]+", plain(name))
