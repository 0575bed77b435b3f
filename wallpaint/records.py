"""What a run writes for people: train.log, metrics.jsonl, the progress bar, the model card."""

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import torch

from wallpaint.config import TrainConfig
from wallpaint.images import atomic_path
from wallpaint.methods import METHODS
from wallpaint.weights import ADAPTER_NAME, LORA_NAME

BAR = 24


class Record:
    """The run folder's growing files. Only the main process writes."""

    def __init__(self, folder: Path, config: TrainConfig, main: bool = True):
        self.folder, self.config, self.main = folder, config, main
        self._began, self._first = time.perf_counter(), 0
        # Started by the studio, stdout already is train.log: then it is not written twice.
        log = folder / "train.log"
        self._tee = main and not (log.exists() and _same_file(log))

    def say(self, line: str) -> None:
        """Print a line, and keep it in train.log."""
        if not self.main:
            return
        print(line, flush=True)
        if self._tee:
            with open(self.folder / "train.log", "a", encoding="utf-8") as file:
                file.write(line + "\n")

    def start(self, step: int) -> None:
        """Begin at `step`: metrics of later steps, from before a resume, are dropped."""
        self._began, self._first = time.perf_counter(), step
        path = self.folder / "metrics.jsonl"
        if self.main and path.exists():
            kept = [line for line in path.read_text().splitlines() if _step_of(line) <= step] if step else []
            with atomic_path(path) as temporary:
                temporary.write_text("".join(line + "\n" for line in kept))

    def log(self, row: dict[str, Any]) -> None:
        """Append a row to metrics.jsonl (figures that are no number are left out) and move the bar."""
        if not self.main:
            return
        row = {
            key: value
            for key, value in {**row, **memory_used()}.items()
            if not isinstance(value, float) or math.isfinite(value)
        }
        with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        line = self._bar(row)
        if sys.stdout.isatty():
            print("\r" + line, end="\n" if row["step"] == self.config.max_train_steps else "", flush=True)
        else:
            print(line, flush=True)
        if self._tee:
            with open(self.folder / "train.log", "a", encoding="utf-8") as file:
                file.write(line + "\n")

    def _bar(self, row: dict[str, Any]) -> str:
        step, steps = row["step"], self.config.max_train_steps
        full = BAR * step // steps
        done, seconds = step - self._first, time.perf_counter() - self._began
        left = f"  {_clock((steps - step) * seconds / done)} left" if done > 0 and step < steps else ""
        names = ("loss", "loss_color", "delta_e_truth", "delta_e_paint")
        figures = "  ".join(f"{name} {row[name]:.4g}" for name in names if name in row)
        return f"step {step}/{steps} [{'#' * full}{'.' * (BAR - full)}]  {figures}{left}"


def memory_used() -> dict[str, float]:
    """GiB at the peak: of the GPU where this process uses one, else of the process itself."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return {"gpu_memory_gb": round(torch.cuda.max_memory_reserved() / 2**30, 3)}
    return {"memory_gb": round(psutil.Process().memory_info().rss / 2**30, 3)}


def write_card(folder: Path, config: TrainConfig, step: int, rows: int, figures: dict[str, float]) -> None:
    """Write the run's README.md: what was learned, from what, and how to use it."""
    method = METHODS[config.method]
    files = [name for name in (LORA_NAME, ADAPTER_NAME) if (folder / "weights" / name).is_file()]
    listed = "\n".join(f"- `weights/{name}`" for name in files)
    measured = (
        "\n".join(f"- {name}: {value:.2f}" for name, value in figures.items()) or "- nothing was measured"
    )
    adapter = "active" if "image_prompt" in method.conditions else "absent"
    color = (
        f"{config.color_loss_mode}, weight {config.color_loss_weight:g}" if config.use_color_loss else "none"
    )
    text = f"""---
library_name: diffusers
tags: [wallpaint, inpainting, lora]
---
# {folder.name}: {method.study_name}

Repaints the walls of a room photo in a paint colour. Method `{config.method}`, family `{config.family}`,
{step} steps of batch {config.train_batch_size * config.gradient_accumulation_steps} on {rows} samples of
`{config.dataset}`; image adapter {adapter} while training; colour loss: {color}.

## Files
{listed}

## Measured on the validation rooms (CIEDE2000, lower is better)
{measured}

## Use
```
python studio.py --compare --photo PHOTO --mask MASK --swatch '#7A9E7E' --arms mine={folder} --out OUT
```
or in diffusers, on the family's base model: `pipe.load_lora_weights("weights")`.
"""
    with atomic_path(folder / "README.md") as path:
        path.write_text(text, encoding="utf-8")


def _same_file(path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(sys.stdout.fileno()), os.stat(path))
    except (OSError, ValueError):
        return False


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return math.inf


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
