"""The room of tab 3: opened from the test rooms, tab 1 or a file; its wall is marked on the board."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import gradio as gr
import numpy as np

from wallpaint.dataset.rows import Sample
from wallpaint.errors import UserError
from wallpaint.pixels.color import Swatch, bytes_to_linear, parse_color
from wallpaint.pixels.light import is_lost
from wallpaint.ui.board import pictures
from wallpaint.ui.board.component import describe_picture
from wallpaint.ui.board.repaints import repaint_walls
from wallpaint.ui.board.walls import PAINT, Wall, read_walls, save_photo_masks, write_walls
from wallpaint.ui.gallery import read_rooms
from wallpaint.ui.handlers import naming
from wallpaint.ui.words.words import t

# The room that the page opens on, and its paint: chosen because one sees there what training with the adapter
# brings. It is no measurement: figures are taken over all test rooms (docs/results.md).
SHOWCASE = {"showcase": "#96A65B"}  # folder of assets/rooms -> paint


@dataclass(frozen=True)
class Room:
    """The room at hand: the board's picture, and the paints whose true repaint is known."""

    picture: pictures.Picture
    truths: dict[str, str] = field(default_factory=dict)  # '#RRGGBB' -> path

    def __hash__(self) -> int:
        """Let Gradio see that another room is open."""
        return hash(repr(self))


@dataclass(frozen=True)
class ScenePaths:
    """Where a scene is: photo, mask and, where one is known, its true repaint; what it is called; further walls."""

    photo: str
    mask: str
    truth: str | None
    name: str
    more: tuple[tuple[str, str, str], ...] = ()  # (mask, paint, the paint on it now or '') of each
    old_paint: str = ""  # on the wall at hand now, where that is known


def show_room(room: Room, find: bool = False) -> tuple:
    """Give (room, what the board shows, with the paints whose true repaint is known; `find`: it proposes the wall)."""
    return room, (describe_picture(room.picture) or {}) | {"known": list(room.truths), "find": find}


def shipped_rooms() -> list[Sample]:
    """The rooms to try, with their truths: the showcase, then the test rooms."""
    return [*read_rooms("showcase"), *read_rooms("test")]


def is_showcase(scene: ScenePaths) -> bool:
    """Tell whether the scene was chosen to show something."""
    return scene.truth is not None and Path(scene.truth).parent.name in SHOWCASE


def paint_of(room: Room | None) -> str:
    """The paint chosen for the wall at hand."""
    walls, active = read_walls(room.picture["folder"]) if room else ([Wall()], 0)
    return walls[active].paint


def open_shipped_room(workspace: Path, index: int, room: Room | None = None) -> tuple:
    """Open one of `shipped_rooms`, its wall marked, in its showcase paint or the most vivid that is known.

    As with `open_photo` the sheet of the room at hand goes along.
    """
    sample = shipped_rooms()[index]
    known = {parse_color(bytes(truth.color).hex()).hex: str(truth.image) for truth in sample.truths}
    paint = SHOWCASE.get(sample.image.parent.name) or max(known, key=vividness, default=PAINT)
    wall = Wall(paint=paint)
    picture = pictures.open_marked(sample.image, sample.mask, workspace, sample.image.stem, wall)
    return show_room(Room(_with_sheet(picture, room), known))


def _with_sheet(picture: pictures.Picture, room: Room | None) -> pictures.Picture:
    """Give the picture the sheet of the room at hand."""
    if room is not None:
        pictures.write_sheet(picture["folder"], pictures.read_sheet(room.picture["folder"]))
    return picture


def vividness(paint: str) -> int:
    """How far a paint is from grey."""
    rgb = parse_color(paint).rgb
    return max(rgb) - min(rgb)


def open_first_room(workspace: Path, room: Room | None) -> tuple | dict:
    """Open the room that stands there before anybody has chosen one; give what `show_room` gives."""
    return gr.skip() if room is not None or not shipped_rooms() else open_shipped_room(workspace, 0)


