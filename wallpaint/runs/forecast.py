"""What a training run will take and do, told before it starts; imports neither torch nor gradio.

Time and memory come from earlier runs: of this workspace if one was of the same kind, else (time alone) of
the shipped LoRAs, which were trained on another machine.
"""

import functools
import shutil
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from wallpaint.dataset.folder import read_splits
from wallpaint.dataset.rows import Sample
from wallpaint.errors import UserError
from wallpaint.models.families import family_folder
from wallpaint.pixels.images import load_mask
from wallpaint.runs.state import list_runs, read_metrics
from wallpaint.settings.methods import METHODS, Method
from wallpaint.settings.train_config import TrainConfig

SHIPPED = family_folder("").parent / "loras"
LOOKED_AT = 48  # masks whose coverage is measured; more of them tell nothing new
FEW = 12  # training samples below which a warning is due
GIB = 2**30


@dataclass(frozen=True)
class Device:
    """Where training will happen."""

    name: str
    kind: str  # cpu or cuda
    free: int  # bytes
    total: int


@dataclass(frozen=True)
class Forecast:
    """What is known of a run before it starts; None where nothing is known."""

    adapter: str  # absent, frozen or learning
    learns: tuple[str, ...]
    losses: tuple[str, ...]
    samples: dict[str, int]  # by split
    rooms: int
    coverage: tuple[float, float, float]  # smallest, mean and largest share of a picture that is wall
    shown: tuple[Sample, ...]  # a few samples to look at
    device: Device
    seconds: float | None
    memory: int | None  # bytes at the peak
    learned_from: str  # the run that time and memory were taken from
    here: bool  # whether that run was of this workspace
    warnings: tuple[str, ...]  # keys of texts


def forecast(config: TrainConfig, workspace: str | Path) -> Forecast:
    """Tell what a run of `config` will take and do.

    Raises:
        UserError: the dataset cannot be read.
    """
    method, device = METHODS[config.method], find_device(config.device)
    metadata = Path(config.dataset) / "train" / "metadata.jsonl"
    stamp = metadata.stat().st_mtime_ns if metadata.is_file() else 0
    splits, coverage = look_at_dataset(config.dataset, stamp)
    train = splits["train"]
    source, here, pace, memory = find_like(config, Path(workspace), device.kind)
    work = config.max_train_steps * config.train_batch_size * config.gradient_accumulation_steps
    warnings = {
        "warn_few": len(train) < FEW,
        "warn_no_validation": not splits.get("validation"),
        "warn_empty_mask": coverage[0] < 0.005,
        "warn_checkpoints": config.checkpointing_steps == 0 and config.max_train_steps > 500,
        "warn_memory": bool(memory and memory > device.free),
        "warn_slow": device.kind == "cpu" and config.family != "room-tiny",
        "warn_no_adapter": method.conditions == ("text",),
    }
    return Forecast(
        adapter=adapter_of(method),
        learns=method.learns,
        losses=("diffusion", *(["color"] if config.use_color_loss else [])),
        samples={name: len(rows) for name, rows in splits.items()},
        rooms=len({sample.room_id for sample in train}),
        coverage=coverage,
        shown=tuple(train[:: max(1, len(train) // 4)][:4]),
        device=device,
        seconds=work / pace if pace else None,
        memory=memory,
        learned_from=source,
        here=here,
        warnings=tuple(key for key, due in warnings.items() if due),
    )


def adapter_of(method: Method) -> str:
    """Tell whether the image adapter is absent, frozen or learning while a method trains."""
    if "image_prompt" not in method.conditions:
        return "absent"
    return "learning" if "ip_adapter" in method.learns else "frozen"


def find_device(wanted: str = "auto") -> Device:
    """Find where training will happen, without torch: the GPU that nvidia-smi names, else the CPU."""
    gpu = None if wanted in ("cpu", "mps") else _read_gpu()
    if gpu:
        return gpu
    memory = psutil.virtual_memory()
    return Device(f"CPU ({psutil.cpu_count()})", "cpu", memory.available, memory.total)


def _read_gpu() -> Device | None:
    """Ask nvidia-smi for the first GPU; None where there is none."""
    tool = shutil.which("nvidia-smi")
    if not tool:
        return None
    command = [tool, "--query-gpu=name,memory.free,memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
        name, free, total = (part.strip() for part in said.splitlines()[0].split(","))
        return Device(name, "cuda", int(free) * 2**20, int(total) * 2**20)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


@functools.lru_cache(maxsize=8)
def look_at_dataset(folder: str, stamp: int) -> tuple[dict[str, list[Sample]], tuple[float, float, float]]:
    """Read a dataset's splits and how much of a picture its walls cover; `stamp` is when it was written."""
    splits = read_splits(folder)
    train = splits["train"]
    some = train[:: max(1, len(train) // LOOKED_AT)]
    shares = [_coverage(sample.mask) for sample in some] or [0.0]
    return splits, (min(shares), statistics.fmean(shares), max(shares))


def _coverage(mask: Path) -> float:
    try:
        image = load_mask(mask)
    except UserError:
        return 0.0
    return float((np.asarray(image.resize((64, 64))) >= 128).mean())


def find_like(config: TrainConfig, workspace: Path, kind: str) -> tuple[str, bool, float | None, int | None]:
    """Find a run of the same kind that has been measured; give (name, of this workspace, samples/s, bytes).

    The kind is the family, the resolution, whether the colour loss acts, and the device.
    """
    folders = [(run.folder, True) for run in list_runs(workspace)]
    folders += [(path.parent, False) for path in sorted(SHIPPED.glob("*/metrics.jsonl"))]
    for folder, here in folders:
        said = _read_settings(str(folder / "config.yaml"))
        alike = all(said.get(name) == getattr(config, name) for name in ("family", "resolution", "use_color_loss"))
        if not alike or (config.family != "room-tiny" and not here):
            continue
        rows = read_metrics(folder)[1:]
        paces = [row["samples_per_second"] for row in rows if row.get("samples_per_second")]
        unit = "gpu_memory_gb" if any("gpu_memory_gb" in row for row in rows) else "memory_gb"
        if not paces or (unit == "gpu_memory_gb") != (kind == "cuda"):
            continue
        same = said.get("train_batch_size") == config.train_batch_size
        peaks = [row[unit] for row in rows if row.get(unit)]
        memory = round(max(peaks) * GIB) if peaks and same and here else None
        return folder.name, here, statistics.median(paces), memory
    return "", False, None, None


@functools.lru_cache(maxsize=256)
def _read_settings(path: str) -> dict:
    import yaml

    try:
        said = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return said if isinstance(said, dict) else {}
