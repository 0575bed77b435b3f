from dataclasses import fields

import numpy as np
import pytest
import torch
from encoded import encode_samples
from PIL import Image
from toys import PAINTS, toy_room

from wallpaint.cache import build, tables
from wallpaint.cache.batches import BatchSettings, draw_batch
from wallpaint.cache.draws import sample_draws
from wallpaint.dataset.folder import add_sample, read_samples
from wallpaint.models.encoders import encode_references, encode_text
from wallpaint.models.latents import encode_pictures, prepare_picture


def encode(loaded, folder, cache_dir, **options):
    return encode_samples(loaded, read_samples(folder, "train"), cache_dir, report=lambda line: None, **options)


def test_a_second_run_encodes_nothing_and_reads_the_same(loaded, dataset, tmp_path, monkeypatch):
    first = encode(loaded, dataset, tmp_path)
    assert first.new_rows == 4 + 3 + 3  # pictures, texts with '', swatches with the null image
    monkeypatch.setattr(build, "encode_pictures", None)
    monkeypatch.setattr(tables, "encode_text", None)
    monkeypatch.setattr(tables, "encode_images", None)
    second = encode(loaded, dataset, tmp_path)
    assert second.new_rows == 0
    for name, tensor in first.groups[0].items():
        assert torch.equal(second.groups[0][name][:], tensor[:]), name
    for first_table, again in ((first.prompts, second.prompts), (first.references, second.references)):
        assert torch.equal(again[:], first_table[:])


def test_only_what_changed_is_encoded_anew(loaded, tmp_path):
    for color in PAINTS:
        add_sample(tmp_path / "data", "train", *toy_room(1, color), color, "a room", "room1")
    assert encode(loaded, tmp_path / "data", tmp_path).new_rows == 2 + 2 + 3
    add_sample(tmp_path / "data", "train", *toy_room(2, PAINTS[0]), PAINTS[0], "a room", "room2")
    assert encode(loaded, tmp_path / "data", tmp_path).new_rows == 1
    sample = read_samples(tmp_path / "data", "train")[0]
    Image.fromarray(255 - np.asarray(Image.open(sample.mask))).save(sample.mask)
    assert encode(loaded, tmp_path / "data", tmp_path).new_rows == 1


def test_what_a_damaged_file_held_is_encoded_anew(loaded, dataset, tmp_path):
    first = encode(loaded, dataset, tmp_path / "cache")
    means = first.groups[0]["latents_mean"][:].clone()
    path = next((tmp_path / "cache").rglob("latents-*.safetensors"))
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.unlink()  # else the rows that are held would be cut off as well
    path.write_bytes(half)
    again = encode(loaded, dataset, tmp_path / "cache")
    assert again.new_rows == 4
    torch.testing.assert_close(again.groups[0]["latents_mean"][:], means, atol=1e-5, rtol=1e-4)
    assert encode(loaded, dataset, tmp_path / "cache").new_rows == 0


def test_pictures_encoded_a_few_at_a_time_are_those_encoded_at_once(loaded, monkeypatch):
    pictures = torch.rand(5, 3, 64, 64) * 2 - 1
    whole = encode_pictures(loaded, pictures)
    seen, encode = [], loaded.vae.encode
    monkeypatch.setattr(loaded.vae, "encode", lambda some: seen.append(len(some)) or encode(some))
    monkeypatch.setattr("wallpaint.models.latents.ENCODED_PIXELS", 2 * 64**2)
    for part, again in zip(whole, encode_pictures(loaded, pictures), strict=True):
        torch.testing.assert_close(again, part)
    assert seen == [2, 2, 1]


