"""A training run is a process and a folder: its state, log and metrics. Imports neither torch nor gradio.

Everything the studio shows of a run comes from the folder, so a page may be reloaded, the studio restarted
and a second tab opened while a run goes on. `run.json` holds the state; the trainer writes it with
`write_state`, the studio reads it with `read_run`, which also notices a trainer that died without a word.
`launch` starts, queues and stops them.
"""

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from wallpaint.disk import atomic_path, locked
from wallpaint.errors import UserError
from wallpaint.paths import ascii_name

ALIVE = ("starting", "running")  # then done, failed or stopped; crashed is what we find, nobody reports it
LOCK = ".lock"  # held by the process at work on a folder
QUEUED = "queued"  # a folder with its config, waiting for its turn
GROWING = ("run.json", "metrics.jsonl", "train.log")  # what changes while a run goes on
NUMBERS = (
    "step max_train_steps pid pid_started exit_code created queued updated running_since running_from stop_requested"
).split()
LOG_BYTES = 64_000  # of a log's end that are looked at
START_SECONDS = 60  # a run that has no pid after this long never got one


@dataclass(frozen=True)
class RunState:
    """What `run.json` says of a run, with a vanished process already told from a working one."""

    folder: Path
    state: str
    step: int = 0
    max_train_steps: int = 0
    pid: int | None = None
    exit_code: int | None = None
    error: str = ""
    eta_seconds: float | None = None
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The run's name, which is its folder's."""
        return self.folder.name

    @property
    def alive(self) -> bool:
        """Whether a process is at work on it."""
        return self.state in ALIVE


def process_started(pid: int) -> float | None:
    """When process `pid` started (seconds since 1970), None if there is none or it is a zombie."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except (psutil.Error, ValueError, TypeError):  # the last two of a pid that cannot be one
        return None


def is_running(pid: int | None, pid_started: float | None) -> bool:
    """Whether `pid` is still the process that started at `pid_started`; pids are reused."""
    started = process_started(pid) if pid else None
    return started is not None and pid_started is not None and abs(started - pid_started) < 1.0


def is_at_work(folder: Path, fields: dict[str, Any]) -> bool:
    """Whether the process that run.json names is at work on the folder.

    When a process started is told by the clock, which may have been set since; the lock on the folder tells too.
    """
    pid = fields.get("pid")
    if is_running(pid, fields.get("pid_started")):
        return True
    if pid is None or process_started(pid) is None or not (folder / LOCK).is_file():
        return False
    try:
        with locked(folder / LOCK, wait=False):
            return False
    except OSError as error:
        return isinstance(error, BlockingIOError)


@contextlib.contextmanager
def claim(folder: str | Path) -> Iterator[None]:
    """Be the one process at work on a run folder; where there are no locks, by what run.json says.

    Raises:
        UserError: another process is.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LOCK).touch()
    taken = UserError(
        f"another process is at work in {folder}, given to --output_dir, stop it first or give another folder"
    )
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(locked(folder / LOCK, wait=False))
        except BlockingIOError:
            raise taken from None
        run = read_run(folder)
        if not held and run.alive and run.pid not in (None, os.getpid()):
            raise taken
        yield


def _read_json(path: Path) -> dict[str, Any]:
    """Read run.json; fields of NUMBERS that hold no number, or one out of range, are left out."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    fields = value if isinstance(value, dict) else {}
    numbers = {name: value for name, value in fields.items() if name in NUMBERS}
    wrong = [name for name, value in numbers.items() if type(value) not in (int, float) or not abs(value) < 1e12]
    return {name: value for name, value in fields.items() if name not in wrong}


