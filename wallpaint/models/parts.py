"""What some methods add to a family: a frozen encoder more, and small modules that learn.

`models.parts` holds them by name, made when first asked for. They begin the same in every run, whatever was
drawn before, so that a run does not depend on what the cache already held.
"""

from collections.abc import Callable

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from diffusers.pipelines.deprecated.paint_by_example import PaintByExampleImageEncoder
from torch import nn
from transformers import CLIPVisionConfig, Dinov2Model

from wallpaint.models.bundle import Models
from wallpaint.models.files import find_weights
from wallpaint.models.loading import load_module


def part(models: Models, name: str) -> nn.Module:
    """The part `name` of PARTS, frozen, on the models' device and in their dtype.

    Raises:
        UserError: its files are neither in their folder nor in the hub's cache.
    """
    if name not in models.parts:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            made = PARTS[name](models)
        made.requires_grad_(False).eval().to(models.runtime.device, models.runtime.weight_dtype)
        made.to(memory_format=torch.channels_last)  # as the UNet
        models.parts[name] = made
    return models.parts[name]


def _dino(models: Models) -> nn.Module:
    """DINOv2: (N, 3, S, S) to a class token and a token a patch."""
    return load_module(Dinov2Model, find_weights(models.family.dinov2_model, ""), models.runtime.weight_dtype)


def _example(models: Models) -> nn.Module:
    """Paint-by-Example's image encoder: the family's own, or a new head on the adapter's CLIP.

    Of it mapper, last norm, projection and the null vector learn; CLIP stays as it is.
    """
    if models.family.unet_model:
        weights = find_weights(models.family.unet_model, "image_encoder")
        return load_module(PaintByExampleImageEncoder, weights, models.runtime.weight_dtype)
    config = CLIPVisionConfig(**models.image_encoder.config.to_dict())
    config.projection_dim = models.unet.config.cross_attention_dim
    encoder = PaintByExampleImageEncoder(config)
    state = models.image_encoder.state_dict()
    encoder.model.load_state_dict({k[13:]: v for k, v in state.items() if k.startswith("vision_model.")})
    return encoder


def _identity(models: Models) -> nn.Module:
    """DINOv2's tokens to cross-attention's width."""
    return nn.Linear(part(models, "dino").config.hidden_size, models.unet.config.cross_attention_dim)


def _detail(models: Models) -> nn.Module:
    """A ControlNet that begins as the UNet's own encoder and adds nothing yet: its last layers are zero."""
    source = models.family.unet_model or models.family.base_model
    plain = load_module(
        UNet2DConditionModel, find_weights(source, "unet"), models.runtime.weight_dtype
    )  # no adapter in it
    return ControlNetModel.from_unet(plain, conditioning_embedding_out_channels=models.family.detail_channels)


PARTS: dict[str, Callable[[Models], nn.Module]] = {
    "dino": _dino,
    "example": _example,
    "identity": _identity,
    "detail": _detail,
}
