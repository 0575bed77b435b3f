"""Memory of a GPU that training takes at SD1.5's real size, and whether the presets keep to theirs.

    python tests/bench/bench_memory.py                     a minute or two on a GPU, random weights

Each preset runs with the allocator held to its card less a GB, which a context and a desktop take: it
encodes samples, takes steps, and steps with the colour loss. Prints one JSON object.
"""

import argparse
import gc
import json
import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]

import ours
import torch
from encoded import encode_samples
from random_models import bench_models

from wallpaint.dataset.folder import read_samples
from wallpaint.models.runtime import pick_runtime
from wallpaint.settings.choices import presets_of

OWN = 1e9  # bytes of a card that are not ours
STEPS = 3
OTHERS = [(batch, checkpointing) for batch in (1, 4, 16) for checkpointing in (True, False)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--family", choices=("sd15-random", "sdxl-random"), default="sd15-random")
    options = parser.parse_args()
    total = torch.cuda.get_device_properties(0).total_memory
    models = bench_models(options.family, pick_runtime("cuda"))
    samples = read_samples(ROOT / "assets" / "rooms" / "sample", "train")[:32]
    held = torch.cuda.memory_allocated() / 1e9
    result: dict[str, Any] = {"device": torch.cuda.get_device_name(), "models_gb": held, "presets": {}}
    presets = presets_of(models.family.name)
    cap(min(float(name.split()[0]) for name in presets) * 1e9, total)
    with tempfile.TemporaryDirectory() as folder:
        try:
            encode_samples(models, samples, folder, report=lambda line: None)
            result["encode_gb"] = peak()
        except torch.OutOfMemoryError:
            result["encode_gb"] = None
    cap(total + OWN, total)
    with tempfile.TemporaryDirectory() as folder:
        encoded = encode_samples(models, samples, folder, report=lambda line: None)
    for name, (batch, _, checkpointing) in presets.items():
        cap(float(name.split()[0]) * 1e9, total)
        result["presets"][name] = measure(models, encoded, batch, checkpointing)
        print(f"{name}: {result['presets'][name]}", file=sys.stderr, flush=True)
    cap(total + OWN, total)
    result["others"] = [measure(models, encoded, *row) for row in OTHERS]
    print(json.dumps(result, indent=2))


def cap(size: float, total: int) -> None:
    """Let torch take no more than a card of `size` bytes would give, and forget the peak."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.set_per_process_memory_fraction(min(1.0, (size - OWN) / total))


def peak() -> float:
    """GB that torch has taken from the card at most."""
    return torch.cuda.max_memory_reserved() / 1e9


def measure(models: Any, encoded: Any, batch: int, checkpointing: bool) -> dict[str, Any]:
    """Peaks of a step and of one with the colour loss in GB; None where memory ran out."""
    options = Namespace(batch=batch, device="cuda", checkpointing=checkpointing)
    models.unet.disable_gradient_checkpointing()
    session = ours.make_session(options, models, encoded)
    row: dict[str, Any] = {"batch": batch, "checkpointing": checkpointing}
    for name, kind in (("step", session), ("color_step", ours.with_color(session))):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        try:
            step = ours.stepper(kind)
            for _ in range(STEPS):
                step()
            torch.cuda.synchronize()
            row[f"{name}_gb"] = peak()
        except torch.OutOfMemoryError:
            row[f"{name}_gb"] = None
    models.unet.unload_lora()
    return row


if __name__ == "__main__":
    main()
