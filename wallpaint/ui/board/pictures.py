"""The picture at hand: a photo's working copies and its walls, in a folder of their own.

A picture is a small dict that a session keeps: `folder` (photo.png at full size, view.png for the page,
walls.json, and given.png, a sample's own mask), `name` (of the room), `given` (whether it brings a mask). The
folder's name cannot be guessed, so it is also the token by which the page's script asks for it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wallpaint.dataset.folder import read_samples
from wallpaint.dataset.metadata import find_metadata, find_splits
from wallpaint.dataset.rows import Sample
from wallpaint.errors import UserError
from wallpaint.paths import ASSETS
from wallpaint.pixels.arrays import erode
from wallpaint.pixels.images import atomic_path, load_mask, load_photo, read_size
from wallpaint.pixels.mask_ops import close_seams, to_mask
from wallpaint.pixels.refine import refine_mask
from wallpaint.ui.board.segmenter import embed_soon

GIVEN = "given.png"  # the mask that a room brings, at the photo's own size
FULL = "full-"  # before the name of a wall's mask: the same at the photo's own size
VIEW = 1024  # longest side of what the page shows and the clicks are counted in
TINT = (255, 64, 129)
KEPT_SECONDS = 24 * 3600
MAX_WALLS = 8
MAX_SHEET = 12
TOKEN = re.compile(r"[0-9a-f]{24}")
Picture = dict[str, Any]


@dataclass(frozen=True)
class Wall:
    """A wall of the picture: its mask's file (or '' while unmarked) and two paints."""

    mask: str = ""
    now: str = ""  # the paint on it, '#RRGGBB'; what a saved sample says. '' while unknown
    paint: str = ""  # the paint to try on it
    chosen: bool = False  # `now` comes from a person, not from the estimate


@dataclass(frozen=True)
class Sheet:
    """The paints to be painted side by side, '#RRGGBB', and what those and the walls' own are called."""

    paints: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)  # of those that a palette names


def working_folder(workspace: Path) -> Path:
    """Make a fresh folder for one picture, under a name nobody can guess."""
    folder = workspace / "working" / secrets.token_hex(12)
    folder.mkdir(parents=True)
    return folder


def find_folder(workspace: Path, token: object) -> Path:
    """Find a picture's folder by its token.

    Raises:
        UserError: it is no token, or its picture is gone.
    """
    folder = workspace / "working" / str(token)
    if not TOKEN.fullmatch(str(token)) or not (folder / "view.png").is_file():
        raise UserError("this picture is gone, the board, open the photo again")
    return folder


def clear_old(workspace: Path) -> None:
    """Throw away working folders, uploads, temporary files and what was deleted, of yesterday and before."""
    for folder in (
        path
        for name in ("working", "uploads", "visits", "trash", "tmp/gradio")
        for path in (workspace / name).glob("*")
    ):
        with contextlib.suppress(OSError):  # it may be gone by now
            if time.time() - folder.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(folder) if folder.is_dir() else folder.unlink()


def open_picture(path: str | Path, workspace: Path, name: str = "", given: str | Path | None = None) -> Picture:
    """Load a photo (checked, upright, no EXIF) into working copies, and embed it in the background.

    Raises:
        UserError: it is no photo, or `given` is no mask for it.
    """
    photo = load_photo(path)
    folder = working_folder(workspace)
    photo.save(folder / "photo.png", compress_level=1)
    view = photo.copy()
    view.thumbnail((VIEW, VIEW), Image.Resampling.LANCZOS)
    view.save(folder / "view.png", compress_level=1)
    if given is not None:
        load_mask(given, photo.size, photo=path).save(folder / GIVEN)
    embed_soon(folder)
    return {"folder": str(folder), "name": name, "given": given is not None}


def open_marked(
    path: str | Path, mask: str | Path, workspace: Path, name: str = "", wall: Wall | None = None
) -> Picture:
    """Open a photo with its wall marked by `mask`, which stays as it is until somebody mends it."""
    picture = open_picture(path, workspace, name, mask)
    write_walls(picture["folder"], [replace(wall or Wall(), mask=GIVEN)])
    return picture


