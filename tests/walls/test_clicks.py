"""Clicks that pull at a belief: distances, corrections that leave the rest, marks that only get better."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.bench.bench_marking import mark
from wallpaint.dataset.folder import read_samples
from wallpaint.errors import UserError
from wallpaint.paths import ASSETS
from wallpaint.pixels.color import rgb_to_lab
from wallpaint.pixels.images import load_mask
from wallpaint.ui.board import pictures, segmenter
from wallpaint.walls import clicks
from wallpaint.walls.clicks import Surfaces, believe, correct, decide, reach_within

WALL, LAMP, SIZE = (150, 170, 150), (235, 230, 215), (160, 120)
DISC = (100, 40, 130, 70)


@pytest.fixture
def photo():
    """A wall with a lamp before it."""
    picture = Image.new("RGB", SIZE, WALL)
    ImageDraw.Draw(picture).ellipse(DISC, fill=LAMP)
    return picture


@pytest.fixture
def lamp():
    mask = Image.new("L", SIZE, 0)
    ImageDraw.Draw(mask).ellipse(DISC, fill=255)
    return np.asarray(mask) > 0


def test_on_one_colour_a_distance_is_the_way_and_across_an_edge_the_square_of_its_step(photo):
    far = Surfaces.of(photo).distances([(10.5, 100.5)], [1])
    assert far[1, 100, 60] == pytest.approx(50 * clicks.STEP, rel=1e-6)  # along a row
    assert far[1, 60, 50] == pytest.approx(40 * np.sqrt(2) * clicks.STEP, rel=1e-6)  # and slantwise
    step = (rgb_to_lab(np.array([WALL, LAMP]) / 255) * (clicks.LIGHTNESS_COUNTS, 1, 1)).astype(float)
    across = ((step[0] - step[1]) ** 2).sum() / clicks.EDGE**2
    assert far[1, 55, 115] == pytest.approx(across + far[1, 55, 98], abs=0.4)
    assert np.isinf(far[0]).all()  # nothing was clicked off the wall


def test_a_click_on_a_lamp_takes_the_lamp_and_not_one_pixel_of_the_wall_far_from_it(photo, lamp):
    everything = np.ones(SIZE[::-1], bool)
    surfaces = Surfaces.of(photo)
    as_it_seems, less, more = correct(surfaces, everything, surfaces.distances([(115, 55)], [0]))
    assert (as_it_seems == ~lamp).mean() > 0.99
    assert as_it_seems[:, :90].all() and as_it_seems[85:].all()
    assert not less[55, 115] and not more[55, 115] and less.sum() >= as_it_seems.sum() >= more.sum()


def test_a_click_adds_what_was_left_out_and_changes_nothing_beyond_an_edge(photo):
    ImageDraw.Draw(photo).rectangle((60, 0, 66, 120), fill=(40, 20, 20))
    ragged = np.random.default_rng(0).random(SIZE[::-1]) > 0.05
    ragged[80:, :60] = False  # a corner of the wall that was overlooked
    surfaces = Surfaces.of(photo)
    mended = correct(surfaces, ragged, surfaces.distances([(30, 100)], [1]))[0]
    assert mended[:, :58].mean() > 0.97  # it was 0.64
    assert (mended[:, 70:] == ragged[:, 70:]).all()


def test_a_later_click_leaves_what_an_earlier_one_said(photo):
    surfaces = Surfaces.of(photo)
    nothing = np.zeros(SIZE[::-1], np.float32)
    points, labels = [(20, 20), (115, 55), (80, 110)], [1, 0, 1]
    for count in (1, 2, 3):
        wall = decide(surfaces, nothing, surfaces.distances(points[:count], labels[:count]))
        assert [bool(wall[y, x]) for x, y in points[:count]] == [bool(label) for label in labels[:count]]


def test_what_finds_walls_is_believed_where_the_click_agrees_and_only_there(photo):
    surfaces, asked = Surfaces.of(photo), Image.new("L", SIZE, 0)
    found = np.full((30, 40), 0.9, np.float32)
    found[:, 20:] = 0.1
    agreed, opposed = (believe(surfaces, asked, found, [(x, 60)], [1]) for x in (20, 140))
    assert agreed[60, 40] == pytest.approx(np.log(9) - clicks.ASKED, abs=1e-3)
    assert agreed[60, 120] == pytest.approx(-np.log(9) - clicks.ASKED, abs=1e-3)
    assert opposed == pytest.approx(-clicks.ASKED)


def test_a_click_reaches_farther_in_a_thing_that_it_means_as_a_whole_and_only_there():
    far, left = np.ones((2, 4, 10)), np.zeros((4, 10), bool)
    left[:, :4] = True
    right, both = ~left, left | ~left
    near = 1 / clicks.WITHIN
    cases = {  # mask before, things, labels: what is nearer to a click off the wall, and to one on it
        "the other wall is added": (left, [right], [1], None, right),
        "more of a wall that is marked already": (left, [left], [1], None, None),
        "one of two walls goes": (both, [left], [0], left, None),
        "the thing might be both walls": (both, [both], [0], None, None),
        "the wall that was found goes, and the other comes": (left, [left, right], [0, 1], left, right),
        "the wall goes and none comes": (left, [left], [0], None, None),
    }
    for name, (before, things, labels, *nearer) in cases.items():
        told = reach_within(far, before, things, labels)
        for distances, region in zip(told, nearer, strict=True):
            expected = np.where(region, near, 1) if region is not None else np.ones_like(left, float)
            np.testing.assert_allclose(distances, expected, err_msg=name)


def test_two_clicks_put_another_wall_in_the_place_of_the_one_that_was_found(tmp_path):
    """On a rendered room with walls in two paints: the other is asked for."""
    sample = next(s for s in read_samples(ASSETS / "rooms" / "test", None) if s.image.stem == "000012-0")
    folder = pictures.open_picture(sample.image, tmp_path)["folder"]
    truth = np.asarray(load_mask(sample.mask)) >= 128
    found, _, two = mark(folder, truth, 2, True)
    assert found < 0.1 and two > 0.6


@pytest.mark.parametrize(
    ("points", "labels", "why"),
    [([(-1, 5)], [1], "outside the photo"), ([(5, 999)], [0], "outside the photo"), ([(5, 5)], [7], "1 .wall. or 0")],
)
def test_a_click_that_cannot_be_is_refused(photo, points, labels, why):
    with pytest.raises(UserError, match=why):
        Surfaces.of(photo).distances(points, labels)


def test_the_edges_of_a_correction_alone_are_moved_to_the_photos(photo, lamp, tmp_path):
    photo.save(tmp_path / "photo.png")
    folder = pictures.open_picture(tmp_path / "photo.png", tmp_path)["folder"]
    before = np.random.default_rng(0).random(lamp.shape) > 0.1  # as a person's brush may leave it
    points, labels = [(115, 55)], [0]
    mask, score = segmenter.predict(folder, points, labels, None, before)[0]
    fine = segmenter.refine(folder, mask, points, labels, before)
    assert score is None and not fine[50:60, 110:120].any()
    assert (fine[:, :80] == before[:, :80]).all()


def test_marks_get_better_with_each_click_and_a_correction_ruins_no_wall(tmp_path):
    rows = []
    for sample in read_samples(ASSETS / "rooms" / "test", None)[::5]:  # of all kinds
        folder = pictures.open_picture(sample.image, tmp_path)["folder"]
        truth = np.asarray(load_mask(sample.mask)) >= 128
        rows.append([*mark(folder, truth, 3, False), *mark(folder, truth, 2, True)])
    one, two, three, found, _, again = np.mean(rows, axis=0)
    assert three > 0.9 and three >= two - 0.01 >= one - 0.02
    assert again > max(found, 0.85)
