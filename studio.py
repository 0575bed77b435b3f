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
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from wallpaint.errors import UserError

if TYPE_CHECKING:
    from wallpaint.paint.settings import SamplingSettings
    from wallpaint.pixels.color import Swatch
    from wallpaint.settings.train_config import TrainConfig

FIRST = os.environ.get("RANK", "0") == "0"  # of the processes that accelerate or torchrun launched
STOPPED = 130
ENDED = {0: "done", STOPPED: "stopped", 141: "stopped"}  # any other exit code: failed
BEGUN = ("metrics.jsonl", "checkpoints", "weights", "samples")  # a run folder with one of these is worth keeping
LOG = "wallpaint.log"  # in the workspace; the faults of a run go to its own train.log


def settle_run_folder(options: argparse.Namespace, config: TrainConfig) -> tuple[TrainConfig, bool]:
    """Give the config with its run folder, the next free one where it names none; and whether it is new."""
    from wallpaint.cli import existing
    from wallpaint.runs import state

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


def read_config(path: Path | None, overrides: dict[str, str]) -> TrainConfig:
    """Give the settings of a YAML file and of the command line, a shipped dataset by the place where it lies."""
    from wallpaint.paths import find_shipped
    from wallpaint.settings.train_config import load_config

    config = load_config(path, overrides)
    return dataclasses.replace(config, dataset=str(find_shipped(config.dataset)))


def run_train(options: argparse.Namespace) -> int:
    """Train: settle the run folder, be the only process in it, and train there."""
    from wallpaint.runs import state
    from wallpaint.train.checkpoints import find_start

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the trainer sets its own
    own = Path(options.overrides.get("output_dir", "")) / "config.yaml"
    path = own if options.resume and not options.train and own.is_file() else options.train  # a run's own settings
    config, fresh = settle_run_folder(options, read_config(path, options.overrides))
    folder = Path(config.output_dir)
    with state.claim(folder) if FIRST else contextlib.nullcontext():
        options.log = folder / "train.log" if folder.exists() else options.log
        find_start(folder, options.resume)  # complains before run.json says anything new
        return train_there(folder, config, options.resume, fresh)


def train_there(folder: Path, config: TrainConfig, resume: bool, fresh: bool) -> int:
    """Hand over to wallpaint.train, keep how it ended in run.json; a `fresh` folder goes with bad input."""
    from wallpaint import process
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
        if isinstance(problem, BrokenPipeError) and process.has_reader_left():
            code, error = process.GONE, ""
        if not disk.is_full(problem):
            raise
        error = f"the disk is full, {folder}, make room and go on with --resume from its last checkpoint"
        process.complain(error)
    finally:
        if FIRST:
            with contextlib.suppress(OSError):  # not even run.json could be written
                state.write_state(folder, state=ENDED.get(code, "failed"), exit_code=code, error=error)
        if FIRST and code == 2 and fresh and not any((folder / name).exists() for name in BEGUN):
            shutil.rmtree(folder)  # bad input leaves nothing half-written
    return code


def painting(options: argparse.Namespace) -> SamplingSettings:
    """Give the painting settings of the command line, checked as the fields of TrainConfig are."""
    from wallpaint.paint.settings import SamplingSettings
    from wallpaint.settings.train_config import load_config

    config = load_config(None, options.overrides)
    given = {name: getattr(config, name) for name in options.overrides if name != "family"}
    for name in ("num_inference_steps", "guidance_scale"):
        given[name] = given.get(name) or None  # 0: the family's own
    return SamplingSettings(**given, bounce=options.bounce)


def run_compare(options: argparse.Namespace) -> int:
    """Compare: one photo, a swatch for each of its walls, several arms; a project has all of them."""
    asked = {flag: getattr(options, flag.strip("-")) for flag in ("--photo", "--mask", "--swatch", "--white")}
    if not options.room:
        if missing := [flag for flag in ("--photo", "--mask", "--swatch") if not asked[flag]]:
            raise UserError(f"required: {', '.join(missing)}, or --room, on the command line, see --compare --help")
        return compare_walls(options)
    if given := [flag for flag, value in asked.items() if value] + ["--old-paint"] * bool(options.old_paint):
        raise UserError(f"{given[0]} and --room both say what the room is, on the command line, give one of them")
    with tempfile.TemporaryDirectory() as folder:
        open_project(options, Path(folder))
        return compare_walls(options)


