import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from safetensors.torch import load_file, save_file
from steps import save_arm
from toys import grid_mask, paint_with, toy_room

from wallpaint.errors import UserError
from wallpaint.learned.denoiser import painting_denoiser
from wallpaint.models.bundle import set_ip_adapter_scale
from wallpaint.models.field import recolor_by_field
from wallpaint.models.latents import decode_latents, encode_pictures, repaint_wall
from wallpaint.paint.arms import Arms
from wallpaint.paint.encodings import EncodingCache
from wallpaint.paint.painter import Painter, resolve_arms
from wallpaint.paint.sampler import denoise, find_layings, lay_painted, paint_wall, prepare_painting
from wallpaint.paint.settings import SamplingSettings
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import model_size, to_image, to_tensor
from wallpaint.pixels.recolor import Coat, recolor

SAGE = Swatch((122, 158, 126))


@pytest.fixture(scope="module")
def arms(loaded, tmp_path_factory):
    """Arms of every kind: nothing learned, two LoRAs of different rank, and LoRAs with parts of their own."""
    import copy

    folder = tmp_path_factory.mktemp("arms")
    kinds = [("old", "lora"), ("new", "lora_ip"), ("both", "joint")]
    kinds += [("example", "paint_by_example"), ("door", "anydoor")]
    made = {n: save_arm(copy.deepcopy(loaded), folder / n, m, i) for i, (n, m) in enumerate(kinds)}
    return {"base": None, **made}


def paint(models, arms, seed=1, swatch=SAGE, size=(64, 64), **options):
    photo, mask = toy_room(1, (200, 60, 50), size)
    return paint_with(Painter(models, arms), photo, mask, swatch, how("a room", seed, **options))


def prepare(models, prompt, seed, photo, mask):
    settings = SamplingSettings(seed, prompt=prompt)
    return prepare_painting(models, painting_denoiser(models), Coat(photo, mask, SAGE), settings, EncodingCache())


def how(prompt="", seed=0, num_inference_steps=2, guidance_scale=None):
    return SamplingSettings(seed, num_inference_steps, guidance_scale, prompt=prompt)


def pixels(image):
    return np.asarray(image).astype(int)


def test_the_painter_equals_the_stock_pipeline_at_the_same_seed(load, family):
    models = load()
    photo, _ = toy_room(1, (200, 60, 50))
    mask = grid_mask()
    pipe = StableDiffusionInpaintPipeline.from_pretrained(family, safety_checker=None, feature_extractor=None)
    pipe.load_ip_adapter(
        str(family / "ip_adapter"), subfolder="models", weight_name="ip-adapter-plus_room-tiny.safetensors"
    )
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        prompt="a room",
        image=photo,
        mask_image=mask,
        height=64,
        width=64,
        num_inference_steps=4,
        guidance_scale=2.5,
        generator=torch.Generator().manual_seed(11),
        output_type="pt",
        ip_adapter_image=SAGE.image(96),
    ).images

    import dataclasses

    models = dataclasses.replace(models, family=dataclasses.replace(models.family, mask_growth=0))
    batch, noise = prepare(models, "a room", 11, photo, mask)
    nothing, _ = prepare(models, "", 11, photo, mask)
    from wallpaint.models.encoders import encode_references

    with torch.no_grad():
        null = models.image_proj(encode_references(models, [None]))
        negative = dataclasses.replace(batch, prompt_embeds=nothing.prompt_embeds, image_embeds=null)
        latents = denoise(painting_denoiser(models), batch, negative, noise, models.noise_scheduler, 4, 2.5)
        ours = decode_latents(models, latents).clamp(0, 1)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)

    (whole,) = paint_wall(models, painting_denoiser(models), Coat(photo, mask, SAGE), how("a room", 11, 4, 2.5))
    assert (to_tensor(whole) - theirs).abs().max() < 0.6 / 255 + 1e-4  # the same, rounded to bytes


@pytest.mark.parametrize("guidance_scale", [None, 1.0])
def test_arms_in_one_batch_equal_arms_alone(load, arms, guidance_scale):
    together = paint(load(), arms, guidance_scale=guidance_scale)
    assert list(together) == list(arms)
    for name, path in arms.items():
        alone = paint(load(), {name: path}, guidance_scale=guidance_scale)[name]
        assert np.abs(pixels(alone) - pixels(together[name])).max() <= 1, name
    images = [pixels(image) for image in together.values()]
    for i, first in enumerate(images):
        assert all(np.abs(first - second).max() > 3 for second in images[:i])


