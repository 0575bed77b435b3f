"""Models of true shapes with random weights, made right on the device in the dtype they run in.

The configs are those of the published files (stable-diffusion-v1-5/stable-diffusion-inpainting,
diffusers/stable-diffusion-xl-1.0-inpainting-0.1, h94/IP-Adapter with its ViT-H image encoder); only the
tokenizer is room-tiny's: its words do not matter here.

    python tests/bench/random_models.py FOLDER     writes SD1.5's files; --base_model FOLDER then takes them
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from wallpaint.models.bundle import Models, _attach_adapter, load_models
from wallpaint.models.families import FAMILIES
from wallpaint.models.runtime import Runtime, pick_runtime

UNET: dict[str, Any] = {
    "sample_size": 64,
    "in_channels": 9,
    "out_channels": 4,
    "cross_attention_dim": 768,
    "block_out_channels": (320, 640, 1280, 1280),
    "attention_head_dim": 8,
}
VAE: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "sample_size": 512,
}
TEXT: dict[str, Any] = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 77,
    "projection_dim": 768,
}
VISION: dict[str, Any] = {  # ViT-H/14
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "image_size": 224,
    "patch_size": 14,
    "projection_dim": 1024,
    "hidden_act": "gelu",
}
SCHEDULER: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
SDXL_UNET: dict[str, Any] = {
    "sample_size": 128,
    "in_channels": 9,
    "out_channels": 4,
    "cross_attention_dim": 2048,
    "block_out_channels": (320, 640, 1280),
    "attention_head_dim": (5, 10, 20),
    "layers_per_block": 2,
    "transformer_layers_per_block": (1, 2, 10),
    "use_linear_projection": True,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
SDXL_VAE: dict[str, Any] = {**VAE, "sample_size": 1024, "scaling_factor": 0.13025}
TEXT_2: dict[str, Any] = {  # OpenCLIP's ViT-bigG
    "vocab_size": 49408,
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "max_position_embeddings": 77,
    "projection_dim": 1280,
    "hidden_act": "gelu",
}


def random_adapter(
    unet: UNet2DConditionModel, states: int = 1280, queries: int = 16, width: int = 0
) -> dict[str, dict]:
    """An ip-adapter-plus in the h94 layout for this UNet: {'image_proj': {...}, 'ip_adapter': {...}}.

    `width`: of its Resampler, 0: the UNet's text's.
    """
    told = unet.config.cross_attention_dim
    width, layers = width or told, {}
    for i in range(4):
        layers |= {f"layers.{i}.0.{norm}.{end}": (width,) for norm in ("norm1", "norm2") for end in ("weight", "bias")}
        layers |= {f"layers.{i}.0.to_q.weight": (width, width), f"layers.{i}.0.to_kv.weight": (2 * width, width)}
        layers |= {f"layers.{i}.0.to_out.weight": (width, width)}
        layers |= {f"layers.{i}.1.0.weight": (width,), f"layers.{i}.1.0.bias": (width,)}
        layers |= {f"layers.{i}.1.1.weight": (4 * width, width), f"layers.{i}.1.3.weight": (width, 4 * width)}
    shapes = {
        "latents": (1, queries, width),
        "proj_in.weight": (width, states),
        "proj_in.bias": (width,),
        "proj_out.weight": (told, width),
        "proj_out.bias": (told,),
        "norm_out.weight": (told,),
        "norm_out.bias": (told,),
        **layers,
    }
    heads = {}
    cross = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    for index, name in enumerate(cross):
        inner = unet.get_submodule(name.removesuffix(".processor")).to_q.out_features
        heads |= {f"{2 * index + 1}.to_{x}_ip.weight": (inner, told) for x in "kv"}
    options = {"device": unet.device, "dtype": unet.dtype}
    return {
        group: {key: torch.randn(shape, **options) * 0.02 for key, shape in named.items()}
        for group, named in (("image_proj", shapes), ("ip_adapter", heads))
    }


def random_sd15(runtime: Runtime, resolution: int = 512) -> Models:
    """Stable Diffusion 1.5 inpainting with IP-Adapter-Plus, as `load_models` would give it."""
    return _random_family("sd15", runtime, resolution, UNET, VAE)


def random_sdxl(runtime: Runtime, resolution: int = 1024) -> Models:
    """SDXL inpainting with its IP-Adapter-Plus, as `load_models` would give it."""
    second = _make(lambda: CLIPTextModelWithProjection(CLIPTextConfig(**TEXT_2)), runtime, runtime.weight_dtype)
    second.requires_grad_(False).eval()
    models = _random_family("sdxl", runtime, resolution, SDXL_UNET, SDXL_VAE, adapter_width=1280)
    return replace(models, text_encoder_2=second, tokenizer_2=models.tokenizer, no_text=None)


def _random_family(
    name: str, runtime: Runtime, resolution: int, unet_config: dict, vae_config: dict, adapter_width: int = 0
) -> Models:
    """What both have: UNet, VAE, the first text encoder, the adapter and what it hears."""
    torch.manual_seed(0)
    vae = _make(lambda: AutoencoderKL(**vae_config), runtime, torch.float32)
    unet = _make(lambda: UNet2DConditionModel(**unet_config), runtime, runtime.weight_dtype)
    text = _make(lambda: CLIPTextModel(CLIPTextConfig(**TEXT)), runtime, runtime.weight_dtype)
    vision = _make(lambda: CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION)), runtime, runtime.weight_dtype)
    image_proj = _attach_adapter(unet, random_adapter(unet, width=adapter_width))
    for module in (vae, unet):
        module.to(memory_format=torch.channels_last)
    for module in (vae, unet, image_proj, text, vision):
        module.requires_grad_(False).eval().to(runtime.device)
    tokenizer = CLIPTokenizer.from_pretrained(Path(FAMILIES["room-tiny"].base_model) / "tokenizer")
    tokenizer.model_max_length = TEXT["max_position_embeddings"]
    family = replace(FAMILIES[name], resolution=resolution)
    return Models(
        family,
        runtime,
        vae,
        unet,
        image_proj.to(runtime.weight_dtype),
        text,
        tokenizer,
        vision,
        CLIPImageProcessor(size=224, crop_size=224),
        DDIMScheduler(**SCHEDULER),
        "random",
    )


def save_sd15(folder: Path) -> None:
    """Files of SD1.5 inpainting and its adapter, true in layout, names and size (4.5 GB), weights random.

    `--base_model FOLDER` then trains and paints with them, as with what the hub would give.
    """
    runtime = replace(pick_runtime(), weight_dtype=torch.float16)
    adapter = folder / "h94" / "IP-Adapter" / "models"
    parts = {
        folder / "vae": lambda: AutoencoderKL(**VAE),
        folder / "unet": lambda: UNet2DConditionModel(**UNET),
        folder / "text_encoder": lambda: CLIPTextModel(CLIPTextConfig(**TEXT)),
        adapter / "image_encoder": lambda: CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION)),
    }
    torch.manual_seed(0)
    for place, build in parts.items():
        module: Any = _make(build, runtime, torch.float16)
        module.save_pretrained(place)
        if place.name == "unet":
            weights = random_adapter(module)
    named = {f"{group}.{key}": value for group, rows in weights.items() for key, value in rows.items()}
    save_file(named, adapter / "ip-adapter-plus_sd15.safetensors")
    DDIMScheduler(**SCHEDULER).save_pretrained(folder / "scheduler")
    tokenizer = Path(FAMILIES["room-tiny"].base_model) / "tokenizer"
    CLIPTokenizer.from_pretrained(tokenizer, model_max_length=TEXT["max_position_embeddings"]).save_pretrained(
        folder / "tokenizer"
    )
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionInpaintPipeline"}))


RANDOM = {"sd15-random": random_sd15, "sdxl-random": random_sdxl}


def bench_models(family: str, runtime: Runtime, resolution: int = 0) -> Models:
    """`room-tiny` as shipped, or a row of RANDOM."""
    if family in RANDOM:
        return RANDOM[family](runtime, resolution or FAMILIES[family.removesuffix("-random")].resolution)
    return load_models(family, runtime, resolution=resolution)


def _make(build, runtime: Runtime, dtype: torch.dtype) -> torch.nn.Module:
    """Build on the device and in `dtype` at once: the weights are never anywhere else."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with runtime.device:
            return build()
    finally:
        torch.set_default_dtype(before)


if __name__ == "__main__":
    save_sd15(Path(sys.argv[1]))
