"""SDXL inpainting with its IP-Adapter-Plus, on files of the true layout, against diffusers' own pipeline."""

import copy
import json
import shutil
from dataclasses import replace

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionXLInpaintPipeline, UNet2DConditionModel
from encoded import encode_samples
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from sdxl import SDXL_UNET, SDXL_VAE, TEXT, TEXT_2, random_adapter, save_sdxl
from steps import check_moved, rows, same, save_arm, stop_after, weights
from toys import grid_mask, paint_with, toy_room
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from wallpaint.cache.batches import BatchSettings, draw_batch
from wallpaint.cache.draws import sample_draws
from wallpaint.dataset.folder import read_samples
from wallpaint.errors import UserError
from wallpaint.learned.arm_files import find_arm
from wallpaint.learned.denoiser import painting_denoiser
from wallpaint.learned.export import export_kohya
from wallpaint.learned.lora import load_lora
from wallpaint.learned.weights import load_arm, weights_in_place
from wallpaint.models.bundle import load_models
from wallpaint.models.encoders import encode_text
from wallpaint.models.families import FAMILIES, resolve_family
from wallpaint.models.fetching import fetch_command
from wallpaint.models.latents import decode_latents
from wallpaint.models.runtime import pick_runtime
from wallpaint.paint import sampler
from wallpaint.paint.encodings import EncodingCache
from wallpaint.paint.lora_batch import lora_batch, lora_layers
from wallpaint.paint.painter import Painter
from wallpaint.paint.settings import SamplingSettings
from wallpaint.paths import CONFIGS
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.recolor import Coat
from wallpaint.runs.machine import is_ready, list_parts
from wallpaint.runs.state import read_run
from wallpaint.settings.choices import CANNOT_TRAIN
from wallpaint.settings.methods import METHODS
from wallpaint.settings.train_config import TrainConfig, load_config
from wallpaint.train.loop import train

SAGE = Swatch((122, 158, 126))
TRAINS = [name for name in METHODS if name not in CANNOT_TRAIN["sdxl"]]
STEPS, GUIDANCE, SEED = 3, 2.5, 11


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """The base model's folder and the adapter's."""
    base, adapter = (tmp_path_factory.mktemp("sdxl") / name for name in ("base", "adapter"))
    save_sdxl(base, adapter)
    return base, adapter


@pytest.fixture(scope="session")
def sdxl(folders):
    base, adapter = map(str, folders)
    return load_models("sdxl", pick_runtime("cpu"), base_model=base, ip_adapter_model=adapter, resolution=64)


@pytest.fixture
def sdxl_config(config, folders):
    """As `config`, on SDXL."""
    base, adapter = map(str, folders)
    settings = {"family": "sdxl", "base_model": base, "ip_adapter_model": adapter, "max_train_steps": 2}
    return lambda **changes: config(**settings | changes)


@pytest.fixture(scope="module")
def arms(sdxl, tmp_path_factory):
    """Two LoRAs of different rank."""
    folder = tmp_path_factory.mktemp("arms")
    kinds = (("old", "lora"), ("new", "lora_ip"))
    return {n: save_arm(copy.deepcopy(sdxl), folder / n, m, i) for i, (n, m) in enumerate(kinds)}


def picture():
    """A photo and a mask."""
    return toy_room(1, (200, 60, 50), (80, 48))[0], grid_mask(80, 48)


def stock_pipeline(folders):
    """diffusers' own, with the adapter, sampling as we do."""
    base, adapter = map(str, folders)
    pipe = StableDiffusionXLInpaintPipeline.from_pretrained(base, variant="fp16", add_watermarker=False)
    name = FAMILIES["sdxl"].ip_adapter_weight_name
    pipe.load_ip_adapter(
        adapter, subfolder="sdxl_models", weight_name=name, image_encoder_folder="models/image_encoder"
    )
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def stock_picture(pipe, prompt="a room"):
    """(1, 3, 48, 80), 0 to 1."""
    photo, mask = picture()
    return pipe(
        prompt=prompt,
        image=photo,
        mask_image=mask,
        height=48,
        width=80,
        strength=1.0,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        generator=torch.Generator().manual_seed(SEED),
        output_type="pt",
        ip_adapter_image=SAGE.image(56),
    ).images


