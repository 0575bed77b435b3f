"""Stage `vae`: learn the detail that the colour-carrying start lacks."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch.nn import functional as F

from wallpaint.pixels import color
from wallpaint.recipes.tiny.carry import build_vae
from wallpaint.recipes.tiny.data import Pool, chance, draw, to_signed
from wallpaint.recipes.tiny.loop import Fit, fit

CROP = 64
# A hand-wired start is upset by more than 5e-5 (hundreds of inputs move each output the same way) and takes
# thousands of steps to recover, which a GPU has.
RATE = {"cpu": 5e-5, "cuda": 2e-4}
BATCH = {"cpu": 8, "cuda": 64}
MEASURED = 3  # pictures a view
NOISE = 0.02  # on the latents while training, so that near latents stay near pictures
COLOUR_WEIGHTS = torch.tensor([1.0, 4.0, 4.0]).view(1, 3, 1, 1)  # lightness is learnt by itself, colour is not


def train_vae(pool: Pool, work: Path, minutes: float) -> AutoencoderKL:
    """Encoder and decoder together, on crops."""
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32 = False  # the carried colours are read to more digits
    vae = build_vae().to(memory_format=torch.channels_last).to(pool.device).train()
    vae.quant_conv.requires_grad_(False)  # mixing would let the variances drift

    def step(generator: torch.Generator) -> dict[str, torch.Tensor]:
        pool.look_again(every=200)
        return vae_losses(vae, random_crops(pool, generator), generator)

    held_out = pool.only_held_out(8)
    fit(
        "vae",
        [vae],
        step,
        Fit(minutes, RATE[pool.device], weight_decay=0.0, warmup_steps=20, ema=0.98),
        work,
        lambda: round_trip_figures(vae, held_out),
    )
    return vae.eval()


def random_crops(pool: Pool, generator: torch.Generator, batch: int | None = None) -> torch.Tensor:
    """(batch, 3, CROP, CROP) in [-1, 1]: any repaint of any view, anywhere, flipped or not."""
    crops = []
    for _ in range(batch or BATCH[pool.device]):
        picture = random_picture(pool, generator)
        top, left = (draw(generator, picture.shape[-1] - CROP + 1) for _ in range(2))
        picture = picture[:, top : top + CROP, left : left + CROP]
        crops.append(picture.flip(-1) if chance(generator) < 0.5 else picture)
    return to_signed(torch.stack(crops))


def random_picture(pool: Pool, generator: torch.Generator) -> torch.Tensor:
    """(3, R, R) uint8: any repaint of any view."""
    pictures = pool.views[pool.pick(generator)].pictures
    return pictures[draw(generator, len(pictures))]


def vae_losses(vae: AutoencoderKL, x: torch.Tensor, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Weighted terms for x (B, 3, H, W) in [-1, 1]."""
    z = vae.encode(x).latent_dist.mean  # the variance stays as it was set: trained, it drowns the fourth channel
    noise = torch.randn(z.shape, generator=generator).to(z.device)
    error = vae.decode(z + NOISE * noise).sample - x
    return {
        "l1": error.abs().mean(),
        "mse": error.square().mean(),
        "colour": 0.5 * colour_error(error),
        "edges": 0.5 * (error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()),
        "size": 1e-4 * z.square().mean(),
    }


def colour_error(error: torch.Tensor) -> torch.Tensor:
    """Mean absolute error of 8 x 8 block means in opponent channels, lightness : colour = 1 : 4."""
    red, green, blue = error.unbind(1)
    opponent = torch.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue], 1)
    return (F.avg_pool2d(opponent, 8).abs() * COLOUR_WEIGHTS.to(error.device)).mean()


def round_trip(vae: AutoencoderKL, pictures: torch.Tensor) -> torch.Tensor:
    """uint8 (B, 3, R, R) -> the same after encode and decode."""
    with torch.no_grad():
        out = vae.decode(vae.encode(to_signed(pictures)).latent_dist.mean).sample
    return ((out.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def delta_e(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """CIEDE2000 of two uint8 batches (B, 3, H, W) -> (B, H, W)."""
    first, second = (color.rgb_to_lab(x.permute(0, 2, 3, 1).numpy() / 255) for x in (first, second))
    return torch.from_numpy(color.delta_e(first, second))


def round_trip_figures(vae: AutoencoderKL, pool: Pool) -> dict[str, float]:
    """PSNR (dB) over the pictures and mean CIEDE2000 over the walls of held-out rooms."""
    views = pool.views
    if not views:
        return {}
    pictures = torch.cat([view.pictures[:MEASURED] for view in views]).cpu()
    masks = torch.cat([view.mask.repeat(len(view.pictures[:MEASURED]), 1, 1) for view in views])
    out = torch.cat([round_trip(vae, part.to(vae.device)).cpu() for part in pictures.split(8)])
    mse = (out.float() - pictures.float()).square().mean((1, 2, 3))
    psnr = (10 * torch.log10(255**2 / mse)).mean()
    return {"psnr": float(psnr), "wall_delta_e": float(delta_e(out, pictures)[masks].mean())}
