"""The kinds of palette files: GIMP's, Adobe's two, JSON, and tables of text."""

from __future__ import annotations

import colorsys
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from wallpaint.errors import UserError
from wallpaint.pixels.color import Swatch, lab_to_rgb
from wallpaint.pixels.color_cells import NUMBER, color_in, drop_alpha, find_role, find_roles
from wallpaint.pixels.color_tables import REMEDY, read_rows, read_table
from wallpaint.pixels.plain_text import decode, keys_once

MAX_COLORS, MAX_NAME, MAX_TITLES = 5000, 80, 100
GPL_HEADER = re.compile(r"\s*#|GIMP Palette|\w+:")
JSON_REMEDY = 'write {"Sage": "#7A9E7E"} or [{"name": "Sage", "hex": "#7A9E7E"}]'


@dataclass(frozen=True)
class Named:
    """A colour and what it is called."""

    name: str
    swatch: Swatch


def _read_gpl(data: bytes) -> tuple[str, list[Named]]:
    """GIMP's palette: a header, then a line a colour, `R G B name`; Aseprite's may have an alpha before the name."""
    lines = decode(data).splitlines()
    if not lines or not lines[0].startswith("GIMP Palette"):
        raise UserError("a .gpl palette has to begin with 'GIMP Palette', save it from GIMP or Inkscape")
    name = next((line[5:].strip() for line in lines if line.startswith("Name:")), "")
    channels = 4 if "Channels: RGBA" in lines else 3
    colors = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not GPL_HEADER.match(line):
            row = line.split(None, channels)
            if len(row) < channels or not all(value.isdecimal() for value in row[:channels]):
                raise UserError(f"line {number} is no colour, write it as '122 158 126 Sage'")
            colors.append(_named("".join(row[channels:]), [int(value[:9]) / 255 for value in row[:3]]))
    return name, colors


def _read_table(data: bytes) -> tuple[str, list[Named]]:
    return "", [_name(name, swatch) for name, swatch in read_table(data)]


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


def _read_aco(data: bytes) -> tuple[str, list[Named]]:
    """Photoshop's colour swatches: 2-byte words; a section without names, then mostly one with them."""
    colors: list[Named] = []
    at = 0
    while at < len(data):
        version, count = struct.unpack_from(">2H", data, at)
        if version not in (1, 2):
            raise UserError("an .aco palette has to begin with version 1 or 2, save it from Photoshop")
        at, colors = at + 4, []
        for _ in range(count):
            space, *values = struct.unpack_from(">H4H", data, at)
            at, name = at + 10, ""
            if version == 2:
                (letters,) = struct.unpack_from(">I", data, at)
                at += 4 + 2 * letters
                name = data[at - 2 * letters : at].decode("utf-16-be").rstrip("\0")
            colors.append(_named(name, _aco_color(space, values)))
    return "", colors


def _aco_color(space: int, values: list[int]) -> list[float]:
    """A colour of Photoshop's as sRGB; grey, whose direction programs disagree on, is asked."""
    first, second, third, fourth = (value / 65535 for value in values)
    if space == 0:
        return [first, second, third]
    if space == 1:
        return list(colorsys.hsv_to_rgb(first, second, third))
    if space == 2:  # no ink is 65535
        return [first * fourth, second * fourth, third * fourth]
    if space == 7:
        a, b = ((value + 32768) % 65536 - 32768 for value in values[1:3])
        return [float(v) for v in lab_to_rgb(np.array([values[0], a, b], dtype=np.float32) / 100)]
    raise UserError(f"an .aco colour in space {space} is unknown here, save it in RGB")


def _read_json(data: bytes) -> tuple[str, list[Named]]:
    """Names with codes, or a list of colours, however deep: {"Sage": "#7A9E7E"}, [{"name": "Sage", "rgb": […]}]."""
    rows = list(_json_rows(json.loads(drop_alpha(decode(data)), object_pairs_hook=keys_once), ""))
    titles = list(dict.fromkeys(title for row in rows for title in row))
    if len(titles) > MAX_TITLES:
        raise UserError(f"its colours have {len(titles)} different keys, {JSON_REMEDY}")
    cells = [(f"colour {i}", [row.get(title, "") for title in titles]) for i, row in enumerate(rows, 1)]
    try:
        return "", [_name(name, swatch) for name, swatch in read_rows(titles, cells)] if rows else []
    except UserError as error:
        raise UserError(str(error).replace(REMEDY, JSON_REMEDY)) from None


def _json_rows(found: Any, name: str) -> Iterator[dict[str, str]]:
    """Give every colour as a row of a table, {title: cell}; `name` is what the keys around it call it."""
    found = dict(zip("rgb", found, strict=True)) if _is_triple(found) else found
    if isinstance(found, list):
        for each in found:
            yield from _json_rows(each, name)
    elif not isinstance(found, dict):
        yield {"name": name, "hex": _text(found)}
    elif row := _json_row(found):
        yield row if any(find_role(title) == "name" for title in row) else {"name": name, **row}
    else:
        inside = {key: value for key, value in found.items() if isinstance(value, (list, dict)) and value}
        for key, value in (inside or found).items():  # a title or a version beside the colours is none
            around = len(inside) == 1 and not (isinstance(value, dict) and _json_row(value))
            yield from _json_rows(value, name if around else f"{name} {key}")


def _json_row(found: dict[str, Any]) -> dict[str, str]:
    """The cells of an object that is one colour, by their titles; empty for another object."""
    row: dict[str, str] = {}
    for key, value in found.items():
        role = find_role(key)
        value = dict(zip("rgb", value, strict=True)) if role == "color" and _is_triple(value) else value
        if isinstance(value, dict) and find_roles([*value])[:3] == ["red", "green", "blue"]:
            row |= {channel: _text(number) for channel, number in value.items()}
        elif role == "name" or not isinstance(value, (dict, list)):
            title = "color" if key.strip("$") == "value" else key  # as design tokens have it
            row[title] = _text(value)
    roles = {role: row[title] for title in row if (role := find_role(title))}
    coded = {"hex", "color"} & {*roles} or ("name" in roles and any(map(color_in, row.values())))
    return row if coded or NUMBER.fullmatch(roles.get("red", "")) else {}


def _is_triple(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(type(number) in (int, float) for number in value)


def _text(value: Any) -> str:
    """A value of JSON as a cell; of a name in several languages the first."""
    value = next(iter(value.values()), "") if isinstance(value, dict) else value
    return "" if value is None else str(value)


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
    """A colour from sRGB 0 to 1, a hundredth beyond at most."""
    if not all(-0.01 <= value <= 1.01 for value in rgb):
        raise UserError(f"a colour of {rgb} is out of range, write 0 to 255 for each channel")
    red, green, blue = (round(255 * min(1.0, max(0.0, value))) for value in rgb)
    return _name(name, Swatch((red, green, blue)))


def _name(name: str, swatch: Swatch) -> Named:
    """A colour and its name, without the marks of a list or a style sheet; without a name its hex stands for it."""
    return Named(" ".join(name.split()).strip(" :=-–•*$")[:MAX_NAME] or swatch.hex, swatch)


READERS = {".gpl": _read_gpl, ".ase": _read_ase, ".aco": _read_aco, ".json": _read_json}
READERS |= dict.fromkeys((".csv", ".tsv", ".txt", ".css", ".scss", ".hex", ".pal"), _read_table)
# What a file begins with goes before what its name says.
BY_CONTENT = {b"GIMP Palette": _read_gpl, b"ASEF": _read_ase, b"{": _read_json, b"[": _read_json}