def copy_picture(picture: Picture, workspace: Path) -> Picture:
    """Give the picture and its walls once more, so that marking one leaves the other as it is."""
    folder = copy_folder(picture["folder"], workspace)
    return {"folder": str(folder), "name": picture["name"], "given": picture["given"]}


def copy_folder(folder: str | Path, workspace: Path) -> Path:
    """Copy a picture's folder; the photo and its view, which nobody writes again, are links where that is possible."""
    copied = working_folder(workspace)
    shutil.copytree(folder, copied, dirs_exist_ok=True, copy_function=_copy_or_link)
    return copied


def _copy_or_link(source: str, target: str) -> None:
    if os.path.basename(source) in ("photo.png", "view.png"):
        with contextlib.suppress(OSError):  # a disk without links
            return os.link(source, target)
    shutil.copyfile(source, target)
    return None


def read_walls(folder: str | Path) -> tuple[list[Wall], int]:
    """Read the walls of a picture, and which is at hand; a fresh picture has one, unmarked."""
    path = Path(folder) / "walls.json"
    if not path.is_file():
        return [Wall()], 0
    said = json.loads(path.read_text("utf-8"))
    return [Wall(**wall) for wall in said["walls"]], said["active"]


def write_walls(folder: str | Path, walls: Sequence[Wall], active: int = 0) -> None:
    """Keep the walls of a picture."""
    with atomic_path(Path(folder) / "walls.json") as path:
        path.write_text(json.dumps({"walls": [asdict(wall) for wall in walls], "active": active}), "utf-8")


def read_whites(folder: str | Path, size: tuple[int, int]) -> list[tuple[float, float]]:
    """Read where the picture shows something white, as its reader said: pixels (x, y) of a copy of that size."""
    path = Path(folder) / "whites.json"
    shares = json.loads(path.read_text("utf-8")) if path.is_file() else []
    return [(x * size[0], y * size[1]) for x, y in shares]


def write_whites(folder: str | Path, whites: Sequence[tuple[float, float]], size: tuple[int, int]) -> None:
    """Keep what `read_whites` gives."""
    with atomic_path(Path(folder) / "whites.json") as path:
        path.write_text(json.dumps([(x / size[0], y / size[1]) for x, y in whites]), "utf-8")


def read_sheet(folder: str | Path) -> Sheet:
    """Read the sheet of a picture; a fresh picture has an empty one."""
    path = Path(folder) / "sheet.json"
    said = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return Sheet(tuple(said.get("paints", ())), said.get("names", {}))


def write_sheet(folder: str | Path, sheet: Sheet) -> None:
    """Keep what `read_sheet` gives."""
    with atomic_path(Path(folder) / "sheet.json") as path:
        path.write_text(json.dumps(asdict(sheet)), "utf-8")


def save_wall_mask(folder: str | Path, mask: np.ndarray) -> str:
    """Write a mask (h, w) boolean of the view's size; give its file's name, '' for an empty one."""
    if not mask.any():
        return ""
    name = f"wall-{secrets.token_hex(4)}.png"
    with atomic_path(Path(folder) / name) as path:
        Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(path, compress_level=1)
    return name


def wall_mask(folder: str | Path, wall: Wall, size: tuple[int, int]) -> Image.Image | None:
    """Load a wall's mask at `size` (w, h), strictly 0 and 255; None while it is unmarked.

    What was marked on the view follows the photo's edges where more than the view is asked for.
    """
    if not wall.mask:
        return None
    mask = load_mask(Path(folder) / wall.mask)
    if size[0] > mask.width:
        mask = _full_mask(Path(folder), wall.mask, mask)
    if mask.size != size:
        mask = mask.resize(size, Image.Resampling.BILINEAR).point(lambda value: 255 if value >= 128 else 0)
    return mask


def _full_mask(folder: Path, name: str, mask: Image.Image) -> Image.Image:
    """Refine what was marked on the view to the photo's size, once."""
    full = folder / f"{FULL}{name}"
    if not full.is_file():
        photo = load_photo(folder / "photo.png")
        with atomic_path(full) as path:
            refine_mask(photo, mask, photo.width / mask.width, seen=True).save(path, compress_level=1)
    return load_mask(full)


