"""The device a run will have, and how busy the machine is. Imports neither torch nor gradio."""

import functools
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass, replace

import psutil

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


def find_device(wanted: str = "auto") -> Device:
    """Find where training will happen, without torch: the GPU that CUDA gives a process first, else the CPU."""
    gpu = None if wanted in ("cpu", "mps") else _find_gpu()
    if gpu:
        return gpu
    memory = psutil.virtual_memory()
    return Device(f"CPU ({psutil.cpu_count()})", "cpu", memory.available, memory.total)


def process_bytes() -> int:
    """Bytes that this process holds, without mapped files, as cached rows are: the system takes those pages back."""
    memory = psutil.Process().memory_info()
    return memory.rss - getattr(memory, "shared", 0)


def look_at_load() -> Load:
    """Measure how busy the machine is, the processor on average since the last call; at most twice a second."""
    return _look_at_load(int(2 * time.monotonic()))


@functools.lru_cache(maxsize=1)
def _look_at_load(moment: int) -> Load:
    memory, busy = psutil.virtual_memory(), psutil.cpu_percent()
    gpu = _find_gpu()
    if gpu is None:
        return Load(busy, memory.available, memory.total)
    printed = _ask_smi("--query-gpu=utilization.gpu", "--format=csv,noheader,nounits").split()
    shares = [int(share) for share in printed if share.isdecimal()]
    return Load(busy, memory.available, memory.total, gpu.name, max(shares, default=0), gpu.free)


def _find_gpu() -> Device | None:
    """The first GPU that CUDA_VISIBLE_DEVICES shows; where a run is of several processes, the smallest of theirs."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    if found := _find_slice((names or "").split(",")[0].strip()):
        return found
    gpus = _list_gpus()
    shown = _visible(gpus, names)
    processes = os.environ.get("LOCAL_WORLD_SIZE", "")
    shown = shown[: max(1, int(processes if processes.isdecimal() else 1))]
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
    """Every GPU of this machine and its UUID, as nvidia-smi tells, in its order.

    Of a GPU that shares the machine's memory it tells no numbers ([N/A]).
    """
    lines = _ask_smi("--query-gpu=name,memory.free,memory.total,uuid", "--format=csv,noheader,nounits").splitlines()
    rows = [[*map(str.strip, line.split(",")), ""] for line in lines if line.strip()]
    shared = psutil.virtual_memory()
    gpus = []
    for name, *sizes, uuid in (row[:4] for row in rows if len(row) > 3):
        totals = zip(sizes, (shared.available, shared.total), strict=True)
        free, total = (int(size) * 2**20 if size.isdecimal() else own for size, own in totals)
        gpus.append((Device(name, "cuda", free, total), uuid))
    return gpus


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
