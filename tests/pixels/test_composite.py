"""A painted wall laid over its photo: what it may change, and what it has to keep."""

import numpy as np
from PIL import Image

from wallpaint.pixels import composite
from wallpaint.pixels.composite import find_box, lay, make_cover


def noise(width=24, height=16, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def laid(photo, inside, color):
    """The photo with a wall of one colour."""
    box = find_box(inside)
    wall = np.empty((box[3] - box[1], box[2] - box[0], 3), np.uint8)
    wall[:] = color
    return np.asarray(lay(photo, wall, box, make_cover(inside, box)))


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
    banded = np.asarray(make_cover(inside, box))
    monkeypatch.setattr(composite, "BAND", 10**6)
    assert (banded == np.asarray(make_cover(inside, box))).all() and len({*banded[255:257].flat}) > 5


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
