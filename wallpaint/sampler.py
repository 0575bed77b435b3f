"""One guided sampling loop over the Denoiser that trained: photo, mask and swatch to a painted wall."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from diffusers import DDIMScheduler
from diffusers.utils.torch_utils import randn_tensor
from peft.tuners.lora import LoraLayer
from PIL import Image

from wallpaint.batches import Batch
from wallpaint.color import Swatch
from wallpaint.denoiser import Denoiser, Noised
from wallpaint.encoders import encode_images, reference_side
from wallpaint.images import composite, model_size, to_image
from wallpaint.latents import decode_latents, encode_pictures, prepare_picture
from wallpaint.models import Models, encode_text
from wallpaint.references import detail_map

OnStep = Callable[[float], None]


def paint_wall(
    models: Models, denoiser: Denoiser, photo: Image.Image, mask: Image.Image, swatch: Swatch, prompt: str,
    loras: list[str] | None = None, seed: int = 0, num_inference_steps: int | None = None,
    guidance_scale: float | None = None, on_step: OnStep | None = None,
) -> list[Image.Image]:  # fmt: skip
    """Paint one wall with each of `loras` (None: once, with what is active), at working size."""
    family, count = models.family, len(loras or [""])
    batch, noise = prepare_painting(models, photo, mask, swatch, prompt, seed, denoiser.reads)
    negative = replace(
        batch, prompt_embeds=encode_text(models, [""]), heard=torch.zeros_like(batch.heard),
        image_embeds=encode_images(models, denoiser.reads, [None]).to(batch.image_embeds),
    )  # fmt: skip

    def repeat(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.repeat(count, *[1] * (tensor.ndim - 1))

    guidance = family.guidance_scale if guidance_scale is None else guidance_scale
    steps = family.num_inference_steps if num_inference_steps is None else num_inference_steps
    with torch.no_grad(), lora_batch(models.unet, loras * 2) if loras else contextlib.nullcontext():
        latents = denoise(
            denoiser, batch.map(repeat), negative.map(repeat), repeat(noise),
            models.noise_scheduler, steps, guidance, on_step,
        )  # fmt: skip
        return [to_image(decode_latents(models, latent[None]).clamp(0, 1)) for latent in latents]


def vae_round_trip(models: Models, truth: Image.Image, photo: Image.Image, mask: Image.Image) -> Image.Image:
    """Encode and decode the truth at the arms' working size, composited as theirs are: their floor."""
    family = models.family
    size = model_size(truth.size, family.resolution, family.multiple)
    picture = prepare_picture(truth, mask, size, family.mask_growth, models.latent_factor)
    mean, _ = encode_pictures(models, picture["image"])
    return composite(photo, to_image(decode_latents(models, mean).detach()), mask)


def prepare_painting(
    models: Models, photo: Image.Image, mask: Image.Image, swatch: Swatch, prompt: str, seed: int,
    reads: str = "tokens",
) -> tuple[Batch, torch.Tensor]:  # fmt: skip
    """The inputs of one repaint as a batch of 1, and its noise (1, 4, h, w).

    The generator draws the noise first and then the masked picture's latents, as the stock pipeline does.
    Whatever a method learned from, here its reference is a plain picture of the paint, by the same encoder,
    and the texture is the photo's own.
    """
    family = models.family
    size = model_size(photo.size, family.resolution, family.multiple)
    picture = prepare_picture(photo, mask, size, family.mask_growth, models.latent_factor)
    generator = torch.Generator().manual_seed(seed)
    shape = (1, models.vae.config.latent_channels, *picture["mask"].shape[-2:])
    noise = torch.randn(shape, generator=generator)
    mean, std = encode_pictures(models, picture["masked_image"])
    masked = mean + std * randn_tensor(mean.shape, generator=generator, device=mean.device)
    color = torch.tensor([swatch.rgb]) / 255
    batch = Batch(
        noise, masked, picture["mask"], picture["wall"], color, encode_text(models, [prompt]),
        encode_images(models, reads, [swatch.image(reference_side(models, reads))]),
        heard=torch.ones(1, dtype=torch.bool),
        detail=detail_map(picture["image"] / 2 + 0.5, picture["wall"], family.mask_growth),
    )  # fmt: skip
    return batch.to(models.runtime.device), noise.to(models.runtime.device)


def denoise(
    denoiser: Denoiser, batch: Batch, negative: Batch, noise: torch.Tensor, scheduler: DDIMScheduler,
    num_inference_steps: int, guidance_scale: float, on_step: OnStep | None = None,
) -> torch.Tensor:  # fmt: skip
    """The guided sampling loop: noise (B, 4, h, w) to latents; `negative` is what guidance leads away from.

    Batches go through the UNet as [negative, positive], each a B of its own.
    """
    scheduler = DDIMScheduler.from_config(scheduler.config)
    scheduler.set_timesteps(num_inference_steps)
    both = negative.map(lambda a, b: torch.cat([a, b]), batch)
    latents = noise * scheduler.init_noise_sigma
    for done, t in enumerate(scheduler.timesteps, start=1):
        timesteps = torch.full((2 * len(latents),), int(t), device=latents.device)
        noise_pred = denoiser(Noised(torch.cat([latents, latents]), timesteps), both)
        away, toward = noise_pred.chunk(2)
        latents = scheduler.step(away + guidance_scale * (toward - away), t, latents).prev_sample
        if on_step:
            on_step(done / len(scheduler.timesteps))
    return latents


@contextlib.contextmanager
def lora_batch(unet: torch.nn.Module, names: list[str]) -> Iterator[None]:
    """Give each sample of a batch its own LoRA ('__base__' for none).

    diffusers' UNet refuses peft's `adapter_names`, so a hook on every LoRA layer says it. It is exact.
    """

    def tell(module: torch.nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        return args, {**kwargs, "adapter_names": names}

    layers = [module for module in unet.modules() if isinstance(module, LoraLayer)]
    hooks = [layer.register_forward_pre_hook(tell, with_kwargs=True) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
