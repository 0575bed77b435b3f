"""Memory over many repaints with the shipped arms: each another photo, paint and seed. Prints MB as it goes.

python tests/bench/bench_repaints.py [--count 1000]
"""

import argparse
import json
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from wallpaint.paint.arms import open_arms
from wallpaint.paint.settings import SamplingSettings
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import load_mask, load_photo
from wallpaint.pixels.recolor import Coat

ROOMS = ROOT / "assets" / "rooms" / "test"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    count = parser.parse_args().count
    rows = [json.loads(line) for line in (ROOMS / "metadata.jsonl").read_text("utf-8").splitlines()]
    arms, start, first = open_arms(["old", "new", "recolor"], "room-tiny"), time.perf_counter(), 0.0
    for number in range(1, count + 1):
        row = rows[number % len(rows)]
        photo = load_photo(ROOMS / row["file_name"])
        mask = load_mask(ROOMS / row["mask_file_name"], photo.size)
        swatch = Swatch((number % 256, number * 7 % 256, number * 31 % 256))
        arms.paint(Coat(photo, mask, swatch), SamplingSettings(number, 1, prompt=row["text"]))
        if number in (10, 30, 100, 300, 1000, count):
            memory = psutil.Process().memory_info().rss / 1e6
            first = first or memory
            seconds = time.perf_counter() - start
            print(f"{number} repaints, {seconds:.0f} s: {memory:.0f} MB, {memory - first:+.0f}", flush=True)


if __name__ == "__main__":
    main()
