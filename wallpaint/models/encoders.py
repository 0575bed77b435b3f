"""What frozen encoders say of a reference picture, one table.

The cache asks it while training, the painter for a swatch.
"""

from collections.abc import Callable

import torch
from PIL import Image
from transformers import BitImageProcessor, CLIPImageProcessor

from wallpaint.models.bundle import Models, encode_references, process
from wallpaint.models.files import find_file, find_weights
from wallpaint.models.loading import hash_files, hash_state
from wallpaint.models.parts import part


def encode_images(models: Models, reads: str, images: list[Image.Image | None]) -> torch.Tensor:
    """Reference pictures to (N, T, E) by the row `reads` of ENCODERS; None is the null image, zero pixels."""
    with torch.no_grad():
        return ENCODERS[reads](models, images)


def reference_side(models: Models, reads: str) -> int:
    """The side in pixels of the square pictures that an encoder takes."""
    if reads == "identity":
        return _dino_processor(models).crop_size["height"]
    return (part(models, "example") if reads == "example" else models.image_encoder).config.image_size


def encoder_key(models: Models, reads: str) -> str:
    """A hash of what `Models.encoders_hash` does not cover: cached encodings are valid for it only."""
    if reads == "tokens":
        return hash_state(models.image_proj)
    if reads == "example" and models.family.unet_model:
        return hash_files([find_weights(models.family.unet_model, "image_encoder")])
    if reads == "identity":
        return hash_files([find_weights(models.family.dinov2_model, "")])
    return ""


def _tokens(models: Models, images: list[Image.Image | None]) -> torch.Tensor:
    """The adapter's image tokens (N, T, E)."""
    states = encode_references(models, images)
    return models.image_proj(states.to(next(models.image_proj.parameters()).dtype))


def _example(models: Models, images: list[Image.Image | None]) -> torch.Tensor:
    """CLIP's one embedding of the whole picture (N, 1, E), before what Paint-by-Example learns on it."""
    side = reference_side(models, "example")
    pixels = process(models, CLIPImageProcessor(size=side, crop_size=side), images)
    return part(models, "example").model(pixels).pooler_output[:, None]


def _identity(models: Models, images: list[Image.Image | None]) -> torch.Tensor:
    """DINOv2's class token and patch tokens (N, 1 + P, E)."""
    return part(models, "dino")(process(models, _dino_processor(models), images)).last_hidden_state


def _dino_processor(models: Models) -> BitImageProcessor:
    return BitImageProcessor.from_pretrained(find_file(models.family.dinov2_model, "preprocessor_config.json").parent)


ENCODERS: dict[str, Callable[[Models, list[Image.Image | None]], torch.Tensor]] = {
    "tokens": _tokens,  # of an adapter that is frozen
    "states": encode_references,  # for an adapter that learns
    "example": _example,
    "identity": _identity,
}
