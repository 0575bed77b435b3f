"""How a process begins and ends: encodings, proxies, faults, readers that leave. Imports nothing heavy."""

import contextlib
import os
import select
import sys
import tempfile
import traceback
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from wallpaint import disk

STOPPED = 130  # 128 + SIGINT
GONE = 141  # 128 + SIGPIPE, as a shell says of a tool whose reader left


def prepare_process() -> None:
    """Settle what this process and its children take from the environment.

    The console keeps its encoding and shows escapes for what it lacks; children write UTF-8, for logs.
    Nobody asks a proxy for this machine: Gradio calls its own server when it starts.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # none at all, or a test's own
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    os.environ |= {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"}
    bypass_proxy("localhost", "127.0.0.1", "::1")


def bypass_proxy(*hosts: str) -> None:
    """Add hosts to those that are reached without the proxy that the environment may name."""
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    names = [name.strip() for name in known.split(",") if name.strip()]
    if "*" not in names:
        names = list(dict.fromkeys([*names, *hosts]))
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(names)


def complain(text: str) -> None:
    """Say one line to the person."""
    print("error: " + " ".join(text.split()), file=sys.stderr, flush=True)


def end_badly(problem: Exception, log: Path) -> int:
    """Say in one line what ended the process, and give the exit code; a fault's traceback goes to `log`."""
    if isinstance(problem, OSError) and problem.errno in disk.FORBIDDEN and problem.filename:
        complain(f"{problem.strerror}, {problem.filename}, make it readable and writable or name another place")
        return 2
    what = f"{type(problem).__name__}: {problem}"
    for wanted in (log, None):
        try:
            place = wanted or Path(tempfile.gettempdir()) / f"wallpaint-{os.getpid()}.log"
            place.parent.mkdir(parents=True, exist_ok=True)
            with open(place, "a", encoding="utf-8", errors="backslashreplace") as file:
                print(datetime.now().isoformat(timespec="seconds"), file=file)
                traceback.print_exception(problem, file=file)
        except OSError:  # a full disk, a folder that is read only
            continue
        complain(f"{what}, a fault of this program, its traceback is in {place}")
        return 1
    complain(f"{what}, a fault of this program, its traceback could not be kept")
    return 1


@contextlib.contextmanager
def reader_may_leave() -> Iterator[None]:
    """End without a word, as Unix tools do, when the reader of what is printed is gone (`| head -1`).

    Not by SIGPIPE's own way, which would end the studio with the first browser that hangs up.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # at its own exit Python would complain aloud
    except BrokenPipeError:
        if not has_reader_left():
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        raise SystemExit(GONE) from None


def has_reader_left() -> bool:
    """Whether nobody reads what is printed any more; a broken pipe may also be another's."""
    ends = select.poll()
    for stream in (sys.stdout, sys.stderr):
        ends.register(stream.fileno(), 0)  # errors and hang-ups are told unasked
    return bool(ends.poll(0))
