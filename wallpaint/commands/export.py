"""--export: a run's LoRA in another layout."""

import argparse
from pathlib import Path

from wallpaint.errors import UserError
from wallpaint.process import collector_paused


def run(options: argparse.Namespace) -> int:
    """Write it, and say where."""
    if not Path(options.run).exists():
        raise UserError(f"no such run or file {options.run!r}, given to --run, check the path")
    with collector_paused():
        from wallpaint.learned.export import export_kohya

    print(f"LoRA: {export_kohya(options.run, options.out)}")
    return 0
