"""Metrics on toy walls whose right answer is known."""

import numpy as np
import pytest
from PIL import Image

from wallpaint.pixels import metrics
from wallpaint.pixels.color import Swatch, bytes_to_linear, delta_e, linear_to_lab, linear_to_srgb
from wallpaint.pixels.metrics import (
    TOO_BRIGHT,
    brightness_error,
    delta_e_paint,
    delta_e_rim,
    delta_e_truth,
    expected_lightness,
    in_own_light,
    outside_changed_pixels,
    shading_correlation,
    split_error,
    wall_region,
)
from wallpaint.pixels.recolor import Coat

SAGE = Swatch((122, 158, 126))
SIZE = (100, 80)
MASK = Image.new("L", SIZE)
MASK.paste(255, (10, 10, 90, 60))
LIGHT = 0.2 + 0.8 * np.add.outer(np.sin(np.linspace(0, 3, 80)) ** 2, np.linspace(0, 1, 100))[..., None] / 2


def render(paint, light=LIGHT):
    """A wall of linear paint (3,) in a light (H, W, 1)."""
    return Image.fromarray((linear_to_srgb(np.asarray(paint) * light) * 255).round().astype(np.uint8))


def test_the_wall_is_the_mask_without_one_percent_of_the_long_side():
    wall = wall_region(MASK)
    assert wall.sum() == (80 - 2) * (50 - 2)
    assert wall[11:59, 11:89].all()
    big = Image.new("L", (500, 100))
    big.paste(255, (100, 0, 300, 100))
    rows, columns = np.nonzero(wall_region(big))
    assert (columns.min(), columns.max()) == (105, 294)
    assert (rows.min(), rows.max()) == (0, 99)  # the picture's border is no edge


def test_the_truth_itself_has_no_error():
    assert delta_e_truth(render(SAGE.linear), render(SAGE.linear), MASK) == {"mean": 0, "median": 0, "p90": 0}


def test_delta_e_truth_counts_the_wall_alone():
    out = np.asarray(render(SAGE.linear)).copy()
    out[:11], out[:, :11] = 255, 0  # outside the wall and on its rim
    assert delta_e_truth(Image.fromarray(out), render(SAGE.linear), MASK)["mean"] == 0
    out[11:35] = out[11:35][..., ::-1]  # half of the wall in a wrong colour
    figures = delta_e_truth(Image.fromarray(out), render(SAGE.linear), MASK)
    assert 0.3 < figures["mean"] < figures["p90"] < 20


def test_delta_e_truth_is_ciede2000():
    out, truth = Image.new("RGB", SIZE, (255, 255, 255)), Image.new("RGB", SIZE, (0, 0, 0))
    assert delta_e_truth(out, truth, MASK) == pytest.approx({"mean": 100, "median": 100, "p90": 100}, abs=1e-3)


@pytest.mark.parametrize("dim", [1.0, 0.7, 0.5, 0.1])
def test_a_perfect_repaint_in_any_light_hits_the_paint(dim):
    figures = delta_e_paint(render(SAGE.linear, LIGHT * dim), SAGE, MASK)
    assert figures["median"] < 1 and figures["under_5"] > 0.99
    flat = delta_e_truth(render(SAGE.linear, LIGHT * dim), SAGE.image(1).resize(SIZE), MASK)
    assert flat["mean"] > 5  # the plain difference to the swatch calls it wrong


def test_another_paint_does_not_hit():
    figures = delta_e_paint(render((0.5, 0.2, 0.2)), SAGE, MASK)
    assert figures["median"] > 20 and figures["under_5"] == 0


def test_pixels_too_dark_for_a_colour_are_left_out_and_counted():
    light = LIGHT.copy()
    light[:35] = 0.001
    out = np.asarray(render(SAGE.linear, light)).copy()
    figures = delta_e_paint(Image.fromarray(out), SAGE, MASK)
    assert figures["left_out"] == pytest.approx(0.5, abs=0.01)
    assert figures["median"] < 1


