"""Masks at the photo's own size: their edges on the photo's, what is unlike the wall left out."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from wallpaint.pixels.refine import refine_mask

SIZE = (1280, 960)


@pytest.fixture(scope="module")
def room():
    """A lit wall with a frame, a picture rail and a floor, and what of it is wall, (H, W) boolean."""
    wall, not_wall = Image.new("RGB", SIZE, (178, 190, 176)), Image.new("L", SIZE, 0)
    things = (((0, 720, 1280, 960), (120, 84, 60)), ((400, 200, 640, 480), (245, 245, 240)))
    for box, color in (*things, ((0, 120, 1280, 123), (238, 236, 230))):
        ImageDraw.Draw(wall).rectangle(box, color)
        ImageDraw.Draw(not_wall).rectangle(box, 255)
    light = np.linspace(1.0, 0.6, SIZE[0])[None, :, None]
    noise = np.random.default_rng(0).normal(0, 2, (SIZE[1], SIZE[0], 1))
    pixels = np.clip(np.asarray(wall) * light + noise, 0, 255).round().astype(np.uint8)
    return Image.fromarray(pixels), np.asarray(not_wall) == 0


@pytest.mark.parametrize("size", [(2, 1), (1, 40), (64, 1)])
def test_a_photo_of_a_pixel_or_so_keeps_its_mask(size):
    mask = Image.new("L", size)
    mask.putpixel((0, 0), 255)
    photo = Image.effect_noise(size, 50).convert("RGB")
    assert refine_mask(photo, mask, 1.0).tobytes() == mask.tobytes()


def rough(wall: np.ndarray, cells: int, shift: int = 0) -> Image.Image:
    """The wall as what works at `cells` pixels a side would give it, moved by `shift` pixels."""
    mask = Image.fromarray(ndimage.shift(wall.astype(np.uint8), shift, order=0, mode="nearest") * 255)
    small = mask.resize((cells, cells), Image.Resampling.BOX)
    return small.resize(SIZE, Image.Resampling.BILINEAR).point(lambda value: 255 * (value >= 128))


def test_a_ragged_mask_comes_to_keep_the_photos_edges_and_leaves_the_rail_out(room):
    photo, wall = room
    before = rough(wall, 128, shift=8)
    rail = (slice(121, 123), slice(40, 1240))
    wrong = (np.asarray(before) > 0) != wall
    assert wrong.mean() > 0.01 and np.asarray(before)[rail].mean() > 250  # the rail was painted over
    after = np.asarray(refine_mask(photo, before, SIZE[0] / 128)) > 0
    assert (after != wall).mean() < 0.002 and after[rail].mean() < 0.15
    assert not after[190:490, 395:645][15:-15, 10:-10].any()  # the frame is whole


def test_a_thing_that_the_mask_took_for_wall_is_left_out(room):
    photo, wall = room
    with_frame = wall.copy()
    with_frame[200:481, 400:641] = True
    after = np.asarray(refine_mask(photo, rough(with_frame, 128), SIZE[0] / 128)) > 0
    assert after[210:470, 410:630].mean() < 0.15 and (after != wall).mean() < 0.01


def test_what_somebody_has_seen_and_kept_stays_and_only_its_edges_move(room):
    photo, wall = room
    painted_over = wall.copy()
    painted_over[100:140] = True  # a hand that wants the rail painted
    small = Image.fromarray(painted_over).convert("L").resize((320, 240), Image.Resampling.BOX)
    small = small.point(lambda value: 255 * (value >= 128))
    after = np.asarray(refine_mask(photo, small, 4, seen=True)) > 0
    assert after[110:130].all()
    assert (after != painted_over).mean() < 0.001


def test_an_even_mask_stays_as_it_is_whatever_the_photo_shows(room):
    photo, _ = room
    for value in (0, 255):
        assert refine_mask(photo, Image.new("L", (64, 48), value), 20).getextrema() == (value, value)
    assert refine_mask(photo, Image.new("L", (64, 48), 255), 20).size == SIZE


def test_a_wallpapers_motifs_stay_wall_but_not_what_repeats_at_one_place_or_covers_little(room):
    photo, wall = room
    dots = [(x, y) for x in range(40, 1260, 80) for y in range(160, 700, 80)]
    leaves = [(x, y) for x in range(800, 1100, 40) for y in range(480, 680, 40)]  # of one plant
    hooks = [(x, y) for x in range(40, 1260, 160) for y in range(160, 700, 160)]
    for places, radius, kept in ((dots, 16, True), (leaves, 16, False), (hooks, 12, False)):
        picture, there = photo.copy(), Image.new("L", SIZE, 0)
        for x, y in places:
            for canvas, color in ((picture, (52, 66, 110)), (there, 255)):
                ImageDraw.Draw(canvas).ellipse((x - radius, y - radius, x + radius, y + radius), color)
        there = np.asarray(there) > 0
        there &= wall & ~np.pad(np.ones((340, 300), bool), ((170, 450), (370, 610)))  # the frame lies over them
        after = np.asarray(refine_mask(picture, rough(wall, 128), SIZE[0] / 128)) > 0
        assert after[there].mean() > 0.95 if kept else after[there].mean() < 0.2, (len(places), after[there].mean())
        assert not after[215:465, 415:625].any()  # the frame is left out


def test_a_mask_of_thousands_of_specks_takes_no_more_memory_than_another():
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)
    specks = Image.fromarray(noise).resize((400, 300), Image.Resampling.NEAREST)
    peaks = []
    for mask in (specks.convert("L").point(lambda v: 255 * (v > 110)), Image.new("L", specks.size, 255)):
        mask.paste(0, (0, 0, 400, 30))
        tracemalloc.start()
        refine_mask(specks, mask, 2)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < 2 * peaks[1] + 50e6
