"""Checkpoints of a training run: written beside, synced, renamed; only then are old ones deleted.

A step's randomness is a function of (seed, step), so a checkpoint needs no generator's state: what learns,
the optimizer, the schedule and the step are all of it.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]


def save_checkpoint(
    folder: Path, step: int, tensors: dict[str, Tensors], states: dict[str, Any], keep: int
) -> Path:
    """Write `checkpoints/step-<n>/` and delete all but the newest `keep`.

    Args:
        folder: the run folder.
        step: steps done.
        tensors: name -> tensors, a safetensors file each ('learned', 'ema').
        states: name -> state dict ('optimizer', 'schedule', 'scaler').
        keep: how many checkpoints stay.
    """
    final = folder / "checkpoints" / f"step-{step:06d}"
    temporary = final.with_suffix(".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name, values in tensors.items():
        copies = {key: value.detach().cpu().contiguous() for key, value in values.items()}
        save_file(copies, temporary / f"{name}.safetensors")
    torch.save(states, temporary / "states.pt")
    (temporary / "step.json").write_text(json.dumps({"step": step}))
    for path in (*temporary.iterdir(), temporary):
        _sync(path)
    shutil.rmtree(final, ignore_errors=True)
    temporary.rename(final)
    _sync(final.parent)
    for old in list_checkpoints(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def list_checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted(path for path in (folder / "checkpoints").glob("step-*") if (path / "step.json").is_file())


def load_checkpoint(
    folder: Path, expected: dict[str, Tensors]
) -> tuple[int, dict[str, Tensors], dict[str, Any]]:
    """Read the newest checkpoint: (step, tensors, states).

    Raises:
        ValueError: there is none, or it holds other tensors than `expected` (another method, rank or family).
    """
    checkpoints = list_checkpoints(folder)
    if not checkpoints:
        raise ValueError(f"there is no checkpoint in {folder} to resume from: start it without --resume")
    path, tensors = checkpoints[-1], {}
    for name, values in expected.items():
        file = path / f"{name}.safetensors"
        tensors[name] = load_file(file) if file.is_file() else {}
        shapes = {key: tuple(value.shape) for key, value in tensors[name].items()}
        if shapes != {key: tuple(value.shape) for key, value in values.items()}:
            raise ValueError(f"{file} was saved with another method, rank, family or use_ema: "
                             "resume with the run's own config.yaml")  # fmt: skip
    states = torch.load(path / "states.pt", map_location="cpu", weights_only=True)
    return json.loads((path / "step.json").read_text())["step"], tensors, states


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
