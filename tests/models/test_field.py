"""The field of gains over the classical repaint, and the light that a new wall throws on its room."""

import threading
import time

import numpy as np
import pytest
import torch
from accelerate import init_empty_weights
from PIL import Image, ImageOps

from wallpaint.models import field
from wallpaint.models.field import MOST, SIDE, Field, estimate_field, look, recolor_by_field, throw_light
from wallpaint.models.loading import load_module
from wallpaint.paint.arms import open_arms
from wallpaint.paint.settings import SamplingSettings
from wallpaint.paths import ASSETS
from wallpaint.pixels.color import Swatch, bytes_to_linear, luminance
from wallpaint.pixels.images import load_mask, load_photo
from wallpaint.pixels.light import estimate_light
from wallpaint.pixels.metrics import outside_changed_pixels, wall_region
from wallpaint.pixels.recolor import Coat, recolor
from wallpaint.recipes.field import fit, measure

SAGE, WHITE, BLACK = (Swatch(color) for color in ((122, 158, 126), (240, 240, 238), (30, 30, 30)))


@pytest.fixture
def room():
    folder = ASSETS / "rooms" / "test"
    photo = load_photo(folder / "000001-0.jpg")
    return photo, load_mask(folder / "000001-0-mask.png", photo.size)


def test_what_is_built_while_another_thread_loads_a_model_has_its_weights(tmp_path):
    begun = threading.Event()

    class Slow:
        @classmethod
        def from_pretrained(cls, *_, **__):
            with init_empty_weights():  # as diffusers does; it changes torch for all threads
                begun.set()
                time.sleep(0.5)
            return None, {"missing_keys": []}

    loading = threading.Thread(target=load_module, args=(Slow, tmp_path / "model.safetensors", torch.float32))
    loading.start()
    begun.wait(10)
    networks = field._networks.__wrapped__()  # afresh
    loading.join()
    assert networks and not any(weight.is_meta for network in networks for weight in network.parameters())


def test_a_network_that_has_learned_nothing_leaves_the_classical_repaint(room, monkeypatch):
    monkeypatch.setattr(field, "_networks", lambda: [Field().eval()])
    field_says, plain = (np.asarray(paint(Coat(*room, SAGE))).astype(int) for paint in (recolor_by_field, recolor))
    assert np.abs(field_says - plain).max() <= 1  # no wall is so bright that nothing of it is lost
    (lit,) = throw_light([recolor(Coat(*room, SAGE))], [Coat(*room, SAGE)])
    assert lit.tobytes() == recolor(Coat(*room, SAGE)).tobytes()


def test_the_shipped_field_is_bounded_and_stays_on_the_wall(room):
    wall, outside = estimate_field(Coat(*room, SAGE))
    assert wall.shape == (16, 16, 9) and outside.shape == (16, 16, 3)
    for told in (wall[..., 3:6], outside):
        assert 0.01 < np.abs(told).max() <= MOST
    assert outside_changed_pixels(recolor_by_field(Coat(*room, SAGE)), *room) == 0


def test_the_guess_that_the_network_sees_is_the_classical_repaint(room):
    light = estimate_light(*room)
    lights = {name: torch.tensor(np.float32(getattr(light, name)))[None] for name in ("paint", "bounce", "slope")}
    pixels = torch.from_numpy(field.small(room[0]).transpose(2, 0, 1))[None]
    seen, guess = look(pixels, torch.ones(1, 1, SIDE, SIDE), lights, torch.tensor(SAGE.linear)[None])
    assert seen.shape == (1, field.INPUTS, SIDE, SIDE)
    expected = light.repaint(field.small(room[0]).reshape(-1, 3), SAGE.linear).clip(0, 1.5)
    np.testing.assert_allclose(guess[0].permute(1, 2, 0).reshape(-1, 3).numpy(), expected, atol=1e-3, rtol=1e-3)


def test_a_contrast_turns_about_the_middle_of_the_wall(room, monkeypatch):
    def steep():
        network = Field().eval()
        network.last.bias.data[6:9] = 0.5
        return network

    monkeypatch.setattr(field, "_networks", lambda: [steep()])
    wall = wall_region(room[1])
    plain, steeper = (
        np.log(bytes_to_linear(np.asarray(picture)[wall]) + 0.02)
        for picture in (recolor(Coat(*room, SAGE)), recolor_by_field(Coat(*room, SAGE)))
    )
    exponents = estimate_field(Coat(*room, SAGE))[0][..., 3:6]
    np.testing.assert_allclose(exponents, np.tanh(0.5), atol=1e-5)
    np.testing.assert_allclose(steeper.mean(0), plain.mean(0), atol=0.12)  # up to FAINT, which is added first
    assert (steeper.std(0) > 1.25 * plain.std(0)).all()


def test_a_wall_that_the_photo_shows_black_gets_its_paint_all_the_same(room):
    photo, mask = room
    black = Image.composite(Image.new("RGB", photo.size), photo, mask)
    wall = wall_region(mask)
    assert np.asarray(recolor(Coat(black, mask, SAGE)))[wall].max() < 5
    red, green, blue = np.asarray(recolor_by_field(Coat(black, mask, SAGE)))[wall].mean(0)
    assert 40 < green < 220 and green > max(red, blue)


