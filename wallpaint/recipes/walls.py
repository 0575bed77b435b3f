"""Teach the network that finds walls from rooms whose walls are known, and say how well it does on others.

python -m wallpaint.recipes.walls --pool DIR --held DIR --minutes 20 [--device cuda] [--batch 256]
python -m wallpaint.recipes.walls --measure assets/rooms/test [DIR ...] [--finder sam]

A pool is a folder that `wallpaint.recipes.rooms --develop` wrote. All its photographs and repaints lie on the device,
and each step cuts, lights, patterns, clutters and photographs a batch of them anew there.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from wallpaint.dataset.folder import read_samples
from wallpaint.dataset.rows import KINDS, Sample
from wallpaint.disk import atomic_path
from wallpaint.models.runtime import quick_half
from wallpaint.pixels.mask_ops import from_mask
from wallpaint.walls.finders import FINDERS, WallFinder, load_finder
from wallpaint.walls.network import NETWORK, SIDE, NetworkFinder, WallNetwork
from wallpaint.walls.propose import propose_wall

RATE, WEIGHT_DECAY, WARM_UP, AVERAGED = 2e-3, 0.02, 100, 500  # the last two in steps
LEAST_CUT = 0.45  # of a side of the photograph
CLUTTER = 5  # things laid over a photograph, each half of the time


def read_pool(folders: Iterable[Path], held: set[str], device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures (N, 3, SIDE, SIDE), masks (M, 1, SIDE, SIDE), both uint8, and which mask is each picture's, (N,).

    `held`: names of rooms that are left out.
    """
    rows = [
        (folder, row)
        for folder in folders
        for row in map(json.loads, (folder / "metadata.jsonl").read_text("utf-8").splitlines())
        if row["room_id"] not in held
    ]
    files = [[row["file_name"], *(truth["file_name"] for truth in row.get("truths", ()))] for _, row in rows]
    pictures = [folder / name for (folder, _), names in zip(rows, files, strict=True) for name in names]
    owners = [number for number, names in enumerate(files) for _ in names]
    with ThreadPoolExecutor() as readers:
        photos = torch.stack(list(readers.map(lambda path: read_square(path, "RGB"), pictures)))
        masks = torch.stack(list(readers.map(lambda row: read_square(row[0] / row[1]["mask_file_name"], "L"), rows)))
    return photos.to(device), masks.to(device), torch.tensor(owners, device=device)


def read_square(path: Path, mode: str) -> torch.Tensor:
    """A picture stretched to a square: (C, SIDE, SIDE) uint8."""
    image = Image.open(path).convert(mode).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image).reshape(SIDE, SIDE, -1)).permute(2, 0, 1)


def draw(low: float, high: float, photos: torch.Tensor, *shape: int) -> torch.Tensor:
    """Uniform numbers (B, *shape), 1 a side where no shape says otherwise."""
    shape = shape or (1, 1, 1)
    return torch.rand(len(photos), *shape, device=photos.device) * (high - low) + low


