"""What each method learns paints the same again, chains with others, and is read by others' code."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from diffusers import ControlNetModel, DDIMScheduler
from diffusers.pipelines.deprecated.paint_by_example import PaintByExampleImageEncoder, PaintByExamplePipeline
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from steps import a_batch, a_noised, save_arm
from toys import grid_mask, paint_with, toy_room
from transformers import CLIPImageProcessor

from wallpaint.errors import UserError
from wallpaint.learned.arm_files import LORA_NAME, find_arm
from wallpaint.learned.denoiser import Denoiser, build_denoiser, painting_denoiser, set_adapter_strength
from wallpaint.learned.lora_files import SHOWN
from wallpaint.models.bundle import load_models
from wallpaint.models.encoders import encode_images
from wallpaint.models.field import recolor_by_field
from wallpaint.models.latents import encode_pictures, repaint_wall, shrink_mask
from wallpaint.models.parts import part
from wallpaint.models.runtime import pick_runtime
from wallpaint.paint import sampler
from wallpaint.paint.encodings import EncodingCache
from wallpaint.paint.painter import Painter
from wallpaint.paint.sampler import paint_wall, prepare_painting
from wallpaint.paint.settings import SamplingSettings
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import to_tensor
from wallpaint.pixels.recolor import Coat
from wallpaint.settings.methods import METHODS, painted_as
from wallpaint.train.loop import train
from wallpaint.train.session import open_session

SAGE = Swatch((122, 158, 126))


def apart(one, other):
    """How far two pictures are apart where they differ most, in steps of 255."""
    return np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int)).max()


def paint(models, paths, **options):
    photo, mask = toy_room(1, (200, 60, 50))
    return paint_with(
        Painter(models, paths), photo, mask, SAGE, SamplingSettings(5, 2, 2.0, prompt="a room"), **options
    )


@pytest.mark.parametrize("method", METHODS)
def test_saved_weights_paint_what_the_weights_in_memory_paint(config, load, opened, heard, method):
    folder = train(config(method=method))
    models, paints = opened[0][0].models, METHODS[method].paints
    set_adapter_strength(models, paints, 1.0)
    models.unet.eval()
    photo, mask = toy_room(1, (200, 60, 50))
    denoiser = painting_denoiser(models, paints, METHODS[method].shown)
    paint_wall(models, denoiser, Coat(photo, mask, SAGE), SamplingSettings(5, 2, 2.0, prompt="a room"))
    paint(load(), {"base": None, "mine": folder})
    learned, rest = heard[0], heard[1:]
    painted = torch.cat(rest)[-1:]  # base comes first, in the same batch or in one before
    torch.testing.assert_close(painted, learned, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(torch.cat(rest)[:1], learned, atol=1e-3)
    assert set(find_arm(folder).groups) == set(METHODS[method].learns)


def test_what_was_learned_says_how_it_paints():
    for method in METHODS.values():
        assert painted_as(method.learns).paints == method.paints
        assert painted_as(method.learns).base == method.base
    assert painted_as(()).paints == painted_as(("lora",)).paints == ("text", "image_prompt")


@pytest.mark.parametrize("method", METHODS)
def test_a_methods_row_says_which_encoder_its_conditions_read(load, method):
    assert METHODS[method].reads == build_denoiser(load(), METHODS[method]).reads


@pytest.mark.parametrize("method", ["paint_by_example", "anydoor"])
def test_a_swatch_is_heard_through_the_methods_own_encoder(load, tmp_path, method):
    folder = save_arm(load(), tmp_path, method, 0)
    photo, mask = toy_room(1, (200, 60, 50))
    painter = Painter(load(), {"mine": folder}, {"mine": 1.0})
    one, other = (
        paint_with(painter, photo, mask, swatch, SamplingSettings(0, 2, 1.0))["mine"]
        for swatch in (SAGE, Swatch((200, 30, 30)))
    )
    assert apart(one, other) > 1
    words = paint_with(painter, photo, mask, SAGE, SamplingSettings(0, 2, 1.0, prompt="something else"))["mine"]
    assert apart(one, words) <= 1  # the reference stands in place of the text
    silent = Painter(load(), {"mine": folder}, {"mine": 0.0})
    quiet = paint_with(silent, photo, mask, SAGE, SamplingSettings(0, 2, 1.0))["mine"]
    assert apart(one, quiet) <= 1 < apart(one, other)  # the family's own adapter has no part in it


def test_a_detail_map_says_nothing_before_it_has_learned_and_then_is_heard(load):
    models = load()
    batch, noised = a_batch(models), a_noised()
    embeds = encode_images(models, "identity", [None, SAGE.image(112)])
    batch = replace(batch, image_embeds=embeds, has_reference=torch.ones(2).bool(), detail=torch.rand(2, 3, 64, 64))
    with torch.no_grad():
        denoiser = build_denoiser(models, METHODS["anydoor"], lora_rank=2)
        without = Denoiser(models.unet, [denoiser.conditions[0], denoiser.conditions[2]])(noised, batch)
        assert torch.equal(denoiser(noised, batch), without)
        detail = part(models, "detail")
        for zero in (detail.controlnet_mid_block, detail.controlnet_cond_embedding.conv_out):
            for parameter in zero.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
        assert not torch.allclose(denoiser(noised, batch), without, atol=1e-3)
        flat = replace(batch, detail=batch.detail * 0)
        assert not torch.allclose(denoiser(noised, flat), denoiser(noised, batch), atol=1e-6)


def test_the_null_of_paint_by_example_is_learned_and_says_the_same_whatever_the_reference(load):
    models = load()
    batch, noised = a_batch(models), a_noised()
    embeds = encode_images(models, "example", [SAGE.image(96), Swatch((250, 0, 0)).image(96)])
    batch = replace(batch, image_embeds=embeds, has_reference=torch.tensor([False, True]))
    denoiser = build_denoiser(models, METHODS["paint_by_example"], lora_rank=2)
    example = part(models, "example")
    told = denoiser.conditions[0](batch, {})["encoder_hidden_states"]
    assert torch.equal(told[0], example.uncond_vector[0]) and not torch.equal(told[1], told[0])
    denoiser(noised, batch).square().mean().backward()
    assert example.uncond_vector.grad.abs().sum() > 0 and example.proj_out.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in example.model.parameters())
    swapped = replace(batch, image_embeds=embeds.flip(0))
    assert torch.equal(denoiser.conditions[0](swapped, {})["encoder_hidden_states"][0], told[0])


def test_others_read_what_was_saved(load, tmp_path):
    models = load()
    pbe = save_arm(models, tmp_path / "pbe", "paint_by_example", 0)
    encoder = PaintByExampleImageEncoder.from_pretrained(pbe / "weights" / "image_encoder").eval()
    pixels = CLIPImageProcessor(size=96, crop_size=96)(SAGE.image(96), return_tensors="pt").pixel_values
    with torch.no_grad():
        theirs, null = encoder(pixels, return_uncond_vector=True)
        ours = part(models, "example")(pixels)
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)
    assert torch.equal(null, part(models, "example").uncond_vector)
    models = load()
    door = save_arm(models, tmp_path / "door", "anydoor", 0)
    net = ControlNetModel.from_pretrained(door / "weights" / "controlnet")
    kept = models.parts["detail"].state_dict()
    assert all(torch.equal(value, kept[key]) for key, value in net.state_dict().items())
    assert load_file(door / "weights" / "identity.safetensors").keys() == {"weight", "bias"}


@pytest.fixture(scope="module")
def stock_example(loaded, tmp_path_factory):
    """A Paint-by-Example repository as it lies on the hub, tiny: `pytorch_model.bin` with the old names."""
    folder = tmp_path_factory.mktemp("paint-by-example")
    models = copy.deepcopy(loaded)
    torch.manual_seed(8)
    encoder = part(models, "example").float()
    with torch.no_grad():
        for parameter in [*encoder.parameters(), *models.vae.parameters()]:
            parameter += 0.02 * torch.randn_like(parameter)
    plain = type(models.unet).from_pretrained(f"{models.family.base_model}/unet")
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", steps_offset=1, clip_sample=False)
    pipe = PaintByExamplePipeline(
        models.vae, encoder, plain, scheduler, None, CLIPImageProcessor(size=96, crop_size=96)
    )
    pipe.save_pretrained(folder)
    state = load_file(folder / "image_encoder" / "model.safetensors")
    old = {("model.vision_model." + k[6:] if k.startswith("model.") else k): v for k, v in state.items()}
    torch.save(old, folder / "image_encoder" / "pytorch_model.bin")
    (folder / "image_encoder" / "model.safetensors").unlink()
    return folder, pipe


def with_example(family, folder):
    return load_models(
        "room-tiny",
        pick_runtime("cpu"),
        "paint_by_example_model",
        base_model=str(family),
        resolution=64,
        paint_by_example_model=str(folder),
    )


def test_paint_by_examples_own_weights_paint_as_in_its_own_pipeline(family, stock_example, heard):
    folder, pipe = stock_example
    models = with_example(family, folder)
    photo, _ = toy_room(1, (200, 60, 50))
    mask, example = grid_mask(), SAGE.image(96)
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        example,
        photo,
        mask,
        num_inference_steps=3,
        guidance_scale=2.0,
        generator=torch.Generator().manual_seed(4),
        output_type="latent",
    ).images
    models = replace(models, family=replace(models.family, mask_growth=0))
    set_adapter_strength(models, ("example",), 1.0)
    paint_wall(models, painting_denoiser(models, ("example",)), Coat(photo, mask, SAGE), SamplingSettings(4, 3, 2.0))
    torch.testing.assert_close(heard[0], theirs, atol=1e-4, rtol=1e-4)


def test_a_method_with_a_unet_of_its_own_trains_on_it_and_stands_beside_the_others(
    config, load, family, stock_example, tmp_path, opened
):
    folder, _ = stock_example
    pbe = train(config(method="paint_by_example", paint_by_example_model=str(folder), max_train_steps=1))
    assert opened[0][0].models.family.unet_model == str(folder)
    models = load()
    models = replace(models, family=replace(models.family, paint_by_example_model=str(folder)))
    together = paint(models, {"base": None, "pbe": pbe})
    alone = paint(with_example(family, folder), {"pbe": pbe})["pbe"]
    assert apart(together["pbe"], alone) <= 1 < apart(together["pbe"], together["base"])
    assert apart(together["base"], paint(load(), {"base": None})["base"]) <= 1


def test_sequential_is_two_runs_chained_and_joint_starts_from_the_same_place(config, opened, load, tmp_path):
    first = train(config(method="ip_adapter", output_dir=str(tmp_path / "first")))
    second = train(config(method="lora_ip", output_dir=str(tmp_path / "second"), init_from=str(first)))
    adapter = load_file(first / "weights" / "ip_adapter.safetensors")
    kept = load_file(second / "weights" / "ip_adapter.safetensors")
    assert all(torch.equal(value, kept[key]) for key, value in adapter.items())  # heard, frozen, handed on
    assert set(find_arm(second).groups) == {"lora", "ip_adapter"}
    told = opened[1][0].encoded.references[0]
    alone = encode_images(opened[1][0].models, "tokens", [None])[0]
    torch.testing.assert_close(told, alone, atol=1e-5, rtol=1e-4)  # it was encoded in a batch
    assert not torch.allclose(told, encode_images(load(), "tokens", [None])[0], atol=1e-4)
    joint = open_session(config(method="joint", output_dir=str(tmp_path / "j"), init_from=str(first)), False)
    begun = joint.models.image_proj.state_dict()
    assert all(torch.equal(v, begun[k]) for k, v in opened[1][0].models.image_proj.state_dict().items())


@pytest.mark.parametrize("method", ["paint_by_example", "anydoor"])
def test_a_run_goes_on_where_another_of_its_method_ended(config, opened, tmp_path, method):
    first = train(config(method=method, output_dir=str(tmp_path / "first")))
    begun = open_session(config(method=method, output_dir=str(tmp_path / "b"), init_from=str(first)), False)
    ended = opened[0][0].learned
    assert all(torch.equal(value, ended[name]) for name, value in begun.learned.items())
    with pytest.raises(UserError, match="which is not learned here but lora: choose the method"):
        open_session(config(method="lora_ip", output_dir=str(tmp_path / "c"), init_from=str(first)), False)


@pytest.mark.parametrize("name", ["image_encoder/model.safetensors", "identity.safetensors"])
def test_parts_that_are_broken_are_one_clear_error(load, tmp_path, name):
    method = "anydoor" if name.startswith("identity") else "paint_by_example"
    folder = save_arm(load(), tmp_path, method, 0)
    (folder / "weights" / name).write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot be read") as caught:
        Painter(load(), {"mine": folder})
    assert "\n" not in str(caught.value)


def test_parts_of_another_size_are_one_clear_error(load, tmp_path):
    folder = save_arm(load(), tmp_path, "anydoor", 0)
    save_file({"weight": torch.zeros(3, 3), "bias": torch.zeros(3)}, folder / "weights/identity.safetensors")
    with pytest.raises(UserError, match="identity of arm mine does not fit family room-tiny"):
        paint(load(), {"mine": folder})


@pytest.fixture
def another_precision():
    """accelerate holds one precision a process: forget it before and after."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize("method", ["paint_by_example", "anydoor"])