def open_dataset_room(workspace: Path, picture: pictures.Picture | None, language: str) -> tuple:
    """Take the room of tab 1 with its walls and the paints to try on them; give what `show_room` gives."""
    if picture is None:
        raise UserError(t("no_photo", language))
    walls, active = read_walls(picture["folder"])
    if not walls[active].mask:
        raise UserError(t("no_mask", language))
    return show_room(Room(pictures.copy_picture(picture, workspace)))


def open_photo(workspace: Path, path: str, room: Room | None) -> tuple:
    """Take an uploaded photo, whose wall is yet to be found, for the paint and the sheet chosen so far."""
    with naming(path):
        picture = pictures.open_picture(path, workspace, Path(path).stem)
    write_walls(picture["folder"], [Wall(paint=paint_of(room))])
    return show_room(Room(_with_sheet(picture, room)), find=True)


def open_mask(workspace: Path, path: str, room: Room | None, language: str) -> tuple:
    """Take an uploaded mask for the photo at hand, of its size; give what `show_room` gives."""
    if room is None:
        raise UserError(t("no_upload", language))
    photo, wall = Path(room.picture["folder"]) / "photo.png", Wall(paint=paint_of(room))
    with naming(path), naming(photo):
        picture = pictures.open_marked(photo, path, workspace, room.picture["name"], wall)
    return show_room(Room(_with_sheet(picture, room), room.truths))


@dataclass(frozen=True)
class Outlook:
    """What a wall's paint becomes in the room's light, before any arm has painted."""

    paint: str  # '#RRGGBB'
    seen: str  # '#RRGGBB' that the middle of the wall would show; '' where the photo has lost the wall in the dark
    far: float  # the ΔE00 that it may well be off
    white: bool  # the light was read off something white
    old_paint: str = ""  # the paint on the wall now, where somebody or something white tells it


def look_ahead(room: Room, paint: str) -> tuple[Outlook, ...]:
    """Say what the paints become: `paint` on the wall at hand, which comes first, and each other wall's own."""
    walls, active = read_walls(room.picture["folder"])
    walls[active] = replace(walls[active], paint=paint)
    marked = [wall for wall in walls if wall.mask]
    painted = repaint_walls(room.picture["folder"], marked)
    white = bool(pictures.read_whites(room.picture["folder"], (1, 1)))
    told = []
    for wall, coat, light in zip(marked, painted.coats, painted.lights, strict=True):
        by_white = white and not wall.chosen
        known = coat.old_paint.hex if coat.old_paint and (by_white or wall.chosen) else ""
        outlook = Outlook(wall.paint, "", 0.0, by_white, known)
        if not is_lost(coat.photo, coat.mask):
            pixels = np.asarray(painted.picture)[np.asarray(coat.mask) > 0]
            seen = np.median(pixels, axis=0).round().astype(np.uint8)
            outlook = replace(outlook, seen=Swatch(tuple(seen)).hex, far=light.doubt(bytes_to_linear(seen)))
        told.append(outlook)
    return told.pop(sum(1 for wall in walls[:active] if wall.mask)), *told


def save_masks(room: Room | None, language: str) -> tuple[Room, Path, list[tuple[Path, Wall]]]:
    """Write every marked wall of a room at the photo's own size: the room, its photo, (mask, wall) of each.

    The wall at hand comes first.

    Raises:
        UserError: no room is open, or the wall at hand is not marked.
    """
    saved = save_photo_masks(room.picture["folder"]) if room else None
    if room is None or saved is None:
        raise UserError(t("no_room", language))
    return room, *saved


def write_scene(room: Room | None, paint: str, language: str) -> ScenePaths:
    """Write the masks of all walls at the photo's own size, and say where all of the room is.

    A true repaint is known of one wall alone.

    Raises:
        UserError: as `save_masks`.
    """
    room, photo, ((mask, _), *others) = save_masks(room, language)
    white = bool(pictures.read_whites(room.picture["folder"], (1, 1)))
    more = tuple((str(path), wall.paint, wall.now if wall.chosen or white else "") for path, wall in others)
    truth = None if more else room.truths.get(paint)
    return ScenePaths(str(photo), str(mask), truth, room.picture["name"], more)
