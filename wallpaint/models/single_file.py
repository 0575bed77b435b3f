"""A Stable Diffusion 1.5 inpainting checkpoint in one file, unpacked once into a folder of models.

One file holds UNet, VAE and text encoder under the names of CompVis' first release; sizes are read from the
tensors. What it does not hold is its tokenizer: that lies beside it, or in the hub's cache.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from wallpaint.errors import UserError
from wallpaint.models.files import find_file

CLIP = "openai/clip-vit-large-patch14"  # whose tokenizer SD1.5 uses
UNET, VAE, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer."
SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "prediction_type": "epsilon",
}
Weights = dict[str, Any]  # name -> torch.Tensor


def unpack(path: Path) -> Path:
    """Give the folder that holds the checkpoint's models in diffusers' layout; it is made on the first call.

    Raises:
        UserError: the file cannot be read or is no SD1.5 inpainting checkpoint, or there is no tokenizer.
    """
    stat = path.stat()
    key = hashlib.sha256(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wallpaint"
    folder = cache / f"{path.stem}-{key}"
    if not (folder / "model_index.json").is_file():
        tokenizer = _find_tokenizer(path)
        weights = _read(path)
        fresh = folder.with_name(f"{folder.name}.tmp{os.getpid()}")
        try:
            _write(weights, path, fresh)
            shutil.copytree(tokenizer, fresh / "tokenizer", dirs_exist_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _find_tokenizer(path: Path) -> Path:
    beside = path.parent / "tokenizer"
    if (beside / "vocab.json").is_file() or (beside / "tokenizer.json").is_file():
        return beside
    return find_file(CLIP, ("vocab.json", "tokenizer.json"), f"the tokenizer of {path.name}").parent


def _read(path: Path) -> Weights:
    """The checkpoint's tensors; of a pickle nothing but tensors is read."""
    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            weights = load_file(path)
        else:
            found = torch.load(path, "cpu", weights_only=True)
            weights = found.get("state_dict", found)
    except Exception as error:  # a broken header, a pickle with more than tensors: as many kinds as loaders
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"checkpoint {path} cannot be read ({reason}): fetch it again") from None
    first = weights.get(f"{UNET}input_blocks.0.0.weight")
    projection = weights.get(f"{UNET}input_blocks.1.1.proj_in.weight")
    words = f"{TEXT}text_model.embeddings.token_embedding.weight"
    if first is None or projection is None or projection.ndim != 4 or words not in weights:
        raise UserError(f"{path} is no Stable Diffusion 1.x checkpoint: give an SD1.5 inpainting checkpoint")
    if first.shape[1] != 9:
        raise UserError(
            f"{path} takes {first.shape[1]} channels, not the 9 of inpainting: give an SD1.5 inpainting checkpoint"
        )
    return weights


def _write(weights: Weights, path: Path, folder: Path) -> None:
    """The parts, each with its config, as `from_pretrained` reads them."""
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
    from safetensors.torch import save_file

    unet, vae, text = _unet_config(weights), _vae_config(weights), _text_config(weights)
    parts = {
        "unet": (unet, convert_ldm_unet_checkpoint(dict(weights), unet), "diffusion_pytorch_model"),
        "vae": (vae, convert_ldm_vae_checkpoint(dict(weights), vae), "diffusion_pytorch_model"),
        "text_encoder": (text, _take(weights, TEXT), "model"),
    }
    for name, (config, state, stem) in parts.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text(json.dumps(config, indent=2))
        state = {key: value.contiguous() for key, value in state.items() if value.is_floating_point()}
        save_file(state, folder / name / f"{stem}.safetensors", metadata={"format": "pt"})
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER, indent=2))
    index = {"_class_name": "StableDiffusionInpaintPipeline", "unpacked_from": str(path)}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2))


def _unet_config(weights: Weights) -> dict[str, Any]:
    width, channels = weights[f"{UNET}input_blocks.0.0.weight"].shape[:2]
    told = weights[f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"].shape[1]
    return {
        "_class_name": "UNet2DConditionModel",
        "sample_size": 64,
        "in_channels": channels,
        "out_channels": 4,
        "block_out_channels": [width, 2 * width, 4 * width, 4 * width],
        "layers_per_block": 2,
        "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        "cross_attention_dim": told,
        "attention_head_dim": 8,
        "class_embed_type": None,
        "addition_embed_type": None,
        "transformer_layers_per_block": 1,
    }


def _vae_config(weights: Weights) -> dict[str, Any]:
    width = weights[f"{VAE}encoder.conv_in.weight"].shape[0]
    return {
        "_class_name": "AutoencoderKL",
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 4,
        "block_out_channels": [width, 2 * width, 4 * width, 4 * width],
        "layers_per_block": 2,
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "sample_size": 512,
        "scaling_factor": 0.18215,
    }


def _text_config(weights: Weights) -> dict[str, Any]:
    """CLIP's: a head is 64 wide, or there is one."""
    words, width = weights[f"{TEXT}text_model.embeddings.token_embedding.weight"].shape
    layers = {key.split(".")[5] for key in weights if key.startswith(f"{TEXT}text_model.encoder.layers.")}
    return {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "vocab_size": words,
        "hidden_size": width,
        "num_hidden_layers": len(layers),
        "num_attention_heads": max(1, width // 64),
        "intermediate_size": weights[f"{TEXT}text_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        "max_position_embeddings": weights[f"{TEXT}text_model.embeddings.position_embedding.weight"].shape[0],
        "hidden_act": "quick_gelu",
        "projection_dim": width,
    }


def _take(weights: Weights, prefix: str) -> Weights:
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