def test_the_rows_are_what_the_encoders_say(loaded, dataset, tmp_path):
    encoded = encode(loaded, dataset, tmp_path)
    sample = read_samples(dataset, "train")[1]
    group = encoded.groups[0]
    assert torch.allclose(group["color"][1], torch.tensor(sample.color) / 255)
    with torch.no_grad():
        text = encode_text(loaded, [sample.text])["prompt_embeds"][0]
        image = Image.new("RGB", (96, 96), sample.color)
        tokens = loaded.image_proj(encode_references(loaded, [image, None]))
    torch.testing.assert_close(encoded.prompts[group["prompt"][1]], text, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(encoded.references[group["reference"][1, 0]], tokens[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(encoded.references[0], tokens[1], atol=1e-5, rtol=1e-4)
    picture = prepare_picture(Image.open(sample.image), Image.open(sample.mask), (64, 64), 2, 8)
    with torch.no_grad():
        posterior = loaded.vae.encode(picture["image"]).latent_dist
    torch.testing.assert_close(group["latents_mean"][1], posterior.mean[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(group["latents_std"][1], posterior.std[0], atol=1e-4, rtol=1e-4)


def test_masks_go_to_latents_by_maximum_and_no_old_colour_is_left_at_the_rim():
    photo = Image.new("RGB", (64, 64), (200, 60, 50))
    mask = np.zeros((64, 64), np.uint8)
    mask[23:30, 23:30] = 255
    picture = prepare_picture(photo, Image.fromarray(mask), (64, 64), 2, 8)
    assert picture["wall"].sum() == 49
    blank = picture["masked_image"][0].abs().sum(0) == 0
    assert blank[21:32, 21:32].all() and blank.sum() == 11 * 11
    touched = torch.zeros(8, 8)
    touched[2:4, 2:4] = 1  # pixels 21 to 31 touch the latents 2 (an average would lose it) and 3
    assert torch.equal(picture["mask"][0, 0], touched)


def test_a_wall_thinner_than_a_working_pixel_is_not_lost():
    mask = np.zeros((512, 512), np.uint8)
    mask[:, 100] = 255
    picture = prepare_picture(Image.new("RGB", (512, 512)), Image.fromarray(mask), (64, 64), 0, 8)
    assert picture["wall"].any() and picture["mask"].any()


def test_mirrored_samples_are_the_mirror_image(loaded, dataset, tmp_path):
    encoded = encode(loaded, dataset, tmp_path, flip=True)
    wall = encoded.groups[0]["wall"]
    assert len(encoded) == 8 and torch.equal(wall[1], wall[0].flip(-1)) and not torch.equal(wall[1], wall[0])


@pytest.fixture
def encoded(loaded, dataset, tmp_path):
    return encode(loaded, dataset, tmp_path)


def test_a_batch_is_a_function_of_seed_and_number(encoded):
    def draw(number, seed=0):
        return draw_batch(encoded, sample_draws(2, 0, seed, number), number, BatchSettings(seed, 2))

    assert torch.equal(draw(3).latents, draw(3).latents)
    assert not torch.equal(draw(3).latents, draw(5).latents)
    assert not torch.equal(draw(3, seed=1).latents, draw(3).latents)


def test_processes_that_share_a_batch_draw_what_one_would(encoded):
    settings = BatchSettings(9, 4, 0.3, 0.2, 0.1)
    whole = draw_batch(encoded, sample_draws(4, 0, 9, 1), 1, settings)
    halves = [draw_batch(encoded, sample_draws(2, at, 9, 1), 1, settings, first=at) for at in (0, 2)]
    for field in fields(whole):
        if getattr(whole, field.name) is None:
            continue
        shared = torch.cat([getattr(half, field.name) for half in halves])
        torch.testing.assert_close(shared, getattr(whole, field.name), atol=1e-6, rtol=1e-6, msg=field.name)


def test_round_the_hole_stands_the_light_of_any_paint_the_view_is_known_in(loaded, tmp_path):
    for room, color, light in ((1, PAINTS[0], 1.0), (1, PAINTS[1], 0.5), (2, PAINTS[0], 1.0)):
        photo, mask = toy_room(room, color)
        photo = photo.point(lambda value, light=light: int(value * light))
        add_sample(tmp_path / "data", "train", photo, mask, color, "a room", f"room{room}")
    encoded = encode(loaded, tmp_path / "data", tmp_path)
    group = encoded.groups[0]
    assert not torch.allclose(group["masked_mean"][0], group["masked_mean"][1], atol=0.05)
    seen: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}
    for number in range(24):
        batch = draw_batch(encoded, sample_draws(3, 0, 0, number), number, BatchSettings(0, 3))
        for latents, masked in zip(batch.latents, batch.masked_image_latents, strict=True):
            row = int((group["latents_mean"][:] - latents).abs().mean(dim=(1, 2, 3)).argmin())
            seen[row].add(int((group["masked_mean"][:] - masked).abs().mean(dim=(1, 2, 3)).argmin()))
    assert seen == {0: {0, 1}, 1: {0, 1}, 2: {2}}


def test_every_epoch_goes_through_every_sample_once(encoded):
    means = encoded.groups[0]["latents_mean"][:]
    for epoch in range(3):
        seen = []
        for number in (2 * epoch, 2 * epoch + 1):
            for latents in draw_batch(encoded, sample_draws(2, 0, 7, number), number, BatchSettings(7, 2)).latents:
                seen.append(int((means - latents).square().sum((1, 2, 3)).argmin()))
        assert sorted(seen) == [0, 1, 2, 3]


def test_dropout_takes_image_text_and_both_in_their_shares(encoded):
    settings = BatchSettings(1, 20, 0.1, 0.2, 0.3)
    counts = {(image, text): 0 for image in (True, False) for text in (True, False)}
    for number in range(100):
        batch = draw_batch(encoded, sample_draws(20, 0, 1, number), number, settings)
        for embeds, prompt in zip(batch.image_embeds, batch.prompt_embeds, strict=True):
            counts[torch.equal(embeds, encoded.references[0]), torch.equal(prompt, encoded.prompts[0])] += 1
    shares = {key: count / 2000 for key, count in counts.items()}
    assert shares[True, False] == pytest.approx(0.1, abs=0.03)
    assert shares[False, True] == pytest.approx(0.2, abs=0.03)
    assert shares[True, True] == pytest.approx(0.3, abs=0.04)


def test_pictures_of_several_shapes_meet_only_their_own_kind(loaded, tmp_path):
    for seed, size in ((0, (64, 64)), (1, (96, 48)), (2, (96, 48))):
        add_sample(tmp_path / "data", "train", *toy_room(seed, PAINTS[0], size), PAINTS[0], "a room", f"r{seed}")
    encoded = encode(loaded, tmp_path / "data", tmp_path)
    shapes = {draw_batch(encoded, sample_draws(2, 0, n), n, BatchSettings(0, 2)).latents.shape for n in range(6)}
    assert len(encoded.groups) == 2 and shapes == {(2, 4, 8, 8), (2, 4, 6, 11)}


def test_a_cache_is_not_read_with_other_models(loaded, dataset, tmp_path):
    import dataclasses

    encode(loaded, dataset, tmp_path)
    assert encode(dataclasses.replace(loaded, encoders_hash="other"), dataset, tmp_path).new_rows == 10
