"""The device a run will have, and the bytes and seconds it will take there. Imports neither torch nor gradio."""

import functools
import os
import re
import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import yaml

from wallpaint.models.families import FAMILIES
from wallpaint.paths import LORAS
from wallpaint.runs.state import list_runs, read_metrics
from wallpaint.settings.train_config import TrainConfig

GB = 10**9


@dataclass(frozen=True)
class Device:
    """Where training will happen."""

    name: str
    kind: str  # cpu or cuda
    free: int  # bytes
    total: int


@dataclass(frozen=True)
class Load:
    """How busy the machine is: shares in percent, bytes."""

    cpu: float
    free: int
    total: int
    gpu: str = ""  # '' where there is none
    gpu_busy: int = 0
    gpu_free: int = 0


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
    "room-tiny": Cost(0.9 * GB, 0.02 * GB, 0.005 * GB, 0.005 * GB, 4, 0.1 * GB),
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
    return cost.fixed + max(step, cost.picture)


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


def find_device(wanted: str = "auto") -> Device:
    """Find where training will happen, without torch: the GPU that CUDA gives a process first, else the CPU."""
    gpu = None if wanted in ("cpu", "mps") else _find_gpu()
    if gpu:
        return gpu
    memory = psutil.virtual_memory()
    return Device(f"CPU ({psutil.cpu_count()})", "cpu", memory.available, memory.total)


def look_at_load() -> Load:
    """See how busy the machine is; its processor on the average since the last look, at most twice a second."""
    return _look_at_load(int(2 * time.monotonic()))


@functools.lru_cache(maxsize=1)
def _look_at_load(moment: int) -> Load:
    memory, busy = psutil.virtual_memory(), psutil.cpu_percent()
    gpu = _find_gpu()
    if gpu is None:
        return Load(busy, memory.available, memory.total)
    told = _ask_smi("--query-gpu=utilization.gpu", "--format=csv,noheader,nounits").split()
    shares = [int(share) for share in told if share.isdecimal()]
    return Load(busy, memory.available, memory.total, gpu.name, max(shares, default=0), gpu.free)


def _find_gpu() -> Device | None:
    """The first GPU that CUDA_VISIBLE_DEVICES shows; where a run is of several processes, the smallest of theirs."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    if found := _find_slice((names or "").split(",")[0].strip()):
        return found
    gpus = _list_gpus()
    shown = _visible(gpus, names)
    shown = shown[: max(1, int(os.environ.get("LOCAL_WORLD_SIZE") or 1))]
    if not shown:
        return None
    gpu = min(shown, key=lambda index: gpus[index][0].total)
    found = gpus[gpu][0]
    return replace(found, name=f"GPU {gpu}: {found.name}") if len(gpus) > 1 else found


def _find_slice(name: str) -> Device | None:
    """A slice of a GPU (MIG-...), of which nvidia-smi tells the nominal size alone; taken to be free."""
    for line in _ask_smi("-L").splitlines() if name.startswith("MIG-") else ():
        listed = re.search(r"MIG (\S*?(\d+)gb\S*) .*\(UUID: (MIG-[^)]+)\)", line)
        if listed and listed[3].startswith(name):
            return Device(f"MIG {listed[1]}", "cuda", int(listed[2]) * 10**9, int(listed[2]) * 10**9)
    return None


def _list_gpus() -> list[tuple[Device, str]]:
    """Every GPU of this machine and its UUID, as nvidia-smi tells, in its order."""
    told = _ask_smi("--query-gpu=name,memory.free,memory.total,uuid", "--format=csv,noheader,nounits")
    rows = [[*map(str.strip, line.split(",")), ""] for line in told.splitlines() if line.strip()]
    try:
        return [(Device(row[0], "cuda", int(row[1]) * 2**20, int(row[2]) * 2**20), row[3]) for row in rows]
    except (ValueError, IndexError):
        return []


def _ask_smi(*arguments: str) -> str:
    """What nvidia-smi says; '' where there is none, or where it fails."""
    tool = shutil.which("nvidia-smi")
    try:
        command = [tool or "", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout if tool else ""
    except (OSError, subprocess.SubprocessError):
        return ""


def _visible(gpus: list[tuple[Device, str]], names: str | None) -> list[int]:
    """The indices that CUDA shows, in its order: up to the first name that is no GPU's.

    A name is an index or the beginning of a UUID. A slice of a GPU (MIG-...) that is not listed is taken for the
    whole of it where there is one alone.
    """
    if names is None:
        return list(range(len(gpus)))
    shown: list[int] = []
    for name in map(str.strip, names.split(",")):
        found = [
            i for i, (_, uuid) in enumerate(gpus) if name == str(i) or (name[:4] == "GPU-" and uuid.startswith(name))
        ]
        found = found or ([0] if name.startswith("MIG-") and len(gpus) == 1 else [])
        if len(found) != 1:
            break
        shown += found
    return shown
