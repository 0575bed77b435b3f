"""A checkpoint in one file, under the names of CompVis' first release: made here from random tiny modules."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

from wallpaint.errors import UserError
from wallpaint.models import single_file
from wallpaint.models.families import resolve_family
from wallpaint.models.files import find_file, find_weights
from wallpaint.models.loading import load_module

WIDTH = 32
UNET = [
    ("time_embed.0", "time_embedding.linear_1"),
    ("time_embed.2", "time_embedding.linear_2"),
    ("input_blocks.0.0", "conv_in"),
    ("out.0", "conv_norm_out"),
    ("out.2", "conv_out"),
]
RESNET = [
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("emb_layers.1", "time_emb_proj"),
    ("skip_connection", "conv_shortcut"),
]
VAE = [
    ("nin_shortcut", "conv_shortcut"),
    ("norm_out", "conv_norm_out"),
    ("mid.attn_1", "mid_block.attentions.0"),
    ("mid.block_1", "mid_block.resnets.0"),
    ("mid.block_2", "mid_block.resnets.1"),
    ("norm.", "group_norm."),
    ("q.", "to_q."),
    ("k.", "to_k."),
    ("v.", "to_v."),
    ("proj_out.", "to_out.0."),
]


def unet_blocks():
    """(theirs, diffusers') prefixes of the blocks of SD1.5's UNet."""
    found = [("middle_block.1.", "mid_block.attentions.0.")]
    found += [(f"middle_block.{2 * j}.", f"mid_block.resnets.{j}.") for j in range(2)]
    for i in range(4):
        for j in range(2):
            found.append((f"input_blocks.{3 * i + j + 1}.0.", f"down_blocks.{i}.resnets.{j}."))
            found.append((f"input_blocks.{3 * i + j + 1}.1.", f"down_blocks.{i}.attentions.{j}."))
        for j in range(3):
            found.append((f"output_blocks.{3 * i + j}.0.", f"up_blocks.{i}.resnets.{j}."))
            found.append((f"output_blocks.{3 * i + j}.1.", f"up_blocks.{i}.attentions.{j}."))
        found.append((f"input_blocks.{3 * i + 3}.0.op.", f"down_blocks.{i}.downsamplers.0.conv."))
        found.append((f"output_blocks.{3 * i + 2}.{2 if i else 1}.", f"up_blocks.{i}.upsamplers.0."))
    return found


def vae_blocks():
    found = []
    for i in range(4):
        found.append((f"decoder.up.{3 - i}.upsample.", f"decoder.up_blocks.{i}.upsamplers.0."))
        found.append((f"encoder.down.{i}.downsample.", f"encoder.down_blocks.{i}.downsamplers.0."))
        found += [(f"encoder.down.{i}.block.{j}.", f"encoder.down_blocks.{i}.resnets.{j}.") for j in range(2)]
        found += [(f"decoder.up.{3 - i}.block.{j}.", f"decoder.up_blocks.{i}.resnets.{j}.") for j in range(3)]
    return found


def rename(key, *tables):
    for table in tables:
        for theirs, ours in table:
            key = key.replace(ours, theirs)
    return key


def modules(channels=9):
    unet = {"sample_size": 64, "in_channels": channels, "cross_attention_dim": 48, "attention_head_dim": 8}
    wide = [WIDTH, 2 * WIDTH, 4 * WIDTH, 4 * WIDTH]
    vae = {"down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4}
    text = {
        "vocab_size": 60,
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 1,
        "max_position_embeddings": 16,
    }
    return (
        UNet2DConditionModel(**unet, block_out_channels=wide),
        AutoencoderKL(**vae, block_out_channels=wide, layers_per_block=2),
        CLIPTextModel(CLIPTextConfig(**text)),
    )


def checkpoint(unet, vae, text):
    """Their state under CompVis' names."""
    weights = {}
    for key, value in unet.state_dict().items():
        inside = RESNET if "resnets" in key else []
        whole = [] if "_blocks" in key or "mid_block" in key else UNET
        weights[f"model.diffusion_model.{rename(key, whole, inside, unet_blocks())}"] = value
    for key, value in vae.state_dict().items():
        attention = ".attentions." in key
        name = rename(key, vae_blocks(), VAE if attention else VAE[:5])
        value = value[..., None, None] if attention and value.ndim == 2 else value
        weights[f"first_stage_model.{name}"] = value
    prefix = "cond_stage_model.transformer.text_model."
    state = {key.removeprefix("text_model."): value for key, value in text.state_dict().items()}
    return {k: v.contiguous() for k, v in (weights | {prefix + k: v for k, v in state.items()}).items()}


@pytest.fixture
def place(tmp_path, monkeypatch, family):
    """An empty cache, and a tokenizer beside where the checkpoint will be."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "tokenizer").symlink_to(family / "tokenizer")
    return tmp_path


def check_unpacked(base, made, dtype):
    """The modules that were made lie in the folder, under diffusers' names, in their dtype."""
    kinds = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}
    for (name, kind), expected in zip(kinds.items(), made, strict=True):
        assert all(value.dtype == dtype for value in load_file(find_weights(base, name)).values())
        found = load_module(kind, find_weights(base, name), dtype).state_dict()
        assert found.keys() == expected.state_dict().keys()
        assert all(torch.equal(found[key], value) for key, value in expected.state_dict().items()), name


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_a_checkpoint_gives_its_modules_back_bit_for_bit(place, suffix):
    torch.manual_seed(0)
    made, path = modules(), place / f"sd-v1-5-inpainting{suffix}"
    weights = checkpoint(*made)
    assert "model.diffusion_model.output_blocks.5.2.conv.weight" in weights
    assert "first_stage_model.decoder.mid.attn_1.q.weight" in weights
    if suffix == ".ckpt":
        torch.save({"state_dict": weights, "global_step": 3}, path)
    else:
        save_file(weights, path)
    base = resolve_family("sd15", base_model=str(path)).base_model
    check_unpacked(base, made, torch.float32)
    assert find_file(base, "tokenizer/tokenizer_config.json").is_file()
    first = find_weights(base, "unet").stat().st_mtime_ns
    assert single_file.unpack(path) == single_file.unpack(path)  # and nothing is written again
    assert find_weights(base, "unet").stat().st_mtime_ns == first
    assert json.loads(find_file(base, "model_index.json").read_text())["unpacked_from"] == str(path)


