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


def aco(space, *values, version=2):
    """Photoshop's swatches: a section without names, and one with them."""

    def make(folder):
        color = struct.pack(">5H", space, *values)
        named = struct.pack(">2H", 2, 1) + color + struct.pack(">I", 5) + "Sage\0".encode("utf-16-be")
        (folder / "a.aco").write_bytes(struct.pack(">2H", 1, 1) + color + (named if version == 2 else b""))
        return folder / "a.aco"

    return make


SAGE_HEX = '[{"name": "Sage", "hex": "#7A9E7E"}]'


def is_sage(palette):
    return [(color.name, color.swatch.hex) for color in palette.colors] == [("Sage", "#7A9E7E")]


READ = (
    ("hex codes", "name,hex|Sage,#7A9E7E"),
    ("no header", "Sage,7A9E7E"),
    ("red, green, blue in any order of columns", "id,name,r,g,b|12,Sage,122,158,126"),
    ("semicolons, headers in German", "Blau;Rot;Grün;Name|126;122;158;Sage"),
    ("semicolons, headers in French", "Nom;R;V;B|Sage;122;158;126"),
    ("headers in Italian", "nome,rosso,verde,blu|Sage,122,158,126"),
    ("headers in Vietnamese", "tên,đỏ,lục,lam|Sage,122,158,126"),
    ("columns aligned by spaces", "122 158 126   Sage"),
    ("0 to 1", "name,r,g,b|Sage,0.478,0.62,0.494"),
    ("decimal commas", "name;r;g;b|Sage;0,478;0,62;0,494"),
    ("percent", "name,r,g,b|Sage,47.8%,62%,49.4%"),
    ("a colour in one cell, as CSS has it", 'name,colour|Sage,"rgb(122, 158, 126)"'),
    ("the same of another kind", 'name,colour|Sage,"hsl(126.7, 15.7%, 54.9%)"'),
    ("headers in Russian, Polish, Turkish, Chinese and more", "имя,красный,зелёный,синий|Sage,122,158,126"),
    ("eight digits, the alpha FF (`#7A9E7EFF`, `#FF7A9E7E`)", "name,hex|Sage,#7A9E7EFF"),
    ("a style sheet (`.css`, `.scss`)", "--Sage: #7A9E7E;"),
    ('Excel\'s `="7A9E7E"`, cells of several lines', 'name,hex|"Sage","=""7A9E7E"""'),
)
ASKED = (
    ("four numbers without a header", "12,122,158,126,Sage", "write a first line that names the columns"),
    ("CMYK alone", "name,c,m,y,k|Sage,23,0,20,38", "write a first line that names the columns"),
    ("HSV, of which V is no green", "name,h,s,v|Sage,127,23,62", "write a first line that names the columns"),
    ("CIELAB or HSL alone", "name,L,a,b|Sage,62,-18,13", "write a first line that names the columns"),
    ("0 and 1 alone", "name,r,g,b|Dot,1,1,1", "write 0 to 255, 1.0 or 100 %"),
    ("a code that has lost its zeros", "name,hex|Sage,#7A9E7E|Night,123", "may be #000123 or #112233"),
    ("eight digits with another alpha", "name,hex|Sage,#7A9E7E80", "is not a hex colour"),
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
    Case(
        "names in Cyrillic, Polish, Mac or DOS letters",
        "read",
        text("a.csv", "имя;hex|Шалфей;#7A9E7E", "cp1251"),
        lambda palette: palette.colors[0].name == "Шалфей",
    ),
    Case("Chinese or Japanese that is not UTF-8", "save it again as UTF-8", text("a.csv", "名|鼠尾草,#7A9E7E", "gbk")),
    Case("Excel's own file called `.csv`", "is a zip archive: save it as CSV", text("a.csv", "PK\3\4")),
    *(Case(f"a table: {what}", told, text("a.csv", lines)) for what, lines, told in ASKED),
    Case("GIMP (`.gpl`)", "read", text("a.gpl", "GIMP Palette|122 158 126 Sage"), is_sage),
    Case("Adobe swatch exchange (`.ase`)", "read", ase, is_sage),
    Case("Photoshop's swatches (`.aco`)", "read", aco(0, 122 * 257, 158 * 257, 126 * 257, 0), is_sage),
    Case("the same in HSB", "read", aco(1, 23192, 14932, 40606, 0), is_sage),
    Case("the same in CIELAB", "read", aco(7, 6174, 63639, 1275, 0), is_sage),
    Case(
        "the same without names",
        "read; its hex codes are the names",
        aco(0, 122 * 257, 158 * 257, 126 * 257, 0, version=1),
        lambda palette: [color.name for color in palette.colors] == ["#7A9E7E"],
    ),
    Case("the same in grey", "is unknown here, save it in RGB", aco(8, 5000, 0, 0, 0)),
    Case('JSON (`.json`): `{"Sage": "#7A9E7E"}`', "read", text("a.json", '{"Sage": "7a9e7e"}'), is_sage),
    Case('JSON: `[{"name": "Sage", "hex": "#7A9E7E"}]`', "read", text("a.json", SAGE_HEX), is_sage),
    Case("the same under a key", "read", text("a.json", f'{{"title": "x", "colors": {SAGE_HEX}}}'), is_sage),
    Case(
        "a list of codes alone, JSON or one line (coolors.co)",
        "read; its hex codes are the names",
        text("a.csv", "7a9e7e,112233,445566\n"),
        lambda palette: [color.name for color in palette.colors] == ["#7A9E7E", "#112233", "#445566"],
    ),
    Case(
        'JSON: `["#7A9E7E"]`',
        "the same",
        text("a.json", '["7A9E7E"]'),
        lambda palette: [color.name for color in palette.colors] == ["#7A9E7E"],
    ),
    Case(
        "the same with `rgb`, `red`, `color` or `$value` in place of `hex`, in groups or not",
        "read",
        text("a.json", '{"version": 1, "greens": [{"title": "Sage", "rgb": [122, 158, 126]}]}'),
        is_sage,
    ),
    Case(
        "JSON: 0 and 1 alone", "write 0 to 255, 1.0 or 100 %", text("a.json", '[{"name": "Sage", "rgb": [1, 1, 1]}]')
    ),
    Case("JSON of another shape", "is not a hex colour", text("a.json", '[{"name": "Sage", "hue": 127}]')),
    Case("broken JSON", "cannot be read", text("a.json", '{"Sage": ')),
    Case("anything else", "give one of .gpl .ase .aco .json .csv", text("a.acb", "")),
)