def our_pictures(models, arms, heard, prompt="a room"):
    """What the painter paints in one batch, before it is rounded to bytes: (arms, 3, 48, 80)."""
    models = replace(models, family=replace(models.family, mask_growth=0))
    painted = paint_with(
        Painter(models, arms), *picture(), SAGE, SamplingSettings(SEED, STEPS, GUIDANCE, prompt=prompt)
    )
    assert list(painted) == list(arms) and len(heard) == 1
    with torch.no_grad():
        return decode_latents(models, heard[0]).clamp(0, 1)


def test_every_name_in_the_small_files_is_one_of_the_true_ones(folders):
    base, adapter = folders
    with torch.device("meta"):
        unet = UNet2DConditionModel(**SDXL_UNET)
        true = {
            "unet": unet,
            "vae": AutoencoderKL(**SDXL_VAE),
            "text_encoder": CLIPTextModel(CLIPTextConfig(**TEXT)),
            "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**TEXT_2)),
        }
        true_adapter = random_adapter(unet, width=1280)
    for name, module in true.items():
        (file,) = (base / name).glob("*.fp16.safetensors")
        prefix = "text_model." if name == "text_encoder" else ""
        names = {prefix + key.removeprefix(prefix) for key in module.state_dict()}
        assert set(load_file(file)) <= names, name
    small = load_file(next((adapter / "sdxl_models").iterdir()))
    assert set(small) <= {f"{group}.{key}" for group, state in true_adapter.items() for key in state}
    heads = [key for key in true_adapter["ip_adapter"] if "to_k" in key]
    assert (len(heads), heads[-1]) == (70, "139.to_k_ip.weight")  # as in the published file
    assert true_adapter["image_proj"]["proj_out.weight"].shape == (2048, 1280)


def test_three_arms_in_one_batch_equal_three_calls_of_the_stock_pipeline(sdxl, folders, arms, heard):
    ours = our_pictures(copy.deepcopy(sdxl), {"base": None, **arms}, heard)
    for painted, path in zip(ours, (None, *arms.values()), strict=True):
        pipe = stock_pipeline(folders)
        if path:
            pipe.load_lora_weights(
                path / "weights", use_safetensors=True, weight_name="pytorch_lora_weights.safetensors"
            )
        torch.testing.assert_close(painted[None], stock_picture(pipe), atol=1e-4, rtol=0)
    assert all((one - other).abs().max() > 0.01 for one, other in ((ours[0], ours[1]), (ours[1], ours[2])))


def test_an_empty_prompt_is_encoded_and_no_prompt_is_zeros_as_in_the_stock_pipeline(sdxl, folders, heard):
    said = encode_text(sdxl, [None, ""])
    assert not any(value[0].any() for value in said.values()) and all(v[1].any() for v in said.values())
    ours = our_pictures(copy.deepcopy(sdxl), {"base": None}, heard, prompt="")
    torch.testing.assert_close(ours, stock_picture(stock_pipeline(folders), prompt=""), atol=1e-4, rtol=0)


def test_the_recipe_is_one_for_the_family():
    config = load_config(CONFIGS / "sdxl.yaml")
    assert (config.family, config.method, config.memory_preset) == ("sdxl", "lora_ip_color", "auto")


def test_a_base_model_may_want_the_empty_prompt_and_say_nothing_of_clipping(folders, tmp_path, heard):
    base, adapter = tmp_path / "base", folders[1]
    shutil.copytree(folders[0], base)
    index = json.loads((base / "model_index.json").read_text())
    (base / "model_index.json").write_text(json.dumps(index | {"force_zeros_for_empty_prompt": False}))
    scheduler = base / "scheduler" / "scheduler_config.json"
    told = json.loads(scheduler.read_text())
    scheduler.write_text(json.dumps({key: value for key, value in told.items() if key != "clip_sample"}))
    models = load_models(
        "sdxl", pick_runtime("cpu"), base_model=str(base), ip_adapter_model=str(adapter), resolution=64
    )
    scheduler.write_text(json.dumps(told))  # stock DDIM would clip the latents where nothing is said of it
    ours = our_pictures(models, {"base": None}, heard)
    torch.testing.assert_close(ours, stock_picture(stock_pipeline((base, adapter))), atol=1e-4, rtol=0)


