"""The walls of a picture: what each is, in walls.json of its folder, and its mask at any size.

A mask is marked on the view and kept at that size; at the photo's own size it follows the photo's edges.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from wallpaint.disk import atomic_path
from wallpaint.errors import UserError
from wallpaint.pixels.images import load_mask, load_photo, read_size, save_png
from wallpaint.pixels.mask_ops import close_seams, to_mask, two_valued, uncovered
from wallpaint.pixels.refine import refine_mask

GIVEN = "given.png"  # the mask that a room brings, at the photo's own size
FULL = "full-"  # before the name of a wall's mask: the same at the photo's own size
MAX_WALLS = 8
PAINT = "#7A9E7E"  # tried on a wall until another is chosen


@dataclass(frozen=True)
class Wall:
    """A wall of the picture: its mask's file (or '' while unmarked) and two paints."""

    mask: str = ""
    now: str = ""  # the paint on it, '#RRGGBB'; what a saved sample says. '' while unknown
    paint: str = PAINT  # the paint to try on it
    chosen: bool = False  # `now` comes from a person, not from the estimate


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


def save_wall_mask(folder: str | Path, mask: np.ndarray) -> str:
    """Write a mask (h, w) boolean of the view's size; give its file's name, '' for an empty one."""
    if not mask.any():
        return ""
    name = f"wall-{secrets.token_hex(4)}.png"
    with atomic_path(Path(folder) / name) as path:
        save_png(to_mask(mask), path)
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
        mask = two_valued(mask.resize(size, Image.Resampling.BILINEAR))
    return mask


def _full_mask(folder: Path, name: str, mask: Image.Image) -> Image.Image:
    """Refine what was marked on the view to the photo's size, once."""
    full = folder / f"{FULL}{name}"
    if not full.is_file():
        photo = load_photo(folder / "photo.png")
        with atomic_path(full) as path:
            save_png(refine_mask(photo, mask, photo.width / mask.width, seen=True), path)
    return load_mask(full)


def drop_wall_mask(folder: Path, name: str) -> None:
    """Delete the mask that `save_wall_mask` wrote."""
    for path in (folder / name, folder / f"{FULL}{name}"):
        path.unlink(missing_ok=True)


def mask_at(folder: str | Path, size: tuple[int, int]) -> Image.Image | None:
    """Load the mask of the wall at hand at `size` (w, h); None while it is unmarked."""
    walls, active = read_walls(folder)
    return wall_mask(folder, walls[active], size)


def save_photo_masks(folder: str | Path) -> tuple[Path, list[tuple[Path, Wall]]] | None:
    """Write every marked wall at the photo's own size: (photo, (mask, wall) of each, the wall at hand first).

    Walls that meet on the view meet in the photo. None while the wall at hand is not marked.

    Raises:
        UserError: as `part_walls`.
    """
    folder = Path(folder)
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
            save_png(to_mask(mask), temporary)
    saved = list(zip(paths, marked, strict=True))
    first = saved.pop(sum(1 for wall in walls[:active] if wall.mask))
    return folder / "photo.png", [first, *saved]


def part_walls(masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Let masks, boolean and of one size, share no pixel: a later wall lies over those before it.

    Raises:
        UserError: a wall that later ones cover wholly.
    """
    parted = uncovered(masks)
    for number, mask in enumerate(parted, 1):
        if not mask.any():
            raise UserError(
                f"wall {number} lies wholly under the walls after it, the board, remove it or mark it anew"
            )
    return parted
