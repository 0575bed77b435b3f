"""Painter: one guided sampling loop over the same Denoiser, many arms in one batch.

An arm is what was learned: a LoRA, an adapter, both or nothing. At inference the adapter is active for every
arm, and all arms start from the same noise, so what differs between two pictures is what was learned.
"""

import contextlib
import difflib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import DDIMScheduler
from diffusers.utils.torch_utils import randn_tensor
from peft.tuners.lora import LoraLayer
from PIL import Image

from wallpaint.batches import Batch
from wallpaint.color import Swatch
from wallpaint.denoiser import Denoiser, Noised, painting_denoiser
from wallpaint.images import composite, model_size, to_image
from wallpaint.latents import decode_latents, encode_pictures, prepare_picture
from wallpaint.models import Models, encode_references, encode_text, set_ip_adapter_scale
from wallpaint.weights import adapter_state, load_adapter, load_arm

LORAS = Path(__file__).resolve().parent.parent / "assets" / "loras"
ARMS: dict[str, Path | None] = {  # the shipped ones; 'base' is the family with nothing learned on top
    "base": None,
    **{name: LORAS / name / "pytorch_lora_weights.safetensors" for name in ("old", "new", "color")},
}
BASE = "__base__"  # peft's name for a sample without a LoRA


def resolve_arms(arms: list[str]) -> dict[str, Path | None]:
    """Names and paths: 'new', or 'mine=workspace/runs/lora_ip-1'; order is kept.

    Raises:
        ValueError: a name that is not shipped and has no path, a name given twice, a file that is not there.
    """
    resolved: dict[str, Path | None] = {}
    for arm in arms:
        name, given, path = arm.partition("=")
        if not name or name in resolved:
            raise ValueError(
                f"arm {arm!r} has no name of its own among --arms: write NAME or NAME=PATH, each once"
            )
        if not given and name not in ARMS:
            near = difflib.get_close_matches(name, ARMS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose {', '.join(ARMS)}, or write {name}=PATH"
            raise ValueError(f"arm {name!r} does not exist among --arms: {hint}")
        found = Path(path) if given else ARMS[name]
        if found is not None and not found.exists():
            raise ValueError(f"arm {name} has no weights at {found}: train it, or give {name}=PATH")
        resolved[name] = found
    return resolved


class Painter:
    """Repaints walls with several arms at once.

    Args:
        models: a family; its UNet takes the arms' LoRAs in, and gives up any it had.
        arms: name -> run folder, weights folder or file; None for the family as it is.
        ip_adapter_scale: strength of the adapter, for every arm.

    Raises:
        ValueError: weights that are missing, broken or of another family.
    """

    def __init__(self, models: Models, arms: dict[str, Path | None], ip_adapter_scale: float = 1.0):
        self.models = models
        self.names = list(arms)
        self.seconds: dict[str, float] = {}
        if getattr(models.unet, "peft_config", None):
            models.unet.unload_lora()
        self._own_adapter = {"": adapter_state(models)}  # '' is the family's
        self._loras: dict[str, str] = {}
        for index, (name, path) in enumerate(arms.items()):
            lora, adapter = load_arm(models, path, f"arm{index}") if path else (None, None)
            self._loras[name] = lora or BASE
            if adapter is not None:
                self._own_adapter[name] = adapter
        set_ip_adapter_scale(models.unet, ip_adapter_scale)
        models.unet.eval()

    def paint(
        self, photo: Image.Image, mask: Image.Image, swatch: Swatch, prompt: str, seed: int = 0,
        num_inference_steps: int | None = None, guidance_scale: float | None = None,
    ) -> dict[str, Image.Image]:  # fmt: skip
        """Repaint the wall with every arm.

        Args:
            photo: RGB.
            mask: 'L', 255 = repaint, of the photo's size.
            swatch: the paint.
            prompt: what the picture shows.
            seed: of the noise, drawn on the CPU and the same for every arm.
            num_inference_steps: None takes the family's.
            guidance_scale: 1 switches guidance off, None takes the family's.

        Returns:
            a picture an arm at the photo's own size; outside the mask it is the photo, byte for byte.
        """
        painted: dict[str, Image.Image] = {}
        # Adapter weights cannot differ inside a batch, so an arm with its own adapter is a batch of its own.
        for owner, adapter in self._own_adapter.items():
            members = [n for n in self.names if (n if n in self._own_adapter else "") == owner]
            if not members:
                continue
            if owner:
                load_adapter(self.models, adapter, f"the adapter of arm {owner}")
            start = time.perf_counter()
            pictures = paint_wall(
                self.models, painting_denoiser(self.models), photo, mask, swatch, prompt,
                [self._loras[n] for n in members], seed, num_inference_steps, guidance_scale,
            )  # fmt: skip
            painted |= {
                n: composite(photo, picture, mask) for n, picture in zip(members, pictures, strict=True)
            }
            share = (time.perf_counter() - start) / len(members)
            self.seconds |= dict.fromkeys(members, share)
        if len(self._own_adapter) > 1:
            load_adapter(self.models, self._own_adapter[""])
        return {name: painted[name] for name in self.names}


def paint_wall(
    models: Models, denoiser: Denoiser, photo: Image.Image, mask: Image.Image, swatch: Swatch, prompt: str,
    loras: list[str] | None = None, seed: int = 0, num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
) -> list[Image.Image]:  # fmt: skip
    """Paint one wall with each of `loras` (None: once, with what is active), at working size."""
    family, count = models.family, len(loras or [""])
    batch, noise = prepare_painting(models, photo, mask, swatch, prompt, seed)
    negative = replace(
        batch, prompt_embeds=encode_text(models, [""]), image_embeds=_tokens(models, [None])
    )  # the reference's null is the encoder's word for zero pixels
    guidance = family.guidance_scale if guidance_scale is None else guidance_scale
    steps = family.num_inference_steps if num_inference_steps is None else num_inference_steps
    with torch.no_grad(), lora_batch(models.unet, loras * 2) if loras else contextlib.nullcontext():
        latents = denoise(
            denoiser, _repeat(batch, count), _repeat(negative, count), noise.repeat(count, 1, 1, 1),
            models.noise_scheduler, steps, guidance,
        )  # fmt: skip
        return [to_image(decode_latents(models, latent[None]).clamp(0, 1)) for latent in latents]


def prepare_painting(
    models: Models, photo: Image.Image, mask: Image.Image, swatch: Swatch, prompt: str, seed: int
) -> tuple[Batch, torch.Tensor]:
    """The inputs of one repaint as a batch of 1, and its noise (1, 4, h, w).

    The generator draws the noise first and then the masked picture's latents, as the stock pipeline does.
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
        _tokens(models, [swatch.image(models.image_encoder.config.image_size)]),
    )  # fmt: skip
    return batch.to(models.runtime.device), noise.to(models.runtime.device)


def denoise(
    denoiser: Denoiser, batch: Batch, negative: Batch, noise: torch.Tensor, scheduler: DDIMScheduler,
    num_inference_steps: int, guidance_scale: float,
) -> torch.Tensor:  # fmt: skip
    """The guided sampling loop: noise (B, 4, h, w) to latents; `negative` is what guidance leads away from.

    Batches go through the UNet as [negative, positive], each a B of its own.
    """
    scheduler = DDIMScheduler.from_config(scheduler.config)
    scheduler.set_timesteps(num_inference_steps)
    both = _join(negative, batch)
    latents = noise * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        timesteps = torch.full((2 * len(latents),), int(t), device=latents.device)
        noise_pred = denoiser(Noised(torch.cat([latents, latents]), timesteps), both)
        away, toward = noise_pred.chunk(2)
        latents = scheduler.step(away + guidance_scale * (toward - away), t, latents).prev_sample
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


def _tokens(models: Models, images: list[Image.Image | None]) -> torch.Tensor:
    with torch.no_grad():
        states = encode_references(models, images)
        return models.image_proj(states.to(next(models.image_proj.parameters()).dtype))


def _repeat(batch: Batch, count: int) -> Batch:
    return _map(lambda tensor: tensor.repeat(count, *[1] * (tensor.ndim - 1)), batch)


def _join(first: Batch, second: Batch) -> Batch:
    return _map(lambda a, b: torch.cat([a, b]), first, second)


def _map(function, *batches: Batch) -> Batch:
    return Batch(*[function(*tensors) for tensors in zip(*(vars(b).values() for b in batches), strict=True)])