def test_half_precision_stays_and_what_is_no_module_of_ours_is_left_out(place):
    torch.manual_seed(0)
    made, path = [module.half() for module in modules()], place / "fine-tune.safetensors"
    weights = checkpoint(*made)
    weights["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(16)[None]
    weights["model_ema.decay"] = torch.tensor(0.99)
    weights["alphas_cumprod"] = torch.ones(1000)
    weights |= {f"model_ema.{k[6:].replace('.', '')}": v + 1 for k, v in weights.items() if k.startswith("model.d")}
    save_file(weights, path)
    base = resolve_family("sd15", base_model=str(path)).base_model
    check_unpacked(base, made, torch.float16)
    scheduler = json.loads(find_file(base, "scheduler/scheduler_config.json").read_text())
    assert (scheduler["beta_schedule"], scheduler["steps_offset"]) == ("scaled_linear", 1)
    assert json.loads(find_file(base, "text_encoder/config.json").read_text())["hidden_act"] == "quick_gelu"


def touch(name):
    Path(name).touch()


class Callback:
    """As Lightning pickles its own beside the weights."""

    def __reduce__(self):
        return touch, ("called",)


def test_a_checkpoint_that_pickles_more_than_tensors_gives_its_tensors_and_calls_nothing(place, monkeypatch):
    monkeypatch.chdir(place)
    made, path = modules(), place / "sd-v1-5-inpainting.ckpt"
    callbacks = {Callback: {"best": Path("a")}, "own": Callback()}
    torch.save({"callbacks": callbacks, "state_dict": checkpoint(*made)}, path)
    check_unpacked(single_file.unpack(path), made, torch.float32)
    assert not Path("called").exists()


def test_a_text_encoder_named_as_it_was_before_2023_is_read(place):
    made, path = modules(), place / "merge.safetensors"
    text, old = "cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."
    save_file({key.replace(text, old): value for key, value in checkpoint(*made).items()}, path)
    check_unpacked(single_file.unpack(path), made, torch.float32)


def test_what_is_no_inpainting_checkpoint_is_refused_and_leaves_nothing(place):
    path = place / "plain.safetensors"
    save_file(checkpoint(*modules(channels=4)), path)
    with pytest.raises(UserError, match="takes 4 channels, not the 9 of inpainting"):
        single_file.unpack(path)
    save_file({"other": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="is no Stable Diffusion 1.x checkpoint"):
        single_file.unpack(path)
    half = checkpoint(*modules())
    save_file({key: value for key, value in half.items() if not key.startswith("first_stage_model.")}, path)
    with pytest.raises(UserError, match="plain.safetensors holds no VAE: give the version that has"):
        single_file.unpack(path)
    for lost in (
        "first_stage_model.decoder.conv_in.weight",
        "cond_stage_model.transformer.text_model.final_layer_norm.bias",
        "model.diffusion_model.out.2.bias",
    ):
        save_file({key: value for key, value in half.items() if key != lost}, path)
        with pytest.raises(UserError, match="plain.safetensors.*fetch it again"):
            single_file.unpack(path)
    path.write_bytes(b"not a checkpoint at all")
    with pytest.raises(UserError, match="cannot be read .*fetch it again"):
        single_file.unpack(path)
    assert not list((place / "cache").rglob("*.json"))


def test_without_a_tokenizer_its_command_is_said(place):
    (place / "tokenizer").unlink()
    path = place / "x.safetensors"
    save_file({"other": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="hf download openai/clip-vit-large-patch14 vocab.json merges.txt"):
        single_file.unpack(path)


def test_a_checkpoint_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere.safetensors"):
        resolve_family("sd15", base_model=str(tmp_path / "nowhere.safetensors"))


def test_of_many_processes_that_need_a_checkpoint_one_unpacks_it(place, monkeypatch):
    path, written = place / "sd.safetensors", []
    save_file(checkpoint(*modules()), path)
    write = single_file._write
    monkeypatch.setattr(single_file, "_write", lambda *args: (written.append(args), time.sleep(0.1), write(*args)))
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(single_file.unpack, [path] * 4))
    assert len(written) == len(folders) == 1
