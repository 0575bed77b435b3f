"""Latents of the whole pool, encoded once by the frozen VAE and kept on disk for the UNet's stages."""

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch.nn import functional as F

from wallpaint.cache.references import MISREAD
from wallpaint.pixels.color import Swatch, bytes_to_linear, linear_to_bytes
from wallpaint.pixels.light import estimate_light
from wallpaint.pixels.mask_ops import to_mask
from wallpaint.recipes.rooms.develop import spread
from wallpaint.recipes.tiny.carry import build_vae
from wallpaint.recipes.tiny.data import Pool, View, chance, draw, to_signed
from wallpaint.recipes.tiny.loop import load_result

WALL_MASKS = 3  # masked variants a view whose mask covers the wall: they fit every repaint
VARIANTS = WALL_MASKS + 1  # and one with a random box, which fits the one picture it was cut from
AT_ONCE = 16  # views encoded together
MEASURED = 64  # views over which latents are whitened


@dataclass
class Latents:
    """A pool in latents, all whitened; `refresh` encodes what is new.

    V views with P pictures in all, M = VARIANTS masks a view; the tensors lie on the pool's device.
    """

    pool: Pool
    vae: AutoencoderKL
    path: Path
    known: dict[str, tuple] = field(default_factory=dict)  # by the view's name, as kept on disk
    pictures: torch.Tensor = field(init=False)  # (P, 4, 16, 16)
    first: torch.Tensor = field(init=False)  # (V,) where a view's pictures begin
    counts: torch.Tensor = field(init=False)  # (V,) how many it has
    masked: torch.Tensor = field(init=False)  # (V, M, 4, 16, 16), of pictures blanked with mask m
    masks: torch.Tensor = field(init=False)  # (V, M, 1, 16, 16), 1 = repaint
    source: torch.Tensor = field(init=False)  # (V,) the picture that the box variant (the last) was cut from
    repainted: torch.Tensor = field(init=False)  # (P, 4, 16, 16), each picture as the classical repaint guesses it

    def refresh(self) -> "Latents":
        """Encodes the views that are not there yet, saves, and lays all out in a row."""
        if not self.known and self.path.exists():
            self.known = torch.load(self.path, weights_only=True)
        missing = [view for view in self.pool.views if view.name not in self.known]
        drawn = spread(draw_view, (view.on_cpu() for view in missing), self.pool.workers)
        for start in range(0, len(missing), AT_ONCE):
            part = missing[start : start + AT_ONCE]
            encoded = encode_views(self.vae, part, [next(drawn) for _ in part])
            self.known.update(zip((view.name for view in part), encoded, strict=True))
        if missing:
            torch.save(self.known, self.path.with_suffix(".tmp"))
            self.path.with_suffix(".tmp").replace(self.path)
        pictures, masked, masks, source, repainted = zip(*(self.known[v.name] for v in self.pool.views), strict=True)
        device = self.pool.device
        self.counts = torch.tensor([len(p) for p in pictures])
        self.first, self.source = self.counts.cumsum(0) - self.counts, torch.tensor(source)
        self.pictures, self.repainted = torch.cat(pictures).to(device), torch.cat(repainted).to(device)
        self.masked, self.masks = torch.stack(masked).to(device), torch.stack(masks).to(device)
        return self


@dataclass(frozen=True)
class Drawn:
    """What a view is shown by beside its P pictures; it hangs on the view's name alone."""

    masks: torch.Tensor  # (VARIANTS, 1, R, R) bool, True = repaint
    sources: list[int]  # (VARIANTS,) the picture that each is cut from
    repainted: torch.Tensor  # (P, 3, R, R) uint8


def draw_view(view: View) -> Drawn:
    """Masks, and what the classical repaint makes of the wall: work for the CPU."""
    generator = torch.Generator().manual_seed(zlib.crc32(view.name.encode()))
    masks = torch.stack([random_mask(view.mask, generator, box=i >= WALL_MASKS) > 0.5 for i in range(VARIANTS)])
    sources = [draw(generator, len(view.pictures)) for _ in range(VARIANTS)]
    return Drawn(masks, sources, repaint_view(view, generator))


