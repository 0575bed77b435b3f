"""How long a new paint takes on a photo whose wall is marked and that was painted before; JSON on stdout, seconds.

python tests/bench/bench_new_paint.py [--megapixels 2] [--repeats 5]

`live` is the board's repaint as one chooses a paint, from the page's call to the picture in its hands; `arms` what
each arm took of one batch of all shipped ones; `paint` the button Paint of tab Compare with the arms that are ticked
there and the paint already on the board, from the press to the pictures and figures on disk. Medians; wall clock, and
`cpu` of this process.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from PIL import Image

from wallpaint.paint.arms import open_arms
from wallpaint.paint.settings import COMPARED_ARMS, SamplingSettings
from wallpaint.pixels.color import parse_color
from wallpaint.pixels.images import load_mask, load_photo
from wallpaint.pixels.recolor import Coat
from wallpaint.ui.board import calls, pictures
from wallpaint.ui.board.walls import Wall, read_walls, write_walls
from wallpaint.ui.compare import scene
from wallpaint.ui.compare.arms import SHEET_ARM
from wallpaint.ui.compare.painting import PaintRequest, paint_comparison

ARMS = ["refine", "old", "new", "color", "base", "field", "recolor"]
PAINTS = ("#7A9E7E", "#C8553D", "#2F4858", "#E8C547", "#F2F0E9", "#B65D8F", "#5B8DB8")


def timed(
    do: Callable[[str], object], repeats: int, before: Callable[[str], object] = lambda paint: None
) -> dict[str, float]:
    """Median seconds of a paint that is new, after a first one; without what is done `before`."""
    before(PAINTS[0])
    do(PAINTS[0])
    clock, work = [], []
    for number in range(repeats):
        paint = PAINTS[1 + number % (len(PAINTS) - 1)]
        before(paint)
        began, worked = time.perf_counter(), time.process_time()
        do(paint)
        clock.append(time.perf_counter() - began)
        work.append(time.process_time() - worked)
    return {"clock": round(statistics.median(clock), 2), "cpu": round(statistics.median(work), 2)}


def main() -> None:
    """Run it and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megapixels", type=float, default=2.0)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    test = ROOT / "assets" / "rooms" / "test"
    side = round((options.megapixels * 1e6) ** 0.5)
    photo = load_photo(test / "000002-0.jpg").resize((side, side), Image.Resampling.BICUBIC)
    mask = load_mask(test / "000002-0-mask.png").resize(photo.size, Image.Resampling.NEAREST)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        photo.save(workspace / "photo.png")
        mask.save(workspace / "mask.png")
        picture = pictures.open_marked(
            workspace / "photo.png", workspace / "mask.png", workspace, "room", Wall(paint=PAINTS[0])
        )
        token, arms = Path(picture["folder"]).name, open_arms(ARMS, "room-tiny")
        walls = read_walls(picture["folder"])[0]

        def paint_arm(paint: str) -> None:
            for name, (_, seconds) in arms.paint(Coat(photo, mask, parse_color(paint)), SamplingSettings()).items():
                taken.setdefault(name, []).append(seconds)

        def choose(paint: str) -> None:
            write_walls(picture["folder"], [Wall(walls[0].mask, walls[0].now, paint)])
            calls.repaint(workspace, {"token": token})

        def press(paint: str) -> None:
            ticked = PaintRequest(list(COMPARED_ARMS), SHEET_ARM, 0, None, None, None, False)
            paint_comparison(workspace, scene.Room(picture), ticked, [], "en")

        taken: dict[str, list[float]] = {}
        live = timed(lambda paint: calls.repaint(workspace, {"token": token, "paints": [paint]}), options.repeats)
        batch = timed(paint_arm, options.repeats)
        pressed = timed(press, options.repeats, before=choose)
    each = {name: round(statistics.median(seconds[1:]), 2) for name, seconds in taken.items()}
    figures = {"size": photo.size, "live": live, "all_arms": batch, "arms": each, "paint": pressed}
    print(json.dumps({**figures, "ticked": list(COMPARED_ARMS), "cores": os.cpu_count(), "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