def test_an_arm_with_its_own_adapter_leaves_the_familys_in_place(load, arms):
    models = load()
    first = paint(models, {"base": None})["base"]
    paint(models, {"base": None, "both": arms["both"]})
    assert (
        np.abs(pixels(paint(models, {"base": None})["base"]) - pixels(first)).max() <= 1
    )  # arms differ by more than 3


def test_the_picture_has_the_photos_own_size_and_changes_on_the_wall_alone(load, arms):
    size = (150, 100)
    photo, mask = toy_room(1, (200, 60, 50), size)
    for picture in paint(load(), {"base": None, "both": arms["both"]}, size=size).values():
        assert picture.size == size
        outside = np.asarray(mask) == 0
        assert np.array_equal(pixels(picture)[outside], pixels(photo)[outside])
        assert (pixels(picture) != pixels(photo))[~outside].any()


def test_only_the_arms_asked_for_are_painted_and_as_with_all(load, arms):
    painter, (photo, mask) = Painter(load(), arms), toy_room(1, (200, 60, 50))
    whole = paint_with(painter, photo, mask, SAGE, how("a room"))
    painter.seconds.clear()
    some = paint_with(painter, photo, mask, SAGE, how("a room"), only=("new", "door"))
    assert list(some) == ["new", "door"] and painter.seconds.keys() == {"new", "door"}
    assert all(np.abs(pixels(some[name]) - pixels(whole[name])).max() <= 1 for name in some)
    painter.seconds.clear()
    opened = Arms((*arms, "recolor"), (painter,))
    assert list(opened.paint(Coat(photo, mask, SAGE), how("a room"), only=("recolor", "old"))) == ["old", "recolor"]
    assert painter.seconds.keys() == {"old"}


def test_a_painting_that_says_nothing_new_is_laid_over_as_the_field_has_it(load):
    models, (photo, mask) = load(), toy_room(1, (200, 60, 50), (96, 72))
    size = model_size(photo.size, models.family.resolution, models.family.multiple)
    mean, _ = encode_pictures(models, repaint_wall(Coat(photo, mask, SAGE), size, shown="field"))
    (laid,) = lay_painted(
        models, Coat(photo, mask, SAGE), [to_image(decode_latents(models, mean).clamp(0, 1).detach())]
    )
    field, plain = (paint(Coat(photo, mask, SAGE)) for paint in (recolor_by_field, recolor))
    # The field comes by way of the working size: its corners are rounded otherwise.
    assert np.abs(pixels(laid) - pixels(field)).mean() < 0.25 * np.abs(pixels(plain) - pixels(field)).mean()


def test_a_painting_that_was_shown_the_repaint_is_laid_halfway_between_both(load, tmp_path):
    coat, arms = Coat(*toy_room(1, (200, 60, 50)), SAGE), {"refine": save_arm(load(), tmp_path, "refine", 0)}
    painter = Painter(load(), arms)
    halfway = painter.find_layings(coat, how())["refine"].gains
    denoiser = painting_denoiser(painter.models, shown="field")
    with torch.no_grad():
        pictures = paint_wall(painter.models, denoiser, coat, how(), ["arm0"])
    (whole,) = find_layings(painter.models, coat, pictures)
    assert np.abs(whole.gains).max() > 0.01
    np.testing.assert_allclose(halfway, whole.gains / 2, rtol=1e-3, atol=1e-4)


def test_an_arm_whose_numbers_overflow_is_refused_by_its_name(load, arms, tmp_path):
    (weights,) = arms["old"].rglob("*lora*.safetensors")
    strong = {key: value * 1e30 for key, value in load_file(weights).items()}
    save_file(strong, tmp_path / "strong.safetensors")
    with pytest.raises(
        UserError, match="^arm strong gives no picture, its numbers grow beyond all bounds: give other"
    ):
        paint(load(), {"old": arms["old"], "strong": tmp_path / "strong.safetensors"})


