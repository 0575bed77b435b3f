"""The room of tab 3: opened from the test rooms, tab 1 or a file; its wall is marked on the board."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import gradio as gr

from wallpaint.errors import UserError
from wallpaint.pixels.color import parse_color
from wallpaint.ui.board import pictures
from wallpaint.ui.board.component import describe_picture
from wallpaint.ui.words.words import t

PAINT = "#7A9E7E"


@dataclass(frozen=True)
class Room:
    """The room at hand: the board's picture, and the paints whose true repaint is known."""

    picture: pictures.Picture
    truths: dict[str, str] = field(default_factory=dict)  # '#RRGGBB' -> path


@dataclass(frozen=True)
class ScenePaths:
    """Where a scene is: photo, mask and, where one is known, its true repaint; what it is called; further walls."""

    photo: str
    mask: str
    truth: str | None
    name: str
    more: tuple[tuple[str, str], ...] = ()  # (mask, '#RRGGBB') of each


def show_room(room: Room) -> tuple:
    """Give (room, what the board shows, the list of paints whose true repaint is known)."""
    known = list(room.truths)
    return room, describe_picture(room.picture), gr.update(choices=known, value=None, visible=bool(known))


def known_paints(index: int = 0) -> dict[str, str]:
    """Give {hex: path of the true repaint} of a shipped test room; empty where there is none."""
    rooms = pictures.read_rooms("test")
    truths = rooms[index].truths if rooms else ()
    return {parse_color(bytes(truth.color).hex()).hex: str(truth.image) for truth in truths}


def open_test_room(workspace: Path, index: int, ahead: bool = True) -> tuple:
    """Open a shipped test room with its wall marked; give what `show_room` gives."""
    sample = pictures.read_rooms("test")[index]
    picture = pictures.open_marked(sample.image, sample.mask, workspace, sample.image.stem, ahead=ahead)
    return show_room(Room(picture, known_paints(index)))


def open_first_room(workspace: Path, room: Room | None) -> tuple | dict:
    """Open the room that stands there before anybody has chosen one; give what `show_room` gives."""
    if room is not None or not pictures.read_rooms("test"):
        return gr.skip()
    room, shown, _ = open_test_room(workspace, 0, ahead=False)  # the visitor may never come to this tab
    return room, shown, gr.skip()


def open_dataset_room(workspace: Path, picture: pictures.Picture | None, language: str) -> tuple:
    """Take the room of tab 1 with its walls; give what `show_room` gives, and the paint to try there."""
    if picture is None:
        raise UserError(t("no_photo", language))
    walls, active = pictures.read_walls(picture["folder"])
    if not walls[active].mask:
        raise UserError(t("no_mask", language))
    return *show_room(Room(pictures.copy_picture(picture, workspace))), walls[active].paint or PAINT


def open_photo(workspace: Path, path: str) -> tuple:
    """Take an uploaded photo, still without a mask; give what `show_room` gives."""
    return show_room(Room(pictures.open_picture(path, workspace, Path(path).stem)))


def open_mask(workspace: Path, path: str, room: Room | None, language: str) -> tuple:
    """Take an uploaded mask for the photo at hand, of its size; give what `show_room` gives."""
    if room is None:
        raise UserError(t("no_upload", language))
    photo = Path(room.picture["folder"]) / "photo.png"
    return show_room(Room(pictures.open_marked(photo, path, workspace, room.picture["name"]), room.truths))


def write_scene(room: Room | None, paint: str, language: str) -> ScenePaths:
    """Write the masks of all walls at the photo's own size, and say where all of the room is.

    A true repaint is known of one wall alone.

    Raises:
        UserError: no room is open, or the wall at hand is not marked.
    """
    saved = pictures.save_photo_masks(room.picture) if room else None
    if room is None or saved is None:
        raise UserError(t("no_room", language))
    photo, ((mask, _), *others) = saved
    more = tuple((str(path), wall.paint or PAINT) for path, wall in others)
    truth = None if more else room.truths.get(paint)
    return ScenePaths(str(photo), str(mask), truth, room.picture["name"], more)
