"""What finds walls, for the board: a photo is embedded once, in the background, and asked by clicks.

One Masker serves the whole process, one caller at a time. It keeps the last embeddings by the photo's content, so
that a click costs a run of the decoder and never one of the encoder.
"""

import contextlib
import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wallpaint.errors import UserError
from wallpaint.pixels.mask_ops import expect_iou, from_mask, obey_clicks, spot_at, surface_at, to_mask
from wallpaint.pixels.refine import refine_mask
from wallpaint.walls.clicks import Surfaces, believe, correct, decide, keep_away, reach_within
from wallpaint.walls.finders import Finder, WallFinder, load_finder, load_masker, pick_finder
from wallpaint.walls.masks import KEPT_EMBEDDINGS, Masker
from wallpaint.walls.propose import Proposal, shape_wall

_lock = threading.Lock()
_models: dict[str, Any] = {}  # "chosen" of FINDERS, its "masker" and its "finder"


def at_work() -> Finder:
    """What finds walls now."""
    if "chosen" not in _models:
        _models["chosen"] = pick_finder()
    return _models["chosen"]


def use(finder: Finder) -> None:
    """Let another find walls from now on, for all who use the studio; what it misses is fetched first.

    Raises:
        UserError: its weights cannot be had; all stays as it was.
    """
    masker = load_masker(finder)  # without the lock: others go on clicking
    loaded = {"chosen": finder, "masker": masker, "finder": load_finder(finder, masker)}
    with _lock:
        _models.update(loaded)
        _found.cache_clear()
        _thing.cache_clear()


def warm_up() -> None:
    """Load the Masker in the background, so that the first click need not wait for it."""
    _in_background(_masker)


def embed_soon(folder: str | Path) -> None:
    """Embed a picture in the background, so that the first click need not wait for it."""
    _in_background(_embed, str(folder))


def embed(folder: str | Path) -> None:
    """Embed a picture now, unless that is done; UserError where the weights are missing."""
    with _lock:
        _look(str(folder))


def predict(
    folder: str | Path,
    points: Sequence[tuple[float, float]],
    labels: Sequence[int],
    box: Sequence[float] | None,
    before: np.ndarray | None = None,
) -> list[tuple[np.ndarray, float | None]]:
    """Give what clicks and a box, in pixels of the view, may mean: (mask (h, w), guessed IoU), best first.

    Only guesses of one judge are given, which can be compared: None for the rest, as for all that correct a mask.

    Args:
        folder: the picture's.
        points: (x, y) of each click.
        labels: 1 = this is wall, 0 = this is not.
        box: (left, top, right, bottom), or None.
        before: a boolean mask (h, w), not of clicks, that these correct: as it seems, less, more.
    """
    if before is not None:
        surfaces = _surfaces(str(folder))
        far = surfaces.distances(points, labels)
        with _lock:
            things = [_thing(str(folder), *point) for point in points]
        far = reach_within(far, surfaces.fit(before) > 0.5, things, labels)
        return [(mask, None) for mask in correct(surfaces, before, far)]
    with _lock:
        view, pulled = _embed(str(folder)), at_work().pulled
        # A small model is asked by the first click alone: what it says to more is no better.
        asked = (points[:1], labels[:1]) if pulled else (points, labels)
        found = _masker().predict(*asked, box)
        chance = _found(str(folder))[0] if pulled else None
    surface = functools.cache(functools.partial(surface_at, view))  # one for all candidates
    masks: list[tuple[np.ndarray, float | None]] = [
        (obey_clicks(from_mask(mask), surface, points, labels), score) for mask, score in found[: 2 if pulled else 3]
    ]
    if chance is not None:
        surfaces = _surfaces(str(folder))
        odds = believe(surfaces, found[0][0], chance, points, labels)
        wall = decide(surfaces, odds, surfaces.distances(points, labels))
        return [(wall, expect_iou(1 / (1 + np.exp(-odds)))), *((mask, None) for mask, _ in masks)]
    return masks


def refine(
    folder: str | Path,
    wall: np.ndarray,
    points: Sequence[tuple[float, float]],
    labels: Sequence[int],
    before: np.ndarray | None = None,
) -> np.ndarray:
    """Move the edges of what `predict` gave, (h, w) boolean, to the photo's; what clicks say holds."""
    with _lock:
        view, own = _embed(str(folder)), not at_work().pulled and before is None
        cell = _masker().cell if own else _surfaces(str(folder)).cell
    fine = from_mask(refine_mask(view, to_mask(wall), cell))
    if before is not None:
        fine = keep_away(before, fine, wall != before, cell)
    return obey_clicks(fine, functools.partial(spot_at, view), points, labels)


def propose(folder: str | Path) -> Proposal | None:
    """Propose the wall of a picture, at the size of its view, without a click; None where none is found."""
    with _lock:
        return shape_wall(_view(str(folder)), *_found(str(folder)))


def load_view(folder: str | Path) -> Image.Image:
    """Load a picture at the size the page shows."""
    return Image.open(Path(folder) / "view.png").convert("RGB")


@functools.lru_cache(maxsize=KEPT_EMBEDDINGS)
def _view(folder: str) -> Image.Image:
    """Keep the last views, by whose identity the Masker knows them; nobody may change them."""
    return load_view(folder)


@functools.lru_cache(maxsize=KEPT_EMBEDDINGS)
def _surfaces(folder: str) -> Surfaces:
    """What clicks pull at in a picture's view."""
    return Surfaces.of(_view(folder))


@functools.lru_cache(maxsize=KEPT_EMBEDDINGS)
def _found(folder: str) -> tuple[np.ndarray, float]:
    """What the wall finder says of a picture's view; call with the lock held."""
    return _finder().find(_view(folder))


@functools.lru_cache(maxsize=64)
def _thing(folder: str, x: float, y: float) -> np.ndarray:
    """What segment-anything takes for the thing at (x, y) of a picture's view; call with the lock held."""
    _embed(folder)
    return _surfaces(folder).fit(from_mask(_masker().predict([(x, y)], [1], None)[0][0])) > 0.5


def _embed(folder: str) -> Image.Image:
    """Embed a picture's view, and give it; call with the lock held."""
    _masker().set_image(_view(folder))
    return _view(folder)


def _look(folder: str) -> None:
    """Do all that a first click would have to wait for; call with the lock held."""
    _embed(folder)
    if at_work().pulled:
        _found(folder)


def _masker() -> Masker:
    """The Masker, loaded once; call with the lock held."""
    if "masker" not in _models:
        _models["masker"] = load_masker(at_work())
    return _models["masker"]


def _finder() -> WallFinder:
    """The wall finder, loaded once; call with the lock held."""
    if "finder" not in _models:
        _models["finder"] = load_finder(at_work(), _masker())
    return _models["finder"]


def _in_background(work: Any, *arguments: Any) -> None:
    """Do this with the lock held, in a thread; what fails now is told to whoever clicks."""

    def run() -> None:
        with _lock, contextlib.suppress(UserError, OSError):
            work(*arguments)

    threading.Thread(target=run, daemon=True).start()
