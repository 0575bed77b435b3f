"""--evaluate: compare, over a folder of rooms whose true repaint is known."""

import argparse

from wallpaint.commands.compare import painting
from wallpaint.errors import UserError
from wallpaint.process import collector_paused


def run(options: argparse.Namespace) -> int:
    """Measure the arms, and report."""
    if options.limit is not None and options.limit < 1:
        raise UserError(f"limit {options.limit} is too small, given to --limit, use 1 or more")
    with collector_paused():
        from wallpaint.report.evaluate import evaluate

    family = options.overrides.get("family")
    how = {"family": family, "old_paint": options.old_paint}
    evaluate(options.rooms, options.arms, options.limit, options.out, painting(options), **how)
    print(f"report: {options.out / 'report.html'}")
    return 0