def open_project(options: argparse.Namespace, folder: Path) -> None:
    """Let a project, unpacked into `folder`, say what the command line does not."""
    from wallpaint.dataset.project import read_project
    from wallpaint.paint.arms import is_shipped

    project, options.photo, options.mask = read_project(options.room, folder)
    options.swatch = [wall.paint for wall in project.walls]
    known = [wall.now if wall.chosen or project.whites else "" for wall in project.walls]
    options.old_paint = known if any(known) else []
    if options.arms is None and project.arms:
        options.arms = [name for name in project.arms if is_shipped(name)]
        if left_out := [name for name in project.arms if name not in options.arms]:
            print(f"left out, not shipped: {', '.join(left_out)} (--arms NAME=PATH says where)", file=sys.stderr)
    settings = dataclasses.asdict(project.settings)
    options.bounce = settings.pop("bounce") or options.bounce
    said = {name: str(value) for name, value in settings.items() if value is not None}
    options.overrides = said | options.overrides


def compare_walls(options: argparse.Namespace) -> int:
    """Paint the walls that `options` names, and report."""
    from wallpaint.cli import read_swatch

    swatches = [read_swatch(text, options.palette) for text in options.swatch]
    old_paints: list[Swatch | None] = [
        read_swatch(text, options.palette, "--old-paint") if text else None for text in options.old_paint
    ]
    masks = options.mask
    for flag, many in (("--swatch", swatches), ("--old-paint", old_paints)):
        if len(many) != len(masks) and many:
            raise UserError(f"{len(masks)} masks and {len(many)} paints are given, to --mask and {flag}, give as many")
    from wallpaint.report.compare import compare

    if options.white:
        old_paints = read_by_white(options)
    more = list(zip(masks[1:], swatches[1:], strict=True))
    how = {"family": options.overrides.get("family"), "invert_mask": options.invert_mask}
    how |= {"more": more, "old_paints": old_paints}
    compare(options.photo, masks[0], swatches[0], options.arms, options.out, painting(options), **how)
    print(f"report: {options.out / 'report.html'}")
    return 0


def read_by_white(options: argparse.Namespace) -> list[Swatch | None]:
    """The paint on each wall now, in the light that something white tells."""
    from wallpaint.pixels.recolor import estimate_paint
    from wallpaint.report.compare import load_scene

    if options.old_paint:
        raise UserError("--old-paint and --white both say what the wall's paint is now, give one of them")
    scenes = [load_scene(options.photo, mask, None, options.invert_mask) for mask in options.mask]
    old_paints = [estimate_paint(scene.photo, scene.mask, options.white) for scene in scenes]
    print(f"paint on the wall now, by what is white: about {', '.join(paint.hex for paint in old_paints)}")
    return [*old_paints]


def run_evaluate(options: argparse.Namespace) -> int:
    """Evaluate: the same over a folder of rooms whose true repaint is known."""
    if options.limit is not None and options.limit < 1:
        raise UserError(f"limit {options.limit} is too small, given to --limit, use 1 or more")
    from wallpaint.report.evaluate import evaluate

    family = options.overrides.get("family")
    evaluate(options.rooms, options.arms, options.limit, options.out, painting(options), family)
    print(f"report: {options.out / 'report.html'}")
    return 0


def run_masks(options: argparse.Namespace) -> int:
    """Propose walls for a folder of photos and keep them as a dataset; 1 when not one was found."""
    from wallpaint.walls import finders
    from wallpaint.walls.propose import SURE, list_photos, mask_folder

    _, rest = list_photos(options.masks)  # complains before the models are loaded
    if rest:
        print(f"left out, no photos: {rest}", file=sys.stderr)
    kept, unsure = 0, 0
    chosen = finders.FINDERS[options.finder] if options.finder else finders.pick_finder()
    print(f"walls found by {chosen.name}", file=sys.stderr)
    finder = finders.load_finder(chosen)
    for path, proposal, problem in mask_folder(options.masks, options.out, finder):
        name = path.relative_to(options.masks)
        if proposal is None:
            print(f"skipped {name}: {problem}", file=sys.stderr)
            continue
        kept, unsure = kept + 1, unsure + (proposal.confidence < SURE)
        sure = f"confidence {proposal.confidence:.2f}" + ("" if proposal.confidence >= SURE else ", look at it")
        print(f"{name}: wall {100 * proposal.share:.0f} %, {sure}, paint {proposal.paint.hex}", flush=True)
    print(f"dataset: {options.out}, {kept} samples, {unsure} of them unsure (proposals.json lists these first)")
    return 0 if kept else 1


