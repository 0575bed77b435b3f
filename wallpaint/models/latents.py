"""Pictures to latents and back, and how a photo and its mask are laid out for it."""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from wallpaint.models.bundle import Models
from wallpaint.models.field import guess_gains
from wallpaint.pixels.images import to_tensor
from wallpaint.pixels.mask_ops import two_valued
from wallpaint.pixels.recolor import Coat, recolor

ENCODED_PIXELS = 2 * 512**2  # at a time by the VAE: they take 2 GB in float32 (bench_memory), and more are no faster


def prepare_picture(
    photo: Image.Image, mask: Image.Image, size: tuple[int, int], growth: int, factor: int
) -> dict[str, torch.Tensor]:
    """A photo and its mask as the encoders take them, at a size (width, height), for training and painting alike.

    The mask grows by `growth` pixels of that size before the old wall is blanked; a latent is `factor` pixels a side.

    Returns:
        `image` and `masked_image` (1, 3, H, W) in -1 to 1 (blank is 0, as the stock inpainting pipeline
        blanks), `wall` (1, 1, H, W) and `mask` (1, 1, h, w), 0 or 1. The mask goes to latents by maximum,
        never by average.
    """
    image = to_tensor(photo.resize(size, Image.Resampling.LANCZOS)) * 2 - 1
    return {"image": image, **blank_wall(image, to_tensor(shrink_mask(mask, size)), growth, factor)}


def shrink_mask(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A mask at another size, 0 or 255: what is mostly wall; of a wall thinner than a pixel, all that has any."""
    share = mask.resize(size, Image.Resampling.BOX)
    most = two_valued(share)
    return most if most.getbbox() else share.point(lambda value: 255 * (value > 0))


def repaint_wall(
    coat: Coat, size: tuple[int, int], misread: np.ndarray | float = 0.0, shown: str = "recolor"
) -> torch.Tensor:
    """A photo with its wall repainted classically, in place of a blank, at `size`: (1, 3, H, W) in -1 to 1.

    `misread`, (3,), is the log of how wrongly the old paint is read, for training; `shown` tells which classical
    repaint, see Method.shown.
    """
    photo = coat.photo.resize(size, Image.Resampling.LANCZOS)
    coat = replace(coat, photo=photo, mask=shrink_mask(coat.mask, size))
    coat = coat.in_light(coat.light.with_paint(coat.light.paint * np.exp(misread, dtype=np.float32)))
    return to_tensor(recolor(coat, guess_gains(shown, coat))) * 2 - 1


def blank_wall(image: torch.Tensor, wall: torch.Tensor, growth: int, factor: int) -> dict[str, torch.Tensor]:
    """What stands in place of a wall (1, 1, H, W) in a picture (1, 3, H, W), see `prepare_picture`."""
    reach = 2 * growth + 1  # a square's maximum is that of its rows' maxima
    grown = F.max_pool2d(F.max_pool2d(wall, (1, reach), 1, (0, growth)), (reach, 1), 1, (growth, 0))
    return {"masked_image": image * (grown < 0.5), "wall": wall, "mask": F.max_pool2d(grown, factor)}


def encode_pictures(models: Models, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (B, 3, H, W) in -1 to 1 to the scaled mean and deviation of their latents (B, 4, h, w)."""
    shift, scale = models.vae.config.shift_factor or 0.0, models.vae.config.scaling_factor
    batches = pictures.split(max(1, ENCODED_PIXELS // pictures[0, 0].numel()))
    with torch.no_grad():
        posteriors = [models.vae.encode(batch.to(models.runtime.device)).latent_dist for batch in batches]
    mean, std = torch.cat([p.mean for p in posteriors]), torch.cat([p.std for p in posteriors])
    return (mean - shift) * scale, std * scale


def decode_latents(models: Models, latents: torch.Tensor) -> torch.Tensor:
    """Scaled latents (B, 4, h, w) to pictures (B, 3, H, W), about 0 to 1 and not clamped, with gradient."""
    shift, scale = models.vae.config.shift_factor or 0.0, models.vae.config.scaling_factor
    return models.vae.decode(latents.float() / scale + shift).sample / 2 + 0.5