def test_row_0_of_the_cache_is_no_text_and_an_empty_text_has_a_row_of_its_own(sdxl, dataset, tmp_path):
    samples = [replace(s, text=text) for s, text in zip(read_samples(dataset, "train"), "ab", strict=False)]
    samples.append(replace(samples[0], text=""))
    encoded = encode_samples(sdxl, samples, tmp_path, report=lambda line: None)
    said = encode_text(sdxl, [None, "", "a", "b"])
    for table, name in ((encoded.prompts, "prompt_embeds"), (encoded.pooled, "pooled_embeds")):
        torch.testing.assert_close(table[torch.arange(4)], said[name], atol=1e-5, rtol=1e-4)
    assert encoded.groups[0]["prompt"].tolist() == [2, 3, 1]
    drawn = [draw_batch(encoded, sample_draws(3, 0, 0, n), n, BatchSettings(0, 3, text_drop=0.4)) for n in range(8)]
    met = set()
    pairs = [pair for b in drawn for pair in zip(b.prompt_embeds, b.pooled_embeds, strict=True)]
    for embeds, pooled in pairs:
        (row,) = [i for i in range(4) if torch.equal(embeds, encoded.prompts[torch.tensor([i])][0])]
        assert torch.equal(pooled, encoded.pooled[torch.tensor([row])][0])
        met.add(row)
    assert met == {0, 1, 2, 3}
    assert encode_samples(sdxl, samples, tmp_path, report=lambda line: None).new_rows == 0


@pytest.mark.parametrize("method", TRAINS)
def test_exactly_what_a_method_learns_moves(sdxl_config, opened, method):
    train(sdxl_config(method=method))
    check_moved(opened, METHODS[method].learns)
    assert any(name.startswith("text_encoder_2.") for _, name in opened[0][1])


def test_stopped_and_resumed_ends_bit_identical_to_never_stopped(sdxl_config, tmp_path):
    options = {"method": "lora_ip_color", "max_train_steps": 3, "text_drop_prob": 0.4}
    whole = train(sdxl_config(**options, output_dir=str(tmp_path / "whole")))
    halves = sdxl_config(**options, output_dir=str(tmp_path / "halves"), checkpointing_steps=2)
    stop_after(2)
    folder = train(halves)
    assert read_run(folder).state == "stopped" and not same(weights(folder), weights(whole))
    train(halves, resume=True)
    assert same(weights(folder), weights(whole))
    assert [row["loss"] for row in rows(folder)] == [row["loss"] for row in rows(whole)]


def test_a_trained_lora_and_adapter_paint_in_the_stock_pipeline(sdxl, sdxl_config, folders, heard):
    folder = train(sdxl_config(method="joint", validation_steps=2))
    heard.clear()  # validation has painted as well
    ours = our_pictures(copy.deepcopy(sdxl), {"mine": folder}, heard)
    pipe = stock_pipeline(folders)
    pipe.load_ip_adapter(
        str(folder / "weights"), subfolder="", weight_name="ip_adapter.safetensors", image_encoder_folder=None
    )
    pipe.load_lora_weights(folder / "weights", use_safetensors=True, weight_name="pytorch_lora_weights.safetensors")
    torch.testing.assert_close(ours, stock_picture(pipe), atol=1e-4, rtol=0)
    assert (folder / "samples").is_dir() and "`StableDiffusionXLInpaintPipeline`" in (folder / "README.md").read_text()


def test_kohyas_layout_comes_back_the_same(sdxl, arms, tmp_path):
    models = copy.deepcopy(sdxl)
    load_lora(models.unet, export_kohya(arms["new"], tmp_path / "kohya.safetensors"), "theirs")
    load_lora(models.unet, arms["new"] / "weights" / "pytorch_lora_weights.safetensors", "ours")
    layers = [module for module in models.unet.modules() if isinstance(module, LoraLayer)]
    assert layers
    for layer in layers:
        ours, theirs = (layer.get_delta_weight(name) for name in ("ours", "theirs"))
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)  # the alpha is multiplied in before or after


