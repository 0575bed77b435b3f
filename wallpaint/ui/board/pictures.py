"""The picture at hand: a photo's working copies and its walls, in a folder of their own.

A picture is a small dict that a session keeps: `folder` (photo.png at full size, view.png for the page,
walls.json, and given.png, a sample's own mask), `name` (of the room), `given` (whether it brings a mask). The
folder's name cannot be guessed, so it is also the token by which the page's script asks for it.
"""

import contextlib
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

from PIL import Image

from wallpaint.disk import atomic_path, link_or_copy, locked
from wallpaint.errors import UserError
from wallpaint.pixels.images import load_mask, load_photo, save_png
from wallpaint.ui.board.segmenter import embed_soon
from wallpaint.ui.board.walls import GIVEN, Wall, write_walls

VIEW = 1024  # longest side of what the page shows and the clicks are counted in
KEPT_SECONDS = 24 * 3600
MAX_SHEET = 12
TOKEN = re.compile(r"[0-9a-f]{24}")
Picture = dict[str, Any]


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
    """Find a picture's folder by its token; UserError where it is no token, or its picture is gone."""
    folder = workspace / "working" / str(token)
    if not TOKEN.fullmatch(str(token)) or not (folder / "view.png").is_file():
        raise UserError("this picture is gone, the board, open the photo again")
    return folder


def clear_old(workspace: Path) -> None:
    """Throw away working folders, uploads, exports, temporary files and what was deleted, of yesterday and before.

    An export that was killed goes at once: nobody holds its folder.
    """
    places = ("working/*", "uploads/*", "visits/*", "trash/*", "tmp/gradio/*", "results/export-*")
    for folder in (path for place in places for path in workspace.glob(place)):
        with contextlib.suppress(OSError):  # it may be gone by now
            if time.time() - folder.stat().st_mtime > KEPT_SECONDS or _is_torn_export(folder):
                shutil.rmtree(folder) if folder.is_dir() else folder.unlink()


def _is_torn_export(folder: Path) -> bool:
    """Whether a folder holds a temporary file alone, which no process is writing."""
    if not folder.name.startswith("export-") or not folder.is_dir():
        return False
    with locked(folder, wait=False) as held:
        return held and {path.name[0] for path in folder.iterdir()} == {"."}


def open_picture(path: str | Path, workspace: Path, name: str = "", given: str | Path | None = None) -> Picture:
    """Load a photo (checked, upright, no EXIF) into working copies, and embed it in the background.

    Raises:
        UserError: it is no photo, or `given` is no mask for it.
    """
    photo = load_photo(path)
    folder = working_folder(workspace)
    save_png(photo, folder / "photo.png")
    view = photo.copy()
    view.thumbnail((VIEW, VIEW), Image.Resampling.LANCZOS)
    save_png(view, folder / "view.png")
    if given is not None:
        load_mask(given, photo.size, photo=path).save(folder / GIVEN)
    embed_soon(folder)
    return {"folder": str(folder), "name": name, "given": given is not None}


def open_marked(path: str | Path, mask: str | Path, workspace: Path, name: str, wall: Wall) -> Picture:
    """Open a photo with its wall marked by `mask`, which stays as it is until somebody mends it."""
    picture = open_picture(path, workspace, name, mask)
    write_walls(picture["folder"], [replace(wall, mask=GIVEN)])
    return picture


def copy_picture(picture: Picture, workspace: Path) -> Picture:
    """Give the picture and its walls once more, so that marking one leaves the other as it is."""
    folder = copy_folder(picture["folder"], workspace)
    return {"folder": str(folder), "name": picture["name"], "given": picture["given"]}


def copy_folder(folder: str | Path, workspace: Path) -> Path:
    """Copy a picture's folder; the photo and its view, which nobody writes again, are links where that is possible."""
    copied = working_folder(workspace)
    shutil.copytree(folder, copied, dirs_exist_ok=True, copy_function=_copy)
    return copied


def _copy(source: str, target: str) -> None:
    still = os.path.basename(source) in ("photo.png", "view.png")
    (link_or_copy if still else shutil.copyfile)(source, target)


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
