import functools

import numpy as np
import pytest
import torch
from encoded import encode_samples
from PIL import Image
from toys import PAINTS, toy_room

from wallpaint.cache.batches import BatchSettings, draw_batch
from wallpaint.cache.draws import sample_draws
from wallpaint.cache.references import cut_reference, detail_map, draw_hole
from wallpaint.cache.views import EncodingOptions
from wallpaint.dataset.folder import add_sample, read_samples
from wallpaint.models.encoders import encode_images
from wallpaint.pixels.images import load_photo, to_tensor


def wall_of(size=64):
    wall = torch.zeros(1, 1, size, size)
    wall[..., 8:40, 10:60] = 1
    return wall


def test_a_hole_lies_on_the_wall_and_is_a_function_of_its_numbers():
    wall = wall_of()
    holes = [draw_hole(wall, "room", k) for k in range(40)]
    assert all(hole.any() and not (hole * (1 - wall)).any() for hole in holes)
    assert torch.equal(holes[3], draw_hole(wall, "room", 3)) and not torch.equal(holes[3], holes[4])
    assert len({tuple(hole.flatten().tolist()) for hole in holes}) > 35
    shares = [float(hole.sum() / wall.sum()) for hole in holes]
    assert min(shares) < 0.3 and max(shares) > 0.5  # small ones and large ones
    boxes = [bool((hole[0, 0].any(1)[:, None] & hole[0, 0].any(0) == hole[0, 0].bool()).all()) for hole in holes]
    assert 8 < sum(boxes) < 32  # about half are boxes, the others have bent sides


def test_a_reference_is_what_stood_in_the_hole_and_only_jitter_moves_its_paint():
    wall = wall_of()
    pixels = np.full((64, 64, 3), 30, np.uint8)
    pixels[wall[0, 0].numpy() > 0] = (200, 60, 50)
    picture, hole = Image.fromarray(pixels), draw_hole(wall, 1)
    plain = cut_reference(picture, hole, 96, 0.0, 7)
    assert plain.size == (96, 96)
    assert np.array_equal(np.asarray(plain).reshape(-1, 3).mean(0).round(), (200, 60, 50))
    moved = np.asarray(cut_reference(picture, hole, 96, 0.4, 7)).reshape(-1, 3).mean(0)
    assert np.abs(moved - (200, 60, 50)).max() > 5
    again = cut_reference(picture, hole, 96, 0.4, 7)
    assert np.allclose(np.asarray(again).reshape(-1, 3).mean(0), moved)
    other = np.asarray(cut_reference(picture, hole, 96, 0.4, 8)).reshape(-1, 3).mean(0)
    assert np.abs(other - moved).max() > 2


def test_cutting_a_reference_leaves_torchs_own_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    cut_reference(Image.new("RGB", (64, 64)), wall_of(), 32, 0.4, 1)
    assert torch.equal(torch.rand(3), expected)


def test_a_detail_map_holds_the_texture_of_the_wall_and_neither_its_paint_nor_its_surroundings():
    wall = wall_of()
    light = torch.linspace(0.9, 0.7, 64)[None, None, None].expand(1, 3, 64, 64)
    paint = torch.tensor([0.8, 0.3, 0.2])[None, :, None, None]
    plain = detail_map(light * paint * wall, wall, 2)
    inside = wall.clone()
    inside[..., :12, :], inside[..., 36:, :], inside[..., :14], inside[..., 56:] = 0, 0, 0, 0
    assert (plain * inside).abs().max() < 0.02  # light that falls off is no texture
    ribs = (torch.arange(64) % 4 < 2).float()[None, None, None] * 0.05
    textured = detail_map(light * paint * wall + ribs, wall, 2)
    assert 0.05 < (textured * inside).abs().mean() * inside.numel() / inside.sum() < 0.2
    assert not (textured * (1 - wall)).any() and not textured[..., 8:10, :].any()  # nor the eroded rim
    noisy = light * paint * wall + (1 - wall) * torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(detail_map(noisy, wall, 2), plain, atol=1e-6, rtol=0)


def encode(loaded, folder, cache_dir, **options):
    options = EncodingOptions(**options)
    return encode_samples(loaded, read_samples(folder, "train"), cache_dir, options, report=lambda line: None)