def test_the_working_size_keeps_the_aspect(load):
    photo, mask = toy_room(1, (200, 60, 50), (300, 150))
    batch, noise = prepare(load(), "", 0, photo, mask)
    height, width = batch.wall.shape[-2:]
    assert width / height == pytest.approx(2, rel=0.15) and height % 8 == width % 8 == 0
    assert noise.shape == (1, 4, height // 8, width // 8)


def test_a_seed_fixes_the_picture_and_another_changes_it(load):
    models = load()
    first, again, other = (paint(models, {"base": None}, seed=s)["base"] for s in (1, 1, 2))
    assert np.array_equal(pixels(first), pixels(again)) and not np.array_equal(pixels(first), pixels(other))


def test_the_swatch_is_heard_by_every_arm_also_by_the_one_trained_without_it(load, arms):
    painter, (photo, mask) = Painter(load(), arms), toy_room(1, (200, 60, 50))
    one, other = (paint_with(painter, photo, mask, s, how("", 0, 2, 1.0)) for s in (SAGE, Swatch((200, 30, 30))))
    assert all(not np.array_equal(pixels(one[name]), pixels(other[name])) for name in arms)
    assert painter.seconds.keys() == arms.keys() and all(s > 0 for s in painter.seconds.values())


def test_without_adapter_and_guidance_the_swatch_changes_nothing(load):
    models = load()
    photo, mask = toy_room(1, (200, 60, 50))
    set_ip_adapter_scale(models.unet, 0.0)
    pictures = [
        paint_wall(models, painting_denoiser(models), Coat(photo, mask, swatch), how("", 0, 2, 1.0))[0]
        for swatch in (SAGE, Swatch((200, 30, 30)))
    ]
    assert np.array_equal(*map(pixels, pictures))


def test_the_old_wall_cannot_be_seen_by_the_model(load):
    models = load()
    pictures = []
    for color in ((200, 60, 50), (10, 90, 200)):
        photo, mask = toy_room(1, color)
        batch, _ = prepare(models, "", 0, photo, mask)
        pictures.append(batch.masked_image_latents)
    assert torch.equal(*pictures)


def test_a_home_is_found_where_no_shell_has_looked_for_it(tmp_path, monkeypatch):
    from wallpaint.settings.train_config import load_config

    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.safetensors").touch()
    assert resolve_arms(["mine=~/mine.safetensors"]) == {"mine": tmp_path / "mine.safetensors"}
    (tmp_path / "run.yaml").write_text("method: lora\ndataset: ~/rooms\n")
    assert load_config(tmp_path / "run.yaml").dataset == str(tmp_path / "rooms")


def test_arms_are_named_or_have_a_path(tmp_path):
    assert resolve_arms(["base", f"mine={tmp_path}"]) == {"base": None, "mine": tmp_path}
    for arms, message in (
        (["bse"], "did you mean base"),
        (["mine=/no/where"], "mine has no weights at /no/where"),
        (["base", "base"], "each once"),
        (["=x"], "NAME=PATH"),
        (["mine="], "has no path"),
        (["mine=https://huggingface.co/me/walls"], "is an address: download it, or give the hub's id"),
    ):
        with pytest.raises(UserError, match=message):
            resolve_arms(arms)


def test_a_new_colour_on_the_same_photo_blanks_no_photo_and_encodes_no_text_again(load, arms, monkeypatch):
    from wallpaint.paint import sampler

    counts = dict.fromkeys(("encode_pictures", "encode_text", "encode_images"), 0)

    def count(name, original):
        def counting(*args):
            counts[name] += 1
            return original(*args)

        monkeypatch.setattr(sampler, name, counting)

    for name in counts:
        count(name, getattr(sampler, name))
    models, (photo, mask) = load(), toy_room(1, (200, 60, 50))
    painter = Painter(models, {"base": None, "new": arms["new"]})

    def paint_in(rgb, photo=photo):
        before = dict(counts)
        pictures = paint_with(painter, photo, mask, Swatch(rgb), how("a room", 1, 2, 2.0))
        return pictures, {name: counts[name] - before[name] for name in counts}

    first, asked = paint_in((122, 158, 126))
    assert asked == {"encode_pictures": 2, "encode_text": 2, "encode_images": 2}  # with the nulls of guidance
    # The wall repainted classically, which what is painted is laid over, has the new colour too.
    assert paint_in((200, 60, 50))[1] == {"encode_pictures": 1, "encode_text": 0, "encode_images": 1}
    again, asked = paint_in((122, 158, 126))
    assert not any(asked.values())
    assert all(np.array_equal(pixels(again[name]), pixels(first[name])) for name in first)
    assert paint_in((122, 158, 126), toy_room(2, (200, 60, 50))[0])[1]["encode_pictures"] == 2


def test_memory_is_flat_over_many_repaints(load):
    import gc

    import psutil

    painter, kept = Painter(load(), {"base": None}), []
    for number in range(24):
        photo, mask = toy_room(number, (200, 60, 50))
        paint_with(painter, photo, mask, Swatch((number, 60, 50)), how("a room", number, 1, 1.0))
        if number in (7, 23):
            gc.collect()
            tensors = sum(torch.is_tensor(thing) for thing in gc.get_objects())
            kept.append((tensors, psutil.Process().memory_info().rss / 1e6))
    # A paint is kept (one tensor), of which there may be many; of photos only the last few.
    assert kept[1][0] - kept[0][0] <= 16 and kept[1][1] - kept[0][1] < 20