def a_room(paint, dim=0.6):
    """The wall before a white ceiling and a wooden floor: something to read the light from."""
    picture = np.asarray(paint) * np.ones((80, 100, 3)) * (np.asarray(MASK)[..., None] > 0)
    picture[:10], picture[60:] = (0.8, 0.8, 0.78), (0.3, 0.18, 0.1)
    picture[10:60, :10], picture[10:60, 90:] = 0.75, 0.75
    return render(picture, dim * LIGHT)


WHITE, GREY, BLACK = Swatch((245, 245, 245)), Swatch((120, 120, 120)), Swatch((60, 60, 60))


@pytest.mark.parametrize(
    ("old", "new", "sign"), [(GREY, WHITE, -1), (BLACK, GREY, -1), (WHITE, BLACK, 1), (GREY, BLACK, 1)]
)
def test_a_wall_left_as_it_was_is_too_dark_or_too_bright_for_another_grey(old, new, sign):
    photo = a_room(old.linear)
    assert delta_e_paint(photo, new, MASK)["median"] < 1  # which looks at the hue alone
    expected = expected_lightness(Coat(photo, MASK, new))
    assert sign * brightness_error(photo, expected, MASK) > TOO_BRIGHT


def test_of_a_wall_lost_in_the_dark_no_brightness_is_expected_but_of_a_dark_one():
    for dim, lost in ((0.01, True), (0.1, False)):
        expected = expected_lightness(Coat(a_room(BLACK.linear, dim), MASK, SAGE))
        assert len(expected) == wall_region(MASK).sum() and np.isnan(expected).all() == lost
        assert np.isnan(brightness_error(a_room(SAGE.linear), expected, MASK)) == lost


@pytest.mark.parametrize("new", [WHITE, GREY, BLACK, SAGE])
@pytest.mark.parametrize("old", [WHITE, GREY, SAGE])
def test_the_true_repaint_is_about_as_bright_as_expected(old, new):
    photo, out = a_room(old.linear), a_room(new.linear)
    expected = expected_lightness(Coat(photo, MASK, new))
    error = brightness_error(out, expected, MASK)
    assert abs(error) < 13  # the old paint is guessed within 30 %
    darker = a_room(new.linear, 0.2)
    assert brightness_error(darker, expected, MASK) < brightness_error(out, expected, MASK) - 3


def test_black_paint_asks_for_a_neutral():
    assert delta_e_paint(render((0.05, 0.05, 0.05)), Swatch((0, 0, 0)), MASK)["median"] < 0.5
    assert delta_e_paint(render((0.2, 0.05, 0.05)), Swatch((0, 0, 0)), MASK)["median"] > 10


def test_a_repaint_that_keeps_light_and_shadow_has_its_shading():
    assert shading_correlation(render(SAGE.linear), render((0.7, 0.7, 0.6)), MASK) > 0.95
    assert shading_correlation(render(SAGE.linear), render(SAGE.linear), MASK) == pytest.approx(1)


def test_a_wall_painted_flat_fails_shading_however_right_its_colour():
    flat = SAGE.image(1).resize(SIZE)
    assert shading_correlation(flat, render(SAGE.linear), MASK) == 0
    noisy = np.asarray(flat).astype(int) + np.random.default_rng(0).integers(-1, 2, (80, 100, 1))
    assert abs(shading_correlation(Image.fromarray(noisy.astype(np.uint8)), render(SAGE.linear), MASK)) < 0.1
    assert delta_e_paint(flat, SAGE, MASK)["median"] < 0.1


def test_shading_turned_upside_down_is_negative():
    assert shading_correlation(render((0.5,) * 3, 1.2 - LIGHT), render((0.5,) * 3), MASK) < -0.7


def test_shading_ignores_what_happens_outside_the_wall():
    out = np.asarray(render(SAGE.linear)).copy()
    out[:10] = np.random.default_rng(0).integers(0, 256, (10, 100, 3))
    assert shading_correlation(Image.fromarray(out), render(SAGE.linear), MASK) == pytest.approx(1)


def test_changed_pixels_are_counted_up_to_the_masks_own_edge():
    photo = render(SAGE.linear)
    out = np.asarray(photo).copy()
    out[10:60, 10:90] = 0
    assert outside_changed_pixels(Image.fromarray(out), photo, MASK) == 0
    out[9, 10:13, 2] ^= 1
    out[0, 0] = 0
    assert outside_changed_pixels(Image.fromarray(out), photo, MASK) == 4


