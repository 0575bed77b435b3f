"""One guided sampling loop over the Denoiser that trained: photo, mask and swatch to a painted wall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from diffusers import DDIMScheduler
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image

from wallpaint.cache.batches import Batch
from wallpaint.cache.mapped import Rows
from wallpaint.cache.references import detail_map
from wallpaint.errors import UserError
from wallpaint.learned.denoiser import Denoiser, Noised
from wallpaint.models.bundle import Models
from wallpaint.models.encoders import encode_images, encode_text, reference_side
from wallpaint.models.field import estimate_field
from wallpaint.models.latents import (
    ENCODED_PIXELS,
    decode_latents,
    encode_pictures,
    prepare_picture,
    repaint_wall,
    shrink_mask,
)
from wallpaint.paint.encodings import EncodingCache
from wallpaint.paint.lora_batch import lora_batch, lora_layers
from wallpaint.paint.settings import OnStep, SamplingSettings
from wallpaint.pixels.images import model_size, to_image
from wallpaint.pixels.recolor import Coat, Laying, gains_between, repaint_each

# A painting that started from the classical repaint and that repaint err in different ways, so the middle between them
# errs less than either (docs/results.md).
SHOWN_SHARE = 0.5


def paint_wall(
    models: Models,
    denoiser: Denoiser,
    coat: Coat,
    settings: SamplingSettings,
    loras: list[str] | None = None,
    on_step: OnStep | None = None,
    encodings: EncodingCache | None = None,
    names: Sequence[str] = (),
) -> list[Image.Image]:
    """Paint one wall with each of `loras` (None: once, with what is active), at working size.

    `encodings` serves the next painting too; the models may not change meanwhile. `names` are the arms', by which one
    that gives no picture is refused.

    Raises:
        UserError: an arm's numbers grew beyond all bounds, as with weights too strong for half precision.
    """
    family, count, encodings = models.family, len(loras or [""]), encodings or EncodingCache()
    guidance = family.guidance_scale if settings.guidance_scale is None else settings.guidance_scale
    steps = settings.num_inference_steps or family.num_inference_steps
    batch, noise = prepare_painting(models, denoiser, coat, settings, encodings)

    def repeat(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.repeat(count, *[1] * (tensor.ndim - 1))

    negative, passes = None, 1
    if guidance != 1:  # at 1 what guidance leads away from has no weight
        negative, passes = _without_conditions(models, batch, denoiser.reads, encodings).map(repeat), 2
    layers = encodings(("layers",), lambda: lora_layers(models.unet)) if loras else []
    with torch.no_grad(), lora_batch(layers, (loras or []) * passes):
        latents = denoise(
            denoiser, batch.map(repeat), negative, repeat(noise), models.noise_scheduler, steps, guidance, on_step
        )
        few = latents.split(max(1, ENCODED_PIXELS // (latents[0, 0].numel() * models.latent_factor**2)))
        pictures = [picture for part in few for picture in decode_latents(models, part).clamp(0, 1)]
    if lost := [name for name, picture in zip(names, pictures, strict=False) if picture.isnan().any()]:
        raise UserError(f"arm {lost[0]} gives no picture, its numbers grow beyond all bounds: give other weights")
    return [to_image(picture) for picture in pictures]


def _without_conditions(models: Models, batch: Batch, reads: str, encodings: EncodingCache) -> Batch:
    """The same painting with no text and no reference: what guidance leads away from."""
    null = encodings((reads, None), lambda: encode_images(models, reads, [None]))
    return replace(
        batch,
        **encodings(("text", models.no_text), lambda: encode_text(models, [models.no_text])),
        has_reference=torch.zeros_like(batch.has_reference),
        image_embeds=null.to(batch.image_embeds),
    )


def lay_painted(models: Models, coat: Coat, painted: list[Image.Image], shown: str = "") -> list[Image.Image]:
    """Lay painted pictures of one wall, all of one size, over its photo: each at the photo's own size."""
    return repaint_each(coat, find_layings(models, coat, painted, shown=shown))


def find_layings(
    models: Models, coat: Coat, painted: list[Image.Image], encodings: EncodingCache | None = None, shown: str = ""
) -> list[Laying]:
    """What lays painted pictures of one wall, all of one size, over its photo, see `repaint_each`.

    A VAE keeps little that is finer than a latent. So the wall is the classical repaint of `models.field` at full
    size, times what the painting has over it where both have been through the VAE, see `gains_between`: texture
    and contrast are the photo's, level and tint and their slow change the painting's. Of one that was `shown` the
    repaint (Method.shown) only SHOWN_SHARE counts.
    """
    size, known = painted[0].size, encodings or EncodingCache()

    def encode_guess() -> tuple[Image.Image, np.ndarray]:
        mean, _ = _encode_repainted(models, coat, size, known, "field")
        field, _ = estimate_field(coat)
        return to_image(decode_latents(models, mean).clamp(0, 1).detach()), field

    (guess, own), wall = known(("guess", size, *coat.key), encode_guess), shrink_mask(coat.mask, size)
    share = np.float32(SHOWN_SHARE if shown else 1)
    return [Laying(own, share * gains_between(picture, guess, wall)) for picture in painted]


