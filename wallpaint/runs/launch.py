"""Start, queue, stop, resume and delete training runs. Imports neither torch nor gradio.

A workspace trains one run at a time. A queued run is a run folder whose `run.json` says so, so the queue
outlives the page and the studio; whoever calls `start_next` now and then (the studio does) moves it on.
"""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from wallpaint.disk import locked
from wallpaint.errors import UserError
from wallpaint.paths import STUDIO
from wallpaint.runs.state import (
    ALIVE,
    QUEUED,
    give_back,
    is_at_work,
    list_runs,
    new_run_folder,
    read_run,
    tail_log,
    write_state,
)

# What a trainer's exit code says where it left no word itself; any other one: crashed.
STATES = {1: "failed", 2: "failed", 130: "stopped"}
FRESH = {"pid": None, "pid_started": None, "exit_code": None, "error": "", "refused": ""}


def start_run(config_path: str | Path, workspace: str | Path, name: str = "run") -> Path:
    """Queue a new run of a copy of `config_path` and start it if nothing else trains; return its folder."""
    if not Path(config_path).is_file():
        raise UserError(f"no such config, {config_path}, give the path of a YAML file")
    folder = new_run_folder(workspace, name)
    try:
        shutil.copyfile(config_path, folder / "config.yaml")
        write_state(folder, state=QUEUED, queued=time.time(), resume=False)
    except OSError:  # a full disk
        shutil.rmtree(folder, ignore_errors=True)
        raise
    start_next(workspace)
    return folder


def resume_run(folder: str | Path) -> Path:
    """Go on with a stopped, failed or crashed run from its last checkpoint, when it is its turn."""
    folder = Path(folder).resolve()
    run = read_run(folder)
    if run.alive or run.state == QUEUED:
        raise UserError(f"the run is at work or queued already, {folder.name}, stop it first")
    if not (folder / "config.yaml").is_file():
        raise UserError(f"no config.yaml to go on with, {folder}, start a new run")
    # A run that never came to a checkpoint begins anew; there is nothing it could go on from.
    resume = any((folder / "checkpoints").glob("step-*"))
    before = {name: run.fields.get(name) for name in ("state", *FRESH)} if resume else None
    with locked(folder.parent):  # whoever looks for the next run right now sees all of this or nothing
        write_state(folder, state=QUEUED, queued=time.time(), resume=resume, before=before, **FRESH)
    start_next(folder.parent.parent)
    return folder


def start_next(workspace: str | Path) -> Path | None:
    """Launch the run that has waited longest, unless one is at work; return its folder, None for nothing."""
    parent = Path(workspace).resolve() / "runs"
    if not parent.is_dir():
        return None
    with locked(parent):  # two studios may share a workspace
        runs = list_runs(workspace)
        waiting = [run for run in runs if run.state == QUEUED]
        if not waiting or any(run.alive for run in runs):
            return None
        run = min(waiting, key=lambda run: run.fields.get("queued") or 0.0)
        write_state(run.folder, state="starting", **FRESH)
        arguments = [str(run.folder / "config.yaml"), "--output_dir", str(run.folder)]
        _launch(run.folder, [*arguments, *(["--resume"] if run.fields.get("resume") else [])])
        return run.folder


def stop_run(folder: str | Path) -> bool:
    """Ask the trainer to stop (SIGTERM: it saves a checkpoint first), or leave the queue; False: it does neither."""
    folder = Path(folder)
    with locked(folder.resolve().parent):
        run = read_run(folder)
        if run.state == QUEUED:
            if not give_back(folder):
                write_state(folder, state="stopped")
            return True
    if run.pid is None or not run.alive or not is_at_work(folder, run.fields):
        return False
    os.kill(run.pid, signal.SIGTERM)
    write_state(folder, stop_requested=time.time())
    return True


def delete_run(folder: str | Path) -> None:
    """Move a run folder into the workspace's trash; UserError while its process is at work."""
    folder = Path(folder).resolve()
    with locked(folder.parent):
        if read_run(folder).alive:
            raise UserError(f"the run is at work, {folder.name}, stop it first")
        place = folder.parent.parent / "trash" / secrets.token_hex(6)  # fresh, so that its time says when
        place.mkdir(parents=True)
        folder.rename(place / folder.name)


def list_deleted(workspace: str | Path) -> list[Path]:
    """Run folders in the trash, the one deleted last first."""
    places = [path for path in Path(workspace, "trash").glob("*/*") if (path / "run.json").is_file()]
    return sorted(places, key=lambda path: path.parent.stat().st_mtime_ns, reverse=True)


def restore_run(deleted: Path) -> Path:
    """Move a run of `list_deleted` back and return its folder; where its name is taken it gets the next free one."""
    parent, stem, number = deleted.parent.parent.parent / "runs", re.sub(r"-\d+$", "", deleted.name), 0
    folder = parent / deleted.name
    while True:
        try:
            folder.mkdir(parents=True)  # an empty folder holds the name, and is what a folder may be renamed to
            break
        except FileExistsError:
            number += 1
            folder = parent / f"{stem}-{number}"
    deleted.rename(folder)
    deleted.parent.rmdir()
    return folder


def _launch(folder: Path, arguments: list[str]) -> None:
    """Start `studio.py --train` in a session of its own, so that it outlives the studio."""
    command = [sys.executable, str(STUDIO), "--train", *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    temporary = folder.parent.parent / "tmp"
    if len(str(temporary)) < 70:  # sockets of multiprocessing lie there, and Unix takes 107 letters
        temporary.mkdir(exist_ok=True)
        environment["TMPDIR"] = str(temporary)
    with open(folder / "train.log", "ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
        )
    write_state(folder, pid=process.pid)
    threading.Thread(target=_reap, args=(process, folder), daemon=True).start()


def _reap(process: subprocess.Popen, folder: Path) -> None:
    """Take in the exit code of a trainer that ended without writing one itself (killed, out of memory)."""
    code = process.wait()
    if not folder.is_dir():
        return
    run = read_run(folder)
    if run.fields.get("pid") not in (process.pid, None):
        return  # somebody has resumed it meanwhile
    if run.fields.get("state") in ALIVE:
        refused = code == 2 and run.fields["state"] == "starting"
        if not (refused and give_back(folder, tail_log(folder, 1).removeprefix("error: "))):
            write_state(folder, state=STATES.get(code, "crashed"), exit_code=code)
    elif run.exit_code is None and run.state != QUEUED and not run.fields.get("refused"):
        write_state(folder, exit_code=code)
    start_next(folder.parent.parent)
