#!/usr/bin/env python3
"""wallpaint's only entry: the studio in a browser, or the command that a flag names.

`wallpaint/cli.py` has the flags of each command, `wallpaint/commands/` a module of its name that runs it, imported
when it is known which, so that --help and a mistyped flag answer at once.
Exit codes: 0 done, 1 failed, 2 bad input (one line on stderr), 130 stopped, 141 nobody reads what it prints.
"""

import argparse
import importlib
import signal
import sys
from pathlib import Path

if (home := str(Path(__file__).resolve().parent)) not in sys.path:
    sys.path.insert(0, home)  # `python -P` and PYTHONSAFEPATH leave it out

from wallpaint import process
from wallpaint.cli import read_arguments
from wallpaint.errors import UserError

LOG = "wallpaint.log"  # in the workspace; the faults of a run go to its own train.log


def module_of(command: str) -> str:
    """Name the module of a command: wallpaint.commands.push_to_hub of '--push-to-hub', the studio's of ''."""
    return f"wallpaint.commands.{command.strip('-').replace('-', '_') or 'studio'}"


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    with process.reader_may_leave():
        options = argparse.Namespace(log=Path("workspace") / LOG)
        try:
            process.prepare_process()
            command, options = read_arguments(sys.argv[1:] if arguments is None else arguments)
            if command:  # what it has begun goes with it; the studio's visitors are not waited for
                process.heed_stops(signal.default_int_handler)
            options.log = Path(getattr(options, "workspace", "workspace")) / LOG
            code = importlib.import_module(module_of(command)).run(options)
            sys.stdout.flush()
            return code
        except UserError as problem:
            process.complain(str(problem))
            return 2
        except KeyboardInterrupt:
            return process.STOPPED
        except Exception as problem:
            if process.is_reader_gone(problem):
                raise
            if lacking := process.explain(problem, getattr(options, "out", None) or options.log.parent):
                process.complain(lacking)
                return 1
            return process.end_badly(problem, options.log)


if __name__ == "__main__":
    sys.exit(main())
