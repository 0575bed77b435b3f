"""The room of tab 3: opened from the test rooms, tab 1 or a file; its wall given, clicked or found."""

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from wallpaint.color import parse_color
from wallpaint.images import load_mask, load_photo
from wallpaint.ui import canvas, sight
from wallpaint.ui.text import t

# A room to compare on: paths of photo and mask, {hex: path of the true repaint} where those are known, and,
# once its wall is clicked or looked for, the folder of its working copies and the clicks (x, y, label).
Room = dict[str, Any]
PAINT = "#7A9E7E"


def show_room(room: Room | None) -> Any:
    """Draw the room with its wall marked; None without one."""
    if room is None:
        return None
    photo = load_photo(room["photo"])
    photo.thumbnail((canvas.VIEW, canvas.VIEW))
    mask = load_mask(room["mask"]).resize(photo.size) if room["mask"] else None
    marked = mask and mask.point(lambda value: 255 * (value >= 128))
    return canvas.draw_overlay(photo, marked, room["clicks"])


def make_room(photo: str, mask: str | None, truths: dict[str, str] | None = None) -> Room:
    """Give a fresh room."""
    return {"photo": photo, "mask": mask, "truths": truths or {}, "folder": None, "clicks": []}


def show_opened(room: Room) -> tuple:
    """Give (room, its picture, the list of paints whose true repaint is known)."""
    known = list(room["truths"])
    return room, show_room(room), gr.update(choices=known, value=None, visible=bool(known))


def read_test_room(index: int) -> Room:
    """Give the shipped test room of that number, with its true repaints."""
    sample = canvas.read_rooms("test")[index]
    truths = {parse_color(bytes(truth.color).hex()).hex: str(truth.image) for truth in sample.truths}
    return make_room(str(sample.image), str(sample.mask), truths)


def first_room() -> Room | None:
    """Give the room that stands there before anybody has chosen one."""
    return read_test_room(0) if canvas.read_rooms("test") else None


def open_test_room(event: gr.SelectData) -> tuple:
    """Open the chosen test room; give what `show_opened` gives."""
    return show_opened(read_test_room(event.index))


def open_tab1_room(picture: dict[str, Any] | None, language: str) -> tuple:
    """Take the room and mask of tab 1; give what `show_opened` gives."""
    paths = picture and canvas.save_photo_mask(picture)
    if not paths:
        raise ValueError(t("no_mask" if picture else "no_photo", language))
    return show_opened(make_room(str(paths[0]), str(paths[1])))


def open_photo(path: str, workspace: Path) -> tuple:
    """Take an uploaded photo, still without a mask; give what `show_opened` gives."""
    picture = canvas.open_picture(path, workspace)
    room = make_room(str(Path(picture["folder"]) / "photo.png"), None)
    return show_opened({**room, "folder": picture["folder"]})


def open_mask(path: str, room: Room | None, language: str, workspace: Path) -> tuple:
    """Take an uploaded mask for the photo at hand, of its size; give what `show_opened` gives."""
    if room is None:
        raise ValueError(t("no_upload", language))
    mask = load_mask(path, Image.open(room["photo"]).size)
    kept = canvas.working_folder(workspace) / "mask.png"
    mask.save(kept)
    return show_opened({**room, "mask": str(kept), "clicks": []})


def click_wall(room: Room | None, mode: int, workspace: Path, event: gr.SelectData) -> tuple:
    """Add a click (1 wall, 0 leave out) and mark the wall anew; give (room, its picture)."""
    if room is None:
        return None, None
    x, y = event.index
    return mark(room, [*room["clicks"], (int(x), int(y), int(mode))], workspace)


def undo_click(room: Room | None, workspace: Path) -> tuple:
    """Take the last click back; give (room, its picture)."""
    return mark(room, room["clicks"][:-1], workspace) if room else (None, None)


def find_wall(room: Room | None, language: str, workspace: Path) -> tuple:
    """Let the wall be found without a click; give (room, its picture)."""
    if room is None:
        raise ValueError(t("no_upload", language))
    room = with_folder({**room, "clicks": []}, workspace)
    found = sight.propose(room["folder"])
    if found is None:
        raise ValueError(t("no_wall_found", language))
    room = keep_mask(room, np.asarray(found.mask) >= 128)
    return room, show_room(room)


def mark(room: Room, clicks: list[tuple[int, int, int]], workspace: Path) -> tuple:
    """Mark what the clicks mean; without a click on a wall there is none."""
    room = with_folder({**room, "clicks": clicks}, workspace)
    if any(label for _, _, label in clicks):
        points, labels = [(x, y) for x, y, _ in clicks], [label for _, _, label in clicks]
        room = keep_mask(room, sight.ask_walls(room["folder"], points, labels, None)[0][0])
    else:
        room = {**room, "mask": None}
    return room, show_room(room)


def with_folder(room: Room, workspace: Path) -> Room:
    """Give the room with working copies, which the first click makes."""
    if room["folder"]:
        return room
    return {**room, "folder": canvas.open_picture(room["photo"], workspace)["folder"]}


def keep_mask(room: Room, mask: np.ndarray) -> Room:
    """Write a mask (h, w) of the view at the photo's own size; an empty one leaves the room without."""
    name = canvas.save_wall_mask(room["folder"], mask)
    size = Image.open(room["photo"]).size
    whole = canvas.wall_mask(room["folder"], canvas.Wall(mask=name), size)
    if whole is None:
        return {**room, "mask": None}
    path = Path(room["folder"]) / f"whole-{name}"
    whole.save(path)
    return {**room, "mask": str(path)}
