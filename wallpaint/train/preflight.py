"""What a run is told before step 0: what is odd before anything is loaded, then what it is about to do."""

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageOps

from wallpaint.cache.batches import draw_batch
from wallpaint.cache.draws import sample_draws
from wallpaint.dataset.rows import Sample
from wallpaint.learned.denoiser import add_noise, parameter_groups
from wallpaint.models.bundle import Models
from wallpaint.paint.sampler import vae_round_trip
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import atomic_path, load_mask, load_photo
from wallpaint.pixels.metrics import delta_e_truth
from wallpaint.runs.disk import free_bytes
from wallpaint.runs.forecast import find_device
from wallpaint.train.warnings import size

if TYPE_CHECKING:
    from wallpaint.train.session import Session

OVERLAY = "preflight.png"
TILE, SAMPLES = 192, 4


def look_ahead(session: "Session") -> dict[str, Any]:
    """Say what the run is about to do, draw its first samples; the same as fields for run.json."""
    say = session.record.say
    groups = parameter_groups(session.plain)
    counts = {name: sum(p.numel() for p in group.values()) for name, group in groups.items()}
    learned = {name: counts[name] for name in session.method.learns}
    frozen = sum(counts.values()) - sum(learned.values())
    shares = session.encoded.wall_shares()
    low, mean, high = float(shares.min()), float(shares.mean()), float(shares.max())
    memory, seconds = expect(session)
    floor = vae_floor(session.models, [after for _, after in session.watched[:2]])
    rooms = {sample.room_id: sample for sample in reversed(session.splits["train"])}  # the first of each
    draw_overlay(list(rooms.values())[: -SAMPLES - 1 : -1], session.folder / OVERLAY)
    say(f"learns {', '.join(f'{name}: {count:,}' for name, count in learned.items())}; frozen: {frozen:,}")
    say(f"the first walls and swatches are drawn in {OVERLAY}; the VAE's floor is ΔE {floor:.1f}")
    say(f"expected: about {size(memory)} and {timedelta(seconds=round(seconds))}")
    for warning in _tight(session, memory):
        session.record.warn(warning)
    return {
        "parameters": {**learned, "frozen": frozen},
        "mask_coverage": {"min": low, "mean": mean, "max": high},
        "expected_memory_bytes": memory,
        "expected_seconds": seconds,
        "vae_floor_delta_e": floor,
        "overlay": OVERLAY,
        "warnings": session.record.warnings,
    }


def expect(session: "Session") -> tuple[int, float]:
    """Bytes and seconds the run will take, about: from one sample sent through the UNet and not learned from.

    The backward pass takes twice the forward's time, once more with gradient checkpointing.
    """
    config, models = session.config, session.models
    weights = [p for module in models.modules for p in module.parameters()]
    learned = sum(p.numel() for p in session.learned.values()) * 4 * (4 if session.ema else 3)
    kept, forward = _send_one(session)
    known = {p.untyped_storage().data_ptr() for p in weights}
    activations = sum(size for place, size in kept.items() if place not in known)
    passes = 4 if config.gradient_checkpointing else 3
    rows = config.train_batch_size * config.gradient_accumulation_steps
    memory = sum(p.numel() * p.element_size() for p in weights) + learned
    seconds = forward * passes * rows * (config.max_train_steps - session.step)
    return memory + activations * config.train_batch_size, seconds


def _send_one(session: "Session") -> tuple[dict[int, int], float]:
    """Send a sample through the UNet: what stays in memory for the way back (place -> bytes), seconds."""
    models, kept = session.models, {}
    draws = sample_draws(1, 0, session.config.seed, 0)
    drawn = draw_batch(session.encoded, draws, 0, session.config.seed, 1)
    noised = add_noise(drawn.latents, models.noise_scheduler, draws).to(models.runtime.device)
    batch, seconds = drawn.to(models.runtime.device), 0.0

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    for _ in range(1 if models.runtime.device.type == "cpu" else 2):  # a GPU's first time is no measure
        kept.clear()
        started = time.perf_counter()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), session.accelerator.autocast():
            said = session.plain(noised, batch)
        float(said.detach().sum())  # waits for the device
        seconds = time.perf_counter() - started
    return kept, seconds


def vae_floor(models: Models, samples: Sequence[Sample]) -> float:
    """Mean ΔE00 of walls that the VAE alone has encoded and decoded: no method comes below it."""
    found = []
    for sample in samples:
        photo = load_photo(sample.image)
        mask = load_mask(sample.mask, photo.size)
        found.append(delta_e_truth(vae_round_trip(models, photo, photo, mask), photo, mask)["mean"])
    return float(np.mean(found))


def draw_overlay(samples: Sequence[Sample], path: Path) -> None:
    """Draw samples in a row: the photo with its wall marked, the reference swatch in a corner."""
    grid = Image.new("RGB", (TILE * len(samples), TILE), "white")
    for i, sample in enumerate(samples):
        photo = load_photo(sample.image)
        mask = np.asarray(load_mask(sample.mask, photo.size)) >= 128
        pixels = np.asarray(photo).astype(np.float32)
        pixels[mask] = 0.5 * pixels[mask] + 0.5 * np.array([255, 0, 255], np.float32)
        tile = ImageOps.contain(Image.fromarray(pixels.round().astype(np.uint8)), (TILE, TILE))
        tile.paste(Swatch(sample.color).image(TILE // 6), (0, 0))
        grid.paste(tile, (i * TILE, 0))
    with atomic_path(path) as temporary:
        grid.save(temporary)


def _tight(session: "Session", memory: int) -> list[str]:
    """Memory and disk that will not do; on disk stands one checkpoint more, with Adam's two moments."""
    config, found = session.config, []
    if memory > (free := find_device(config.device).free):
        found.append(
            f"{size(memory)} of memory are expected and {size(free)} are free: "
            "lower train_batch_size or set gradient_checkpointing"
        )
    learned = sum(p.numel() for p in session.learned.values()) * 4
    need = learned * ((4 if session.ema else 3) * (config.checkpoints_total_limit + 1) + 3)
    if need > (free := free_bytes(session.folder)):
        found.append(
            f"checkpoints need {size(need)} and {size(free)} are free on the disk of "
            f"{session.folder}: lower checkpoints_total_limit or make room"
        )
    return found
