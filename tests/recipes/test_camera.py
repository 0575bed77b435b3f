"""Cameras meter the scene as it was photographed, and are one for a photo and all its repaints."""

import numpy as np
import pytest

from wallpaint.recipes.rooms.camera import CAMERAS, MIXED, UNSEEN, draw_camera, mix_curves
from wallpaint.recipes.rooms.develop import View, develop_view
from wallpaint.recipes.rooms.palette import to_linear
from wallpaint.recipes.rooms.tracer import repaint

SIDE = 48
WALL = np.zeros((SIDE, SIDE), bool)
WALL[:30, 6:40] = True
LIGHT = np.linspace(1.5, 0.7, SIDE, dtype=np.float32)[None, :, None]
CREAM, NAVY, SAGE = ((236, 228, 205), (31, 42, 68), (122, 158, 126))


def a_view(kind="plain", paint=CREAM):
    """A wall in falling light before a grey room that its wall brightens a little."""
    series = np.zeros((4, SIDE, SIDE, 3), np.float32)
    series[1][WALL] = np.broadcast_to(LIGHT, (SIDE, SIDE, 3))[WALL]
    series[0][~WALL], series[1][~WALL] = 0.25, 0.05
    row = {"reference_color_rgb": list(paint), "kind": kind, "file_name": "a.npz"}
    return View(series, repaint(series, to_linear(paint)), np.where(WALL, 255, 0).astype(np.uint8), row)


def level(picture, where):
    return to_linear(picture[where]).mean()


def test_the_exposure_is_metered_on_the_scene_and_not_on_the_wall():
    view = a_view()
    dark, light = (repaint(view.series, to_linear(paint)) for paint in (NAVY, CREAM))
    for seed in range(10):
        cameras = [draw_camera(photo, np.random.default_rng(seed)) for photo in (dark, light)]
        # The same camera lets more light in where the old wall was dark: so the same paint comes out brighter.
        assert cameras[0].gain.mean() > 1.2 * cameras[1].gain.mean()


def test_a_camera_is_one_for_a_photo_and_its_repaints():
    view = a_view(kind="patterned")  # so that its photo is not repainted
    photo, pictures, paint = develop_view(view, np.random.default_rng(3), [CREAM, NAVY])
    assert paint == CREAM and [p for p, _ in pictures] == [CREAM, NAVY]
    assert np.array_equal(pictures[0][1], photo)  # the same paint, camera and grain: the same bytes
    assert level(pictures[1][1], WALL) < 0.5 * level(photo, WALL)
    assert level(pictures[1][1], ~WALL) == pytest.approx(level(photo, ~WALL), rel=0.35)  # bounce alone


def test_a_plain_wall_is_photographed_in_other_paints_too():
    paints = {develop_view(a_view(), np.random.default_rng(seed), [SAGE])[2] for seed in range(12)}
    assert CREAM in paints and len(paints) > 3
    patterned = {develop_view(a_view("patterned"), np.random.default_rng(seed), [SAGE])[2] for seed in range(12)}
    assert patterned == {CREAM}


def test_highlights_are_held_and_exposures_differ_by_stops():
    photo = a_view().photo
    gains = [draw_camera(photo, np.random.default_rng(seed)).gain.mean() for seed in range(200)]
    spread = np.log2(gains).std()
    assert 0.3 < spread < 1.0  # stops
    top = np.percentile(photo @ np.array([0.2126, 0.7152, 0.0722]), 97)
    assert max(gains) * top < CAMERAS.held[1] * 2 ** (2 * CAMERAS.stops) * 1.2


def test_the_camera_of_test_rooms_is_not_among_those_of_training():
    assert not set(UNSEEN.curves) & set(CAMERAS.curves)


def test_mixed_curves_keep_black_rise_and_are_none_that_a_camera_has():
    x = np.linspace(0, 8, 400, dtype=np.float32)[:, None].repeat(3, 1)
    for seed in range(12):
        curve = mix_curves(MIXED.curves, np.random.default_rng(seed))(x)
        assert curve[0].max() < 0.01 and curve.max() <= 1 and (np.diff(curve, axis=0) > -1e-5).all()
        assert all(np.abs(curve - plain(x)).max() > 0.005 for plain in (*MIXED.curves, *UNSEEN.curves))
    red = mix_curves(MIXED.curves, np.random.default_rng(0))(np.float32([[4.0, 0.2, 0.2]]))
    grey = mix_curves(MIXED.curves, np.random.default_rng(0))(np.float32([[0.2, 0.2, 0.2]]))
    assert red[0, 1] > grey[0, 1]  # what is far too bright in one channel fades


def test_every_curve_keeps_black_and_rises():
    x = np.linspace(0, 8, 400, dtype=np.float32)
    for curve in {*CAMERAS.curves, *UNSEEN.curves}:
        shown = curve(x)
        assert shown[0] < 0.01 and shown.max() <= 1.0001 and (np.diff(shown) >= -1e-6).all(), curve.__name__
        assert shown[-1] > 0.9, curve.__name__
