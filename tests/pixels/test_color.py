"""Colour against published figures, colour-science, and itself forth and back."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from wallpaint.errors import UserError
from wallpaint.pixels.color import (
    Swatch,
    bytes_to_linear,
    delta_e,
    lab_to_rgb,
    lightness,
    linear_to_bytes,
    linear_to_srgb,
    luminance,
    parse_color,
    rgb_to_lab,
)
from wallpaint.pixels.color import srgb_to_linear as to_linear

# Sharma, Wu, Dalal (2005), table 1: L1 a1 b1, L2 a2 b2, CIEDE2000.
SHARMA = """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""
PAIRS = np.array([[float(x) for x in line.split()] for line in SHARMA.split("\n") if line])


def test_ciede2000_gives_sharmas_34_published_values():
    assert PAIRS.shape == (34, 7)
    np.testing.assert_allclose(delta_e(PAIRS[:, :3], PAIRS[:, 3:6]), PAIRS[:, 6], atol=5.1e-5)
    np.testing.assert_allclose(delta_e(PAIRS[:, 3:6], PAIRS[:, :3]), PAIRS[:, 6], atol=5.1e-5)


@pytest.mark.skipif(importlib.util.find_spec("colour") is None, reason="needs colour-science")
def test_lab_and_ciede2000_agree_with_colour_science():
    # In a process of its own: once colour is imported without matplotlib, diffusers no longer imports.
    code = """
import json, warnings; warnings.simplefilter("ignore")
import colour, numpy as np
rgb = np.random.default_rng(0).random((200, 3))
white = colour.CCS_ILLUMINANTS["CIE 1931 2 Degree Standard Observer"]["D65"]
lab = colour.XYZ_to_Lab(colour.sRGB_to_XYZ(rgb), white)
print(json.dumps([lab.tolist(), colour.difference.delta_E_CIE2000(lab[:100], lab[100:]).tolist()]))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    lab, difference = (np.array(values) for values in json.loads(out))
    ours = rgb_to_lab(np.random.default_rng(0).random((200, 3)))
    assert ours.dtype == np.float32
    assert delta_e(ours, lab).max() < 0.02  # colour-science rounds sRGB's matrix to four digits
    np.testing.assert_allclose(delta_e(lab[:100], lab[100:]), difference, atol=1e-4)


def test_lab_of_known_colours():
    np.testing.assert_allclose(rgb_to_lab([1.0, 1.0, 1.0]), [100, 0, 0], atol=1e-3)
    np.testing.assert_allclose(rgb_to_lab([0.0, 0.0, 0.0]), [0, 0, 0], atol=1e-3)
    np.testing.assert_allclose(rgb_to_lab([1.0, 0.0, 0.0]), [53.24, 80.09, 67.20], atol=0.02)
    np.testing.assert_allclose(rgb_to_lab([0.5, 0.5, 0.5])[1:], [0, 0], atol=1e-3)  # a grey has no hue


def test_every_way_there_leads_back():
    rgb = np.random.default_rng(1).random((4, 50, 3)).astype(np.float32)
    np.testing.assert_allclose(linear_to_srgb(to_linear(rgb)), rgb, atol=2e-6)
    np.testing.assert_allclose(lab_to_rgb(rgb_to_lab(rgb)), rgb, atol=2e-5)
    dark = np.linspace(0, 0.05, 60)[:, None].repeat(3, 1)  # through both straight pieces
    np.testing.assert_allclose(lab_to_rgb(rgb_to_lab(dark)), dark, atol=2e-5)


def test_colours_that_srgb_cannot_show_are_clipped():
    assert lab_to_rgb([50, 120, -120]).min() == 0
    assert linear_to_srgb([-0.2, 1.7]).tolist() == pytest.approx([0, 1])


def test_delta_e_broadcasts_and_keeps_the_shape():
    lab = rgb_to_lab(np.random.default_rng(2).random((5, 7, 3)))
    assert delta_e(lab, lab[0, 0]).shape == (5, 7)
    assert delta_e(lab, lab).max() == 0


def test_delta_e_does_not_depend_on_its_chunks(monkeypatch):
    lab = rgb_to_lab(np.random.default_rng(3).random((50, 3)))
    whole = delta_e(lab, lab[::-1])
    monkeypatch.setattr("wallpaint.pixels.color.CHUNK", 7)
    assert (delta_e(lab, lab[::-1]) == whole).all()


def test_luminance_of_white_is_1():
    assert luminance([1, 1, 1]) == pytest.approx(1)
    assert luminance([0, 1, 0]) == pytest.approx(0.7152, abs=1e-4)


@pytest.mark.parametrize("text", ["#7A9E7E", "7a9e7e", " #7a9E7e "])
def test_hex_is_read_in_any_case(text):
    swatch = parse_color(text)
    assert swatch.rgb == (122, 158, 126)
    assert swatch.hex == "#7A9E7E"


def test_short_hex_doubles_its_digits():
    assert parse_color("#abc").rgb == (170, 187, 204)


@pytest.mark.parametrize("text", ["", "#12345", "#gggggg", "rgb(1,2,3)", "#1234567", "٣٣٣", "##123456"])
def test_what_is_no_hex_colour_is_refused(text):
    with pytest.raises(UserError, match="is not a hex colour: write it as '#7A9E7E'"):
        parse_color(text)


def test_swatch_knows_its_picture_linear_light_and_lab():
    swatch = Swatch((122, 158, 126))
    assert swatch.image(3).size == (3, 3)
    assert swatch.image(3).getpixel((2, 2)) == (122, 158, 126)
    np.testing.assert_allclose(swatch.linear, to_linear(np.array(swatch.rgb) / 255))
    np.testing.assert_allclose(swatch.lab, rgb_to_lab(np.array(swatch.rgb) / 255))


@pytest.mark.parametrize("rgb", [(1, 2), (1, 2, 256), (-1, 0, 0), (1.5, 0, 0), (True, 0, 0), ("1", 2, 3)])
def test_swatch_refuses_what_is_no_colour(rgb):
    with pytest.raises(UserError, match="three whole numbers from 0 to 255"):
        Swatch(rgb)


def test_the_tables_are_the_transfer_curve():
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_allclose(bytes_to_linear(values), to_linear(values / 255), rtol=1e-6)
    assert np.array_equal(linear_to_bytes(bytes_to_linear(values)), values)
    light = np.random.default_rng(0).random((100, 100)).astype(np.float32) ** 3
    assert np.abs(linear_to_bytes(light) - linear_to_srgb(light) * 255).max() < 0.55
    assert linear_to_bytes(np.array([-1.0, 2.0])).tolist() == [0, 255]


def test_lightness_alone_is_that_of_lab():
    rgb = np.random.default_rng(0).random((50, 3)).astype(np.float32) ** 3
    np.testing.assert_allclose(lightness(to_linear(rgb)), rgb_to_lab(rgb)[:, 0], atol=1e-4)