def test_a_loras_halves_for_both_text_encoders_are_used(sdxl, folders, tmp_path):
    models, state = copy.deepcopy(sdxl), {}
    torch.manual_seed(0)
    for name, width in (
        ("lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q", 64),
        ("lora_te1", 32),
        ("lora_te2", 64),
    ):
        name += "_text_model_encoder_layers_0_self_attn_out_proj" * ("te" in name)
        state |= {f"{name}.lora_down.weight": torch.randn(2, width), f"{name}.lora_up.weight": torch.randn(width, 2)}
        state |= {f"{name}.alpha": torch.tensor(3.0)}
    save_file(state, tmp_path / "kohya.safetensors")
    arm = load_arm(models, find_arm(tmp_path / "kohya.safetensors"), "arm0")
    with weights_in_place(models, arm, "an arm"):
        ours = encode_text(models, ["a wall"])
    pipe = StableDiffusionXLInpaintPipeline.from_pretrained(folders[0], variant="fp16", add_watermarker=False)
    pipe.load_lora_weights(str(tmp_path), weight_name="kohya.safetensors")
    theirs = pipe.encode_prompt("a wall", device="cpu", do_classifier_free_guidance=False)
    torch.testing.assert_close(ours["prompt_embeds"], theirs[0].float(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours["pooled_embeds"], theirs[2].float(), atol=1e-4, rtol=1e-4)
    assert (encode_text(models, ["a wall"])["pooled_embeds"] - ours["pooled_embeds"]).abs().max() > 1e-3


@pytest.mark.parametrize("method", CANNOT_TRAIN["sdxl"])
def test_a_method_without_a_text_is_refused_before_anything_is_loaded(method):
    with pytest.raises(UserError, match=f"method {method} cannot be trained on family sdxl.*sd15"):
        TrainConfig(family="sdxl", method=method)


def test_an_h94_adapter_for_sdxl_names_the_family():
    named = {"ip_adapter_model": "h94/IP-Adapter"}
    weight = FAMILIES["sdxl"].ip_adapter_weight_name
    assert TrainConfig(**named, ip_adapter_weight_name=weight).family == "sdxl"
    assert TrainConfig(**named).family == "sd15"


def test_what_is_missing_is_one_error_with_the_command_that_fetches_it(folders, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    base, adapter = map(str, folders)
    absent = {
        "`hf download diffusers/stable-diffusion-xl-1.0-inpainting-0.1 --include.*6.9 GB": {},
        "`hf download h94/IP-Adapter sdxl_models/ip-adapter-plus_sdxl_vit-h.*3.4 GB": {"base_model": base},
    }
    for message, overrides in absent.items():
        with pytest.raises(UserError, match=message) as caught:
            load_models("sdxl", pick_runtime("cpu"), **overrides)
        assert "\n" not in str(caught.value)
    for name in ("text_encoder_2", "tokenizer_2"):
        broken = tmp_path / name
        shutil.copytree(base, broken)
        shutil.rmtree(broken / name)
        with pytest.raises(UserError, match=f"{name}/.* is missing"):
            load_models("sdxl", pick_runtime("cpu"), base_model=str(broken), ip_adapter_model=adapter)
    half = tmp_path / "half"
    shutil.copytree(adapter, half)
    shutil.rmtree(half / "models")
    with pytest.raises(UserError, match="models/image_encoder/model.safetensors.* is missing"):
        load_models("sdxl", pick_runtime("cpu"), base_model=base, ip_adapter_model=str(half))


def test_a_checkpoint_in_one_file_is_refused_by_name(tmp_path):
    (tmp_path / "fine-tune.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"fine-tune.safetensors is one file.*folder in diffusers' layout"):
        resolve_family("sdxl", base_model=str(tmp_path / "fine-tune.safetensors"))


def test_the_doctor_looks_for_both_text_encoders_and_names_each_command_once(folders, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    base, adapter = map(str, folders)
    parts = list_parts(resolve_family("sdxl", base_model=base, ip_adapter_model=adapter))
    assert is_ready(parts)
    assert {"text_encoder_2", "tokenizer of text_encoder_2"} <= {part.label for part in parts if part.path}
    remedies = {part.remedy for part in list_parts(FAMILIES["sdxl"]) if not part.optional}
    commands = {fetch_command(FAMILIES["sdxl"].base_model), fetch_command("h94/IP-Adapter", "sdxl_models")}
    assert remedies == {f"fetch it with {command}" for command in commands}


def test_a_lora_hears_the_size_and_the_pooled_text(sdxl):
    models, (photo, mask) = copy.deepcopy(sdxl), picture()
    settings, denoiser = SamplingSettings(0, prompt="a room"), painting_denoiser(models)
    batch, noise = sampler.prepare_painting(models, denoiser, Coat(photo, mask, SAGE), settings, EncodingCache())
    told = []
    hook = models.unet.register_forward_pre_hook(lambda m, a, k: told.append(k), with_kwargs=True)
    with torch.no_grad(), lora_batch(lora_layers(models.unet), []):
        painting_denoiser(models)(sampler.Noised(noise, torch.tensor([500])), batch)
    hook.remove()
    added = told[0]["added_cond_kwargs"]
    assert added["time_ids"].tolist() == [[48, 80, 0, 0, 48, 80]]
    alone = encode_text(models, ["a room"])["pooled_embeds"]
    torch.testing.assert_close(added["text_embeds"], alone, atol=1e-5, rtol=1e-4)  # it was encoded in a batch
