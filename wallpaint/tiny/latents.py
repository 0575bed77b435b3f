"""Latents of the whole pool, encoded once by the frozen VAE and kept on disk for the UNet's stages."""

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch.nn import functional as F

from wallpaint.tiny.carry import build_vae
from wallpaint.tiny.data import Pool, View, chance, draw, to_signed
from wallpaint.tiny.loop import load_result

WALL_MASKS = 3  # masked variants a view whose mask covers the wall: they fit every repaint
VARIANTS = WALL_MASKS + 1  # and one with a random box, which fits the one picture it was cut from


@dataclass(frozen=True)
class Encoded:
    """One view in latents, all whitened; P pictures, M = VARIANTS masks."""

    pictures: torch.Tensor  # (P, 4, 16, 16)
    masked: torch.Tensor  # (M, 4, 16, 16), of pictures blanked with mask m
    masks: torch.Tensor  # (M, 1, 16, 16), 1 = repaint
    source: int  # the picture that the box variant (the last) was cut from


@dataclass
class Latents:
    """`Encoded` for each view of a pool, in the pool's order; `refresh` encodes what is new."""

    pool: Pool
    vae: AutoencoderKL
    path: Path
    views: list[Encoded] = field(default_factory=list)
    known: dict[str, tuple] = field(default_factory=dict)  # by the view's name, as kept on disk

    def refresh(self) -> "Latents":
        """Encodes the views that are not there yet, and saves."""
        if not self.known and self.path.exists():
            self.known = torch.load(self.path, weights_only=True)
        before = len(self.known)
        for view in self.pool.views[len(self.views) :]:
            if view.name not in self.known:
                seed = zlib.crc32(view.name.encode())
                encoded = encode_view(self.vae, view, torch.Generator().manual_seed(seed))
                self.known[view.name] = (encoded.pictures, encoded.masked, encoded.masks, encoded.source)
            self.views.append(Encoded(*self.known[view.name]))
        if len(self.known) > before:
            torch.save(self.known, self.path.with_suffix(".tmp"))
            self.path.with_suffix(".tmp").replace(self.path)
        return self


def encode_view(vae: AutoencoderKL, view: View, generator: torch.Generator) -> Encoded:
    """All pictures of a view, and VARIANTS of them blanked (grey 0, as the stock inpaint pipeline blanks)."""
    pictures, masks, sources = to_signed(view.pictures), [], []
    for index in range(VARIANTS):
        masks.append(random_mask(view.mask, generator, box=index >= WALL_MASKS))
        sources.append(draw(generator, len(pictures)))
    mask = torch.stack(masks)
    blanked = pictures[sources] * (mask < 0.5)
    with torch.no_grad():
        z = vae.encode(
            torch.cat([pictures, blanked]).contiguous(memory_format=torch.channels_last)
        ).latent_dist.mean
    coarse = F.max_pool2d(mask, mask.shape[-1] // z.shape[-1])
    return Encoded(z[: len(pictures)].clone(), z[len(pictures) :].clone(), coarse, sources[-1])


def random_mask(wall: torch.Tensor, generator: torch.Generator, box: bool) -> torch.Tensor:
    """(1, R, R) float, 1 = repaint: the wall, often grown by a few pixels, or a random box or ellipse."""
    if not box:
        grow = draw(generator, 4)  # 0 to 3 pixels
        return F.max_pool2d(wall.float()[None], 2 * grow + 1, 1, grow)[0]
    size = wall.shape[-1]
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    cy, cx = (size * (0.2 + 0.6 * chance(generator)) for _ in range(2))
    ry, rx = (size * (0.1 + 0.3 * chance(generator)) for _ in range(2))
    dy, dx = ((y - cy) / ry).abs(), ((x - cx) / rx).abs()
    inside = (dy * dy + dx * dx < 1) if chance(generator) < 0.5 else (dy < 1) & (dx < 1)
    return inside[None].float()


def whiten(vae: AutoencoderKL, mean: torch.Tensor, std: torch.Tensor) -> AutoencoderKL:
    """Folds (z - mean) / std into quant_conv, its inverse into post_quant_conv: scaling_factor then is 1."""
    half = len(mean)
    with torch.no_grad():
        into, back = vae.quant_conv, vae.post_quant_conv
        into.weight[:half] /= std.view(-1, 1, 1, 1)
        into.bias[:half] = (into.bias[:half] - mean) / std
        into.bias[half:] -= 2 * std.log()  # the second half is log variance
        back.bias += back.weight[:, :, 0, 0] @ mean
        back.weight *= std.view(1, -1, 1, 1)
    return vae


def measure_latents(vae: AutoencoderKL, pool: Pool, views: int = 64) -> dict[str, list[float]]:
    """Mean and standard deviation of each latent channel over the pool."""
    chosen = [pool.views[i] for i in pool.groups[0][-views:]]
    with torch.no_grad():
        z = torch.cat([vae.encode(to_signed(v.pictures)).latent_dist.mean for v in chosen])
    return {"mean": z.mean((0, 2, 3)).tolist(), "std": z.std((0, 2, 3)).tolist()}


def load_vae(work: Path, pool: Pool | None = None) -> AutoencoderKL:
    """The trained VAE, whitened, frozen; the statistics are measured once, when the encoder is frozen."""
    vae = build_vae()
    load_result(work, "vae", [vae])
    path = Path(work) / "latents.json"
    if not path.exists() and pool is not None:
        path.write_text(json.dumps(measure_latents(vae.eval(), pool)))
    load_result(work, "decoder", [vae])
    if path.exists():
        figures = json.loads(path.read_text())
        whiten(vae, torch.tensor(figures["mean"]), torch.tensor(figures["std"]))
    return vae.eval().requires_grad_(False).to(memory_format=torch.channels_last)
