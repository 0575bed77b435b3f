"""The picture under the clicks: a photo's working copies, the mask its clicks give, and how they are shown.

A picture is a small dict that a session keeps: `folder` (photo.png at full size, view.png for the page),
`name` (of the room), `clicks` [(x, y, label)] in view pixels, `mask` (a path or None), `given` (a sample's
own mask or None). Models are kept out of it: one Masker serves the whole process, one caller at a time.
"""

import contextlib
import functools
import os
import secrets
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from wallpaint.dataset import Sample, read_samples
from wallpaint.images import load_mask, load_photo

ASSETS = Path(__file__).resolve().parents[2] / "assets"
# A folder with sam.json and its weights, or one of Meta's .pth checkpoints.
SAM = Path(os.environ.get("WALLPAINT_SAM") or ASSETS / "models" / "room-tiny")
VIEW = 1024  # longest side of what the page shows and the clicks are counted in
TINT = (255, 64, 129)
KEPT_SECONDS = 24 * 3600

_lock = threading.Lock()
_masker: dict[str, Any] = {}  # "model", and "view": the picture it has looked at


def working_folder(workspace: Path) -> Path:
    """Make a fresh folder for one picture, under a name nobody can guess."""
    folder = workspace / "working" / secrets.token_hex(12)
    folder.mkdir(parents=True)
    return folder


def clear_old(workspace: Path) -> None:
    """Throw away working folders of yesterday and before."""
    for folder in (workspace / "working").glob("*"):
        if time.time() - folder.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def open_picture(
    path: str | Path, workspace: Path, name: str = "", given: Path | None = None
) -> dict[str, Any]:
    """Load a photo (checked, upright, no EXIF) into working copies; ValueError if it is none."""
    photo = load_photo(path)
    folder = working_folder(workspace)
    photo.save(folder / "photo.png", compress_level=1)
    view = photo.copy()
    view.thumbnail((VIEW, VIEW), Image.Resampling.LANCZOS)
    view.save(folder / "view.png", compress_level=1)
    return {"folder": str(folder), "name": name, "clicks": [], "mask": None, "given": given and str(given)}


def load_view(picture: dict[str, Any]) -> Image.Image:
    """Load the picture at the size the page shows."""
    return Image.open(Path(picture["folder"]) / "view.png").convert("RGB")


def mask_at(picture: dict[str, Any], size: tuple[int, int]) -> Image.Image | None:
    """Load the picture's mask at `size` (w, h), strictly 0 and 255; None while there is none."""
    if not picture["mask"]:
        return None
    mask = load_mask(picture["mask"])
    if mask.size != size:
        mask = mask.resize(size, Image.Resampling.BILINEAR).point(lambda value: 255 if value >= 128 else 0)
    return mask


def mark_wall(picture: dict[str, Any]) -> dict[str, Any]:
    """Ask the Masker for the wall its clicks mean; return the picture with that mask."""
    path = Path(picture["folder"]) / f"mask-{secrets.token_hex(4)}.png"
    clicks = picture["clicks"]
    if not any(label for _, _, label in clicks):
        return {**picture, "mask": None}
    mask = propose_mask(load_view(picture), picture["folder"], clicks)
    if mask.getbbox() is None:
        return {**picture, "mask": None}
    mask.save(path)
    return {**picture, "mask": str(path)}


def _load_masker() -> None:
    """Load the Masker unless it is there; call with the lock held."""
    if "model" not in _masker:
        from wallpaint.masks import Masker  # torch, which the page itself does without

        _masker["model"] = Masker.load(SAM)


def warm_up() -> None:
    """Load the Masker in the background, so that the first click need not wait for it."""

    def load() -> None:
        with _lock, contextlib.suppress(ValueError):  # missing weights are told to whoever clicks
            _load_masker()

    threading.Thread(target=load, daemon=True).start()


def propose_mask(view: Image.Image, name: str, clicks: list[tuple[int, int, int]]) -> Image.Image:
    """Give the likeliest mask for the clicks; `name` tells the views apart, each is looked at once."""
    with _lock:
        _load_masker()
        if _masker.get("view") != name:
            _masker["view"] = None
            _masker["model"].set_image(view)
            _masker["view"] = name
        points = [(x, y) for x, y, _ in clicks]
        masks = _masker["model"].predict(points, [label for _, _, label in clicks])
    return masks[0][0]


def save_photo_mask(picture: dict[str, Any]) -> tuple[Path, Path] | None:
    """Write the mask at the photo's own size; return (photo, mask) paths, None while nothing is marked."""
    photo = Path(picture["folder"]) / "photo.png"
    with Image.open(photo) as image:
        mask = mask_at(picture, image.size)
    if mask is None:
        return None
    path = photo.with_name("photo_mask.png")
    mask.save(path)
    return photo, path


def draw_overlay(
    view: Image.Image, mask: Image.Image | None, clicks: list[tuple[int, int, int]]
) -> Image.Image:
    """Tint the marked wall, draw its outline, and a dot for each click: + wall, - left out."""
    shown = view.copy()
    if mask is not None:
        tint = Image.new("RGB", view.size, TINT)
        shown = Image.composite(Image.blend(view, tint, 0.4), view, mask)
        wall = np.asarray(mask) > 0
        inside = wall.copy()
        inside[1:-1, 1:-1] = wall[:-2, 1:-1] & wall[2:, 1:-1] & wall[1:-1, :-2] & wall[1:-1, 2:]
        shown.paste(TINT, mask=Image.fromarray((wall & ~inside).astype(np.uint8) * 255))
    draw = ImageDraw.Draw(shown)
    radius = max(3, max(view.size) // 100)
    for x, y, label in clicks:
        draw.ellipse(
            (x - radius, y - radius, x + radius, y + radius),
            fill="#1b9e4b" if label else "#d62828",
            outline="white",
            width=max(1, radius // 3),
        )
        draw.line((x - radius / 2, y, x + radius / 2, y), fill="white", width=max(1, radius // 3))
        if label:
            draw.line((x, y - radius / 2, x, y + radius / 2), fill="white", width=max(1, radius // 3))
    return shown


def read_rooms(which: str) -> list[Sample]:
    """Read the shipped rooms, `sample` (a dataset) or `test` (with truths); empty where there are none."""
    return _read_folder(ASSETS / "rooms" / which)


@functools.cache  # what is shipped does not change while the studio runs
def _read_folder(folder: Path) -> list[Sample]:
    if (folder / "metadata.jsonl").is_file():
        return read_samples(folder, None)
    splits = [split for split in ("train", "validation") if (folder / split / "metadata.jsonl").is_file()]
    return [sample for split in splits for sample in read_samples(folder, split)]


def thumbnail(path: str | Path, size: int = 320) -> Image.Image:
    """Load a small copy of a photo for a gallery."""
    image = load_photo(path)
    image.thumbnail((size, size))
    return image
