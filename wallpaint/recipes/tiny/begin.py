"""A work folder that goes on from a family as it was shipped, so that a stage may learn from new rooms."""

import json
from pathlib import Path

from wallpaint.recipes.tiny import sizes
from wallpaint.recipes.tiny.build import load_family
from wallpaint.recipes.tiny.h94 import adapter_parameters
from wallpaint.recipes.tiny.loop import begin_with


def begin(family: Path, work: Path) -> None:
    """Put a family's weights where the stages leave theirs; what a stage has begun already stays.

    The VAE keeps its encoder, so cached latents and the UNet stay valid; its latents are whitened already.
    """
    loaded = load_family(family)
    work.mkdir(parents=True, exist_ok=True)
    loaded.tokenizer.save_pretrained(work / "tokenizer")
    (work / "latents.json").write_text(
        json.dumps({"mean": [0.0] * sizes.LATENT_CHANNELS, "std": [1.0] * sizes.LATENT_CHANNELS})
    )
    begin_with(work, "vae", [loaded.vae])
    begin_with(work, "clip", [loaded.text_encoder, loaded.image_encoder])
    begin_with(work, "sam", [loaded.sam])
    begin_with(work, "dino", [loaded.dino])
    learned = {id(parameter) for parameter in adapter_parameters(loaded.unet)}
    begin_with(work, "base", [loaded.unet], lambda parameter: id(parameter) not in learned)
    begin_with(work, "adapter", [loaded.unet], lambda parameter: id(parameter) in learned)
