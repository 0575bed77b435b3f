"""How well masks keep to edges at a photo's own size, before and after they are refined; a table on stdout.

python tests/bench/bench_edges.py ROOMS [--size 2048] [--limit N]

ROOMS is a folder of rooms with masks (docs/files.md), as `python -m wallpaint.recipes.rooms --size 2048 --truths 0`
makes them; with --size photos and masks are first enlarged to it. The boundary F-score counts what of either outline
lies within 3 pixels of the other. `grid` is the true mask as a perfect finder of 128 x 128 would give it, `found` what
`--masks` proposes, `click` what a click in the middle of the wall gives on the board.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from wallpaint.dataset.folder import read_samples
from wallpaint.pixels.images import load_mask, load_photo
from wallpaint.pixels.mask_ops import clean_mask, to_mask
from wallpaint.pixels.refine import refine_mask
from wallpaint.walls.finders import WallFinder, load_finder, load_masker, pick_finder
from wallpaint.walls.masks import Masker

NEAR = 3  # pixels
GRID = 128


def boundary_f(found: np.ndarray, truth: np.ndarray) -> float:
    """F-score of outlines of two boolean (H, W), a pixel counting where the other lies within NEAR of it."""
    edges = [mask & ~ndimage.binary_erosion(mask, border_value=1) for mask in (found, truth)]
    precision, recall = (
        float((ndimage.distance_transform_edt(~other) <= NEAR)[edge].mean()) if edge.any() else 0.0
        for edge, other in (edges, edges[::-1])
    )
    return 2 * precision * recall / max(precision + recall, 1e-9)


def overlap(found: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two boolean (H, W)."""
    return float((found & truth).sum() / max(1, (found | truth).sum()))


def rough_masks(finder: WallFinder, masker: Masker, photo: Image.Image, truth: Image.Image) -> dict[str, tuple]:
    """Rough masks of a photo by name: (mask at the photo's size, pixels of the photo to one of its own)."""
    cell = max(photo.size) / GRID
    small = truth.resize((GRID, GRID), Image.Resampling.BOX)
    depth = ndimage.distance_transform_edt(np.asarray(truth.resize(photo.size)) > 0)
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    chance, _ = finder.find(photo)
    found = Image.fromarray(chance.astype(np.float32)).resize(photo.size, Image.Resampling.BILINEAR)
    masker.set_image(photo)
    click, _ = masker.predict([(float(column), float(row))], [1])[0]
    return {
        "grid": (small.resize(photo.size, Image.Resampling.BILINEAR).point(lambda v: 255 * (v >= 128)), cell),
        "found": (clean_mask(to_mask(np.asarray(found) > 0.5)), cell),
        "click": (click, masker.cell),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", type=Path)
    parser.add_argument("--size", type=int, help="longest side to which photos and masks are enlarged")
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    masker = load_masker(pick_finder())
    finder, figures = load_finder(pick_finder(), masker), {}
    for sample in read_samples(options.rooms, None)[: options.limit]:
        photo, truth = load_photo(sample.image), load_mask(sample.mask)
        if options.size:
            scale = options.size / max(photo.size)
            size = round(photo.width * scale), round(photo.height * scale)
            photo, truth = photo.resize(size, Image.Resampling.BICUBIC), truth.resize(size, Image.Resampling.BICUBIC)
            truth = truth.point(lambda value: 255 * (value >= 128))
        wall = np.asarray(truth) > 0
        for name, (mask, cell) in rough_masks(finder, masker, photo, truth).items():
            began = time.process_time()
            fine = refine_mask(photo, mask, cell)
            spent = time.process_time() - began
            row = [f(np.asarray(m) > 0, wall) for f in (boundary_f, overlap) for m in (mask, fine)]
            figures.setdefault(name, []).append([*row, spent])
            print(
                sample.image.name, name, *(f"{value:.3f}" for value in figures[name][-1]), file=sys.stderr, flush=True
            )
    print("| mask | rooms | boundary F, rough | refined | IoU, rough | refined | CPU seconds |\n|---|" + "---:|" * 6)
    for name, rows in figures.items():
        print(f"| {name} | {len(rows)} | " + " | ".join(f"{value:.2f}" for value in np.mean(rows, axis=0)) + " |")


if __name__ == "__main__":
    main()
