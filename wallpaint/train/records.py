"""What a run writes for people: train.log, metrics.jsonl, the progress bar."""

import json
import math
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from wallpaint.disk import atomic_path
from wallpaint.runs.device import process_bytes
from wallpaint.runs.state import read_metrics
from wallpaint.settings.train_config import TrainConfig

BAR = 24


class Record:
    """The run folder's growing files. Only the main process writes."""

    def __init__(self, folder: Path, config: TrainConfig, main: bool):
        self.folder, self.config, self.main = folder, config, main
        self._began, self._first = time.perf_counter(), 0
        # Started by the studio, stdout already is train.log: then it is not written twice.
        log = folder / "train.log"
        self._tee = main and not (log.exists() and _same_file(log))
        self._early: list[str] = []  # said before there is a folder
        self.warnings: list[str] = []

    def say(self, line: str) -> None:
        """Print a line, and keep it in train.log."""
        if not self.main:
            return
        print(line, flush=True)
        self._keep(line)

    def warn(self, line: str) -> None:
        """Say a warning, and remember it for run.json."""
        self.warnings.append(line)
        self.say(f"warning: {line}")

    def start(self, step: int) -> None:
        """Begin at `step`: metrics of later steps, from before a resume, are dropped."""
        self._began, self._first = time.perf_counter(), step
        path = self.folder / "metrics.jsonl"
        if self.main and path.exists():
            kept = (
                [line for line in path.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
                if step
                else []
            )
            with atomic_path(path) as temporary:
                temporary.write_text("".join(line + "\n" for line in kept), encoding="utf-8")

    def has_figures(self, step: int) -> bool:
        """Whether what was painted after this step has been measured and logged."""
        return any(row["step"] == step and "delta_e_paint" in row for row in read_metrics(self.folder))

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
        self._keep(line)

    def _keep(self, line: str) -> None:
        """Add a line to train.log, or remember it until there is a folder to keep it in."""
        self._early.append(line)
        if self._tee and self.folder.is_dir():
            with open(self.folder / "train.log", "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write("".join(f"{early}\n" for early in self._early))
            self._early.clear()

    def _bar(self, row: dict[str, Any]) -> str:
        step, steps = row["step"], self.config.max_train_steps
        full = BAR * step // steps
        done, seconds = step - self._first, time.perf_counter() - self._began
        left = f"  {timedelta(seconds=int((steps - step) * seconds / done))} left" if done > 0 and step < steps else ""
        names = ("loss", "loss_color", "delta_e_truth", "delta_e_paint")
        figures = "  ".join(f"{name} {row[name]:.4g}" for name in names if name in row)
        return f"step {step}/{steps} [{'#' * full}{'.' * (BAR - full)}]  {figures}{left}"


def memory_used() -> dict[str, float]:
    """GiB at the peak: of the GPU where this process uses one, else of the process itself."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return {"gpu_memory_gb": round(torch.cuda.max_memory_allocated() / 2**30, 3)}
    return {"memory_gb": round(process_bytes() / 2**30, 3)}


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