def cut(photos: torch.Tensor, walls: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut, turn a little and mirror: (B, 3, S, S) and (B, 1, S, S), 0 to 1."""
    size = draw(LEAST_CUT, 1, photos, 1) * draw(0.8, 1.25, photos, 2) ** torch.tensor([1, -1], device=photos.device)
    size = torch.where(draw(0, 1, photos, 1) < 0.2, 1.0, size.clamp(max=1))
    shift = (1 - size) * draw(-1, 1, photos, 2)
    angle = draw(-0.1, 0.1, photos, 1) * (size < 0.9).all(1, True)
    mirror = draw(-1, 1, photos, 1).sign()
    across = torch.cat([mirror * size[:, :1] * angle.cos(), -size[:, :1] * angle.sin(), shift[:, :1]], 1)
    down = torch.cat([mirror * size[:, 1:] * angle.sin(), size[:, 1:] * angle.cos(), shift[:, 1:]], 1)
    grid = F.affine_grid(torch.stack([across, down], 1), list(photos.shape), align_corners=False)
    both = F.grid_sample(torch.cat([photos, walls], 1), grid, padding_mode="reflection", align_corners=False)
    return both[:, :3], both[:, 3:]


def places(photos: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Places -1 to 1 across and down, (1, 1, S, S) each."""
    line = torch.linspace(-1, 1, photos.shape[-1], device=photos.device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return x[None, None], y[None, None]


def pattern(photos: torch.Tensor, walls: torch.Tensor) -> torch.Tensor:
    """Lay stripes, checks or dots over a third of the walls, and another tint; linear light."""
    x, y = places(photos)
    angle, rate = draw(0, math.pi, photos), draw(2, 30, photos)
    first = torch.sin(rate * (x * angle.cos() + y * angle.sin()) + draw(0, 6, photos))
    second = torch.sin(rate * (y * angle.cos() - x * angle.sin()) + draw(0, 6, photos))
    kind = draw(0, 3, photos)
    wave = torch.where(kind < 1, first, torch.where(kind < 2, first * second, first + second - 1))
    wave = torch.sigmoid(wave * draw(2, 40, photos)) * (draw(0, 1, photos) < 0.35)
    gain = 0.5 * torch.randn(len(photos), 3, 1, 1, device=photos.device) * wave
    tint = 0.5 * torch.randn(len(photos), 3, 1, 1, device=photos.device) * (draw(0, 1, photos) < 0.3)
    return photos * (walls * (gain + tint)).exp()


def clutter(photos: torch.Tensor, walls: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Lay over things of other photographs that are no wall, and plain things, in round and square pieces."""
    x, y = places(photos)
    for number in range(CLUTTER):
        other = torch.roll(torch.cat([photos, walls], 1), 1 + number, 0)
        step = [int(v) for v in torch.randint(-photos.shape[-1] // 4, photos.shape[-1] // 4, (2,))]
        other = torch.roll(other.flip(-1), step, (2, 3))
        half, power = draw(0.03, 0.5, photos, 2, 1, 1), torch.where(draw(0, 1, photos) < 0.5, 2.0, 16.0)
        away = (x - draw(-1, 1, photos)).abs() / half[:, :1], (y - draw(-1, 1, photos)).abs() / half[:, 1:]
        here = ((away[0] ** power + away[1] ** power) < 1) & (draw(0, 1, photos) < 0.5)
        flat = draw(0, 1, photos, 3, 1, 1) ** 2 * (1 + 0.2 * x * draw(-1, 1, photos))
        plain = (draw(0, 1, photos) < 0.3) & (half.amax(1, True) < 0.3)
        here = (here & (plain | (other[:, 3:] < 0.5))).float()
        photos = photos + here * (torch.where(plain, flat, other[:, :3]) - photos)
        walls = walls * (1 - here)
    return photos, walls


def photograph(photos: torch.Tensor) -> torch.Tensor:
    """Linear light by another lamp and another camera: (B, 3, S, S), 0 to 1 and sRGB again."""
    x, y = places(photos)
    slope = draw(-0.6, 0.6, photos) * x + draw(-0.4, 0.4, photos) * y
    spot = (x - draw(-1.2, 1.2, photos)) ** 2 + (y - draw(-1.2, 1.2, photos)) ** 2
    lamp = draw(-0.5, 1.0, photos) * torch.exp(-spot / draw(0.05, 1.0, photos))
    balance = 0.15 * torch.randn(len(photos), 3, 1, 1, device=photos.device)
    photos = photos * (slope + lamp + balance + 0.4 * torch.randn_like(slope[:, :, :1, :1])).exp()
    grey = photos.mean(1, True)
    photos = grey + (photos - grey) * draw(0.5, 1.4, photos)
    photos = photos.clamp(0, 1) ** (draw(0.75, 1.35, photos) / 2.2)
    photos = 0.5 + (photos - 0.5) * draw(0.75, 1.25, photos) + draw(-0.05, 0.05, photos)
    soft = F.interpolate(F.avg_pool2d(photos, 2), scale_factor=2, mode="bilinear", align_corners=False)
    photos = photos + (soft - photos) * draw(-0.8, 1.0, photos)  # below 0: sharpened
    return (photos + draw(0, 0.04, photos) * torch.randn_like(photos)).clamp(0, 1)


def augment(photos: torch.Tensor, walls: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Photographs (B, 3, S, S) and walls (B, 1, S, S), both uint8, as the network is shown them, 0 to 1."""
    photos, walls = cut(photos.float() / 255, walls.float() / 255)
    photos = pattern(photos**2.2, walls)
    photos, walls = clutter(photos, walls)
    return photograph(photos), walls


def loss_of(logits: torch.Tensor, walls: torch.Tensor) -> torch.Tensor:
    """Cross entropy and one minus the soft IoU, of (B, S, S)."""
    chance = logits.sigmoid()
    both, either = (chance * walls).sum((1, 2)), (chance + walls - chance * walls).sum((1, 2))
    least = 0.002 * walls[0].numel()  # a cut with no wall is no reason to divide by nothing
    soft = 1 - ((both + least) / (either + least)).mean()
    return F.binary_cross_entropy_with_logits(logits, walls) + soft


def fit(
    pool: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    held: list[Sample],
    minutes: float,
    batch: int,
    steps: int | None = None,
    begin: Path | None = None,
    rate: float = RATE,
) -> WallNetwork:
    """Train by the clock or so many steps, print the IoU on `held` ten times; the averaged weights."""
    torch.manual_seed(0)
    photos, masks, owners = pool
    device = photos.device
    network = (NetworkFinder.load(begin).network if begin else WallNetwork()).to(device).train().requires_grad_(True)
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)
    started, step, said = time.monotonic(), 0, 0.0
    while (spent := step / steps if steps else (time.monotonic() - started) / (60 * minutes)) < 1:
        optimizer.param_groups[0]["lr"] = rate * min(1, (step + 1) / WARM_UP) * (1 + math.cos(math.pi * spent)) / 2
        picked = torch.randint(len(photos), (batch,), device=device)
        seen, walls = augment(photos[picked], masks[owners[picked]])
        with torch.autocast(device.type, torch.bfloat16, enabled=quick_half(device)):
            logits = network(seen)
        loss = loss_of(logits.float(), walls[:, 0])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
        with torch.no_grad():
            for kept, value in zip(average.parameters(), network.parameters(), strict=True):
                kept.lerp_(value, 1 / min(step // 5 + 1, AVERAGED))
        if spent - said > 0.1:
            said = spent
            now = {"step": step, "share": round(spent, 2), "loss": round(float(loss.detach()), 4)}
            print(json.dumps(now | measure(NetworkFinder(average), held)), flush=True)
    return average.eval()


def measure(finder: WallFinder, samples: list[Sample]) -> dict[str, float]:
    """IoU of the proposed walls with the true ones, photos without a proposal counted as 0, and the time.

    Where the rooms have kinds, also the mean of each, and the 10th percentile of all but the accent rooms: there one
    wall of several is asked for.
    """
    ious, confidences, started = [], [], time.perf_counter()
    for sample in samples:
        photo, mask = sample.load()
        wall, proposal = from_mask(mask), propose_wall(finder, photo)
        found = from_mask(proposal.mask) if proposal else np.zeros_like(wall)
        ious.append((wall & found).sum() / (wall | found).sum())
        confidences.append(proposal.confidence if proposal else 0.0)
    seconds = (time.perf_counter() - started) / max(1, len(samples))
    figures = {
        "iou_mean": np.mean(ious),
        "iou_median": np.median(ious),
        "iou_p10": np.percentile(ious, 10),
        "iou_above_0.8": np.mean(np.array(ious) > 0.8),
        "confidence_mean": np.mean(confidences),
        "confidence_correlation": np.corrcoef(ious, confidences)[0, 1] if np.ptp(confidences) else np.nan,
        "seconds_per_photo": seconds,
    }
    kinds = np.array([sample.kind for sample in samples], object)
    figures |= {f"iou_{kind}": np.mean(np.array(ious)[kinds == kind]) for kind in KINDS if kind in kinds}
    if "accent" in kinds:
        figures["iou_p10_but_accent"] = np.percentile(np.array(ious)[kinds != "accent"], 10)
    return {"photos": len(samples), **{name: round(float(value), 3) for name, value in figures.items()}}


def save(network: WallNetwork, path: Path) -> None:
    """Write the weights, half precision, atomically."""
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        save_file({name: value.half().cpu().contiguous() for name, value in network.state_dict().items()}, temporary)


def main() -> None:
    """Train and save, or measure."""
    parser = argparse.ArgumentParser(prog="python -m wallpaint.recipes.walls", description=__doc__.split("\n")[0])
    parser.add_argument("--pool", type=Path, nargs="+", help="folders of rooms to learn from")
    parser.add_argument("--held", type=Path, help="a folder of rooms that are left out, to measure on as it goes")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--begin", type=Path, help="weights to go on from")
    parser.add_argument("--rate", type=float, default=RATE, help="of learning, at most")
    parser.add_argument("--out", type=Path, default=NETWORK, help="where the weights go")
    parser.add_argument("--measure", type=Path, nargs="+", help="folders of rooms with masks, to measure a finder on")
    parser.add_argument("--finder", choices=FINDERS, default="room-tiny", help="the one measured")
    options = parser.parse_args()
    if options.pool:
        held = read_samples(options.held, None)
        left_out = {sample.room_id for sample in held}
        pool = read_pool(options.pool, left_out, options.device)
        print(f"{len(pool[0])} pictures of {len(pool[1])} photographs, {len(held)} held out", flush=True)
        save(fit(pool, held, options.minutes, options.batch, None, options.begin, options.rate), options.out)
        print(json.dumps(measure(NetworkFinder.load(options.out), held)), flush=True)
    for folder in options.measure or []:
        finder = load_finder(FINDERS[options.finder])
        print(json.dumps({"rooms": str(folder), **measure(finder, read_samples(folder, None))}), flush=True)


if __name__ == "__main__":
    main()