def test_what_is_black_in_a_bright_wall_is_a_shadow_and_stays_one():
    photo, mask = Image.new("RGB", (256, 256), (180, 170, 160)), Image.new("L", (256, 256), 255)
    photo.paste((0, 0, 0), (112, 112, 128, 128))  # a whole place of the field
    painted = np.asarray(recolor_by_field(Coat(photo, mask, WHITE)))
    assert painted[120, 120].max() < 0.65 * painted[60, 60].min()


def test_a_window_is_no_light_on_the_dark_wall_beside_it():
    pixels, share = torch.zeros(1, 3, SIDE, SIDE), torch.ones(1, 1, SIDE, SIDE)
    pixels[..., 41:], share[..., 41:] = 0.9, 0
    pixels[..., 40], share[..., 40] = 0.45, 0.5  # small pictures mix the two at the edge
    known = field.known_share(field.wall_around(pixels, share))[0, 0]
    assert known[:, :11].max() < 0.2  # all that is wall, and to the left of the edge


def test_the_fields_are_the_mean_of_what_the_networks_say(room, monkeypatch):
    def says(gain):
        network = Field().eval()
        network.last.bias.data[:] = gain
        return network

    def told(*gains):
        monkeypatch.setattr(field, "_networks", lambda: [says(gain) for gain in gains])
        return estimate_field(Coat(*room, SAGE))

    one, other, both = told(0.2), told(-0.4), told(0.2, -0.4)
    for mean, first, second in zip(both, one, other, strict=True):
        np.testing.assert_allclose(mean, (first + second) / 2, atol=1e-4)
    told_light = field.RANGE * (np.tanh(0.2) - np.tanh(-0.4))
    np.testing.assert_allclose((one[0] - other[0])[..., 6:], told_light, rtol=1e-3)


def test_a_mirrored_room_gets_the_mirrored_field(room):
    told = estimate_field(Coat(*room, SAGE))
    mirrored = [ImageOps.mirror(picture) for picture in room]
    light = estimate_light(*room)  # the same: what is read off the mirror image may differ a little
    for straight, turned in zip(told, estimate_field(Coat(*mirrored, SAGE).in_light(light)), strict=True):
        np.testing.assert_allclose(turned[:, ::-1], straight, atol=1e-3)


def test_a_white_wall_lights_its_room_and_a_black_one_darkens_it(room):
    photo, mask = room
    outside = np.asarray(mask) < 128
    light = {}
    for paint in (WHITE, BLACK):
        painted = recolor(Coat(photo, mask, paint))
        (lit,) = throw_light([painted], [Coat(photo, mask, paint)])
        assert (np.asarray(lit)[~outside] == np.asarray(painted)[~outside]).all()
        light[paint] = float(luminance(bytes_to_linear(np.asarray(lit)[outside])).mean())
    assert light[WHITE] > 1.05 * light[BLACK]


def test_the_bounce_is_a_switch_that_is_off(room):
    painted = {
        bounce: open_arms(["recolor"]).paint(Coat(*room, SAGE), SamplingSettings(bounce=bounce))["recolor"][0]
        for bounce in (False, True)
    }
    assert outside_changed_pixels(painted[False], *room) == 0 < outside_changed_pixels(painted[True], *room)


@pytest.mark.parametrize("steep", [1.0, 0.0], ids=["a gain", "a contrast"])
def test_the_recipe_learns_what_is_missing(steep):
    rng = np.random.default_rng(0)
    count, old, new = 40, np.array([0.6, 0.6, 0.6], np.float32), np.array([0.2, 0.3, 0.2], np.float32)
    photo = rng.uniform(0.2, 0.5, (count, 1, SIDE, SIDE)).astype(np.float32) * np.ones((1, 3, 1, 1), np.float32)
    data = {
        "photo": torch.from_numpy(photo).half(),
        "truth": torch.from_numpy(photo**steep * 0.35 ** (1 - steep) * (new / old)[:, None, None] * 1.5).half(),
        "share": torch.ones(count, 1, SIDE, SIDE).half(),
        "old": torch.from_numpy(np.tile(old, (count, 1))),
        "bounce": torch.zeros(count),
        "slope": torch.ones(count),
        "paint": torch.from_numpy(np.tile(new, (count, 1))),
        "held": torch.arange(count) < 8,
    }
    learned = fit(data, 0, steps=60 if steep else 200, batch=4)
    found = measure(learned, data)
    assert found["wall"] < 0.8 * found["wall_without"]
    light = {"paint": data["old"], "bounce": data["bounce"], "slope": data["slope"]}
    seen, _ = look(data["photo"].float(), data["share"].float(), light, data["paint"])
    with torch.no_grad():
        contrast = learned(seen)[:, 6:9].mean()
    assert (contrast < -0.3) == (steep == 0)  # a wall of one light has lost its pattern
