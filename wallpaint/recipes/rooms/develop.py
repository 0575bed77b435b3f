"""Photograph rendered rooms: linear layers and cameras drawn anew give photos with every repaint's truth.

A view may be photographed any number of times, by another camera and with another paint on its wall each time:
one render teaches any paint under any camera.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from .camera import CAMERAS, MIXED, STRANGE, UNSEEN, Camera, Maker, draw_camera
from .palette import sample_paint, sample_paints, to_linear
from .tracer import repaint

MAKERS: dict[str, Maker] = {"any": CAMERAS, "unseen": UNSEEN, "strange": STRANGE, "mixed": MIXED}
OWN = 0.5  # how often a plain wall is photographed in the paint that its room was made with


@dataclass(frozen=True)
class View:
    """A rendered view before any camera; H, W pixels."""

    series: np.ndarray  # (4, H, W, 3) float32, see photo.series
    photo: np.ndarray  # (H, W, 3) float32, linear, the wall as the room was made
    wall: np.ndarray  # (H, W) uint8, 255 = all wall
    row: dict

    @property
    def plain(self) -> bool:
        """Whether the wall of `photo` is one paint."""
        return self.row["kind"] != "patterned"


def read_rows(folder: Path) -> list[dict]:
    """The rows of a folder's `metadata.jsonl`."""
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]


def spread(function: Callable[[Any], Any], tasks: Iterable, workers: int) -> Iterator:
    """What `function` gives for each task, in order, by so many processes; with one, in this process."""
    if workers == 1:
        yield from map(function, tasks)
        return
    # Plain pickles: torch would hand each tensor over as an open file, and there are too many of them.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        packed = (pickle.dumps((function, task)) for task in tasks)
        yield from map(pickle.loads, pool.map(_call, packed, chunksize=8))


def _call(packed: bytes) -> bytes:
    function, task = pickle.loads(packed)
    return pickle.dumps(function(task))


def read_view(folder: Path, row: dict) -> View:
    """One view of a folder that `--layout layers` wrote."""
    with np.load(folder / row["file_name"]) as file:
        return View(file["series"].astype(np.float32), file["photo"].astype(np.float32), file["wall"], row)


def photograph(view: View, rng: np.random.Generator, maker: Maker = CAMERAS) -> tuple[Camera, np.ndarray, tuple]:
    """A camera that metered the view, the photo (H, W, 3) uint8, and the paint on its wall."""
    paint, linear = tuple(view.row["reference_color_rgb"]), view.photo
    if view.plain and rng.random() > OWN:
        paint = sample_paint(rng)
        linear = repaint(view.series, to_linear(paint))
    camera = draw_camera(linear, rng, maker)
    return camera, camera.develop(linear), paint


def develop_view(view: View, rng: np.random.Generator, paints: list, maker: Maker = CAMERAS) -> tuple:
    """A photo, (paint, picture) of its true repaints by the same camera, and the paint on the photo's wall."""
    camera, photo, paint = photograph(view, rng, maker)
    return photo, [(paint, camera.develop(repaint(view.series, to_linear(paint)))) for paint in paints], paint


def develop_folder(layers: Path, out: Path, args) -> dict[Path, list[dict]]:
    """Photograph every view `args.cameras` times; write pictures and masks; give each folder's rows.

    In the dataset layout the last `args.validation` rooms go to a split of their own. Views that were photographed
    before are left: the renderer may still be at work.
    """
    views = read_rows(layers)
    rooms = list(dict.fromkeys(row["room_id"] for row in views))
    held_out = set(rooms[len(rooms) - args.validation :])
    splits = ["validation" if row["room_id"] in held_out else "train" for row in views]
    folders = [out / split if args.layout == "dataset" else out for split in splits]
    for folder in set(folders):
        (folder / ".rows").mkdir(parents=True, exist_ok=True)
    tasks = [(layers, folder, row, args) for folder, row in zip(folders, views, strict=True)]
    rows: dict[Path, list[dict]] = {}
    for folder, found in zip(folders, spread(develop_row, tasks, args.workers), strict=True):
        rows.setdefault(folder, []).extend(found)
    return rows


def develop_row(task: tuple) -> list[dict]:
    """The rows of one view's photographs; they are kept in `.rows`, which also marks the view as done."""
    from .shoot import write_rows

    layers, folder, row, args = task
    stem = Path(row["file_name"]).stem
    done = folder / ".rows" / f"{stem}.json"
    if done.exists():
        return json.loads(done.read_text())
    view, fresh = read_view(layers, row), []
    # All cameras see the same paints, so that a paint is met in more than one light.
    paints = sample_paints(np.random.default_rng([args.seed, *stem.encode()]), args.truths)
    for number in range(args.cameras):
        rng = np.random.default_rng([args.seed, 1 + number, *stem.encode()])
        photo, pictures, paint = develop_view(view, rng, paints, MAKERS[args.maker])
        kept = {**row, "reference_color_rgb": [int(c) for c in paint]}
        name = f"{stem}-{number}" if args.cameras > 1 else stem
        fresh += write_rows(folder, kept, name, photo, view.wall >= 128, pictures, args)
    done.write_text(json.dumps(fresh))
    return fresh