@torch.no_grad()
def encode_views(vae: AutoencoderKL, views: list[View], drawn: list[Drawn] | None = None) -> list[tuple]:
    """A view: (latents of its pictures, of VARIANTS blanked ones, their masks, the box's source, repainted ones).

    Blanked is grey 0, as the stock inpaint pipeline blanks.
    """
    drawn = [draw_view(view) for view in views] if drawn is None else drawn
    stacks = []
    for view, beside in zip(views, drawn, strict=True):
        pictures, device = to_signed(view.pictures), view.pictures.device
        blanked = pictures[beside.sources] * ~beside.masks.to(device)
        stacks.append(torch.cat([pictures, to_signed(beside.repainted.to(device)), blanked]))
    x = torch.cat(stacks).contiguous(memory_format=torch.channels_last)
    z = vae.encode(x).latent_dist.mean.cpu().contiguous()
    out = []
    for part, beside in zip(z.split([len(s) for s in stacks]), drawn, strict=True):
        coarse = F.max_pool2d(beside.masks.float(), beside.masks.shape[-1] // z.shape[-1])
        count = (len(part) - VARIANTS) // 2
        pictures, repainted, blanked = (p.clone() for p in part.split([count, count, VARIANTS]))
        out.append((pictures, blanked, coarse, beside.sources[-1], repainted))
    return out


def repaint_view(view: View, generator: torch.Generator) -> torch.Tensor:
    """Each picture of a view as the classical repaint makes it of another one: (P, 3, R, R) uint8.

    The light is misread by MISREAD: on rooms that it learned from it is read too well. A wall that is no plain paint
    is nobody's aim, and stays as it is.
    """
    rng = np.random.default_rng(draw(generator, 1 << 31))
    pictures, wall = view.pictures.cpu().permute(0, 2, 3, 1).numpy(), view.mask[0].numpy()
    out, mask = pictures.copy(), to_mask(wall)
    for number, color in enumerate(view.colors):
        if color is None or not wall.any():
            continue
        source = pictures[rng.choice([n for n in range(len(pictures)) if n != number] or [number])]
        light = estimate_light(Image.fromarray(source), mask)
        level, tint = MISREAD[0] * rng.standard_normal(), MISREAD[1] * rng.standard_normal(3) * (1, 0, 1)
        light = light.with_paint(light.paint * np.exp(level + tint).astype(np.float32))
        shown = linear_to_bytes(light.repaint(bytes_to_linear(source[wall]), Swatch(color).linear))
        out[number] = source
        out[number][wall] = shown
    return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous()


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


def measure_latents(vae: AutoencoderKL, pool: Pool) -> dict[str, list[float]]:
    """Mean and standard deviation of each latent channel over the pool."""
    chosen = [pool.views[i] for i in pool.groups[0][-MEASURED:]]
    with torch.no_grad():
        z = torch.cat([vae.encode(to_signed(v.pictures).to(vae.device)).latent_dist.mean for v in chosen])
    return {"mean": z.mean((0, 2, 3)).tolist(), "std": z.std((0, 2, 3)).tolist()}


def load_vae(work: Path, pool: Pool | None = None) -> AutoencoderKL:
    """The trained VAE, whitened, frozen; the statistics are measured once, when the encoder is frozen."""
    vae = build_vae()
    load_result(work, "vae", [vae])
    path = Path(work) / "latents.json"
    if not path.exists() and pool is not None:
        path.write_text(json.dumps(measure_latents(vae.eval(), pool)))
    if path.exists():
        figures = json.loads(path.read_text())
        whiten(vae, torch.tensor(figures["mean"]), torch.tensor(figures["std"]))
    vae = vae.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    return vae if pool is None else vae.to(pool.device)
