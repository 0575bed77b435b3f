"""Checkpoints of a training run: written beside, synced, renamed; only then are old ones deleted.

A step's randomness is a function of (seed, step), so a checkpoint needs no generator's state: what learns,
the optimizer, the schedule and the step are all of it. A kill at any moment leaves the last whole one.
torch is imported where tensors are: whether a folder holds a run is asked before.
"""

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wallpaint.disk import sync
from wallpaint.errors import UserError, reason_of
from wallpaint.runs.state import number_in

if TYPE_CHECKING:
    import torch

Tensors = dict[str, "torch.Tensor"]
LAYOUT = 1  # raised when checkpoints of before can no longer be resumed from


def save_checkpoint(folder: Path, step: int, tensors: dict[str, Tensors], states: dict[str, Any], keep: int) -> Path:
    """Write `checkpoints/step-<n>/` of a run folder and delete all but the newest `keep`.

    By name `tensors` go to a safetensors file each ('learned', 'ema'), `states` are state dicts ('optimizer',
    'schedule', 'scaler').
    """
    import torch
    from safetensors.torch import save

    final = folder / "checkpoints" / f"step-{step:06d}"
    if _whole(final):  # the same run's: a step saves the same twice
        return final
    with atomic_folder(final) as temporary:
        for name, values in tensors.items():
            copies = {key: value.detach().cpu().contiguous() for key, value in values.items()}
            # Serialised in memory first: of a full disk Python's own error says more than safetensors'.
            (temporary / f"{name}.safetensors").write_bytes(save(copies))
        buffer = io.BytesIO()
        torch.save(states, buffer)
        (temporary / "states.pt").write_bytes(buffer.getbuffer())
        (temporary / "step.json").write_text(json.dumps({"step": step, "layout": LAYOUT}), encoding="utf-8")
    for left in final.parent.glob("step-*.tmp"):  # of a kill while one was written or deleted
        shutil.rmtree(left, ignore_errors=True)
    for old in list_checkpoints(folder)[:-keep]:
        doomed = old.with_suffix(".tmp")  # a kill while it is deleted leaves none that looks whole
        old.rename(doomed)
        shutil.rmtree(doomed)
    return final


@contextmanager
def atomic_folder(final: Path) -> Iterator[Path]:
    """Give an empty folder beside `final`, which takes its place on success and goes on failure.

    A `final` that was there steps aside for the moment of the rename; `mend_folder` puts it back if a kill
    falls between the two.
    """
    temporary, aside = final.with_suffix(".tmp"), final.with_suffix(".old")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for path in (*temporary.iterdir(), temporary):
            sync(path)
        mend_folder(final)
        if final.exists():
            final.rename(aside)
        temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync(final.parent)
    shutil.rmtree(aside, ignore_errors=True)


def mend_folder(final: Path) -> None:
    """Put back what a killed `atomic_folder` left aside."""
    aside = final.with_suffix(".old")
    if aside.exists() and not final.exists():
        aside.rename(final)
    shutil.rmtree(aside, ignore_errors=True)


def list_checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted((path for path in (folder / "checkpoints").glob("step-*") if _whole(path)), key=number_in)


def find_start(folder: Path, resume: bool) -> Path | None:
    """The checkpoint a run goes on from; None where it begins at step 0.

    Raises:
        UserError: `resume` without a run to go on with, or one of another version; no `resume` and a run
            that has come to a checkpoint.
    """
    checkpoints = list_checkpoints(folder)
    if checkpoints and not resume:
        step = _read_step(checkpoints[-1])["step"]
        raise UserError(
            f"{folder} holds a run that came to step {step}: go on with it by --resume, or give another output_dir"
        )
    if not resume:
        return None
    if not checkpoints and not any((folder / name).is_file() for name in ("run.json", "config.yaml")):
        raise UserError(f"there is no checkpoint in {folder} to resume from: start it without --resume")
    if checkpoints and (layout := _read_step(checkpoints[-1]).get("layout")) != LAYOUT:
        raise UserError(
            f"{checkpoints[-1]} was saved by another version of wallpaint (layout {layout}, not "
            f"{LAYOUT}): finish the run with that version, or start a new one"
        )
    return checkpoints[-1] if checkpoints else None  # else it was stopped before its first


def load_checkpoint(path: Path, expected: dict[str, Tensors]) -> tuple[int, dict[str, Tensors], dict[str, Any]]:
    """Read a checkpoint: (step, tensors, states).

    Raises:
        UserError: it cannot be read, or holds other tensors than `expected` (another method, rank, family).
    """
    import torch
    from safetensors.torch import load_file

    tensors = {}
    try:
        for name in expected:
            file = path / f"{name}.safetensors"
            tensors[name] = load_file(file) if file.is_file() else {}
        states = torch.load(path / "states.pt", map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(
            f"checkpoint {path} cannot be read ({reason_of(error)}): delete it to go on from the one before"
        ) from None
    for name, values in expected.items():
        shapes = {key: tuple(value.shape) for key, value in tensors[name].items()}
        if shapes != {key: tuple(value.shape) for key, value in values.items()}:
            raise UserError(
                f"{path / name}.safetensors was saved with another method, rank, family or "
                "use_ema: resume with the run's own config.yaml"
            )
    return _read_step(path)["step"], tensors, states


def _whole(path: Path) -> bool:
    return path.suffix == "" and (path / "step.json").is_file()


def _read_step(path: Path) -> dict[str, Any]:
    return json.loads((path / "step.json").read_text(encoding="utf-8"))
