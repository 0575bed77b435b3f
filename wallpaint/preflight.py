"""What a run is told before step 0: what is odd before anything is loaded, then what it is about to do."""

import time
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageOps

from wallpaint.batches import draw_batch
from wallpaint.color import Swatch
from wallpaint.config import TrainConfig, choose_preset, is_said
from wallpaint.dataset import Sample
from wallpaint.denoiser import add_noise, parameter_groups
from wallpaint.disk import free_bytes
from wallpaint.doctor import check_dataset
from wallpaint.draws import sample_draws
from wallpaint.families import Family, find_adapter, find_image_encoder, find_weights
from wallpaint.forecast import find_device
from wallpaint.images import atomic_path, load_mask, load_photo
from wallpaint.methods import METHODS, Method
from wallpaint.metrics import delta_e_truth
from wallpaint.models import Models
from wallpaint.sampler import vae_round_trip

if TYPE_CHECKING:
    from wallpaint.session import Session

OVERLAY = "preflight.png"
LOOKED_AT = 500  # larger datasets are not gone through at every start: --check does it
SHOWN = 5  # findings named one by one
TILE, SAMPLES = 192, 4
IDLE = (  # (settings, when they do nothing, why)
    (("color_loss_weight", "color_loss_start_step", "color_loss_mode", "color_loss_crop"),
     lambda c, m: not c.use_color_loss, "no colour loss is used"),
    (("lora_rank", "lora_alpha", "lora_dropout", "lora_target"),
     lambda c, m: "lora" not in m.learns, "this method learns no LoRA"),
    (("image_drop_prob", "both_drop_prob", "reference"),
     lambda c, m: not m.reference, "this method hears no reference while it trains"),
    (("text_drop_prob",), lambda c, m: "text" not in m.conditions, "this method hears no text"),
    (("color_jitter", "reference_variants"),
     lambda c, m: (c.reference or m.reference or "swatch") == "swatch", "the reference is a plain swatch"),
    (("dinov2_model",), lambda c, m: "identity" not in m.conditions, "this method does not use DINOv2"),
    (("paint_by_example_model",), lambda c, m: not m.base, "this method does not use Paint-by-Example"),
    (("ip_adapter_scale",), lambda c, m: "image_prompt" not in m.conditions and not c.validation_steps,
     "this method trains without the adapter"),
    (("num_validation_images", "num_inference_steps", "guidance_scale"),
     lambda c, m: not c.validation_steps, "validation_steps is 0"),
    (("lr_warmup_steps",), lambda c, m: c.lr_scheduler == "constant", "lr_scheduler is constant"),
)  # fmt: skip


def warn_early(config: TrainConfig, family: Family, samples: Sequence[Sample]) -> list[str]:
    """What is odd, known before anything is loaded: settings, dataset, disk, memory."""
    return [
        *idle_settings(config, METHODS[config.method]),
        *_dataset(config, len(samples)),
        *_disk(config, family, len(samples)),
        *_memory(config, family),
    ]


def idle_settings(config: TrainConfig, method: Method) -> list[str]:
    """Settings that somebody changed and that have no effect in this run."""
    said = {f.name for f in fields(config) if is_said(config, f)}
    return [
        f"{name} {getattr(config, name)} has no effect: {why}"
        for names, idle, why in IDLE
        if idle(config, method)
        for name in names
        if name in said
    ]


def other_settings(config: TrainConfig, before: TrainConfig) -> list[str]:
    """Settings in which a resumed run differs from what it was: it will not end as one never stopped."""
    free = {"output_dir", "cache_dir", "max_train_steps", "report_to", "checkpoints_total_limit"}
    return [
        f"{f.name} was {getattr(before, f.name)} before and is {getattr(config, f.name)} now"
        for f in fields(config)
        if f.name not in free and getattr(config, f.name) != getattr(before, f.name)
    ]


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
        "expected_memory_bytes": memory, "expected_seconds": seconds, "vae_floor_delta_e": floor,
        "overlay": OVERLAY, "warnings": session.record.warnings,
    }  # fmt: skip


def settle_preset(config: TrainConfig) -> tuple[TrainConfig, str]:
    """The config with `memory_preset: auto` settled for the device there is, and why it is that."""
    if config.memory_preset != "auto":
        return config, ""
    device = find_device(config.device)
    # On a CPU everything is float32: twice the memory.
    name, why = choose_preset(device.total / (2 if device.kind == "cpu" else 1), config.family)
    return replace(config, memory_preset=name), f"memory_preset auto: {why}, {device.name}"


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
        with (
            torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
            session.accelerator.autocast(),
        ):
            said = session.plain(noised, batch)
        float(said.detach().sum())  # waits for the device
        seconds = time.perf_counter() - started
    return kept, seconds


def size(count: float) -> str:
    """Bytes for people: 12.3 MiB, 4.5 GiB."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


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


def _dataset(config: TrainConfig, rows: int) -> list[str]:
    check = f"python studio.py --check {config.dataset}"
    if rows > LOOKED_AT:
        return [f"dataset: {rows} samples are not gone through here, see {check}"]
    found = [f"dataset: {finding}" for finding in check_dataset(config.dataset)]
    more = [f"dataset: {len(found) - SHOWN} more, see {check}"] if len(found) > SHOWN else []
    return [*found[:SHOWN], *more]


def _disk(config: TrainConfig, family: Family, rows: int) -> list[str]:
    """Means and deviations of two latents of four channels, two masks; in float32 at most."""
    side = family.resolution
    need = rows * (2 if config.random_flip else 1) * (16 * 4 * (side // 8) ** 2 + side**2)
    free = free_bytes(config.cache_dir)
    if need < free:
        return []
    return [f"the cache may need {size(need)} and {size(free)} are free on the disk of "
            f"{config.cache_dir}: give another cache_dir"]  # fmt: skip


def _memory(config: TrainConfig, family: Family) -> list[str]:
    files = [find_weights(family.base_model, f)[0] for f in ("vae", "unet", *family.text_encoders)]
    files += [find_adapter(family), find_image_encoder(family)]
    need, device = sum(path.stat().st_size for path in files), find_device(config.device)
    if need < device.free:
        return []
    return [f"the models alone are {size(need)} and {size(device.free)} are free on "
            f"{device.name}: end other programs, or train elsewhere"]  # fmt: skip


def _tight(session: "Session", memory: int) -> list[str]:
    """Memory and disk that will not do; on disk stands one checkpoint more, with Adam's two moments."""
    config, found = session.config, []
    if memory > (free := find_device(config.device).free):
        found.append(f"{size(memory)} of memory are expected and {size(free)} are free: "
                     "lower train_batch_size or set gradient_checkpointing")  # fmt: skip
    learned = sum(p.numel() for p in session.learned.values()) * 4
    need = learned * ((4 if session.ema else 3) * (config.checkpoints_total_limit + 1) + 3)
    if need > (free := free_bytes(session.folder)):
        found.append(f"checkpoints need {size(need)} and {size(free)} are free on the disk of "
                     f"{session.folder}: lower checkpoints_total_limit or make room")  # fmt: skip
    return found
