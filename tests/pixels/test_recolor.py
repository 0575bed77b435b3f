"""The classical repaint on toy walls whose truth is known."""

import numpy as np
import pytest
from PIL import Image

from wallpaint.errors import UserError
from wallpaint.pixels.color import Swatch, bytes_to_linear, linear_to_bytes, linear_to_srgb
from wallpaint.pixels.metrics import delta_e_paint, delta_e_truth, outside_changed_pixels, shading_correlation
from wallpaint.pixels.recolor import (
    BAND,
    FAINT,
    Coat,
    Laying,
    bend,
    correct,
    estimate_paint,
    gains_between,
    recolor,
    repaint_each,
)

SIZE = (96, 72)
MASK = Image.new("L", SIZE)
MASK.paste(255, (6, 6, 90, 50))
TEXTURE = np.random.default_rng(0).uniform(0.9, 1.1, (72, 96, 1))
LIGHT = (
    TEXTURE
    * (0.35 + 0.6 * np.add.outer(np.linspace(0, 1, 72) ** 2, np.cos(np.linspace(0, 2, 96)) ** 2) / 2)[..., None]
)
CREAM, TEAL, SAGE, NAVY = (Swatch(c) for c in ((236, 228, 205), (10, 138, 150), (122, 158, 126), (31, 42, 68)))


def render(swatch, light=LIGHT):
    paint = np.broadcast_to(swatch.linear, (72, 96, 3)).copy()
    paint[:6], paint[:, :6], paint[:, 90:] = 0.8, 0.78, 0.78  # a white ceiling and trims in the same light
    picture = (linear_to_srgb(paint * light) * 255).round().astype(np.uint8)
    picture[60:] = (90, 60, 40)  # a floor
    return Image.fromarray(picture)


@pytest.mark.parametrize("new", [SAGE, NAVY, CREAM])
@pytest.mark.parametrize("old", [CREAM, SAGE])
def test_with_the_old_paint_known_it_gives_the_true_repaint(old, new):
    out = recolor(Coat(render(old), MASK, new, old))
    # What is read beside the paint, a room's bounce and a camera's curve, is near nothing in this drawing.
    assert delta_e_truth(out, render(new), MASK)["p90"] < 4
    assert outside_changed_pixels(out, render(old), MASK) == 0


def test_the_light_keeps_its_own_colour():
    warm = LIGHT * (1.0, 0.85, 0.65)
    out = recolor(Coat(render(CREAM, warm), MASK, SAGE, CREAM))
    assert delta_e_truth(out, render(SAGE, warm), MASK)["p90"] < 4


@pytest.mark.parametrize("old", [CREAM, SAGE, NAVY, TEAL])
def test_with_the_old_paint_guessed_the_hue_and_the_shading_are_right(old):
    out = recolor(Coat(render(old), MASK, SAGE))
    assert delta_e_paint(out, SAGE, MASK)["median"] < 5
    # Navy leaves 8 bits little light to tell: its shading comes back as noise and all.
    assert shading_correlation(out, render(SAGE), MASK) > (0.6 if old is NAVY else 0.9)


def test_gloss_on_a_saturated_wall_does_not_turn_into_coloured_light():
    photo = np.asarray(render(TEAL)).copy()
    photo[10:40, 20:60] = (
        linear_to_srgb(TEAL.linear * 0.6 + 0.06) * 255
    ).round()  # white gloss: red from 2 to 17 times
    out = recolor(Coat(Image.fromarray(photo), MASK, SAGE))
    assert delta_e_paint(out, SAGE, MASK)["p90"] < 8


def test_the_guess_is_robust_to_what_is_no_wall():
    photo = np.asarray(render(CREAM)).copy()
    clean = estimate_paint(Image.fromarray(photo), MASK)
    photo[8:16, 8:88] = (200, 20, 20)  # a red shelf inside the mask
    photo[20:30, 10:20] = 255  # and a clipped lamp
    dirty = estimate_paint(Image.fromarray(photo), MASK)
    assert np.abs(np.subtract(clean.rgb, dirty.rgb)).max() <= 6


def test_the_guess_has_the_old_paints_chromaticity():
    for old in (CREAM, SAGE, TEAL):
        guess = estimate_paint(render(old), MASK).linear
        np.testing.assert_allclose(guess / guess.sum(), old.linear / old.linear.sum(), atol=0.03)


def test_a_mask_that_is_empty_or_of_another_size_is_refused():
    with pytest.raises(UserError, match="the mask is empty"):
        recolor(Coat(render(CREAM), Image.new("L", SIZE), SAGE))
    with pytest.raises(UserError, match="make them the same size"):
        recolor(Coat(render(CREAM), Image.new("L", (5, 5), 255), SAGE))


def test_a_wall_of_one_pixel_and_a_black_wall_are_painted():
    point = Image.new("L", SIZE)
    point.putpixel((20, 20), 255)
    assert outside_changed_pixels(recolor(Coat(render(CREAM), point, SAGE)), render(CREAM), point) == 0
    out = recolor(Coat(Image.new("RGB", SIZE), MASK, CREAM))
    assert np.asarray(out).max() < 255


def test_a_wall_higher_than_a_band_is_painted_to_its_end():
    assert BAND < 600
    out = np.asarray(recolor(Coat(Image.new("RGB", (40, 600), CREAM.rgb), Image.new("L", (40, 600), 255), NAVY)))
    assert np.ptp(out[5:-5, 5:-5].reshape(-1, 3), axis=0).max() <= 1 and out[300, 20, 0] < 120


def brighter(picture, gains):
    return Image.fromarray(linear_to_bytes(bytes_to_linear(np.asarray(picture)) * np.asarray(gains, np.float32)))


