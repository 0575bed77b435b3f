"""Masks beyond the table of `brought.masks`: inverted ones, and when a mask looks so."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from wallpaint.dataset.metadata import read_table
from wallpaint.errors import UserError
from wallpaint.paths import ASSETS
from wallpaint.pixels.images import load_mask, load_photo
from wallpaint.pixels.mask_ops import looks_inverted


def test_a_mask_is_inverted_on_demand(tmp_path):
    Image.fromarray(np.array([[0, 0, 255], [0, 0, 0]], np.uint8)).save(tmp_path / "m.png")
    assert np.asarray(load_mask(tmp_path / "m.png", invert=True)).tolist() == [[255, 255, 0], [255, 255, 255]]
    Image.new("L", (3, 2), 255).save(tmp_path / "m.png")
    with pytest.raises(UserError, match="is empty"):
        load_mask(tmp_path / "m.png", invert=True)


def test_soft_edges_of_12_bits_in_16(tmp_path):
    wall = np.zeros((120, 160), np.float32)
    wall[20:70, 30:120] = 255
    soft = np.asarray(Image.fromarray(wall.astype(np.uint8)).filter(ImageFilter.GaussianBlur(3))).astype(np.uint16)
    Image.fromarray(soft * 16).save(tmp_path / "m.png")
    assert ((np.asarray(load_mask(tmp_path / "m.png")) > 0) != (wall > 0)).mean() < 0.01


def test_a_mask_on_its_side_is_refused_where_the_photo_does_not_say_so(tmp_path):
    Image.new("L", (30, 40), 255).save(tmp_path / "m.png")
    Image.new("RGB", (40, 30)).save(tmp_path / "photo.jpg")
    with pytest.raises(UserError, match="30x40 but its photo is 40x30: make the mask .* as the photo stands upright"):
        load_mask(tmp_path / "m.png", (40, 30), photo=tmp_path / "photo.jpg")


def test_inverted_masks_mostly_look_so_and_true_ones_never():
    folder, hints, true = ASSETS / "rooms" / "test", [], []
    for row in read_table(folder.parent, "test")[::2]:
        photo, mask = load_photo(folder / row["file_name"]), folder / row["mask_file_name"]
        true.append(looks_inverted(photo, load_mask(mask)))
        hints.append(looks_inverted(photo, load_mask(mask, invert=True)))
    assert not any(true) and np.mean(hints) > 0.7


def test_a_wall_that_fills_the_photo_gives_no_hint():
    photo, whole = Image.effect_noise((64, 48), 50), Image.new("L", (64, 48), 255)
    assert not looks_inverted(photo, whole)
    part = whole.copy()
    part.paste(0, (0, 0, 64, 10))
    close_up = Image.new("RGB", (64, 48), (150, 160, 140))
    close_up.paste(Image.effect_noise((64, 10), 90), (0, 0))
    assert not looks_inverted(close_up, part)
