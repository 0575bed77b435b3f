"""How a process begins and ends: encodings, proxies, faults, readers that leave. Imports nothing heavy."""

import contextlib
import errno
import gc
import os
import re
import select
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from wallpaint import disk
from wallpaint.errors import UserError, reason_of

# Of a machine or a GPU, in the words of Python, torch and the system's loader.
MEMORY = re.compile(r"\bout of memory\b|(can't|cannot) allocate memory|failed to map segment|bad_alloc", re.I)
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
STOPPED = 130  # 128 + SIGINT
STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]  # ask for an end
HANGUP = getattr(signal, "SIGHUP", None)  # not on every system
GONE = 141  # 128 + SIGPIPE, as a shell says of a tool whose reader left

_pausing = threading.Lock()
_paused = {"by": 0, "works": True}  # how many pause the garbage collector, and whether it worked before the first


def prepare_process() -> None:
    """Settle what this process and its children take from the environment.

    The console keeps its encoding and shows escapes for what it lacks; children write UTF-8, for logs.
    Nobody asks a proxy for this machine: Gradio calls its own server when it starts.

    Raises:
        UserError: the working folder is gone, or Python runs in a way that libraries do not.
    """
    _open_closed_streams()
    if sys.flags.optimize > 1:
        raise UserError(
            "docstrings are dropped (-OO, PYTHONOPTIMIZE=2), which transformers reads, start Python without"
        )
    try:
        os.getcwd()
    except OSError:
        raise UserError("the folder that this was started in is gone, cd to one that is there") from None
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a test's own
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    os.environ |= {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"}
    bypass_proxy("localhost", "127.0.0.1", "::1")


def _open_closed_streams() -> None:
    """Lead the standard streams that were closed at the start (`>&-`) to nowhere.

    Else the first file that is opened would take such a stream's number, and what a library prints would go into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))


def heed_stops(note: Callable[[int, FrameType | None], Any]) -> dict[int, Any]:
    """Let `note` hear of STOPS, but of none that is to be ignored, as after `nohup`; give the handlers of before."""
    heard = [number for number in STOPS if signal.getsignal(number) != signal.SIG_IGN]
    try:
        return {number: signal.signal(number, note) for number in heard}
    except ValueError:  # not in the main thread: no signal is delivered here
        return {}


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT, SIGTERM and SIGHUP in a list that is empty until one comes; a second one interrupts at once.

    But not a second SIGHUP: of a terminal that closes both the shell and the system tell.
    """
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        if received and number != HANGUP:
            raise KeyboardInterrupt
        received.append(number)

    old = heed_stops(note)
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def bypass_proxy(*hosts: str) -> None:
    """Add hosts to those that are reached without the proxy that the environment may name."""
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    names = [name.strip(" []") for name in known.split(",") if name.strip(" []")]  # httpx takes no brackets
    if "*" not in names:
        names = list(dict.fromkeys([*names, *hosts]))
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(names)


def drop_broken_proxies() -> None:
    """Do without a proxy of the environment that cannot be used, and say so: Gradio would not start with it."""
    import httpx

    for name in [name for name in os.environ if name.lower() in PROXIES]:
        try:
            httpx.Client(proxy=os.environ[name].strip() or None, trust_env=False).close()
            os.environ[name] = os.environ[name].strip()
        except (ImportError, ValueError, httpx.InvalidURL) as error:  # SOCKS without its package; no address
            del os.environ[name]
            print(f"note: the proxy of {name} cannot be used ({reason_of(error)}): going on without", file=sys.stderr)


def explain(problem: BaseException, place: Path | str, then: str = "try again") -> str:
    """Say what the machine lacks where that is what went wrong, and what to do `then`; '' for any other fault."""
    if disk.is_full(problem):
        return f"the disk is full, {place}, make room and {then}"
    if isinstance(problem, MemoryError) or MEMORY.search(str(problem)):
        reason = reason_of(problem)
        return f"memory is not enough ({reason}), {place}, free some or ask for less at a time and {then}"
    return ""


def complain(text: str) -> None:
    """Say one line to the person."""
    print("error: " + " ".join(text.split()), file=sys.stderr, flush=True)


def end_badly(problem: Exception, log: Path) -> int:
    """Say in one line what ended the process, and give the exit code; a fault's traceback goes to `log`."""
    if isinstance(problem, OSError) and problem.filename:
        if problem.errno in disk.FORBIDDEN:
            complain(f"{problem.strerror}, {problem.filename}, make it readable and writable or name another place")
            return 2
        if problem.errno in disk.NO_PLACE:
            complain(f"{problem.strerror}, {problem.filename2 or problem.filename}, name another place")
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
def collector_paused() -> Iterator[None]:
    """Pause the garbage collector while what comes to stay is read: the libraries, a dataset's rows.

    It would look for circles in a million of their objects again and again: a seventh of the time that torch,
    diffusers and gradio take to import. Where threads pause it at once, it goes on after the last of them.
    """
    with _pausing:
        if not _paused["by"]:
            _paused["works"] = gc.isenabled()
        _paused["by"] += 1
        gc.disable()
    try:
        yield
    finally:
        with _pausing:
            _paused["by"] -= 1
            if not _paused["by"] and _paused["works"]:
                gc.enable()


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
    except OSError as problem:
        gone = is_reader_gone(problem)  # else the disk that it was to be written to is full, which has been told
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        raise SystemExit(GONE if gone else 1) from None


def is_reader_gone(problem: BaseException) -> bool:
    """Whether this was raised because nobody reads what is printed any more: a pipe's reader or a terminal is gone.

    A broken pipe may also be another's.
    """
    if not isinstance(problem, OSError) or problem.errno not in (errno.EPIPE, errno.EIO):
        return False
    ends = select.poll()
    for stream in (sys.stdout, sys.stderr):
        ends.register(stream.fileno(), 0)  # errors and hang-ups are told unasked
    return bool(ends.poll(0))
