import shutil

import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from safetensors.torch import load_file, save_file
from steps import a_batch, a_noised

from wallpaint.errors import UserError
from wallpaint.learned.adapter import adapter_state, load_adapter
from wallpaint.learned.arm_files import find_arm
from wallpaint.learned.denoiser import build_denoiser, painting_denoiser
from wallpaint.learned.lora import load_lora
from wallpaint.learned.weights import load_arm, save_weights, start_from
from wallpaint.models.encoders import encode_references
from wallpaint.models.families import find_adapter
from wallpaint.models.loading import read_adapter
from wallpaint.paint.lora_batch import lora_batch, lora_layers
from wallpaint.settings.methods import METHODS


def stock_pipeline(family):
    return StableDiffusionInpaintPipeline.from_pretrained(
        family, safety_checker=None, feature_extractor=None, image_encoder=None
    )


@pytest.fixture(params=["attention", "all"])
def trained(load, tmp_path, request):
    """Models with a LoRA (rank 2, alpha 8) and an adapter that have both moved, saved to tmp_path/weights."""
    models = load()
    torch.manual_seed(0)
    build_denoiser(models, METHODS["joint"], lora_rank=2, lora_alpha=8, lora_target=request.param)
    with torch.no_grad():
        for parameter in [*models.unet.parameters(), *models.image_proj.parameters()]:
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn_like(parameter)
    save_weights(tmp_path / "weights", models, ("lora", "ip_adapter"))
    return models


def test_a_stock_pipeline_reads_lora_and_adapter_and_says_the_same(trained, family, tmp_path):
    batch, noised = a_batch(trained), a_noised()
    with torch.no_grad():
        states = encode_references(trained, [None]).repeat(2, 1, 1)
        batch = type(batch)(**{**vars(batch), "image_embeds": trained.image_proj(states)})
        ours = painting_denoiser(trained)(noised, batch)
        pipe = stock_pipeline(family)
        pipe.load_ip_adapter(
            str(tmp_path / "weights"), subfolder="", weight_name="ip_adapter.safetensors", image_encoder_folder=None
        )
        pipe.load_lora_weights(
            tmp_path / "weights", use_safetensors=True, weight_name="pytorch_lora_weights.safetensors"
        )
        latents = torch.cat([noised.latents, batch.mask, batch.masked_image_latents], 1)
        told = {"added_cond_kwargs": {"image_embeds": [states[:, None]]}}
        theirs = pipe.unet(latents, noised.timesteps, batch.prompt_embeds, **told).sample
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)
    (config,) = pipe.unet.peft_config.values()
    assert (config.r, config.lora_alpha) == (2, 8)  # without metadata alpha would come back as the rank


def test_equal_weights_are_equal_files(trained, tmp_path):
    files = set()
    for i in range(6):  # the writer lays the header out anew each time
        save_weights(tmp_path / str(i), trained, ("lora",))
        files.add((tmp_path / str(i) / "pytorch_lora_weights.safetensors").read_bytes())
    assert len(files) == 1


def test_a_saved_lora_loads_as_it_was(trained, load, tmp_path):
    batch, noised = a_batch(trained), a_noised()
    fresh = load()
    load_lora(fresh.unet, find_arm(tmp_path).lora, "mine")
    load_adapter(fresh, adapter_state(trained))
    with torch.no_grad():
        with lora_batch(lora_layers(fresh.unet), ["mine", "__base__"]):
            out = painting_denoiser(fresh)(noised, batch)
        assert torch.allclose(out[:1], painting_denoiser(trained)(noised, batch)[:1], atol=1e-5)
        assert not torch.allclose(out[1:], painting_denoiser(trained)(noised, batch)[1:], atol=1e-3)
    assert not any(p.requires_grad for p in fresh.unet.parameters())


def test_the_adapter_goes_to_the_h94_layout_and_back_bit_for_bit(load, family):
    models = load()
    original = read_adapter(find_adapter(models.family))
    ours = adapter_state(models)
    for group in ("image_proj", "ip_adapter"):
        assert ours[group].keys() == original[group].keys()
        assert all(torch.equal(ours[group][key], value.float()) for key, value in original[group].items())
    with torch.no_grad():
        for parameter in models.image_proj.parameters():
            parameter.zero_()
    load_adapter(models, ours)
    assert all(torch.equal(v, ours["image_proj"][k]) for k, v in adapter_state(models)["image_proj"].items())


@pytest.mark.parametrize("break_it", ["wide", "pickle", "text", "empty", "missing"])
def test_weights_that_do_not_fit_are_one_clear_error(load, trained, tmp_path, break_it):
    file = tmp_path / "weights" / "pytorch_lora_weights.safetensors"
    state = load_file(file)
    path = tmp_path / "broken.safetensors"
    if break_it == "wide":
        save_file({key: torch.randn(2, 320) if "lora_A" in key else torch.randn(320, 2) for key in state}, path)
    elif break_it == "pickle":
        torch.save(state, path)
    elif break_it == "text":
        path.write_text("not weights")
    elif break_it == "empty":
        save_file({"something": torch.zeros(1)}, path)
    models = load()
    with pytest.raises(UserError) as caught:
        load_arm(models, find_arm(path), "mine")
    assert "\n" not in str(caught.value) and "broken.safetensors" in str(caught.value)
    assert not getattr(models.unet, "peft_config", None)  # nothing half-loaded


def test_an_adapter_of_another_size_is_one_clear_error(load):
    models = load()
    state = adapter_state(models)
    state["ip_adapter"]["1.to_k_ip.weight"] = torch.zeros(3, 3)
    with pytest.raises(UserError, match="does not fit family room-tiny"):
        load_adapter(models, state)


def test_a_run_folder_a_weights_folder_and_a_file_are_all_arms(trained, tmp_path):
    weights = tmp_path / "weights"
    both = find_arm(tmp_path)
    assert both == find_arm(weights) and both.lora.parent == both.adapter.parent == weights
    assert find_arm(both.adapter).adapter == both.adapter and find_arm(both.adapter).lora is None
    assert find_arm(both.lora).lora == both.lora and find_arm(both.lora).adapter is None
    with pytest.raises(UserError, match="no learned weights"):
        find_arm(tmp_path / "nowhere")
    for name in ("MINE.SAFETENSORS", "peft/adapter_model.safetensors"):  # as Windows writes it; a folder of peft's
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(both.lora, tmp_path / name)
    assert find_arm(tmp_path / "MINE.SAFETENSORS").lora == tmp_path / "MINE.SAFETENSORS"
    assert find_arm(tmp_path / "peft").lora == tmp_path / "peft" / "adapter_model.safetensors"


@pytest.mark.parametrize("trained", ["attention"], indirect=True)
def test_learning_can_begin_at_an_earlier_runs_weights(trained, load, tmp_path):
    models = load()
    build_denoiser(models, METHODS["joint"], lora_rank=2, lora_alpha=8)
    start_from(models, tmp_path, ("lora", "ip_adapter"))
    batch, noised = a_batch(trained), a_noised()
    with torch.no_grad():
        begun, ended = (painting_denoiser(each)(noised, batch) for each in (models, trained))
        torch.testing.assert_close(begun, ended, atol=1e-5, rtol=1e-5)
    other = load()
    build_denoiser(other, METHODS["joint"], lora_rank=3)
    with pytest.raises(UserError, match="lora_rank"):
        start_from(other, tmp_path, ("lora",))
