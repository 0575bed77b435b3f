"""Training: our loop's step against a plain loop as diffusers' own example writes it, in one run.

    python tests/bench/bench_train.py                                  room-tiny on the CPU, a minute
    python tests/bench/bench_train.py --family sd15-random --device cuda --batch 32 --compile

Each loop has a process of its own, with the same models, data, batch, device and seed, so that each has a
peak of memory of its own. On a CPU seconds are the processor's own, so that other programs do not count.
Prints one JSON object; its `goals` say what was reached.
"""

import argparse
import ctypes
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]

PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # bf16, dense
ROWS = (1_000, 10_000, 100_000, 1_000_000)
WARM = 3


def main() -> None:
    options = read_options()
    if options.arm:
        print(json.dumps(run_arm(options)))
        return
    arms = {}
    for arm in ("ours", "plain"):
        command = [sys.executable, __file__, "--arm", arm, *sys.argv[1:]]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        arms[arm] = json.loads(done.stdout.splitlines()[-1])
        print(f"{arm}: {arms[arm]}", file=sys.stderr, flush=True)
    print(json.dumps(judge(options, arms["ours"], arms["plain"]), indent=2))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--family", choices=("room-tiny", "sd15-random", "sdxl-random"), default="room-tiny")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20, help="timed steps of each loop")
    parser.add_argument("--precision", choices=("auto", "no", "bf16", "fp16"), default="auto")
    parser.add_argument("--resolution", type=int, default=0, help="0: the family's own")
    parser.add_argument("--compile", action="store_true", help="ours with regional torch.compile")
    parser.add_argument("--checkpointing", action="store_true", help="both with gradient checkpointing")
    parser.add_argument("--workers", type=int, help="of the plain loop's data loader (CPU: 0, GPU: 8)")
    parser.add_argument("--samples", type=int, default=96, help="rooms to train on")
    parser.add_argument("--arm", choices=("ours", "plain"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.workers is None:
        options.workers = 0 if options.device == "cpu" else 8
    return options


def run_arm(options: argparse.Namespace) -> dict[str, Any]:
    """One loop in this process: the models, the samples, its figures."""
    import torch
    from random_models import bench_models

    from wallpaint.dataset.folder import read_samples
    from wallpaint.models.runtime import pick_runtime

    empty = memory()
    models = bench_models(options.family, pick_runtime(options.device, options.precision), options.resolution)
    samples = read_samples(ROOT / "assets" / "rooms" / "sample", "train")
    samples = (samples * -(-max(options.samples, options.batch) // len(samples)))[
        : max(options.samples, options.batch)
    ]
    figures = (run_ours if options.arm == "ours" else run_plain)(options, models, samples)
    device = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    return {
        "device": device,
        "dtype": str(models.runtime.weight_dtype),
        **figures,
        "peak_memory_gb": (figures.pop("peak") - empty) / 1e9,
    }


def run_plain(options: argparse.Namespace, models, samples) -> dict[str, Any]:
    """The example's loop."""
    import torch
    from plain import plain_loop

    torch.manual_seed(0)
    loop = plain_loop(models, samples, options.batch, options.workers, options.checkpointing)
    seconds, peak = timed(lambda: next(loop), options)
    return {"seconds_per_step": seconds, "peak": peak}


def run_ours(options: argparse.Namespace, models, samples) -> dict[str, Any]:
    """Our loop's own step, `wallpaint.train.take_step`, on what `encode_samples` cached."""

    import ours
    from encoded import encode_samples

    from wallpaint.learned.denoiser import compile_blocks

    for _ in range(2):  # the first time kernels are chosen and loaded
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            encoded = encode_samples(models, samples, folder, report=lambda line: None)
            sync(options.device)
            encode_seconds = time.perf_counter() - start
    pictures = len({sample.image for sample in samples})
    figures: dict[str, Any] = {"encode_images_per_second": pictures / encode_seconds}
    session = ours.make_session(options, models, encoded)
    figures["flops_per_step"] = ours.count_flops(session)
    if options.compile:
        compile_blocks(models.unet)  # as `torch_compile: true` does
        compile_blocks(models.vae.decoder)
    start = time.perf_counter()
    step = ours.stepper(session)
    step()
    sync(options.device)
    figures["first_step_seconds"] = time.perf_counter() - start
    figures["seconds_per_step"], figures["peak"] = timed(step, options)
    figures["stall"] = ours.stall(session, figures["seconds_per_step"], lambda do: timed(do, options)[0])
    figures["draw_seconds"] = {str(rows): ours.draw_seconds(session, rows) for rows in ROWS}
    if options.device == "cuda":
        figures["waits_per_step"] = ours.count_waits(step)
        figures["kernel_seconds"] = ours.kernel_seconds(step)
    print(f"without the colour loss: {figures}", file=sys.stderr, flush=True)
    color = ours.stepper(ours.with_color(session))
    figures["color_seconds_per_step"], figures["color_peak_gb"] = timed(color, options)
    figures["color_peak_gb"] /= 1e9
    return figures


def timed(do: Callable[[], Any], options: argparse.Namespace) -> tuple[float, float]:
    """Seconds a call once warm, and the peak of memory in bytes while it ran."""
    import ours

    for _ in range(WARM):
        do()
    sync(options.device)
    forget_peak()
    start = ours.clock(options.device)
    for _ in range(options.steps):
        do()
    sync(options.device)
    return (ours.clock(options.device) - start) / options.steps, memory(peak=True)


def sync(device: str) -> None:
    """Wait for the device."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def forget_peak() -> None:
    """Let the peak of memory begin at what is held now; what is free goes back to the system first."""
    import torch

    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
    else:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")


def memory(peak: bool = False) -> float:
    """Bytes, now or at most: of the GPU what torch has allocated; without a GPU what this process holds."""
    import torch

    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated()
    rows = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(rows["VmHWM" if peak else "VmRSS"].split()[0]) * 1024


def judge(options: argparse.Namespace, ours: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    """The ratios, and which of them are where they should be."""
    step, real = ours["seconds_per_step"], options.family != "room-tiny" and options.device == "cuda"
    draws = ours["draw_seconds"]
    ratios = {
        "samples_per_second": plain["seconds_per_step"] / step,
        "peak_memory": ours["peak_memory_gb"] / plain["peak_memory_gb"],
        "color_step": ours["color_seconds_per_step"] / step,
        "stall": ours["stall"],
        # As if no draw ever ran while the device computes: an upper bound on a GPU.
        "step_at_rows": {rows: (step - draws["1000"] + seconds) / step for rows, seconds in draws.items()},
    }
    rate = ours["flops_per_step"] / step
    peak = next((flops for name, flops in PEAK_FLOPS.items() if name in ours["device"]), None)
    absolute = {
        "images_per_second": options.batch / step,
        "plain_images_per_second": options.batch / plain["seconds_per_step"],
        "tflop_per_image": ours["flops_per_step"] / options.batch / 1e12,
        "tflop_per_second": rate / 1e12,
        "mfu": rate / peak if peak else None,
        "floor_images_per_second": peak / (ours["flops_per_step"] / options.batch) if peak else None,
    }
    goals = {
        "samples_per_second": ratios["samples_per_second"] >= (2.5 if real else 2.0),
        "peak_memory": ratios["peak_memory"] <= 0.8,
        "color_step": ratios["color_step"] <= 2.0,
        "stall": ratios["stall"] <= 0.02,
        "step_at_rows": ratios["step_at_rows"]["1000000"] <= 1.05,
    }
    return {
        "options": {k: v for k, v in vars(options).items() if k != "arm"},
        "device": ours["device"],
        "dtype": ours["dtype"],
        "ratios": ratios,
        "goals": goals,
        "absolute": absolute,
        "ours": ours,
        "plain": plain,
    }


if __name__ == "__main__":
    main()