def test_gains_are_those_of_the_painting_over_the_guess():
    guess = render(SAGE)
    gains = gains_between(brighter(guess, (1.4, 0.8, 1.0)), guess, MASK)
    inside = np.asarray(MASK) > 0
    # The faint light that is added draws them towards nothing.
    expected = np.log([[1.4, 0.8, 1.0]]) * np.ones((inside.sum(), 1))
    np.testing.assert_allclose(gains[inside], expected, atol=0.07)


def test_what_is_off_the_wall_has_no_say_in_the_gains():
    guess, painted = render(SAGE), np.asarray(render(SAGE)).copy()
    painted[52:] = 255
    np.testing.assert_allclose(gains_between(Image.fromarray(painted), guess, MASK)[:50, 6:90], 0, atol=1e-5)


def test_a_painting_gives_its_level_and_the_photo_the_texture():
    photo, truth = render(CREAM), render(SAGE)
    coarse = [
        picture.resize((12, 9), Image.Resampling.BOX).resize(SIZE, Image.Resampling.BICUBIC)
        for picture in (brighter(truth, 0.6), recolor(Coat(photo, MASK, SAGE)))
    ]
    (out,) = repaint_each(Coat(photo, MASK, SAGE), [Laying(gains=gains_between(*coarse, MASK))])
    assert delta_e_truth(out, brighter(truth, 0.6), MASK)["mean"] < 3 < delta_e_truth(out, truth, MASK)["mean"]
    assert shading_correlation(out, truth, MASK) > 0.9


def test_many_layings_at_once_give_what_each_gives_alone():
    coat, draw = Coat(render(CREAM), MASK, SAGE), np.random.default_rng(0).normal
    some, flat, gains = draw(0, 0.2, (6, 8, 9)), np.full((1, 1, 9), -0.5, np.float32), draw(0, 0.2, (12, 9, 3))
    layings = [Laying(), Laying(flat), Laying(some), Laying(some, gains), Laying(gains=gains)]
    for out, laying in zip(repaint_each(coat, layings), layings, strict=True):
        assert out.tobytes() == repaint_each(coat, [laying])[0].tobytes()
        assert outside_changed_pixels(out, coat.photo, MASK) == 0


def test_gains_multiply_what_the_field_makes():
    coat, level = Coat(render(CREAM), MASK, SAGE), np.log(np.float32([0.7, 1.1, 0.9]))
    field = np.concatenate([np.zeros(6), np.full(3, -3.0)]).astype(np.float32)[None, None]
    both = field + np.concatenate([level, np.zeros(3), level])  # as one field has it
    laid, told = repaint_each(coat, [Laying(field, level[None, None]), Laying(both)])
    assert np.abs(np.asarray(laid).astype(int) - np.asarray(told)).max() <= 1


def test_an_exponent_of_minus_one_leaves_one_colour_and_of_one_doubles_the_contrast():
    light = np.random.default_rng(0).uniform(0.1, 0.8, (50, 3)).astype(np.float32)
    level, none = np.log(np.float32([0.3, 0.4, 0.5])), np.zeros(3, np.float32)
    flat = correct(light, np.tile(np.concatenate([level, none - 1, none - 20]), (50, 1)))
    np.testing.assert_allclose(flat, np.exp(level) * np.ones_like(flat), rtol=1e-4)
    twice = correct(light, np.tile(np.concatenate([none, none + 1, none - 20]), (50, 1)))
    np.testing.assert_allclose(twice, (light + FAINT) ** 2, rtol=1e-4)


def test_the_flatter_a_wall_is_told_to_be_the_less_of_a_black_stripe_is_left():
    stripe, wall = np.float32(0.0), np.float32(0.5)
    ratios = [float(bend(stripe, told) / bend(wall, told)) for told in np.float32([0, -0.5, -0.8, -0.95, -1])]
    assert ratios[0] < 0.01 and ratios[1] < 0.06 and ratios[3] > 0.7 and ratios[4] == pytest.approx(1)
    assert ratios == sorted(ratios)
    light = np.linspace(0, 1, 50, dtype=np.float32)
    np.testing.assert_allclose(bend(light, 0 * light), light, atol=1e-6)


def test_light_that_a_field_adds_is_there_where_the_photo_is_black():
    photo, told = Image.new("RGB", (40, 40)), np.float32(6 * [0.0] + list(np.log([0.2, 0.3, 0.4])))[None, None]
    out = recolor(Coat(photo, Image.new("L", (40, 40), 255), SAGE), told)
    np.testing.assert_allclose(np.asarray(out)[20, 20], linear_to_bytes(np.float32([0.2, 0.3, 0.4])), atol=1)


def test_a_white_is_read_where_it_is_pointed_at_and_refused_where_it_tells_nothing():
    photo, mask = Image.new("RGB", (200, 100), (120, 150, 110)), Image.new("L", (200, 100))
    for left, color in ((0, (200, 180, 150)), (40, (255, 255, 250)), (80, (3, 3, 3)), (120, (200, 40, 30))):
        photo.paste(color, (left, 0, left + 40, 40))
    mask.paste(255, (0, 50, 200, 100))
    warm = estimate_paint(photo, mask, [(20, 20)]).linear
    assert warm[2] / warm[0] > 1.5 * bytes_to_linear(np.uint8(110)) / bytes_to_linear(
        np.uint8(120)
    )  # less the light's
    for spot, why in (
        ((60, 20), "blown out"),
        ((100, 20), "too dark"),
        ((140, 20), "coloured"),
        ((200, 20), "outside"),
    ):
        with pytest.raises(UserError, match=why):
            estimate_paint(photo, mask, [spot])
