"""A painted wall laid over its photo: what it may change, and what it has to keep."""

import numpy as np
import pytest
from PIL import Image

from wallpaint.errors import UserError
from wallpaint.pixels import arrays
from wallpaint.pixels.color import linear_to_srgb, luminance, srgb_to_linear
from wallpaint.pixels.composite import DETAIL_RANGE, FAINT, Canvas, composite
from wallpaint.pixels.metrics import outside_changed_pixels


def noise(width=24, height=16, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def wall_mask(size=(60, 40)):
    mask = np.zeros(size[::-1], np.uint8)
    mask[5:30, 10:50] = 255
    return Image.fromarray(mask)


@pytest.mark.parametrize("detail", [0.0, 4.0])
@pytest.mark.parametrize("size", [(60, 40), (16, 8), (128, 96)])
def test_composite_changes_nothing_outside_the_mask_and_covers_the_inside(size, detail):
    photo, mask = noise(60, 40), wall_mask()
    out = np.asarray(composite(photo, Image.new("RGB", size, (0, 90, 200)), mask, detail))
    outside = np.asarray(mask) == 0
    assert (out[outside] == np.asarray(photo)[outside]).all()
    if not detail:
        assert (out[10:25, 15:45] == (0, 90, 200)).all()


def test_nothing_outside_the_wall_bleeds_into_it_when_scaled_up():
    photo, mask = Image.new("RGB", (160, 120), "red"), Image.new("L", (160, 120))
    mask.paste(255, (37, 21, 160, 120))
    painted = Image.new("RGB", (16, 12), "lime")  # what the model left outside, and half of each pixel at the rim
    painted.paste((0, 0, 200), (4, 3, 16, 12))
    inside = np.asarray(composite(photo, painted, mask, detail=0))[24:, 40:]
    assert (inside == (0, 0, 200)).all()


def test_the_rim_is_soft_inwards():
    photo, mask = Image.new("RGB", (60, 40), "black"), wall_mask()
    row = np.asarray(composite(photo, Image.new("RGB", (60, 40), "white"), mask, detail=0))[18, :, 0]
    assert row[9] == 0 and 140 < row[10] < 200 and row[12] == 255
    assert (np.diff(row[9:15].astype(int)) >= 0).all()


def test_composite_refuses_a_mask_of_another_size():
    with pytest.raises(UserError, match="make them the same size"):
        composite(noise(), noise(), Image.new("L", (3, 3), 255))


def textured_room(size, model_size):
    """A photo of a textured wall, its true repaint, what a blurry model makes of the truth, and the mask."""
    rng = np.random.default_rng(0)
    height, width = size
    light = (0.3 + 0.4 * np.linspace(0, 1, width)[None, :, None]) * rng.uniform(0.8, 1.2, (height, width, 1))
    mask = np.zeros(size, bool)
    mask[height // 8 :, : -width // 8] = True
    pictures = []
    for paint in ((0.7, 0.65, 0.6), (0.2, 0.5, 0.3)):
        linear = np.where(mask[..., None], light * paint, (0.9, 0.0, 0.0))
        pictures.append(Image.fromarray((linear_to_srgb(linear) * 255).round().astype(np.uint8)))
    photo, truth = pictures
    coarse = truth.resize((model_size[0] // 8, model_size[1] // 8), Image.Resampling.BOX)
    return photo, truth, coarse.resize(model_size, Image.Resampling.BICUBIC), Image.fromarray(mask)


@pytest.mark.parametrize("size", [(96, 128), (192, 256)])
def test_detail_brings_back_the_texture_and_keeps_the_rim_clean(size):
    photo, truth, painted, mask = textured_room(size, (128, 96))
    inside = np.asarray(mask) > 0

    def error(**options):
        out = np.asarray(composite(photo, painted, mask.convert("L"), **options)).astype(float)
        return np.abs(out - np.asarray(truth))[inside].mean()

    assert error() < 0.35 * error(detail=0)
    assert error() < 3.5


def test_detail_does_not_bring_back_a_pattern_in_full():
    stripes = np.full((96, 128, 3), 230, np.uint8)
    stripes[:, ::2] = 30
    photo, painted = Image.fromarray(stripes), Image.new("RGB", (128, 96), (120, 150, 120))
    out = np.asarray(composite(photo, painted, Image.new("L", photo.size, 255)))[48, 40:80].astype(float)
    light = srgb_to_linear(out[:, 1] / 255)
    assert light.max() / light.min() < 3 < srgb_to_linear(230 / 255) / srgb_to_linear(30 / 255)


def test_a_wall_thinner_than_a_model_pixel_is_painted_too():
    photo, mask = noise(256, 192), Image.new("L", (256, 192))
    mask.paste(255, (100, 0, 101, 192))
    out = np.asarray(composite(photo, Image.new("RGB", (32, 24), (0, 90, 200)), mask))
    assert (out[:, 100] != np.asarray(photo)[:, 100]).any(axis=-1).mean() > 0.95
    assert np.isfinite(out).all()


def slowly(photo, painted, mask, sigma):
    """The whole picture in floating point, every step over all of it: what `composite` has to give."""
    size, wall = painted.size, np.asarray(mask) >= 128
    source = np.asarray(photo) / 255
    share = arrays.resize(wall, size, arrays.BOX)
    inside = share > 0.5 if (share > 0.5).any() else share > 0
    core = arrays.erode(inside, 1.25 * sigma)

    def coarse(values):
        smooth = arrays.fill_outside(arrays.blur_inside(values, inside, sigma), inside)
        return np.maximum(arrays.resize(smooth, photo.size), 0)

    light = luminance(srgb_to_linear(source)) + FAINT
    small = arrays.resize(light * wall, size, arrays.BOX) / np.maximum(share, 1e-3)
    ratio = light / np.maximum(coarse(small), FAINT)
    linear = arrays.fill_outside(srgb_to_linear(np.asarray(painted) / 255), core if core.any() else inside)
    new = linear_to_srgb(coarse(linear) * ratio.clip(*DETAIL_RANGE)[..., None])
    radius = max(1, round(max(photo.size) / 1000))
    near = arrays.box_mean(wall.astype(np.float32), radius)
    near /= arrays.box_mean(np.ones(wall.shape, np.float32), radius)
    alpha = (wall * near.clip(0.5, 1))[..., None]
    return (255 * (source * (1 - alpha) + new * alpha)).round()


@pytest.mark.parametrize("box", [(30, 50, 150, 120), (0, 0, 200, 160), (7, 3, 8, 150)])
@pytest.mark.parametrize("size", [(64, 48), (144, 112), (300, 240)])
def test_tables_and_the_box_of_the_wall_give_what_floats_give_over_all(size, box):
    photo, painted, mask = noise(200, 160), noise(*size, seed=1), Image.new("L", (200, 160))
    mask.paste(255, box)
    mask.paste(0, (60, 60, 70, 80))
    out = np.asarray(composite(photo, painted, mask)).astype(int)
    assert np.abs(out - slowly(photo, painted, mask, 4.0)).max() <= 1


def test_one_canvas_takes_many_paintings():
    photo, mask, size = noise(60, 40), wall_mask(), (32, 24)
    canvas = Canvas.stretch(photo, mask, size)
    for seed in (1, 2):
        painted = noise(*size, seed=seed)
        assert canvas.lay(painted).tobytes() == composite(photo, painted, mask).tobytes()
    assert canvas.photo.tobytes() == photo.tobytes()


def test_a_photo_without_a_wall_stays_as_it_is():
    photo = noise(60, 40)
    assert composite(photo, noise(32, 24), Image.new("L", photo.size)).tobytes() == photo.tobytes()


def test_any_shape_of_wall_leaves_the_rest_alone():
    rng = np.random.default_rng(0)
    for _ in range(20):
        width, height = (int(side) for side in rng.integers(2, 90, 2))
        wall = rng.random((height, width)) < rng.choice([0.02, 0.5, 0.98])
        photo, mask = noise(width, height), Image.fromarray(wall.astype(np.uint8) * 255)
        assert outside_changed_pixels(composite(photo, noise(40, 24, 3), mask), photo, mask) == 0
