#!/usr/bin/env python3
"""wallpaint's only entry: the studio in a browser, --train, --compare, --evaluate, --masks and --check.

Heavy imports happen in the command that needs them, so that --help and a mistyped flag answer at once.
Exit codes: 0 done, 1 failed, 2 bad input (one line on stderr), 130 stopped, 141 nobody reads what it prints.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wallpaint.errors import UserError

if TYPE_CHECKING:
    from wallpaint.settings.train_config import TrainConfig

FIRST = os.environ.get("RANK", "0") == "0"  # of the processes that accelerate or torchrun launched
STOPPED = 130
ENDED = {0: "done", STOPPED: "stopped", 141: "stopped"}  # any other exit code: failed
LEARNED = ("metrics.jsonl", "checkpoints", "weights")  # a run folder with one of these is worth keeping


def existing(path: str, flag: str, folder: bool = False) -> Path:
    """Return `path` if it is there, or complain and name the flag it came with."""
    found = Path(path)
    if not (found.is_dir() if folder else found.is_file()):
        kind = "folder" if folder else "file"
        raise UserError(f"no such {kind} {path!r}, given to {flag}, check the path")
    return found


def split_arms(text: str | None) -> list[str] | None:
    """Split 'old,new=runs/x' at its commas; None when no --arms was given."""
    return [arm.strip() for arm in text.split(",") if arm.strip()] if text else None


def settle_run_folder(options: argparse.Namespace, config: TrainConfig) -> tuple[TrainConfig, bool]:
    """Give the config with its run folder, the next free one where it names none; and whether it is new."""
    from wallpaint.runs import state

    if options.resume and not config.output_dir:
        raise UserError("--resume needs to know its run, no output_dir is given, add --output_dir RUN")
    if options.resume:
        existing(config.output_dir, "--output_dir", folder=True)
    if config.output_dir:
        return config, not Path(config.output_dir).exists()
    workspace = Path(options.workspace or "workspace")
    # Of many processes only the first writes; the others need a name, not a folder.
    folder = state.new_run_folder(workspace, config.method) if FIRST else workspace / "runs" / "not-the-first"
    return dataclasses.replace(config, output_dir=str(folder)), True


def run_train(options: argparse.Namespace, overrides: dict[str, str]) -> int:
    """Train: settle the run folder, be the only process in it, and train there."""
    from wallpaint.runs import state
    from wallpaint.settings.train_config import load_config
    from wallpaint.train.checkpoints import find_start

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the trainer sets its own
    path = existing(options.train, "--train") if options.train else None
    config, fresh = settle_run_folder(options, load_config(path, overrides))
    folder = Path(config.output_dir)
    with state.claim(folder) if FIRST else contextlib.nullcontext():
        find_start(folder, bool(options.resume))  # complains before run.json says anything new
        return train_there(folder, config, bool(options.resume), fresh)


def train_there(folder: Path, config: TrainConfig, resume: bool, fresh: bool) -> int:
    """Hand over to wallpaint.train, keep how it ended in run.json; a `fresh` folder goes with bad input."""
    from wallpaint import cli
    from wallpaint.runs import disk, state

    if FIRST:
        state.write_state(folder, state="starting", pid=os.getpid(), max_train_steps=config.max_train_steps)
        print(f"run folder: {folder}", flush=True)
    code, error = 1, ""
    try:
        from wallpaint.train import loop

        loop.train(config, resume=resume)
        code = STOPPED if FIRST and state.read_run(folder).state == "stopped" else 0
    except KeyboardInterrupt:
        code = STOPPED
    except UserError as problem:
        code, error = 2, str(problem)
        raise
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}"
        if isinstance(problem, BrokenPipeError) and cli.has_reader_left():
            code, error = cli.GONE, ""
        if not disk.is_full(problem):
            raise
        error = f"the disk is full, {folder}, make room and go on with --resume from its last checkpoint"
        print(f"error: {error}", file=sys.stderr)
    finally:
        if FIRST:
            with contextlib.suppress(OSError):  # not even run.json could be written
                state.write_state(folder, state=ENDED.get(code, "failed"), exit_code=code, error=error)
        if FIRST and code == 2 and fresh and not any((folder / name).exists() for name in LEARNED):
            shutil.rmtree(folder)  # bad input leaves nothing half-written
    return code


def painting(overrides: dict[str, str]) -> dict[str, Any]:
    """Give the painting settings of the command line, checked as the fields of TrainConfig are."""
    from wallpaint.settings.train_config import load_config

    config = load_config(None, overrides)
    given = {name: getattr(config, name) for name in overrides if name != "family"}
    for name in ("num_inference_steps", "guidance_scale"):
        given[name] = given.get(name) or None  # 0: the family's own
    return given


def run_compare(options: argparse.Namespace, overrides: dict[str, str]) -> int:
    """Compare: one photo, one swatch, several arms."""
    photo, mask = existing(options.photo, "--photo"), existing(options.mask, "--mask")
    from wallpaint.pixels.color import parse_color

    swatch = parse_color(options.swatch)
    from wallpaint.paint.arms import Settings
    from wallpaint.report.compare import compare

    settings = Settings(**painting(overrides))
    compare(photo, mask, swatch, split_arms(options.arms), Path(options.out), settings, options.family)
    print(f"report: {Path(options.out) / 'report.html'}")
    return 0


def run_evaluate(options: argparse.Namespace, overrides: dict[str, str]) -> int:
    """Evaluate: the same over a folder of rooms whose true repaint is known."""
    rooms = existing(options.rooms, "--rooms", folder=True)
    if options.limit is not None and options.limit < 1:
        raise UserError(f"limit {options.limit} is too small, given to --limit, use 1 or more")
    from wallpaint.paint.arms import Settings
    from wallpaint.report.evaluate import evaluate

    settings = Settings(**painting(overrides))
    evaluate(rooms, split_arms(options.arms), options.limit, Path(options.out), settings, options.family)
    print(f"report: {Path(options.out) / 'report.html'}")
    return 0


def run_masks(options: argparse.Namespace, overrides: dict[str, str]) -> int:
    """Propose walls for a folder of photos and keep them as a dataset; 1 when not one was found."""
    folder = existing(options.masks, "--masks", folder=True)
    from wallpaint.walls.propose import SURE, list_photos, load_finder, mask_folder

    list_photos(folder)  # complains before the models are loaded
    out, kept, unsure = Path(options.out), 0, 0
    for path, proposal, problem in mask_folder(folder, out, load_finder(options.family or "room-tiny")):
        name = path.relative_to(folder)
        if proposal is None:
            print(f"skipped {name}: {problem}", file=sys.stderr)
            continue
        kept, unsure = kept + 1, unsure + (proposal.confidence < SURE)
        sure = f"confidence {proposal.confidence:.2f}" + ("" if proposal.confidence >= SURE else ", look at it")
        print(f"{name}: wall {100 * proposal.share:.0f} %, {sure}, paint {proposal.paint.hex}", flush=True)
    print(f"dataset: {out}, {kept} samples, {unsure} of them unsure (proposals.json lists these first)")
    return 0 if kept else 1


def run_check(options: argparse.Namespace, overrides: dict[str, str]) -> int:
    """Say what is wrong with a dataset, where, and how to mend it; 1 when something is."""
    from wallpaint.dataset.doctor import check_dataset

    findings = check_dataset(existing(options.check, "--check", folder=True))
    for finding in findings:
        print(f"{finding.kind}: {finding}")
    print(f"{len(findings)} findings in {options.check}" if findings else f"nothing to mend in {options.check}")
    return 1 if findings else 0


def run_doctor(options: argparse.Namespace, overrides: dict[str, str]) -> int:
    """Say what machine this is, which family fits it, what is there and what is missing."""
    from wallpaint.runs.machine import describe_machine

    for line in describe_machine():
        print(line)
    return 0


def run_encode(options: argparse.Namespace, overrides: dict[str, str]) -> int:
    """Fill the cache with what the frozen encoders say of a dataset."""
    from wallpaint.settings.train_config import load_config

    dataset = existing(options.encode, "--encode", folder=True)
    config = load_config(None, {**overrides, "dataset": str(dataset)})
    from wallpaint.train.encode import encode_dataset

    manifest = encode_dataset(config, options.engine or "plain")
    print(f"manifest: {manifest}")
    return 0


def run_export(options: argparse.Namespace, overrides: dict[str, str]) -> int:
    """Write a run's LoRA in another layout."""
    if options.export != "kohya":
        raise UserError(f"layout {options.export!r} does not exist, given to --export, write kohya")
    if not Path(options.run).exists():
        raise UserError(f"no such run or file {options.run!r}, given to --run, check the path")
    from wallpaint.learned.export import export_kohya

    print(f"LoRA: {export_kohya(options.run, options.out)}")
    return 0


