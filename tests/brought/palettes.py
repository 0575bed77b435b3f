"""Palettes of paints, as shops, tables and design programs write them."""

import struct

from brought import Case
from wallpaint.pixels.palettes import read_palette

TITLE, read = "Palettes", read_palette


def text(name, lines, encoding="utf-8"):
    def make(folder):
        (folder / name).write_bytes(lines.replace("|", "\n").encode(encoding))
        return folder / name

    return make


def ase(folder):
    body = struct.pack(">H", 5) + "Sage\0".encode("utf-16-be") + b"RGB "
    body += struct.pack(">3fH", 122 / 255, 158 / 255, 126 / 255, 2)
    (folder / "a.ase").write_bytes(b"ASEF" + struct.pack(">HHI", 1, 0, 1) + struct.pack(">HI", 1, len(body)) + body)
    return folder / "a.ase"


def is_sage(palette):
    return [(color.name, color.swatch.hex) for color in palette.colors] == [("Sage", "#7A9E7E")]


READ = (
    ("hex codes", "name,hex|Sage,#7A9E7E"),
    ("no header", "Sage,7A9E7E"),
    ("red, green, blue in any order of columns", "id,name,r,g,b|12,Sage,122,158,126"),
    ("semicolons, headers in German", "Blau;Rot;Grün;Name|126;122;158;Sage"),
    ("headers in Vietnamese", "tên,đỏ,lục,lam|Sage,122,158,126"),
    ("columns aligned by spaces", "122 158 126   Sage"),
    ("0 to 1", "name,r,g,b|Sage,0.478,0.62,0.494"),
    ("decimal commas", "name;r;g;b|Sage;0,478;0,62;0,494"),
    ("percent", "name,r,g,b|Sage,47.8%,62%,49.4%"),
    ("a colour in one cell", 'name,colour|Sage,"rgb(122, 158, 126)"'),
)
ASKED = (
    ("four numbers without a header", "12,122,158,126,Sage", "write a first line that names the columns"),
    ("CIELAB or HSL alone", "name,L,a,b|Sage,62,-18,13", "write a first line that names the columns"),
    ("0 and 1 alone", "name,r,g,b|Dot,1,1,1", "write 0 to 255, 1.0 or 100 %"),
    ("numbers and a code that differ", "name,r,g,b,hex|Sage,1,2,3,#7A9E7E", "line 2 has two colours"),
    ("a row without a colour", "name,hex|Sage,#7A9E7E|Night,dark", "line 3: colour 'dark' is not a hex colour"),
)
CASES = (
    *(Case(f"a table: {what}", "read", text("a.csv", lines), is_sage) for what, lines in READ),
    Case(
        "a table in UTF-16 or Latin-1, any line ends",
        "read",
        text("a.csv", "name;hex|Sage;#7A9E7E", "utf-16"),
        is_sage,
    ),
    *(Case(f"a table: {what}", told, text("a.csv", lines)) for what, lines, told in ASKED),
    Case("GIMP (`.gpl`)", "read", text("a.gpl", "GIMP Palette|122 158 126 Sage"), is_sage),
    Case("Adobe swatch exchange (`.ase`)", "read", ase, is_sage),
    Case("anything else", "give a .gpl, .ase or .csv file", text("a.aco", "")),
)
