"""The plain loop: diffusers' train_text_to_image_lora.py, extended by mask, masked image and adapter tokens.

Every step runs the VAE twice, the text encoder and the image encoder, reads the loss twice, and takes what
the example takes: contiguous weights, autocast, a stock AdamW. What is changed from it is marked.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from diffusers.optimization import get_scheduler
from diffusers.training_utils import cast_training_params
from peft import LoraConfig
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from wallpaint.dataset.rows import Sample
from wallpaint.learned.denoiser import LORA_TARGETS
from wallpaint.models.bundle import Models
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import load_mask, load_photo


class Photos(Dataset):
    """A sample a row, read and transformed each time it is asked for."""

    def __init__(self, samples: list[Sample], models: Models):
        self.samples, self.models = samples, models
        size = models.family.resolution
        self.look = transforms.Compose(
            [
                transforms.Resize(size),
                transforms.CenterCrop(size),
                transforms.ToTensor(),
                transforms.Normalize([0.5], [0.5]),
            ]
        )
        self.look_mask = transforms.Compose(
            [
                transforms.Resize(size, transforms.InterpolationMode.NEAREST),
                transforms.CenterCrop(size),
                transforms.ToTensor(),
            ]
        )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        sample, models = self.samples[index], self.models
        photo = load_photo(sample.image)
        pixels, mask = self.look(photo), self.look_mask(load_mask(sample.mask, photo.size))
        swatch = Swatch(sample.color).image(models.image_encoder.config.image_size)
        words = models.tokenizer(
            sample.text,
            max_length=models.tokenizer.model_max_length,
            padding="max_length",
            truncation=True,
            return_tensors="pt",
        ).input_ids[0]
        return {
            "pixel_values": pixels,
            "masked_pixel_values": pixels * (mask < 0.5),
            "mask": mask,
            "input_ids": words,
            "reference": models.image_processor(swatch, return_tensors="pt").pixel_values[0],
        }


def plain_loop(
    models: Models, samples: list[Sample], batch: int, workers: int, checkpointing: bool
) -> Iterator[float]:
    """Train, and give the loss after every step."""
    accelerator = Accelerator(mixed_precision=models.runtime.mixed_precision, cpu=models.runtime.device.type == "cpu")
    dtype, unet, vae = models.runtime.weight_dtype, models.unet, models.vae
    for module in (vae, unet):
        module.to(dtype=dtype, memory_format=torch.contiguous_format)
    unet.encoder_hid_proj.image_projection_layers[0] = models.image_proj
    # The example's list of suffixes would wrap the adapter's Resampler as well.
    unet.add_adapter(
        LoraConfig(r=16, lora_alpha=16, init_lora_weights="gaussian", target_modules=LORA_TARGETS["attention"])
    )
    cast_training_params(unet, dtype=torch.float32)  # the example leaves them in bf16
    if checkpointing:
        unet.enable_gradient_checkpointing()
    unet.train()
    learned = [parameter for parameter in unet.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=1e-4, weight_decay=1e-2)
    loader: Any = DataLoader(
        Photos(samples, models),
        shuffle=True,
        batch_size=batch,
        num_workers=workers,
        drop_last=True,
        persistent_workers=workers > 0,
    )
    schedule = get_scheduler("constant", optimizer, num_warmup_steps=0, num_training_steps=10**6)
    unet, optimizer, loader, schedule = accelerator.prepare(unet, optimizer, loader, schedule)
    while True:
        for rows in loader:
            with accelerator.accumulate(unet):
                loss = plain_loss(models, unet, rows, dtype)
                average = accelerator.gather(loss.repeat(batch)).mean()
                train_loss = average.item()
                accelerator.backward(loss)
                accelerator.clip_grad_norm_(learned, 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
            accelerator.log({"train_loss": train_loss})
            yield loss.detach().item()


def plain_loss(models: Models, unet: Any, rows: dict[str, torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
    """One batch through every encoder and the UNet, as the example writes it."""
    vae, scheduler = models.vae, models.noise_scheduler
    with torch.no_grad():
        latents = vae.encode(rows["pixel_values"].to(dtype)).latent_dist.sample() * vae.config.scaling_factor
        masked = vae.encode(rows["masked_pixel_values"].to(dtype)).latent_dist.sample()
        masked = masked * vae.config.scaling_factor
        told, added = hear_text(models, rows["input_ids"], rows["pixel_values"].shape[-2:])
        seen = models.image_encoder(rows["reference"].to(dtype), output_hidden_states=True).hidden_states[-2]
    mask = F.interpolate(rows["mask"], size=latents.shape[-2:]).to(dtype)
    noise = torch.randn_like(latents)
    timesteps = torch.randint(0, scheduler.config.num_train_timesteps, (len(latents),), device=latents.device).long()
    noisy = scheduler.add_noise(latents, noise, timesteps)
    target = noise
    if scheduler.config.prediction_type == "v_prediction":
        target = scheduler.get_velocity(latents, noise, timesteps)
    prediction = unet(
        torch.cat([noisy, mask, masked], dim=1),
        timesteps,
        told,
        added_cond_kwargs={"image_embeds": [seen[:, None]], **added},
        return_dict=False,
    )[0]
    return F.mse_loss(prediction.float(), target.float(), reduction="mean")


def hear_text(models: Models, ids: torch.Tensor, size: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Words to hidden states and, for SDXL, to what else its example tells the UNet."""
    if models.text_encoder_2 is None:
        return models.text_encoder(ids, return_dict=False)[0], {}
    said = [e(ids, output_hidden_states=True) for e in (models.text_encoder, models.text_encoder_2)]
    sizes = torch.tensor([[*size, 0, 0, *size]] * len(ids), device=ids.device)
    told = torch.cat([heard.hidden_states[-2] for heard in said], dim=-1)
    return told, {"text_embeds": said[1].text_embeds, "time_ids": sizes}