def run_check(options: argparse.Namespace) -> int:
    """Say what is wrong with a dataset, where, and how to mend it; 1 when something is."""
    from wallpaint.dataset.doctor import check_dataset

    findings = check_dataset(options.check)
    for finding in findings:
        print(f"{finding.kind}: {finding}")
    print(f"{len(findings)} findings in {options.check}" if findings else f"nothing to mend in {options.check}")
    return 1 if findings else 0


def run_doctor(options: argparse.Namespace) -> int:
    """Say what machine this is, which family fits it, what is there and what is missing."""
    from wallpaint.runs.machine import describe_machine

    for line in describe_machine():
        print(line)
    return 0


def run_encode(options: argparse.Namespace) -> int:
    """Fill the cache with what a run of these settings will read there."""
    from wallpaint.cli import existing

    given, path = options.encode, options.config
    if given.endswith((".yaml", ".yml")) and not path:
        config = read_config(existing(given, "--encode"), options.overrides)
    else:
        config = read_config(path, {**options.overrides, "dataset": str(existing(given, "--encode", folder=True))})
    from wallpaint.train.encode import encode_dataset

    print(f"manifest: {encode_dataset(config, options.engine)}")
    return 0


def run_export(options: argparse.Namespace) -> int:
    """Write a run's LoRA in another layout."""
    if not Path(options.run).exists():
        raise UserError(f"no such run or file {options.run!r}, given to --run, check the path")
    from wallpaint.learned.export import export_kohya

    print(f"LoRA: {export_kohya(options.run, options.out)}")
    return 0


def run_push_to_hub(options: argparse.Namespace) -> int:
    """Put a run on the hub."""
    from wallpaint.learned.export import push_to_hub

    print(f"repository: {push_to_hub(options.run, options.push_to_hub)}")
    return 0


def run_studio(options: argparse.Namespace) -> int:
    """Serve the studio until it is interrupted."""
    host, workspace = options.host, Path(options.workspace)
    if not 1 <= options.port <= 65535:
        raise UserError(f"port {options.port} does not exist, given to --port, use 1 to 65535")
    if options.auth is not None and not all(options.auth.partition(":")[::2]):
        raise UserError("a name and a password are needed, given to --auth, write it as USER:PASSWORD")
    try:
        str(workspace.resolve()).encode()
    except UnicodeEncodeError:
        raise UserError(f"{str(workspace)!a} is no UTF-8 name, given to --workspace, give another folder") from None
    # Gradio reads these as it is imported; the system's folder for temporary files may belong to another user.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("GRADIO_TEMP_DIR", str(workspace.resolve() / "tmp" / "gradio"))
    from wallpaint.process import bypass_proxy
    from wallpaint.ui.app import serve

    bypass_proxy(host)
    serve(host, options.port, options.auth, options.share, workspace, options.allowed_host)
    return 0


RUN = {
    "": run_studio,
    "--train": run_train,
    "--compare": run_compare,
    "--evaluate": run_evaluate,
    "--masks": run_masks,
    "--check": run_check,
    "--doctor": run_doctor,
    "--encode": run_encode,
    "--export": run_export,
    "--push-to-hub": run_push_to_hub,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    from wallpaint import process
    from wallpaint.cli import read_arguments
    from wallpaint.runs import disk

    process.prepare_process()
    with process.reader_may_leave():
        log = Path("workspace") / LOG
        options = argparse.Namespace(log=log)
        try:
            command, options = read_arguments(sys.argv[1:] if arguments is None else arguments)
            options.log = Path(getattr(options, "workspace", "workspace")) / LOG
            return RUN[command](options)
        except UserError as problem:
            process.complain(str(problem))
            return 2
        except KeyboardInterrupt:
            return STOPPED
        except Exception as problem:
            if isinstance(problem, BrokenPipeError) and process.has_reader_left():
                raise
            if disk.is_full(problem):
                place = getattr(options, "out", None) or options.log.parent
                process.complain(f"the disk is full, {place}, make room and try again")
                return 1
            return process.end_badly(problem, options.log)


if __name__ == "__main__":
    sys.exit(main())