def test_half_precision_trains_what_learns_in_float32(config, load, family, method, another_precision):
    halves = {"mixed_precision": "bf16", "gradient_checkpointing": True, "max_train_steps": 1}
    folder = train(config(method=method, use_color_loss=True, **halves))
    learned = load_file(folder / "checkpoints" / "step-000001" / "learned.safetensors")
    assert learned and all(value.dtype == torch.float32 for value in learned.values())
    assert all(value.isfinite().all() for value in learned.values())
    models = load_models("room-tiny", pick_runtime("cpu", "bf16"), base_model=str(family), resolution=64)
    half = paint(models, {"mine": folder})["mine"]
    whole = paint(load(), {"mine": folder})["mine"]
    assert np.abs(np.asarray(half).astype(int) - np.asarray(whole)).mean() < 4


def test_what_refines_is_shown_the_classical_repaint_when_it_learns_and_when_it_paints(config, load, opened, tmp_path):
    folder = train(config(method="refine"))
    models, (photo, mask) = opened[0][0].models, toy_room(1, (200, 60, 50))
    size = models.family.resolution, models.family.resolution
    group = opened[0][0].encoded.groups[0]
    blank, repainted = group["masked_mean"][:], group["repainted_masked_mean"][:]
    wall = torch.nn.functional.interpolate(group["mask"][:].float(), blank.shape[-2:]) > 0
    near = (repainted[:, 0] - group["latents_mean"][:]).abs().mean(1, keepdim=True)[wall].mean()
    assert near < 0.5 * (blank - group["latents_mean"][:]).abs().mean(1, keepdim=True)[wall].mean()
    batch, _ = prepare_painting(
        *(models, painting_denoiser(models, shown="field"), Coat(photo, mask, SAGE)),
        *(SamplingSettings(0, prompt="a room"), EncodingCache()),
    )
    guess = repaint_wall(Coat(photo, mask, SAGE), size, shown="field")
    small = photo.resize(size, Image.Resampling.LANCZOS), shrink_mask(mask, size)
    assert (to_tensor(recolor_by_field(Coat(*small, SAGE))) * 2 - 1 - guess).abs().max() < 0.02
    assert (repaint_wall(Coat(photo, mask, SAGE), size) - guess).abs().max() > 0.02
    mean, std = encode_pictures(models, guess)
    assert ((batch.masked_image_latents - mean).abs() <= 6 * std + 1e-4).all()
    file, silent = folder / "weights" / LORA_NAME, tmp_path / LORA_NAME
    with safe_open(file, "pt") as header:  # the file alone says it: without the word it paints from a blank
        save_file(load_file(file), silent, {k: v for k, v in header.metadata().items() if k != SHOWN})
    shown = []
    with pytest.MonkeyPatch.context() as patched:
        prepare = sampler.prepare_painting
        patched.setattr(sampler, "prepare_painting", lambda *a: shown.append(a[1].shown) or prepare(*a))
        painted = [paint(load(), {"mine": path})["mine"] for path in (file, silent)]
    assert shown == ["field", ""] and apart(*painted) > 1
