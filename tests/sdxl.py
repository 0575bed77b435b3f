"""SDXL inpainting and its IP-Adapter-Plus as their repositories hold them: narrow, shallow and random.

Classes, key names, file names and whatever a config says beside widths and depths are the true ones.
"""

import json
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLInpaintPipeline
from diffusers import UNet2DConditionModel as UNet
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

sys.path.append(str(Path(__file__).parent / "bench"))
from random_models import SDXL_UNET, SDXL_VAE, TEXT, TEXT_2, VISION, random_adapter  # noqa: E402

SMALL_TEXT = {
    "vocab_size": 800,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "projection_dim": 32,
}
SMALL = {
    "unet": {
        "block_out_channels": (32, 32, 64),
        "attention_head_dim": (1, 2, 4),
        "cross_attention_dim": 96,
        "transformer_layers_per_block": (1, 1, 2),
        "layers_per_block": 2,
        "addition_time_embed_dim": 32,
        "projection_class_embeddings_input_dim": 6 * 32 + 64,
    },
    "vae": {"block_out_channels": (32, 32, 32, 32), "layers_per_block": 1, "force_upcast": True},
    "text": SMALL_TEXT,
    "text_2": SMALL_TEXT | {"hidden_size": 64, "projection_dim": 64},
    "vision": {
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "projection_dim": 32,
        "image_size": 56,
    },
}
EULER = {
    "_class_name": "EulerDiscreteScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "interpolation_type": "linear",
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "use_karras_sigmas": False,
    "sample_max_value": 1.0,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
}
WORDS = Path(__file__).parents[1] / "assets" / "models" / "room-tiny" / "tokenizer" / "tokenizer.json"
TOKENIZER = {
    "add_prefix_space": False,
    "bos_token": "<|startoftext|>",
    "eos_token": "<|endoftext|>",
    "do_lower_case": True,
    "errors": "replace",
    "model_max_length": 77,
    "tokenizer_class": "CLIPTokenizer",
    "unk_token": "<|endoftext|>",
}


def save_sdxl(folder, adapter_folder):
    """Write both repositories: the base model as its fp16 variant is named, the adapter in h94's layout."""
    torch.manual_seed(0)
    unet = UNet(**SDXL_UNET | SMALL["unet"])
    for name, pad in (("tokenizer", "<|endoftext|>"), ("tokenizer_2", "!")):
        save_tokenizer(folder / name, pad)
    StableDiffusionXLInpaintPipeline(
        AutoencoderKL(**SDXL_VAE | SMALL["vae"]),
        CLIPTextModel(CLIPTextConfig(**TEXT | SMALL["text"], eos_token_id=2)),
        CLIPTextModelWithProjection(CLIPTextConfig(**TEXT_2 | SMALL["text_2"], eos_token_id=2)),
        *(CLIPTokenizer.from_pretrained(folder / name) for name in ("tokenizer", "tokenizer_2")),
        unet,
        EulerDiscreteScheduler(),
        add_watermarker=False,
    ).save_pretrained(folder, variant="fp16")
    for name, pad in (("tokenizer", "<|endoftext|>"), ("tokenizer_2", "!")):
        save_tokenizer(folder / name, pad)  # as the repository has it, not as it was saved now
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(EULER))
    text = folder / "text_encoder" / "model.fp16.safetensors"
    state = {f"text_model.{key.removeprefix('text_model.')}": v for key, v in load_file(text).items()}
    save_file(state, text, {"format": "pt"})  # the published file has the older names
    vision = CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION | SMALL["vision"]))
    vision.save_pretrained(adapter_folder / "models" / "image_encoder")
    flat = {
        f"{group}.{key}": value
        for group, state in random_adapter(unet, states=64, width=128).items()
        for key, value in state.items()
    }
    (adapter_folder / "sdxl_models").mkdir(parents=True)
    save_file(flat, adapter_folder / "sdxl_models" / "ip-adapter-plus_sdxl_vit-h.safetensors")


def save_tokenizer(folder, pad):
    """Write a tokenizer's four files, with room-tiny's few words."""
    folder.mkdir(parents=True, exist_ok=True)
    words = json.loads(WORDS.read_text())["model"]
    (folder / "tokenizer.json").unlink(missing_ok=True)
    (folder / "vocab.json").write_text(json.dumps(words["vocab"]))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, words["merges"])]) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(TOKENIZER | {"pad_token": pad}))
    marks = {name: TOKENIZER[name] for name in ("bos_token", "eos_token", "unk_token")}
    (folder / "special_tokens_map.json").write_text(json.dumps(marks | {"pad_token": pad}))