def test_a_wall_too_thin_to_measure_gives_nan():
    thin = Image.new("L", SIZE)
    thin.paste(255, (10, 10, 90, 12))
    assert not wall_region(thin).any()
    photo = render(SAGE.linear)
    assert np.isnan(list(delta_e_truth(photo, photo, thin).values())).all()
    assert np.isnan(list(delta_e_paint(photo, SAGE, thin).values())).all()
    assert np.isnan(shading_correlation(photo, photo, thin))
    assert np.isnan(brightness_error(photo, expected_lightness(Coat(photo, thin, SAGE)), thin))


def test_an_error_is_split_into_level_tint_and_the_rest():
    rng = np.random.default_rng(0)
    light = rng.uniform(0.2, 0.5, (40, 60, 1)) * (0.5, 0.6, 0.4)
    mask = Image.new("L", (60, 40), 255)

    def picture(linear):
        return Image.fromarray((linear_to_srgb(linear) * 255).round().astype(np.uint8))

    truth = picture(light)
    bright = split_error(picture(1.5 * light), truth, mask)
    assert bright["level"] == pytest.approx(np.log(1.5), abs=0.03)
    assert bright["level_delta_e"] > 5 > 1 > abs(bright["tint_delta_e"]) and bright["rest_delta_e"] < 1
    tinted = split_error(picture(light * (1.3, 1.0, 0.8)), truth, mask)
    assert tinted["tint_delta_e"] > 5 and abs(tinted["level"]) < 0.1 and tinted["rest_delta_e"] < 1.5
    flat = split_error(picture(np.full_like(light, light.mean((0, 1)))), truth, mask)
    assert flat["rest_delta_e"] > 4 and abs(flat["level"]) < 0.1
    whole = delta_e_truth(picture(1.5 * light), truth, mask)["mean"]
    assert sum(bright[f"{part}_delta_e"] for part in ("level", "tint", "rest")) == pytest.approx(whole, abs=1e-3)


def test_a_fringe_of_the_old_paint_counts_at_the_rim_alone():
    mask = Image.new("L", (100, 100))
    mask.paste(255, (20, 20, 80, 80))
    truth = Image.composite(Image.new("RGB", mask.size, (30, 60, 90)), Image.new("RGB", mask.size, "white"), mask)
    fringed = truth.copy()
    fringed.paste((220, 220, 220), (20, 20, 80, 21))
    assert delta_e_rim(truth, truth, mask) == 0 and delta_e_rim(fringed, truth, mask) > 10
    assert delta_e_truth(fringed, truth, mask)["mean"] == 0


def test_the_percentiles_of_colours_are_those_of_the_pixels():
    out = np.random.default_rng(0).integers(90, 130, (80, 100, 3)).astype(np.uint8)
    out[:, 50:] = out[:, :50]  # every colour is there more than once
    linear = bytes_to_linear(out[wall_region(MASK)])
    difference = delta_e(linear_to_lab(linear), linear_to_lab(in_own_light(linear, SAGE)))
    figures = delta_e_paint(out, SAGE, MASK)
    assert figures["median"] == pytest.approx(np.median(difference), abs=1e-4)
    assert figures["p90"] == pytest.approx(np.percentile(difference, 90), abs=1e-4)
    assert figures["under_5"] == pytest.approx((difference < 5).mean(), abs=1e-6) and figures["left_out"] == 0


def test_of_a_large_wall_some_pixels_tell_what_all_do(monkeypatch):
    out = np.random.default_rng(0).normal(120, 12, (800, 1000, 3)).clip(0, 255).astype(np.uint8)
    mask = Image.new("L", (1000, 800), 255)
    some = delta_e_paint(out, SAGE, mask)
    monkeypatch.setattr(metrics, "MANY", 1_000_000)
    whole = delta_e_paint(out, SAGE, mask)
    assert some != whole and some == pytest.approx(whole, rel=0.01, abs=0.002)
