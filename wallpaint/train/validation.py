"""Measure on rooms that are not learned from: a loss that compares between steps, and painted walls."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch
from PIL import Image, ImageOps

from wallpaint.cache.batches import BatchSettings, Encoded, draw_batch
from wallpaint.cache.draws import sample_draws
from wallpaint.dataset.rows import Sample
from wallpaint.disk import atomic_path
from wallpaint.learned.denoiser import Denoiser, add_noise, painting_denoiser, set_adapter_strength
from wallpaint.models.bundle import Models
from wallpaint.paint.sampler import lay_painted, paint_wall
from wallpaint.paint.settings import SamplingSettings
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import load_mask, load_photo
from wallpaint.pixels.metrics import delta_e_paint, delta_e_truth
from wallpaint.pixels.recolor import Coat
from wallpaint.settings.methods import METHODS
from wallpaint.settings.train_config import TrainConfig
from wallpaint.train.losses import Step, diffusion_loss

TILE = 192
ROUNDS = 4  # noises and timesteps that every held-out room is asked about


def pick_samples(samples: list[Sample], count: int) -> list[tuple[Sample, Sample]]:
    """Choose `count` repaints, of as many rooms as there are; always the same ones.

    Returns:
        pairs (before, after): a view before and after its wall was painted, so that `after` is the truth. A
        view known in one paint stands for both: the wall is blanked, but its light on the floor is not.
    """
    rooms: dict[str, list[Sample]] = {}
    for sample in samples:
        rooms.setdefault(sample.room_id, []).append(sample)
    picked = []
    for i in range(min(count, len(samples))):
        rows = list(rooms.values())[i % len(rooms)]
        # Every room another paint, and another again when the room's turn comes once more.
        turn = (i % len(rooms) + i // len(rooms)) % len(rows)
        after, others = rows[turn], rows[turn + 1 :] + rows[:turn]
        before = [s for s in others if s.color != after.color and _same_view(s, after)]
        picked.append((before[0] if before else after, after))
    return picked


@torch.compiler.set_stance("force_eager")  # whole pictures: shapes that no step has
def validate(
    models: Models,
    config: TrainConfig,
    repaints: list[tuple[Sample, Sample]],
    path: Path,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, float]:
    """Paint with what is being learned, the adapter active as at inference, and lay the pictures out.

    Each repaint that `pick_samples` chose is a row of the PNG at `path`: photo, mask, reference, output, truth.
    `stopped` is asked before every one; where it says so there is no PNG.

    Returns:
        `delta_e_truth` (mean over the wall) and `delta_e_paint` (median), each the mean over the repaints;
        nothing where it was stopped.
    """
    method = METHODS[config.method]
    set_adapter_strength(models, method.paints, config.ip_adapter_scale)
    models.unet.eval()
    settings = SamplingSettings(config.seed, config.num_inference_steps or None, config.guidance_scale or None)
    rows, measured = [], []
    for before, after in repaints:
        if stopped():
            break
        photo, goal, swatch = load_photo(before.image), load_photo(after.image), Swatch(after.color)
        mask = load_mask(after.mask, photo.size, photo=after.image)
        coat, denoiser = Coat(photo, mask, swatch), painting_denoiser(models, method.paints, method.shown)
        painted = paint_wall(models, denoiser, coat, replace(settings, prompt=after.text))
        (output,) = lay_painted(models, coat, painted, method.shown)
        to_truth, to_paint = delta_e_truth(output, goal, mask)["mean"], delta_e_paint(output, swatch, mask)["median"]
        measured.append({"delta_e_truth": to_truth, "delta_e_paint": to_paint})
        rows.append([photo, mask, swatch.image(TILE), output, *([goal] if before != after else [])])
    models.unet.train()
    set_adapter_strength(models, method.conditions, config.ip_adapter_scale)
    if len(rows) < len(repaints):
        return {}
    write_grid(rows, path)
    finite = {name: [row[name] for row in measured if math.isfinite(row[name])] for name in measured[0]}
    return {name: fmean(values) for name, values in finite.items() if values}


@torch.compiler.set_stance("force_eager")  # compiled without gradients, it would be another graph a shape
def validation_loss(models: Models, denoiser: Denoiser, held_out: Encoded, config: TrainConfig) -> dict[str, float]:
    """The diffusion loss on held-out rooms; noise and timesteps are the same at every call.

    The denoiser is as it trains, not wrapped, and the rooms are encoded as those it trains on.

    Returns:
        `validation_loss`, the mean over ROUNDS noises a room.
    """
    size, device = min(config.train_batch_size, len(held_out)), models.runtime.device
    batches = sum(-(-len(group["color"]) // size) for group in held_out.groups)
    denoiser.eval()
    losses = []
    for number in range(ROUNDS * batches):
        draws = sample_draws(size, 0, config.seed, number)
        drawn = draw_batch(held_out, draws, number, BatchSettings(config.seed, size))
        noised = add_noise(drawn.latents, models.noise_scheduler, draws).to(device)
        batch = drawn.to(device)
        with torch.no_grad():
            step = Step(denoiser(noised, batch), noised, batch, models, config, draws)
            losses.append(diffusion_loss(step))
    denoiser.train()
    return {"validation_loss": torch.stack(losses).mean().item()}


def _same_view(first: Sample, second: Sample) -> bool:
    return first.mask == second.mask or first.mask.read_bytes() == second.mask.read_bytes()


def write_grid(rows: list[list[Image.Image]], path: Path) -> None:
    """Write rows of pictures as one PNG of square tiles."""
    grid = Image.new("RGB", (TILE * max(map(len, rows)), TILE * len(rows)), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            tile = ImageOps.contain(picture.convert("RGB"), (TILE, TILE), Image.Resampling.LANCZOS)
            grid.paste(tile, (x * TILE, y * TILE))
    with atomic_path(path) as temporary:
        grid.save(temporary)
