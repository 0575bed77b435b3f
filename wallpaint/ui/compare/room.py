"""The room of tab 3: opened from the test rooms, tab 1 or a file; its wall is marked on the board."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from wallpaint.errors import UserError
from wallpaint.pixels.color import parse_color
from wallpaint.ui.board import pictures as canvas
from wallpaint.ui.board.component import describe_picture
from wallpaint.ui.words.words import t

# A picture (see canvas.py) to compare on, with `truths` beside it: {hex: path of the true repaint} where
# those are known.
Room = canvas.Picture
PAINT = "#7A9E7E"


@dataclass(frozen=True)
class RoomFiles:
    """Where a room is: photo, mask and, where one is known, its true repaint; and what it is called."""

    photo: str
    mask: str
    truth: str | None
    name: str


def show_opened(picture: canvas.Picture, truths: dict[str, str] | None = None) -> tuple:
    """Give (room, what the board shows, the list of paints whose true repaint is known)."""
    room = {**picture, "truths": truths or {}}
    known = list(room["truths"])
    return room, describe_picture(room), gr.update(choices=known, value=None, visible=bool(known))


def known_paints(index: int = 0) -> dict[str, str]:
    """Give {hex: path of the true repaint} of a shipped test room; empty where there is none."""
    rooms = canvas.read_rooms("test")
    truths = rooms[index].truths if rooms else ()
    return {parse_color(bytes(truth.color).hex()).hex: str(truth.image) for truth in truths}


def open_test_room(index: int, workspace: Path, ahead: bool = True) -> tuple:
    """Open a shipped test room with its wall marked; give what `show_opened` gives."""
    room = canvas.read_rooms("test")[index]
    picture = canvas.open_marked(room.image, room.mask, workspace, room.image.stem, ahead=ahead)
    return show_opened(picture, known_paints(index))


def open_first_room(room: Room | None, workspace: Path) -> tuple:
    """Open the room that stands there before anybody has chosen one; give what `show_opened` gives."""
    if room is not None or not canvas.read_rooms("test"):
        return (gr.skip(),) * 3
    room, shown, _ = open_test_room(0, workspace, ahead=False)  # the visitor may never come to this tab
    return room, shown, gr.skip()


def open_tab1_room(picture: canvas.Picture | None, workspace: Path, language: str) -> tuple:
    """Take the room of tab 1 with its walls; give what `show_opened` gives, and the paint to try there."""
    if picture is None:
        raise UserError(t("no_photo", language))
    walls, active = canvas.read_walls(picture["folder"])
    if not walls[active].mask:
        raise UserError(t("no_mask", language))
    return *show_opened(canvas.copy_picture(picture, workspace)), walls[active].paint or PAINT


def open_photo(path: str, workspace: Path) -> tuple:
    """Take an uploaded photo, still without a mask; give what `show_opened` gives."""
    return show_opened(canvas.open_picture(path, workspace, Path(path).stem))


def open_mask(path: str, room: Room | None, workspace: Path, language: str) -> tuple:
    """Take an uploaded mask for the photo at hand, of its size; give what `show_opened` gives."""
    if room is None:
        raise UserError(t("no_upload", language))
    photo = Path(room["folder"]) / "photo.png"
    return show_opened(canvas.open_marked(photo, path, workspace, room["name"]), room["truths"])


def find_files(room: Room | None, paint: str, language: str) -> RoomFiles:
    """Write the mask of the wall at hand at the photo's own size, and say where all of the room is.

    Raises:
        UserError: no room is open, or no wall of it is marked.
    """
    paths = canvas.save_photo_mask(room) if room else None
    if room is None or paths is None:
        raise UserError(t("no_room", language))
    return RoomFiles(str(paths[0]), str(paths[1]), room["truths"].get(paint), room["name"])