def write_state(folder: str | Path, **fields: Any) -> dict[str, Any]:
    """Merge `fields` into the folder's run.json, whole or not at all, and return what it now says.

    A `pid` brings its start time along; the first `state="running"` of a process is stamped with the time and
    step it began at, from which `read_run` works out the time left.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        old = _read_json(folder / "run.json")
        now = time.time()
        new = {**old, **fields, "updated": now}
        if fields.get("pid") is not None and "pid_started" not in fields:
            new["pid_started"] = process_started(fields["pid"])
        if fields.get("state") == "running" and (old.get("state") != "running" or "pid" in fields):
            new["running_since"], new["running_from"] = now, new.get("step") or 0
        with atomic_path(folder / "run.json") as path:
            path.write_text(json.dumps(new, indent=2, default=str), encoding="utf-8")
    return new


def give_back(folder: str | Path, refused: str = "") -> bool:
    """Give a run that could not be resumed its earlier state back, and why as `refused`; False where it had none."""
    before = read_run(folder).fields.get("before")
    if isinstance(before, dict):
        write_state(folder, **(before | {"before": None, "refused": refused}))
    return isinstance(before, dict)


def _eta(fields: dict[str, Any]) -> float | None:
    """Seconds left, from the pace since the process took up its work; None before the first logged step."""
    done = (fields.get("step") or 0) - (fields.get("running_from") or 0)
    left = (fields.get("max_train_steps") or 0) - (fields.get("step") or 0)
    since, updated = fields.get("running_since"), fields.get("updated")
    if fields.get("state") != "running" or done <= 0 or left < 0 or not since or not updated:
        return None
    return (updated - since) / done * left


def read_run(folder: str | Path) -> RunState:
    """Read a run folder; a run that says it is at work but whose process is gone is `crashed`."""
    folder = Path(folder)
    fields = _read_json(folder / "run.json")
    state = str(fields.get("state") or "unknown")
    if state in ALIVE:
        pid = fields.get("pid")
        young = pid is None and time.time() - float(fields.get("updated") or 0) < START_SECONDS
        if not young and not is_at_work(folder, fields):
            state = "crashed"
            again = _read_json(folder / "run.json")  # it may have ended, in good order, between the two looks
            if again.get("state") not in (*ALIVE, None):
                fields, state = again, str(again["state"])
    return RunState(
        folder=folder,
        state=state,
        step=int(fields.get("step") or 0),
        max_train_steps=int(fields.get("max_train_steps") or 0),
        pid=fields.get("pid"),
        exit_code=fields.get("exit_code"),
        error=str(fields.get("error") or ""),
        eta_seconds=_eta(fields) if state == "running" else None,
        fields=fields,
    )


def list_runs(workspace: str | Path) -> list[RunState]:
    """All runs of a workspace, newest first."""
    folders = [path.parent for path in Path(workspace, "runs").glob("*/run.json")]
    times = {path: _read_json(path / "run.json").get("created") or path.stat().st_mtime for path in folders}
    newest_first = sorted(folders, key=lambda path: (times[path], number_in(path), path.name), reverse=True)
    return [read_run(path) for path in newest_first]


def number_in(path: Path) -> int:
    """The number at the end of a name, by which runs, steps and their pictures are sorted; -1 where there is none."""
    digits = re.search(r"(\d+)(\.[a-z]+)?$", path.name)
    return int(digits[1]) if digits else -1


def list_pictures(folder: Path) -> list[Path]:
    """What the validations of a run have painted, the oldest first."""
    return sorted((folder / "samples").glob("step-*.png"), key=number_in)


def new_run_folder(workspace: str | Path, name: str) -> Path:
    """Make `<workspace>/runs/<name>-<n>` with the first free n and return it (absolute)."""
    name = ascii_name(name) or "run"
    parent = Path(workspace).resolve() / "runs"
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = parent / f"{name}-{number}"
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            write_state(folder, state="starting", created=time.time(), step=0)
            return folder


def tail_log(folder: str | Path, lines: int = 20) -> str:
    """Read the last lines of train.log; of a progress bar only what it shows last."""
    try:
        with open(Path(folder) / "train.log", "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - LOG_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    shown = [line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in text.split("\n")]
    return "\n".join([line for line in shown if line][-lines:])


def read_metrics(folder: str | Path) -> list[dict[str, Any]]:
    """Read metrics.jsonl, an object a logged step; a line still being written is left for the next look."""
    try:
        text = (Path(folder) / "metrics.jsonl").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    rows = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and isinstance(row.get("step"), int):
                rows.append(row)
    return rows
