"""--train: settle the run folder, be the only process in it, and train there."""

import argparse
import contextlib
import dataclasses
import os
import shutil
from pathlib import Path

from wallpaint import disk, process
from wallpaint.cli import existing, read_config
from wallpaint.errors import UserError
from wallpaint.runs import state
from wallpaint.settings.train_config import TrainConfig
from wallpaint.train.checkpoints import find_start
from wallpaint.train.inputs import read_inputs

FIRST = (os.environ.get("RANK") or "0") == "0"  # of the processes that accelerate or torchrun launched
ENDED = {0: "done", process.STOPPED: "stopped", process.GONE: "stopped"}  # any other exit code: failed
BEGUN = ("metrics.jsonl", "checkpoints", "weights", "samples")  # a run folder with one of these is worth keeping


def run(options: argparse.Namespace) -> int:
    """Settle the run folder, be the only process in it, and train there."""
    own = Path(options.overrides.get("output_dir", "")) / "config.yaml"
    path = own if options.resume and not options.train and own.is_file() else options.train  # a run's own settings
    config, fresh = settle_run_folder(options, read_config(path, options.overrides))
    folder = Path(config.output_dir)
    with state.claim(folder) if FIRST else contextlib.nullcontext():
        options.log = folder / "train.log" if folder.exists() else options.log
        find_start(folder, options.resume)  # complains before run.json says anything new
        return train_there(folder, config, options.resume, fresh)


def settle_run_folder(options: argparse.Namespace, config: TrainConfig) -> tuple[TrainConfig, bool]:
    """Give the config with its run folder, the next free one where it names none; and whether it is new."""
    if options.resume and not config.output_dir:
        raise UserError("--resume needs to know its run, no output_dir is given, add --output_dir RUN")
    if options.resume:
        existing(config.output_dir, "--output_dir", folder=True)
    if config.output_dir:
        return config, not Path(config.output_dir).exists()
    # Of many processes only the first writes; the others need a name, not a folder.
    workspace = Path(options.workspace)
    folder = state.new_run_folder(workspace, config.method) if FIRST else workspace / "runs" / "not-the-first"
    return dataclasses.replace(config, output_dir=str(folder)), True


def train_there(folder: Path, config: TrainConfig, resume: bool, fresh: bool) -> int:
    """Hand over to the loop, keep how it ended in run.json; bad input takes a `fresh` folder with it."""
    ended = start_here(folder, config, resume) if FIRST else b""
    code, error = 1, ""
    try:
        inputs = read_inputs(config)  # before torch
        if FIRST:
            print(f"run folder: {folder}", flush=True)
        with process.collector_paused():
            from wallpaint.train import loop

        loop.train(config, resume=resume, inputs=inputs)
        code = process.STOPPED if FIRST and state.read_run(folder).state == "stopped" else 0
    except KeyboardInterrupt:
        code = process.STOPPED
    except UserError as problem:
        code, error = 2, str(problem)
        raise
    except Exception as problem:
        if process.is_reader_gone(problem):
            code = process.GONE
            raise
        error = process.explain(problem, folder, "go on with --resume from its last checkpoint")
        if not error:
            error = f"{type(problem).__name__}: {problem}"
            raise
        process.complain(error)
    finally:
        if FIRST:
            with contextlib.suppress(OSError):  # not even run.json could be written
                keep_end(folder, code, error, ended, resume)
        if FIRST and code == 2 and fresh and not any((folder / name).exists() for name in BEGUN):
            shutil.rmtree(folder)  # bad input leaves nothing half-written
    return code


def start_here(folder: Path, config: TrainConfig, resume: bool) -> bytes:
    """Say that this process is at work; give the run.json of a run that had ended and is gone on with."""
    before = b""
    if resume and state.read_run(folder).state not in (*state.ALIVE, state.QUEUED, "unknown"):
        before = (folder / "run.json").read_bytes()
    state.write_state(folder, state="starting", pid=os.getpid(), max_train_steps=config.max_train_steps)
    return before


def keep_end(folder: Path, code: int, error: str, before: bytes, resume: bool) -> None:
    """Write how the run ended to run.json.

    A run that had ended, and was not to be gone on with so, is left as it was `before`; one that the studio launched
    gets the reason as well.
    """
    refused = resume and code == 2 and state.read_run(folder).state == "starting"
    if refused and before:
        with disk.atomic_path(folder / "run.json") as path:
            path.write_bytes(before)
    elif not (refused and state.give_back(folder, error)):
        state.write_state(folder, state=ENDED.get(code, "failed"), exit_code=code, error=error)