@pytest.mark.parametrize("encoder", ["example", "identity", "tokens"])
def test_crops_are_encoded_once_and_found_again(loaded, dataset, tmp_path, encoder):
    options = {"encoder": encoder, "reference": "self_crop", "variants": 3}
    first = encode(loaded, dataset, tmp_path, **options)
    assert first.new_rows == 4 + 3 + 1 + 4  # pictures, texts, the null, crops of each picture
    assert first.references.shape[0] == 1 + 4 * 3 and first.groups[0]["reference"].shape == (4, 3)
    assert len(set(first.groups[0]["reference"].flatten().tolist())) == 12
    again = encode(loaded, dataset, tmp_path, **options)
    assert again.new_rows == 0 and torch.equal(again.references[:], first.references[:])
    alone = encode_images(loaded, encoder, [None])[0]
    torch.testing.assert_close(first.references[0], alone, atol=1e-5, rtol=1e-4)  # it was encoded in a batch
    assert encode(loaded, dataset, tmp_path, **options, color_jitter=0.4).new_rows == 4


def test_another_view_is_taken_where_the_room_has_one_in_the_same_paint(loaded, tmp_path):
    for seed, color in ((0, PAINTS[0]), (1, PAINTS[0]), (1, PAINTS[1])):  # two views; one in another paint too
        add_sample(tmp_path / "data", "train", *toy_room(seed, color), color, "a room", "room")
    options = {"encoder": "example", "variants": 1}
    own = encode(loaded, tmp_path / "data", tmp_path, reference="self_crop", **options)
    other = encode(loaded, tmp_path / "data", tmp_path, reference="other_view", **options)
    told = [[e.references[r] for r in e.groups[0]["reference"][:, 0]] for e in (own, other)]
    near = functools.partial(torch.allclose, atol=1e-5)  # places in a batch may differ in the last bits
    assert near(told[1][0], told[0][1]) and near(told[1][1], told[0][0]) and not near(told[0][0], told[0][1])
    assert near(told[1][2], told[0][2])  # nobody else shows that wall in its paint


def test_a_share_of_the_batches_has_a_hole_in_place_of_the_wall(loaded, dataset, tmp_path):
    encoded = encode(loaded, dataset, tmp_path, encoder="example", reference="self_crop", variants=4, holes=True)
    walls = encoded.groups[0]["wall"][:].float()

    def whole(holes):
        drawn = [draw_batch(encoded, sample_draws(4, 0, 0, n), n, BatchSettings(0, 4, holes=holes)) for n in range(25)]
        kept = [any(torch.equal(w, wall) for wall in walls) for batch in drawn for w in batch.wall]
        return sum(kept) / len(kept), drawn

    share, drawn = whole(0.5)
    assert share == pytest.approx(0.5, abs=0.15) and whole(0.0)[0] == 1 and whole(1.0)[0] == 0
    for batch in drawn:  # the mask goes with the wall, and no more is blanked than is masked
        pooled = torch.nn.functional.max_pool2d(batch.wall.float(), 8)
        assert (batch.mask >= pooled).all()


def test_dropped_references_are_marked_for_a_learned_null(loaded, dataset, tmp_path):
    encoded = encode(loaded, dataset, tmp_path, encoder="example", reference="self_crop", variants=2)
    heard = torch.cat(
        [draw_batch(encoded, sample_draws(4, 0, 0, n), n, BatchSettings(0, 4, 0.3)).has_reference for n in range(50)]
    )
    assert heard.float().mean() == pytest.approx(0.7, abs=0.1)


def test_the_texture_comes_with_the_light_that_stands_round_the_hole(loaded, tmp_path):
    photo, mask = toy_room(1, PAINTS[0])
    ribs = np.asarray(photo).astype(int) + 12 * (np.arange(64)[None, :, None] % 4 < 2)
    add_sample(
        tmp_path / "data",
        "train",
        Image.fromarray(ribs.clip(0, 255).astype(np.uint8)),
        mask,
        PAINTS[0],
        "a room",
        "room",
    )
    encoded = encode(loaded, tmp_path / "data", tmp_path, encoder="identity", detail=True)
    batch = draw_batch(encoded, sample_draws(1, 0, 0), 0, BatchSettings(0, 1))
    sample = read_samples(tmp_path / "data", "train")[0]
    image = to_tensor(load_photo(sample.image))
    expected = detail_map(image, batch.wall, loaded.family.mask_growth)
    assert batch.detail.shape == (1, 3, 64, 64) and expected.abs().max() > 0.05
    torch.testing.assert_close(batch.detail, expected, atol=0.5 / 127 + 1e-4, rtol=0)
