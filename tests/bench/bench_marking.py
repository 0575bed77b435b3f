"""How near the true wall clicks come, made where a mask errs most; a table on stdout.

python tests/bench/bench_marking.py [ROOMS] [--clicks 5] [--limit N] [--kind accent]

ROOMS is a folder of rooms with masks (docs/files.md). The board is asked as its script asks it: on an unmarked photo,
and to correct what was found unasked. Each click is where the mask errs in the widest place: on wall that it misses or
off what it took for wall. Intersection over union with the true wall after each, mean and 10th percentile.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import ndimage

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from wallpaint.dataset.folder import read_samples
from wallpaint.dataset.rows import KINDS
from wallpaint.pixels.images import load_mask
from wallpaint.ui.board import pictures, segmenter


def widest(region: np.ndarray) -> tuple[float, tuple[float, float]]:
    """How far the deepest pixel of a boolean (h, w) is from its rim, and its (x, y)."""
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return float(depth[y, x]), (float(x), float(y))


def mark(folder: Path, truth: np.ndarray, clicks: int, find: bool) -> list[float]:
    """IoU after each click on an unmarked picture, or of what was found and after each click that corrects it."""
    wall, before, points, labels, ious = np.zeros_like(truth), None, [], [], []
    found = segmenter.propose(folder) if find else None
    if found:
        wall = before = np.asarray(found.mask) >= 128
    for number in range(clicks + find):
        if number >= find:
            (missed, inside), (taken, outside) = widest(truth & ~wall), widest(wall & ~truth)
            label = int(missed >= taken or not wall.any())
            points.append(inside if label else outside)
            labels.append(label)
            mask, _ = segmenter.predict(folder, points, labels, None, before)[0]
            wall = segmenter.refine(folder, mask, points, labels, before)
        ious.append(float((wall & truth).sum() / (wall | truth).sum()))
    return ious


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", type=Path, nargs="?", default=ROOT / "assets" / "rooms" / "test")
    parser.add_argument("--clicks", type=int, default=5)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--kind", choices=KINDS, help="rooms of this kind alone")
    options = parser.parse_args()
    samples = [s for s in read_samples(options.rooms, None) if options.kind in (None, s.kind)][: options.limit]
    ious: dict[bool, list[list[float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as workspace:
        for sample in samples:
            folder = Path(pictures.open_picture(sample.image, Path(workspace))["folder"])
            size = segmenter.load_view(folder).size
            truth = np.asarray(load_mask(sample.mask).resize(size)) >= 128
            for find in ious:
                ious[find].append(mark(folder, truth, options.clicks, find))
    print(f"| {len(samples)} photos | found | " + " | ".join(str(n) for n in range(1, options.clicks + 1)) + " |")
    print("|---|" + "---:|" * (options.clicks + 1))
    for find, rows in ious.items():
        columns = ([] if find else ["–"]) + [
            f"{mean:.2f} ({low:.2f})" for mean, low in zip(np.mean(rows, 0), np.percentile(rows, 10, 0), strict=True)
        ]
        print(f"| {'corrections' if find else 'clicks'} | " + " | ".join(columns) + " |")


if __name__ == "__main__":
    main()
