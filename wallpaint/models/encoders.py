"""Texts and reference pictures, as the frozen encoders give them; the pictures' encoders are one table.

The cache calls them before training, the painter for a prompt and a swatch.
"""

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from transformers import BitImageProcessor, CLIPImageProcessor

from wallpaint.models.bundle import Models
from wallpaint.models.files import find_file, find_weights
from wallpaint.models.loading import hash_files, hash_state
from wallpaint.models.parts import part


@torch.no_grad()
def encode_text(models: Models, texts: list[str | None]) -> dict[str, torch.Tensor]:
    """Texts as the stock pipelines encode them; None gives zeros, see `Models.no_text`.

    Returns:
        `prompt_embeds` (N, L, D). Of two encoders they are the last but one hidden states side by side, and then
        there is `pooled_embeds` (N, P), the second one's embedding of the whole text.
    """
    if models.text_encoder_2 is None:
        embeds = {"prompt_embeds": models.text_encoder(_input_ids(models, models.tokenizer, texts))[0]}
    else:
        first = models.text_encoder(_input_ids(models, models.tokenizer, texts), output_hidden_states=True)
        second = models.text_encoder_2(_input_ids(models, models.tokenizer_2, texts), output_hidden_states=True)
        states = [output.hidden_states[-2] for output in (first, second)]
        embeds = {"prompt_embeds": torch.cat(states, dim=-1), "pooled_embeds": second.text_embeds}
    for row, text in enumerate(texts):
        if text is None:
            for value in embeds.values():
                value[row] = 0
    return embeds


def _input_ids(models: Models, tokenizer: Any, texts: list[str | None]) -> torch.Tensor:
    """Texts as numbers (N, L), padded to the encoder's length."""
    tokens = tokenizer(
        [text or "" for text in texts],
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    )
    return tokens.input_ids.to(models.runtime.device)


@torch.no_grad()
def encode_images(models: Models, encoder: str, images: list[Image.Image | None]) -> torch.Tensor:
    """Reference pictures to (N, T, E) by the row `encoder` of ENCODERS; None is the null image, zero pixels."""
    return ENCODERS[encoder](models, images)


def reference_side(models: Models, encoder: str) -> int:
    """The side in pixels of the square pictures that an encoder takes."""
    if encoder == "identity":
        return _dino_processor(models).crop_size["height"]
    return (part(models, "example") if encoder == "example" else models.image_encoder).config.image_size


def encoder_key(models: Models, encoder: str) -> str:
    """A hash of what `Models.encoders_hash` does not cover: cached encodings are valid for it only."""
    if encoder == "tokens":
        return hash_state(models.image_proj)
    if encoder == "example" and models.family.unet_model:
        return hash_files([find_weights(models.family.unet_model, "image_encoder")])
    if encoder == "identity":
        return hash_files([find_weights(models.family.dinov2_model, "")])
    return ""


@torch.no_grad()
def encode_references(models: Models, images: list[Image.Image | None]) -> torch.Tensor:
    """Reference pictures to the image encoder's states (N, S, D); None is the null image.

    IP-Adapter-Plus reads `hidden_states[-2]`, and its null image is the encoder's output for zero pixels, not
    zeros in place of its states.
    """
    pixels = _preprocess(models, models.image_processor, images)
    return models.image_encoder(pixels, output_hidden_states=True).hidden_states[-2]


def _image_tokens(models: Models, images: list[Image.Image | None]) -> torch.Tensor:
    """The adapter's image tokens (N, T, E)."""
    states = encode_references(models, images)
    return models.image_proj(states.to(next(models.image_proj.parameters()).dtype))


def _example(models: Models, images: list[Image.Image | None]) -> torch.Tensor:
    """CLIP's one embedding of the whole picture (N, 1, E), before what Paint-by-Example learns on it."""
    side = reference_side(models, "example")
    pixels = _preprocess(models, CLIPImageProcessor(size=side, crop_size=side), images)
    return part(models, "example").model(pixels).pooler_output[:, None]


def _identity(models: Models, images: list[Image.Image | None]) -> torch.Tensor:
    """DINOv2's class token and patch tokens (N, 1 + P, E)."""
    return part(models, "dino")(_preprocess(models, _dino_processor(models), images)).last_hidden_state


def _dino_processor(models: Models) -> BitImageProcessor:
    return BitImageProcessor.from_pretrained(find_file(models.family.dinov2_model, "preprocessor_config.json").parent)


def _preprocess(models: Models, processor: Any, images: list[Image.Image | None]) -> torch.Tensor:
    """Pictures as an encoder takes them, (N, 3, S, S) on the models' device; None gives zeros."""
    size = processor.crop_size
    zeros = torch.zeros(3, size["height"], size["width"])
    pixels = [zeros if i is None else processor(i, return_tensors="pt").pixel_values[0] for i in images]
    return torch.stack(pixels).to(models.runtime.device, models.runtime.weight_dtype)


ENCODERS: dict[str, Callable[[Models, list[Image.Image | None]], torch.Tensor]] = {
    "tokens": _image_tokens,  # of an adapter that is frozen
    "states": encode_references,  # for an adapter that learns
    "example": _example,
    "identity": _identity,
}
