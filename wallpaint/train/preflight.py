"""What a run is about to do, told and measured before its first step."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import torch
from PIL import Image

from wallpaint.cache.batches import BatchSettings, draw_batch
from wallpaint.cache.draws import sample_draws
from wallpaint.dataset.rows import Sample
from wallpaint.disk import format_bytes, free_bytes
from wallpaint.learned.denoiser import add_noise, parameter_groups
from wallpaint.models.bundle import Models
from wallpaint.paint.sampler import vae_round_trip
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.metrics import delta_e_truth
from wallpaint.pixels.recolor import Coat
from wallpaint.runs.device import process_bytes
from wallpaint.runs.forecast import Cost, find_cost, peak_bytes, run_seconds
from wallpaint.train.validation import write_grid

if TYPE_CHECKING:
    from wallpaint.train.session import Session

OVERLAY = "preflight.png"
SAMPLES = 4


@torch.compiler.set_stance("force_eager")  # one sample, and whole pictures: shapes that no step has
def preflight(session: "Session") -> dict[str, Any]:
    """Say what the run is about to do, draw its first samples; the same as fields for run.json."""
    say = session.record.say
    groups = parameter_groups(session.plain)
    counts = {name: sum(p.numel() for p in group.values()) for name, group in groups.items()}
    learned = {name: counts[name] for name in session.method.learns}
    frozen = sum(counts.values()) - sum(learned.values())
    shares = session.encoded.wall_shares()
    cost = measure_cost(session)
    memory, seconds = round(peak_bytes(cost, session.config)), run_seconds(cost, session.config, session.step) or 0.0
    floor = vae_floor(session.models, [after for _, after in session.repaints[:2]])
    rooms = {sample.room_id: sample for sample in reversed(session.splits["train"])}  # the first of each
    draw_overlay(list(rooms.values())[: -SAMPLES - 1 : -1], session.folder / OVERLAY)
    say(f"learns {', '.join(f'{name}: {count:,}' for name, count in learned.items())}; frozen: {frozen:,}")
    say(f"the first walls and swatches are drawn in {OVERLAY}; the VAE's floor is ΔE {floor:.1f}")
    say(f"expected: about {format_bytes(memory)} and {timedelta(seconds=round(seconds))}")
    for warning in _tight(session, memory):
        session.record.warn(warning)
    return {
        "parameters": {**learned, "frozen": frozen},
        "mask_coverage": {"min": float(shares.min()), "mean": float(shares.mean()), "max": float(shares.max())},
        "expected_memory_bytes": memory,
        "expected_seconds": seconds,
        "vae_floor_delta_e": floor,
        "overlay": OVERLAY,
        "warnings": session.record.warnings,
    }


def measure_cost(session: "Session") -> Cost:
    """What the run takes, by what it holds and by one sample sent through the UNet and not learned from.

    On a CPU all of the process counts, its libraries too, as in the forecast and in metrics.jsonl; of a GPU's memory
    what torch takes.

    What decoding takes is the table's. The backward pass takes twice the forward's time, once more with gradient
    checkpointing.
    """
    config, models = session.config, session.models
    weights = [p for module in models.modules for p in module.parameters()]
    held = process_bytes()
    if models.runtime.device.type == "cuda":
        held = sum(p.numel() * p.element_size() for p in weights)
    kept, forward = _send_one(session)
    known = {p.untyped_storage().data_ptr() for p in weights}
    sample = sum(size for place, size in kept.items() if place not in known)
    return replace(
        find_cost(config, models.runtime.device.type),
        fixed=held + _learned_bytes(session, 4 if session.ema else 3),
        sample=sample,
        checkpointed=sample,
        seconds=forward * (4 if config.gradient_checkpointing else 3),
    )


def _learned_bytes(session: "Session", copies: int) -> int:
    """Bytes of what learns in float32, so many times: itself or its gradient, Adam's moments, an average."""
    return copies * 4 * sum(p.numel() for p in session.learned.values())


def _send_one(session: "Session") -> tuple[dict[int, int], float]:
    """Send a sample through the UNet: what stays in memory for the backward pass (place -> bytes), seconds."""
    models, kept = session.models, {}
    draws = sample_draws(1, 0, session.config.seed, 0)
    drawn = draw_batch(session.encoded, draws, 0, BatchSettings(session.config.seed, 1))
    noised = add_noise(drawn.latents, models.noise_scheduler, draws).to(models.runtime.device)
    batch, seconds = drawn.to(models.runtime.device), 0.0

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    for _ in range(1 if models.runtime.device.type == "cpu" else 2):  # a GPU's first time is no measure
        kept.clear()
        started = time.perf_counter()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), session.accelerator.autocast():
            noise_pred = session.plain(noised, batch)
        float(noise_pred.detach().sum())  # waits for the device
        seconds = time.perf_counter() - started
    return kept, seconds


def vae_floor(models: Models, samples: Sequence[Sample]) -> float:
    """Mean ΔE00 of walls that the VAE alone has encoded and decoded: no method comes below it."""
    found = []
    for sample in samples:
        photo, mask = sample.load()
        again = vae_round_trip(models, photo, Coat(photo, mask, Swatch(sample.color)))
        found.append(delta_e_truth(again, photo, mask)["mean"])
    return float(np.mean(found))


def draw_overlay(samples: Sequence[Sample], path: Path) -> None:
    """Draw samples in a row: the photo with its wall marked, the reference swatch in a corner."""
    shown = []
    for sample in samples:
        photo, mask = sample.load()
        photo.paste(Image.blend(photo, Image.new("RGB", photo.size, "magenta"), 0.5), mask=mask)
        photo.paste(Swatch(sample.color).image(max(photo.size) // 6), (0, 0))
        shown.append(photo)
    write_grid([shown], path)


def available_bytes(device: torch.device) -> int:
    """Bytes of memory that a run may have: what is free, and what this process holds already, its models included."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    return psutil.virtual_memory().available + psutil.Process().memory_info().rss


def _tight(session: "Session", memory: int) -> list[str]:
    """Memory and disk that will not do; on disk stands one checkpoint more, with Adam's two moments."""
    found = []
    device = session.models.runtime.device
    if memory > (free := available_bytes(device)):
        found.append(
            f"{format_bytes(memory)} of memory are expected and {format_bytes(free)} can be had on {device}: "
            "lower train_batch_size or set gradient_checkpointing"
        )
    checkpoints = session.config.checkpoints_total_limit + 1
    need = _learned_bytes(session, (4 if session.ema else 3) * checkpoints + 3)
    if need > (free := free_bytes(session.folder)):
        found.append(
            f"checkpoints need {format_bytes(need)} and {format_bytes(free)} are free on the disk of "
            f"{session.folder}: lower checkpoints_total_limit or make room"
        )
    return found