def run_push_to_hub(options: argparse.Namespace, overrides: dict[str, str]) -> int:
    """Put a run on the hub."""
    folder = existing(options.run, "--run", folder=True)
    from wallpaint.learned.export import push_to_hub

    print(f"repository: {push_to_hub(folder, options.push_to_hub)}")
    return 0


def run_studio(options: argparse.Namespace, overrides: dict[str, str]) -> int:
    """Serve the studio until it is interrupted."""
    host, port = options.host or "127.0.0.1", 7860 if options.port is None else options.port
    if not 1 <= port <= 65535:
        raise UserError(f"port {port} does not exist, given to --port, use 1 to 65535")
    if options.auth is not None and not all(options.auth.partition(":")[::2]):
        raise UserError("a name and a password are needed, given to --auth, write it as USER:PASSWORD")
    from wallpaint.ui.app import serve

    serve(host, port, options.auth, bool(options.share), Path(options.workspace or "workspace"))
    return 0


RUN = {
    "studio": run_studio,
    "train": run_train,
    "compare": run_compare,
    "evaluate": run_evaluate,
    "masks": run_masks,
    "check": run_check,
    "doctor": run_doctor,
    "encode": run_encode,
    "export": run_export,
    "push_to_hub": run_push_to_hub,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    from wallpaint.cli import read_arguments, reader_may_leave

    with reader_may_leave():
        command, options, overrides = read_arguments(sys.argv[1:] if arguments is None else arguments)
        try:
            return RUN[command](options, overrides)
        except UserError as problem:
            print("error: " + " ".join(str(problem).split()), file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return STOPPED


if __name__ == "__main__":
    sys.exit(main())
