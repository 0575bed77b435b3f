"""A painted wall laid over its photo: what it may change, and what it has to keep."""

import numpy as np
from PIL import Image

from wallpaint.pixels import composite
from wallpaint.pixels.color import linear_to_bytes, parse_color
from wallpaint.pixels.composite import find_box, find_rim, make_cover
from wallpaint.pixels.light import Light
from wallpaint.pixels.mask_ops import to_mask
from wallpaint.pixels.recolor import Coat, recolor


def noise(width=24, height=16, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def laid(photo, inside, color):
    """The photo with a wall of one colour."""
    out, box = photo.copy(), find_box(inside)
    if inside.any():
        out.paste((color,) * 3 if isinstance(color, int) else color, box, Image.fromarray(make_cover(inside, box)))
    return np.asarray(out)


def test_nothing_changes_outside_and_the_inside_is_covered():
    inside = np.zeros((40, 60), bool)
    inside[5:30, 10:50] = True
    photo = noise(60, 40)
    out = laid(photo, inside, (0, 90, 200))
    assert (out[~inside] == np.asarray(photo)[~inside]).all()
    assert (out[6:29, 11:49] == (0, 90, 200)).all()


def test_the_rim_is_soft_inwards():
    inside = np.zeros((40, 60), bool)
    inside[5:30, 10:50] = True
    row = laid(Image.new("RGB", (60, 40), "black"), inside, 255)[18, :, 0]
    assert row[9] == 0 and 140 < row[10] < 200 and row[12] == 255
    assert (np.diff(row[9:15].astype(int)) >= 0).all()


def test_a_wall_higher_than_a_band_is_covered_as_in_one_piece(monkeypatch):
    inside = np.random.default_rng(0).random((700, 2500)) < 0.9
    inside[:, :9] = False
    box = find_box(inside)
    banded = make_cover(inside, box)
    monkeypatch.setattr(composite, "BAND", 10**6)
    assert (banded == make_cover(inside, box)).all() and len({*banded[255:257].flat}) > 5


def test_at_the_pictures_own_border_there_is_no_rim():
    assert (laid(noise(), np.ones((16, 24), bool), 7) == 7).all()


def test_a_photo_without_a_wall_stays_as_it_is():
    photo = noise(60, 40)
    assert (laid(photo, np.zeros((40, 60), bool), 7) == np.asarray(photo)).all()


def test_any_shape_of_wall_leaves_the_rest_alone():
    rng = np.random.default_rng(0)
    for _ in range(20):
        width, height = (int(side) for side in rng.integers(2, 90, 2))
        inside = rng.random((height, width)) < rng.choice([0.02, 0.5, 0.98])
        photo = noise(width, height)
        assert (laid(photo, inside, 200)[~inside] == np.asarray(photo)[~inside]).all()


def test_a_mixed_pixel_at_the_rim_gets_its_share_of_the_wall_painted():
    y, x = np.mgrid[:80, :80] - 39.5
    share = np.clip(np.hypot(y, x) - 20, 0, 1)[..., None]  # of the wall, round a dark disc
    wall, disc, paint = (parse_color(color).linear for color in ("#E9E3DA", "#5A2A20", "#1F2A44"))
    photo, goal = (Image.fromarray(linear_to_bytes(share * color + (1 - share) * disc)) for color in (wall, paint))
    inside = share[..., 0] > 0.2
    box, mixed = find_box(inside), inside & (share[..., 0] < 0.95)
    rim = find_rim(photo, inside, box)
    assert set(zip(rim.y, rim.x, strict=True)) >= set(zip(*np.nonzero(mixed), strict=True))
    known = rim.sure > 0.9
    assert known.mean() > 0.9 and np.abs(rim.share - share[rim.y, rim.x, 0])[known].max() < 0.05
    mask = to_mask(inside)
    light = Light(wall, 0.0, 1.0, 0.1)  # the old paint is known, so only the rim can err
    painted = np.asarray(recolor(Coat(photo, mask, parse_color("#1F2A44")).in_light(light))).astype(int)
    assert np.abs(painted - np.asarray(goal))[mixed].max() <= 8
    assert (painted == np.asarray(photo))[~inside].all()


def test_where_wall_and_surroundings_are_alike_the_rim_stays_soft():
    photo, inside = Image.new("RGB", (40, 40), (200, 190, 180)), np.zeros((40, 40), bool)
    inside[10:30, 10:30] = True
    assert not find_rim(photo, inside, find_box(inside)).sure.any()


def test_in_the_dark_grain_does_not_tell_wall_from_surroundings():
    grain = np.random.default_rng(0).integers(0, 4, (40, 40, 1)).astype(np.uint8) * np.ones(3, np.uint8)
    inside = np.zeros((40, 40), bool)
    inside[10:30, 10:30] = True
    dark = np.where(inside[..., None], grain, grain + 3)
    assert find_rim(Image.fromarray(dark), inside, find_box(inside)).share.min() > 0.5  # no dotted line about it
    lit = np.where(inside[..., None], grain, grain + 60)
    lit[10, 10:30] = 40  # half of it is what stands before the wall
    rim = find_rim(Image.fromarray(lit), inside, find_box(inside))
    assert rim.share[rim.y == 10].max() < 0.6
