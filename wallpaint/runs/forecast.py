"""The bytes and seconds that a run will take on its device. Imports neither torch nor gradio."""

import functools
import statistics
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from wallpaint.models.families import FAMILIES
from wallpaint.paths import LORAS
from wallpaint.runs.device import GB, Device, find_device
from wallpaint.runs.state import list_runs, read_metrics
from wallpaint.settings.train_config import TrainConfig


@dataclass(frozen=True)
class Cost:
    """What a run takes: bytes, and seconds where they were measured."""

    fixed: float  # the frozen models, what learns, its gradient and Adam's moments
    sample: float  # kept of a sample for the backward pass
    checkpointed: float  # the same with gradient checkpointing
    piece: float  # kept of a piece of wall that the colour loss decodes
    pieces: int  # decoded at a time, at most
    picture: float  # to encode or to paint one picture
    seconds: float | None = None  # a sample, forward and backward


# Of a GPU in bf16, fitted to within 1.2 GB of what `python tests/bench/bench_memory.py [--family sdxl-random]`
# measured on an H200; SDXL's sample without checkpointing and its picture are reckoned from its pixels.
# room-tiny's are of a process on a CPU in float32, from the metrics of the shipped LoRAs.
COSTS = {
    "room-tiny": Cost(0.6 * GB, 0.02 * GB, 0.005 * GB, 0.005 * GB, 4, 0.1 * GB),
    "sd15": Cost(3.9 * GB, 0.95 * GB, 0.25 * GB, 1.15 * GB, 4, 2.2 * GB),
    "sdxl": Cost(10.3 * GB, 3.8 * GB, 0.7 * GB, 4.3 * GB, 512, 6.8 * GB),
}


@dataclass(frozen=True)
class Expected:
    """What a run will take, before anything is loaded."""

    device: Device
    memory: float  # bytes at the peak
    seconds: float | None
    earlier: str  # the run that the time was taken from, '' where there is none
    here: bool  # whether that run was of this workspace
    measured: bool  # whether the memory was taken from it, too


def in_float32(config: TrainConfig, kind: str) -> bool:
    """Whether a run computes in float32, which takes twice the memory that the tables tell."""
    return config.mixed_precision == "no" or (kind != "cuda" and config.mixed_precision == "auto")


def find_cost(config: TrainConfig, kind: str) -> Cost:
    """What a run of `config` takes on a device of this kind, by the table."""
    known, family = COSTS[config.family], FAMILIES[config.family]
    fixed = 2 if config.family != "room-tiny" and in_float32(config, kind) else 1
    pixels = ((config.resolution or family.resolution) / family.resolution) ** 2
    sample = fixed * pixels
    return replace(
        known,
        fixed=known.fixed * fixed,
        sample=known.sample * sample,
        checkpointed=known.checkpointed * sample,
        piece=known.piece * sample,
        picture=known.picture * pixels,  # the VAE is in float32 everywhere
    )


def peak_bytes(cost: Cost, config: TrainConfig) -> float:
    """Bytes at the peak of a run: of a step, or of encoding and painting a picture."""
    batch = config.train_batch_size
    step = (cost.checkpointed if config.gradient_checkpointing else cost.sample) * batch
    step += cost.piece * min(batch, cost.pieces) if config.use_color_loss else 0
    return max(cost.fixed + step, picture_bytes(cost))


def picture_bytes(cost: Cost) -> float:
    """Bytes that the models and one picture take: no run does with less."""
    return cost.fixed + cost.picture


def run_seconds(cost: Cost, config: TrainConfig, done: int = 0) -> float | None:
    """Seconds of the steps after `done`; None where a sample's time is not known."""
    samples = (config.max_train_steps - done) * config.train_batch_size * config.gradient_accumulation_steps
    return None if cost.seconds is None else cost.seconds * samples


def expect(config: TrainConfig, workspace: str | Path) -> Expected:
    """What a run of `config` will take: as an earlier one of its kind did, else by the table."""
    device = find_device(config.device)
    earlier, here, seconds, peak = find_earlier(config, Path(workspace), device.kind)
    cost = replace(find_cost(config, device.kind), seconds=seconds)
    memory = peak or peak_bytes(cost, config)
    return Expected(device, memory, run_seconds(cost, config), earlier, here, peak is not None)


def find_earlier(config: TrainConfig, workspace: Path, kind: str) -> tuple[str, bool, float | None, int | None]:
    """A run of the same kind that was measured: (name, whether of this workspace, seconds a sample, bytes).

    The kind is the family, the resolution, whether the colour loss acts, and the device; bytes are known of the
    same batch alone.
    """
    folders = [(run.folder, True) for run in list_runs(workspace)]
    # Those that are shipped were trained on another machine: their pace is a guess for this one.
    folders += [(path.parent, False) for path in sorted(LORAS.glob("*/metrics.jsonl"))]
    for folder, here in folders:
        settings = _read_settings(str(folder / "config.yaml"))
        if any(settings.get(name) != getattr(config, name) for name in ("family", "resolution", "use_color_loss")):
            continue
        rows = read_metrics(folder)[1:]
        paces = [row["samples_per_second"] for row in rows if row.get("samples_per_second")]
        unit = "gpu_memory_gb" if any("gpu_memory_gb" in row for row in rows) else "memory_gb"
        if not paces or (unit == "gpu_memory_gb") != (kind == "cuda"):
            continue
        same = all(settings.get(n) == getattr(config, n) for n in ("train_batch_size", "gradient_checkpointing"))
        peaks = [row[unit] for row in rows if row.get(unit)]
        memory = round(max(peaks) * 2**30) if peaks and same and here else None
        return folder.name, here, 1 / statistics.median(paces), memory
    return "", False, None, None


@functools.lru_cache(maxsize=256)
def _read_settings(path: str) -> dict:
    try:
        settings = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return settings if isinstance(settings, dict) else {}
