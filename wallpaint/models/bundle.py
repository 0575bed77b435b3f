"""A family's models, loaded and frozen."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import nn
from transformers import (
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

from wallpaint.errors import UserError
from wallpaint.models.families import Family, find_files, resolve_family, with_base
from wallpaint.models.loading import hash_files, load_module, quiet_libraries, read_adapter
from wallpaint.models.runtime import Runtime, pick_runtime

TEXT_ENCODERS: dict[str, Any] = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}


@dataclass(frozen=True)
class Models:
    """One family, loaded and frozen.

    The adapter's processors sit in the UNet. Its Resampler is kept beside it as `image_proj`, and the UNet
    takes image tokens as they are, so that tokens of a frozen adapter can be cached (the difference is 0).
    """

    family: Family
    runtime: Runtime
    vae: AutoencoderKL  # always float32: half precision overflows in SD's VAE
    unet: UNet2DConditionModel
    image_proj: nn.Module  # (B, S, D) states of the image encoder -> (B, T, E) image tokens
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    image_encoder: CLIPVisionModelWithProjection
    image_processor: CLIPImageProcessor
    noise_scheduler: DDIMScheduler
    encoders_hash: str  # of the encoders' files: cached encodings are valid for this only
    parts: dict[str, nn.Module] = field(default_factory=dict)  # what some methods add, see parts.py
    text_encoder_2: CLIPTextModelWithProjection | None = None  # SDXL's second
    tokenizer_2: CLIPTokenizer | None = None
    no_text: str | None = ""  # what guidance leads away from: the empty prompt, or None (zeros)

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """All that is frozen but the parts."""
        every = (self.unet, self.vae, self.text_encoder, self.text_encoder_2, self.image_encoder)
        return (self.image_proj, *(module for module in every if module is not None))

    @property
    def latent_factor(self) -> int:
        """Pixels along a side of one latent."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)


def load_models(family_name: str, runtime: Runtime | None = None, base: str = "", **overrides: Any) -> Models:
    """Load every model of a family, frozen and in eval mode.

    `base` is the field of Family that names a method's own UNet, see `Method.base`; `overrides` are fields to replace,
    where they are not empty.

    Raises:
        UserError: an unknown family, or a file that is neither in the folder nor in the hub's cache.
    """
    return load_family(with_base(resolve_family(family_name, **overrides), base), runtime or pick_runtime())


def load_family(family: Family, runtime: Runtime) -> Models:
    """Load the models that a family's row names, see `load_models`."""
    quiet_libraries()
    files, dtype = find_files(family), runtime.weight_dtype
    texts: dict[str, Any] = {
        name: load_module(TEXT_ENCODERS[name], files[name], dtype) for name in family.text_encoders
    }
    tokenizers = {
        name.replace("text_encoder", "tokenizer"): CLIPTokenizer.from_pretrained(files[f"tokenizer of {name}"].parent)
        for name in family.text_encoders
    }
    unet = load_module(UNet2DConditionModel, files["unet"], dtype)
    if unet.config.in_channels != 9:
        raise UserError(
            f"the UNet {files['unet']} takes {unet.config.in_channels} channels, not the 9 of inpainting: "
            "give an inpainting model as base_model"
        )
    image_proj = _attach_adapter(unet, read_adapter(files["image adapter"]))
    image_encoder = load_module(CLIPVisionModelWithProjection, files["image encoder"], dtype)
    size = image_encoder.config.image_size  # as diffusers' own load_ip_adapter makes it
    scheduler = DDIMScheduler.from_pretrained(
        files["scheduler"].parent,
        clip_sample=False,  # latents go beyond 1; configs written for other samplers leave it out
    )
    if family.prediction_type:
        scheduler.register_to_config(prediction_type=family.prediction_type)
    models = Models(
        family=family,
        runtime=runtime,
        vae=load_module(AutoencoderKL, files["vae"], torch.float32),
        unet=unet,
        image_proj=image_proj.to(dtype),
        image_encoder=image_encoder,
        image_processor=CLIPImageProcessor(size=size, crop_size=size),
        noise_scheduler=scheduler,
        encoders_hash=hash_files([file for name, file in files.items() if name not in ("unet", "scheduler")]),
        no_text=_no_text(files["model_index.json"]) if len(texts) > 1 else "",
        **texts,
        **tokenizers,
    )
    for module in models.modules:
        module.requires_grad_(False).eval().to(runtime.device)
    for module in (models.vae, unet):
        module.to(memory_format=torch.channels_last)  # convolutions take half the time on a CPU
    return models


def _no_text(index: Path) -> str | None:
    """SDXL's pipeline puts zeros in place of no text, unless its model_index.json says otherwise."""
    zeros = json.loads(index.read_text(encoding="utf-8")).get("force_zeros_for_empty_prompt", True)
    return None if zeros else ""


def send(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a tensor to `device`; to a GPU by way of pinned memory, from which the copy is asynchronous."""
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def set_ip_adapter_scale(unet: UNet2DConditionModel, scale: float) -> None:
    """How strongly the image tokens act; at 0 the UNet is exactly what it is without an adapter."""
    for module in unet.modules():  # an adapter's processors are modules
        if "to_k_ip" in module._modules:
            if module.scale == [scale]:
                return  # all have the same scale; walking the whole UNet would be most of the cost of a new paint
            module.scale = [scale]


def _attach_adapter(unet: UNet2DConditionModel, adapter: dict[str, dict[str, torch.Tensor]]) -> nn.Module:
    """Load the adapter into the UNet and take its Resampler out again."""
    try:
        unet._load_ip_adapter_weights([adapter])
    except (RuntimeError, ValueError, KeyError) as error:
        raise UserError(
            f"the image adapter does not fit this UNet ({str(error).splitlines()[0]}): "
            "give the adapter of the same family"
        ) from None
    layers = unet.encoder_hid_proj.image_projection_layers
    image_proj, layers[0] = layers[0], nn.Identity()
    return image_proj