def drop_wall_mask(folder: Path, name: str) -> None:
    """Delete the mask that `save_wall_mask` wrote."""
    for path in (folder / name, folder / f"{FULL}{name}"):
        path.unlink(missing_ok=True)


def mask_at(picture: Picture, size: tuple[int, int]) -> Image.Image | None:
    """Load the mask of the wall at hand at `size` (w, h); None while it is unmarked."""
    walls, active = read_walls(picture["folder"])
    return wall_mask(picture["folder"], walls[active], size)


def save_photo_mask(picture: Picture) -> tuple[Path, Path] | None:
    """Write the wall at hand at the photo's own size; (photo, mask) paths, None while nothing is marked."""
    saved = save_photo_masks(picture)
    return saved and (saved[0], saved[1][0][0])


def save_photo_masks(picture: Picture) -> tuple[Path, list[tuple[Path, Wall]]] | None:
    """Write every marked wall at the photo's own size: (photo, (mask, wall) of each, the wall at hand first).

    Walls that meet on the view meet in the photo. None while the wall at hand is not marked.

    Raises:
        UserError: as `part_walls`.
    """
    folder = Path(picture["folder"])
    walls, active = read_walls(folder)
    if not walls[active].mask:
        return None
    marked = [wall for wall in walls if wall.mask]
    with Image.open(folder / "photo.png") as photo, Image.open(folder / "view.png") as view:
        size, step = photo.size, -(-photo.width // view.width)
    masks = [np.asarray(wall_mask(folder, wall, size)) > 0 for wall in marked]
    if len(masks) > 1 and any(read_size(folder / wall.mask) != size for wall in marked):
        masks = close_seams(masks, step)
    paths = [folder / f"photo_mask{number or ''}.png" for number in range(len(marked))]
    for path, mask in zip(paths, part_walls(masks), strict=True):
        with atomic_path(path) as temporary:
            to_mask(mask).save(temporary)
    saved = list(zip(paths, marked, strict=True))
    first = saved.pop(sum(1 for wall in walls[:active] if wall.mask))
    return folder / "photo.png", [first, *saved]


def part_walls(masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Let masks, boolean and of one size, share no pixel: a later wall lies over those before it.

    Raises:
        UserError: a wall that later ones cover wholly.
    """
    taken, parted = np.zeros_like(masks[0]), []
    for number, mask in reversed(list(enumerate(masks, 1))):
        if not (mask & ~taken).any():
            raise UserError(
                f"wall {number} lies wholly under the walls after it, the board, remove it or mark it anew"
            )
        parted.append(mask & ~taken)
        taken = taken | mask
    return parted[::-1]


def draw_overlay(view: Image.Image, mask: Image.Image | None) -> Image.Image:
    """Tint the marked wall and draw its outline."""
    shown = view.copy()
    if mask is not None:
        wall = np.asarray(mask) > 0
        shown = Image.composite(Image.blend(view, Image.new("RGB", view.size, TINT), 0.4), view, mask)
        rim = wall & ~erode(wall, 1)
        shown.paste(TINT, mask=Image.fromarray(rim.astype(np.uint8) * 255))
    return shown


def read_rooms(which: str) -> list[Sample]:
    """Read a picture of each shipped room, `sample` (a dataset) or `test` (with truths); empty without."""
    pictures: dict[str, list[Sample]] = {}
    for sample in _read_folder(ASSETS / "rooms" / which):
        pictures.setdefault(sample.room_id, []).append(sample)
    return [of_room[number % len(of_room)] for number, of_room in enumerate(pictures.values())]


@functools.cache  # what is shipped does not change while the studio runs
def _read_folder(folder: Path) -> list[Sample]:
    if find_metadata(folder).is_file():
        return read_samples(folder, None)
    return [sample for split in find_splits(folder) for sample in read_samples(folder, split)]


def thumbnail(path: str | Path, size: int = 320) -> Image.Image:
    """Load a small copy of a photo for a gallery; not to be changed, for the last ones are kept."""
    return _thumbnail(str(path), size, Path(path).stat().st_mtime_ns if Path(path).is_file() else 0)


@functools.lru_cache(maxsize=256)  # 100 KB each
def _thumbnail(path: str, size: int, written: int) -> Image.Image:
    image = load_photo(path)
    image.thumbnail((size, size))
    return image
