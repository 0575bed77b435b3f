"""A Stable Diffusion 1.5 inpainting checkpoint in one file, unpacked once into a folder of models.

One file holds UNet, VAE and text encoder under the names of CompVis' first release, which diffusers converts.
What it does not hold is its tokenizer: that lies beside it, or in the hub's cache.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from wallpaint.disk import locked
from wallpaint.errors import UserError, reason_of
from wallpaint.models.files import find_file
from wallpaint.models.runtime import build_alone
from wallpaint.paths import MODELS, from_home

CONFIGS = MODELS / "sd15-inpainting"  # the configs of stable-diffusion-v1-5/stable-diffusion-inpainting
CLIP = "openai/clip-vit-large-patch14"  # whose tokenizer SD1.5 uses
UNET, VAE, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer."
WORDS = "text_model.embeddings.token_embedding.weight"
Weights = dict[str, Any]  # name -> torch.Tensor


def unpack(path: Path) -> Path:
    """Give the folder that holds the checkpoint's models in diffusers' layout; it is made on the first call.

    Raises:
        UserError: the file cannot be read or is no SD1.5 inpainting checkpoint, or there is no tokenizer.
    """
    stat = path.stat()
    key = hashlib.sha256(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:12]
    cache = from_home(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "wallpaint"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{path.stem}-{key}"
    with locked(cache):  # every process of a run comes here at once
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
    from diffusers.loaders.single_file_utils import load_single_file_checkpoint

    try:
        with _as_nothing(path):
            weights = load_single_file_checkpoint(str(path), local_files_only=True)
    except Exception as error:  # a broken header, a pickle that would call the system: as many kinds as loaders
        raise UserError(f"checkpoint {path} cannot be read ({reason_of(error)}): fetch it again") from None
    # Of an older transformers, as in merges of models from before 2023.
    weights = {re.sub(f"^{re.escape(TEXT)}(?!text_model)", f"{TEXT}text_model.", key): weights[key] for key in weights}
    first = weights.get(f"{UNET}input_blocks.0.0.weight")
    projection = weights.get(f"{UNET}input_blocks.1.1.proj_in.weight")
    if first is None or projection is None or projection.ndim != 4 or TEXT + WORDS not in weights:
        raise UserError(f"{path} is no Stable Diffusion 1.x checkpoint: give an SD1.5 inpainting checkpoint")
    if first.shape[1] != 9:
        raise UserError(
            f"{path} takes {first.shape[1]} channels, not the 9 of inpainting: give an SD1.5 inpainting checkpoint"
        )
    if not any(key.startswith(VAE) for key in weights):
        raise UserError(f"{path} holds no VAE: give the version that has its VAE in it")
    return weights


class Nothing:
    """Takes the place of whatever class a pickle names: it does nothing and tells nothing."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


def _as_nothing(path: Path) -> contextlib.AbstractContextManager[Any]:
    """Let torch read a pickle that names more than tensors, with a `Nothing` for all else.

    Lightning pickled its callbacks beside the weights: `sd-v1-5-inpainting.ckpt` itself has one.
    """
    from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

    names: list[str] = []
    with contextlib.suppress(Exception):  # safetensors, or broken: whoever reads it tells
        names = get_unsafe_globals_in_checkpoint(path)
    return safe_globals([(Nothing, name) for name in names])


@build_alone
def _write(weights: Weights, path: Path, folder: Path) -> None:
    """The modules in the dtypes they have, each with its config, and the scheduler, as `from_pretrained` reads them.

    Raises:
        UserError: a weight is missing or has another shape than its neighbours ask for.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from wallpaint.models.loading import quiet_libraries

    quiet_libraries()
    shutil.copytree(CONFIGS, folder)
    index = json.loads((CONFIGS / "model_index.json").read_text()) | {"unpacked_from": str(path)}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2))
    try:
        sizes = _sizes(weights)
        for kind, name, prefix in ((UNet2DConditionModel, "unet", UNET), (AutoencoderKL, "vae", VAE)):
            own = {key: value for key, value in weights.items() if key.startswith(prefix)}
            options = {"torch_dtype": next(iter(own.values())).dtype, "local_files_only": True, **sizes[name]}
            module = kind.from_single_file(own, config=str(CONFIGS), subfolder=name, **options)
            module.save_pretrained(folder / name)  # which fails where a weight was not in the file
        own = {key.removeprefix(TEXT): value for key, value in weights.items() if key.startswith(TEXT)}
        config = CLIPTextConfig.from_pretrained(CONFIGS / "text_encoder", **sizes["text_encoder"])
        text, found = CLIPTextModel.from_pretrained(
            None, config=config, state_dict=own, dtype=own[WORDS].dtype, output_loading_info=True
        )
        if found["missing_keys"]:
            raise KeyError(min(found["missing_keys"]))
        text.save_pretrained(folder / "text_encoder")
    except (KeyError, ValueError, RuntimeError, NotImplementedError) as error:
        raise UserError(f"checkpoint {path} is not whole ({reason_of(error)}): fetch it again") from None


def _sizes(weights: Weights) -> dict[str, dict[str, Any]]:
    """What the tensors say of the sizes of each module; a head of CLIP's is 64 wide."""

    def size(key: str, side: int = 0) -> int:
        return weights[key].shape[side]

    clip = f"{TEXT}text_model."
    width, layers = size(TEXT + WORDS, 1), f"{clip}encoder.layers."
    text = {
        "vocab_size": size(TEXT + WORDS),
        "hidden_size": width,
        "projection_dim": width,
        "num_attention_heads": max(1, width // 64),
        "num_hidden_layers": len({key.split(".")[5] for key in weights if key.startswith(layers)}),
        "intermediate_size": size(f"{layers}0.mlp.fc1.weight"),
        "max_position_embeddings": size(f"{clip}embeddings.position_embedding.weight"),
    }
    unet, vae = (size(key) for key in (f"{UNET}input_blocks.0.0.weight", f"{VAE}encoder.conv_in.weight"))
    attention = size(f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", 1)
    return {
        "unet": {"block_out_channels": [unet, 2 * unet, 4 * unet, 4 * unet], "cross_attention_dim": attention},
        "vae": {"block_out_channels": [vae, 2 * vae, 4 * vae, 4 * vae]},
        "text_encoder": text,
    }
