"""--masks: propose walls for a folder of photos and keep them as a dataset."""

import argparse
import sys

from wallpaint.process import collector_paused
from wallpaint.walls import finders
from wallpaint.walls.propose import SURE, list_photos, mask_folder


def run(options: argparse.Namespace) -> int:
    """Say of each photo what was found; 1 when nothing was."""
    _, rest = list_photos(options.masks)  # complains before the models are loaded
    if rest:
        print(f"left out, no photos: {rest}", file=sys.stderr)
    kept, unsure = 0, 0
    chosen = finders.FINDERS[options.finder] if options.finder else finders.pick_finder()
    print(f"walls found by {chosen.name}", file=sys.stderr)
    with collector_paused():
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
