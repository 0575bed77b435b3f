"""The recipe of the network that finds walls: its pool, what it is shown, and that it learns."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from toys import toy_room

from wallpaint.dataset.folder import add_sample, read_samples
from wallpaint.dataset.rows import Sample
from wallpaint.errors import UserError
from wallpaint.pixels.mask_ops import expect_iou
from wallpaint.recipes import walls
from wallpaint.walls.network import SIDE, NetworkFinder, WallNetwork


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Four rooms, the last held out; the first has a repaint."""
    folder = tmp_path_factory.mktemp("pool")
    for number in range(4):
        photo, mask = toy_room(number, (60 * number, 158, 126), (96, 64))
        add_sample(folder, "train", photo, mask, (122, 158, 126), "", f"room-{number}")
    rows = [json.loads(line) for line in (folder / "train" / "metadata.jsonl").read_text().splitlines()]
    rows[0]["truths"] = [{"color": [1, 2, 3], "file_name": rows[1]["file_name"]}]
    (folder / "train" / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "train"


def test_a_pool_has_every_repaint_with_its_photographs_mask_and_no_room_held_out(pool):
    photos, masks, owners = walls.read_pool([pool], {"room-3"}, "cpu")
    assert photos.shape == (4, 3, SIDE, SIDE) and masks.shape == (3, 1, SIDE, SIDE) and photos.dtype == torch.uint8
    assert owners.tolist() == [0, 0, 1, 2]
    assert torch.equal(photos[1], photos[2])  # the repaint of the first is the second's file


def test_what_is_shown_is_a_picture_and_its_wall_follows_it(pool):
    photos, masks, owners = walls.read_pool([pool], set(), "cpu")
    torch.manual_seed(0)
    seen, wall = walls.augment(photos, masks[owners])
    assert seen.shape == photos.shape and wall.shape == (5, 1, SIDE, SIDE)
    assert seen.min() >= 0 and seen.max() <= 1 and wall.min() >= 0 and wall.max() <= 1
    again, _ = walls.augment(photos, masks[owners])
    assert (seen - again).abs().mean() > 0.02  # drawn anew
    cut, moved = walls.cut(masks.expand(-1, 3, -1, -1).float() / 255, masks.float() / 255)
    assert torch.allclose(cut[:, :1], moved, atol=1e-5)  # both are cut alike
    picture = torch.full((8, 3, SIDE, SIDE), 0.5)
    laid, left = walls.clutter(picture, torch.ones(8, 1, SIDE, SIDE))
    changed = (laid != 0.5).any(1, True)
    assert changed.any() and not left[changed].any() and (left[~changed] == 1).all()


def test_it_learns_and_its_file_says_the_same(pool, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(walls, "SIDE", 96)  # both smaller than they are, in the same measure
    monkeypatch.setattr("wallpaint.walls.network.SEEN", seen := 128)
    samples = read_samples(pool, None)
    torch.manual_seed(0)
    fresh = walls.measure(NetworkFinder(WallNetwork().eval()), samples)
    pool = walls.read_pool([pool], set(), "cpu")
    network = walls.fit(pool, samples[-2:], 0, batch=4, steps=40)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["step"] for row in told] == sorted(row["step"] for row in told) and len(told) > 5
    learned = walls.measure(NetworkFinder(network), samples)
    assert learned["iou_mean"] > max(0.5, fresh["iou_mean"] + 0.05)
    walls.save(network, tmp_path / "walls.safetensors")
    assert (tmp_path / "walls.safetensors").stat().st_size < 8 << 20
    photo = toy_room(1, (60, 158, 126), (96, 64))[0]
    found, sure = NetworkFinder.load(tmp_path / "walls.safetensors").find(photo)
    before, _ = NetworkFinder(network).find(photo)
    assert found.shape == (seen, seen) and 0 < sure < 1
    np.testing.assert_allclose(found, before, atol=0.05)
    mirrored = NetworkFinder(network).find(photo.transpose(0))[0]
    np.testing.assert_allclose(mirrored[:, ::-1], before, atol=0.02)


def test_a_file_that_is_no_finder_is_refused(tmp_path):
    with pytest.raises(UserError, match="no wall finder at"):
        NetworkFinder.load(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"x" * 50)
    with pytest.raises(UserError, match="cannot be read"):
        NetworkFinder.load(tmp_path / "bad.safetensors")


def test_confidence_is_the_iou_expected_of_the_probabilities():
    chance = np.array([[0.9, 0.8], [0.2, 0.1]])
    assert expect_iou(chance) == pytest.approx(1.7 / (2 + 0.3))
    assert expect_iou(np.zeros((4, 4))) == 0


def test_rooms_of_several_kinds_are_measured_apart(tmp_path):
    finds = {"plain": 1.0, "accent": 0.5}  # how much of the wall, the upper three quarters, is found
    samples = []
    for kind in finds:
        photo, mask = Image.new("RGB", (64, 64), (90, 140, 90)), Image.new("L", (64, 64), 0)
        mask.paste(255, (0, 0, 64, 48))
        photo.paste((60, 40, 30), (0, 48, 64, 64))
        photo.save(tmp_path / f"{kind}.png")
        mask.save(tmp_path / f"{kind}-mask.png")
        samples.append(Sample(tmp_path / f"{kind}.png", tmp_path / f"{kind}-mask.png", (90, 140, 90), "", kind, kind))

    class Half:
        shares = iter(finds.values())

        def find(self, photo):
            chance = np.zeros((64, 64), np.float32)
            chance[:48, : round(64 * next(self.shares))] = 1
            return chance, 1.0

    figures = walls.measure(Half(), samples)
    assert figures["iou_plain"] == figures["iou_p10_but_accent"] == pytest.approx(1, abs=0.02)
    assert figures["iou_accent"] < 0.8 and "iou_dark" not in figures