def vae_round_trip(models: Models, truth: Image.Image, coat: Coat) -> Image.Image:
    """Encode and decode the truth at the arms' working size, laid over the photo as theirs are: their floor."""
    family = models.family
    size = model_size(truth.size, family.resolution, family.multiple)
    picture = prepare_picture(truth, coat.mask, size, family.mask_growth, models.latent_factor)
    mean, _ = encode_pictures(models, picture["image"])
    again = to_image(decode_latents(models, mean).clamp(0, 1).detach())
    return lay_painted(models, coat, [again])[0]


def _encode_repainted(
    models: Models, coat: Coat, size: tuple[int, int], encodings: EncodingCache, shown: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of the latents of the classical repaint at working size."""
    return encodings((shown, size, *coat.key), lambda: encode_pictures(models, repaint_wall(coat, size, shown=shown)))


def prepare_painting(
    models: Models, denoiser: Denoiser, coat: Coat, settings: SamplingSettings, encodings: EncodingCache
) -> tuple[Batch, torch.Tensor]:
    """The inputs of one repaint as a batch of 1, and its noise (1, 4, h, w).

    The generator draws the noise first and then the masked picture's latents, as the stock pipeline does.
    Whatever a method learned from, here its reference is a plain picture of the paint, by the same encoder,
    and the texture is the photo's own. Where the denoiser is `shown` something (Method.shown) the masked picture is
    not blanked but repainted classically.
    """
    family, reads, prompt = models.family, denoiser.reads, settings.prompt or ""
    size = model_size(coat.photo.size, family.resolution, family.multiple)

    def encode_photo() -> tuple[Rows, torch.Tensor, torch.Tensor, torch.Tensor]:
        picture = prepare_picture(coat.photo, coat.mask, size, family.mask_growth, models.latent_factor)
        detail = detail_map(picture["image"] / 2 + 0.5, picture["wall"], family.mask_growth)
        return picture, detail, *encode_pictures(models, picture["masked_image"])

    def encode_reference() -> torch.Tensor:
        return encode_images(models, reads, [coat.swatch.image(reference_side(models, reads))])

    picture, detail, mean, std = encodings(("photo", size, *coat.key[:2]), encode_photo)
    if denoiser.shown:
        mean, std = _encode_repainted(models, coat, size, encodings, denoiser.shown)
    generator = torch.Generator().manual_seed(settings.seed)
    shape = (1, models.vae.config.latent_channels, *picture["mask"].shape[-2:])
    noise = torch.randn(shape, generator=generator)
    masked = mean + std * randn_tensor(mean.shape, generator=generator, device=mean.device)
    batch = Batch(
        noise,
        masked,
        picture["mask"],
        picture["wall"],
        torch.tensor([coat.swatch.rgb]) / 255,
        image_embeds=encodings((reads, coat.swatch.rgb), encode_reference),
        has_reference=torch.ones(1, dtype=torch.bool),
        detail=detail,
        **encodings(("text", prompt), lambda: encode_text(models, [prompt])),
    )
    return batch.to(models.runtime.device), noise.to(models.runtime.device)


def denoise(
    denoiser: Denoiser,
    batch: Batch,
    negative: Batch | None,
    noise: torch.Tensor,
    scheduler: DDIMScheduler,
    num_inference_steps: int,
    guidance_scale: float,
    on_step: OnStep | None = None,
) -> torch.Tensor:
    """The guided sampling loop: noise (B, 4, h, w) to latents.

    `negative` is what guidance leads away from, and goes through the UNet first in one batch with the rest;
    None: no guidance.
    """
    scheduler = DDIMScheduler.from_config(scheduler.config)
    scheduler.set_timesteps(num_inference_steps)
    inputs = batch if negative is None else negative.map(lambda a, b: torch.cat([a, b]), batch)
    passes = 1 if negative is None else 2
    latents = noise * scheduler.init_noise_sigma
    for done, t in enumerate(scheduler.timesteps, start=1):
        timesteps = torch.full((passes * len(latents),), int(t), device=latents.device)
        noise_pred = denoiser(Noised(latents.repeat(passes, 1, 1, 1), timesteps), inputs)
        if negative is not None:
            unconditional, conditional = noise_pred.chunk(2)
            noise_pred = unconditional + guidance_scale * (conditional - unconditional)
        latents = scheduler.step(noise_pred, t, latents).prev_sample
        if on_step:
            on_step(done / len(scheduler.timesteps))
    return latents
