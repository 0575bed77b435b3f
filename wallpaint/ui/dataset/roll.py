"""Many photos at once: uploaded together, opened one by one, their walls found in one go and looked over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from wallpaint.dataset import folder as dataset
from wallpaint.errors import UserError
from wallpaint.pixels.images import load_photo, read_size
from wallpaint.ui.board import pictures as canvas
from wallpaint.ui.board import segmenter
from wallpaint.ui.board.calls import FIRST_PAINT
from wallpaint.ui.board.component import describe_picture
from wallpaint.ui.page import GPU, PRIVATE, Page, check_name, guarded
from wallpaint.ui.words.words import T, t

MOST = 200  # photos in one go
QUIET = {**PRIVATE, "show_progress": "hidden"}


@dataclass(frozen=True)
class Frame:
    """One photo of the roll."""

    path: str  # where the upload is
    name: str  # of its room, from the file's name or its folder's
    folder: str = ""  # its working copies, once it was opened
    confidence: float = -1.0  # of the wall proposed for it; -1: not asked yet


Roll = list[dict[str, Any]]  # Frames as dicts, which a session's state can keep


def add_photos(paths: list[str] | None, frames: Roll, language: str) -> Roll:
    """Add uploads to the roll; what is no photo is left out and told.

    Raises:
        UserError: none of them is a photo.
    """
    good, names = [], {frame["name"] for frame in frames}
    for path in (paths or [])[:MOST]:
        try:
            read_size(path)
        except UserError:
            continue
        name = _name(path)
        number = 2
        while name in names:
            name, number = f"{_name(path)}-{number}", number + 1
        names.add(name)
        good.append(asdict(Frame(path, name)))
    if not good:
        raise UserError(t("no_photos_there", language))
    if len(good) < len(paths or []):
        gr.Warning(t("skipped_photos", language, count=len(paths or []) - len(good)))
    return [*frames, *good][-MOST:]


def _name(path: str) -> str:
    """Make a room's name of a file's: letters, digits and dashes."""
    stem = "".join(letter if letter.isalnum() else "-" for letter in Path(path).stem)
    return stem.strip("-")[:40] or "room"


def open_frame(frames: Roll, index: int, workspace: Path) -> tuple[Roll, canvas.Picture]:
    """Open a photo of the roll; give (roll, picture)."""
    frame = Frame(**frames[index])
    if not frame.folder or not Path(frame.folder).is_dir():
        frame = replace(frame, folder=canvas.open_picture(frame.path, workspace, frame.name)["folder"])
    picture = {"folder": frame.folder, "name": frame.name, "given": False}
    return [*frames[:index], asdict(frame), *frames[index + 1 :]], picture


def show_roll(frames: Roll, language: str) -> list[tuple[Any, str]]:
    """Give (picture, caption) of each photo, its wall drawn once there is one."""
    shown = []
    for frame in (Frame(**one) for one in frames):
        if not frame.folder:
            shown.append((canvas.thumbnail(frame.path, 200), frame.name))
            continue
        view = segmenter.load_view(frame.folder)
        view.thumbnail((200, 200))
        mask = canvas.mask_at({"folder": frame.folder}, view.size)
        sure = f" · {100 * frame.confidence:.0f} %" if frame.confidence > 0 else ""
        sure = f" · {t('no_wall_there', language)}" if frame.confidence == 0 else sure
        shown.append((canvas.draw_overlay(view, mask), frame.name + sure))
    return shown


def find_walls(frames: Roll, workspace: Path) -> Iterator[Roll]:
    """Propose the wall of every photo that nobody has marked yet; give the roll after each."""
    for index in range(len(frames)):
        frames, picture = open_frame(frames, index, workspace)
        if canvas.read_walls(picture["folder"])[0][0].mask:
            yield frames
            continue
        found = segmenter.propose(picture["folder"])
        if found is not None:
            mask = canvas.save_wall_mask(picture["folder"], np.asarray(found.mask) >= 128)
            wall = canvas.Wall(mask, found.paint.hex, FIRST_PAINT)
            canvas.write_walls(picture["folder"], [wall])
        confidence = round(found.confidence, 3) if found else 0.0
        frames = [*frames[:index], {**frames[index], "confidence": confidence}, *frames[index + 1 :]]
        yield frames


def save_frames(
    workspace: Path, frames: Roll, ticked: list[str], name: str, split: str, text: str, language: str
) -> int:
    """Save the marked walls of the ticked photos, each a room of its own; give how many samples that made."""
    chosen = [Frame(**frame) for frame in frames if frame["name"] in ticked and frame["folder"]]
    if not chosen:
        raise UserError(t("no_ticked", language))
    folder = workspace / "datasets" / check_name(name, "dataset", language)
    pictures = [{"folder": frame.folder, "name": frame.name} for frame in chosen]
    return sum(save_walls(folder, picture, split, picture["name"], text) for picture in pictures)


def save_walls(folder: Path, picture: canvas.Picture, split: str, room: str, text: str) -> int:
    """Save every marked wall of a picture as a sample of one room; give how many there were."""
    photo, count = load_photo(Path(picture["folder"]) / "photo.png"), 0
    for wall in canvas.read_walls(picture["folder"])[0]:
        mask = canvas.wall_mask(picture["folder"], wall, photo.size)
        if mask is not None:
            color = bytes.fromhex(wall.now.lstrip("#"))
            dataset.add_sample(folder, split, photo, mask, (color[0], color[1], color[2]), text, room)
            count += 1
    return count


def build_roll(page: Page) -> dict[str, Any]:
    """Lay out the roll; unseen until there are photos."""
    parts: dict[str, Any] = {"frames": gr.State([])}
    with gr.Column(visible=False) as parts["roll_box"]:
        page.add(gr.Markdown, value=T("roll_help"), elem_classes="quiet")
        parts["roll"] = page.add(
            gr.Gallery,
            label=T("roll"),
            columns=3,
            height=240,
            format="jpeg",
            object_fit="cover",
            buttons=[],
            interactive=False,
            allow_preview=False,
            fit_columns=False,
            elem_id="roll",
        )
        parts["find_all"] = page.add(gr.Button, value=T("find_all"), size="md", elem_id="find-all")
        parts["roll_said"] = gr.Markdown(elem_classes="quiet", elem_id="roll-said")
        with gr.Column(visible=False) as parts["ticked_box"]:
            parts["ticked"] = page.add(gr.CheckboxGroup, label=T("ticked"), choices=[], elem_id="ticked")
            parts["keep_ticked"] = page.add(
                gr.Button, value=T("keep_ticked"), variant="primary", elem_id="keep-ticked"
            )
    return parts


def wire_roll(page: Page, parts: dict[str, Any]) -> None:
    """Wire uploading, opening and finding; saving what is ticked is wired with the dataset's list."""
    workspace, frames, language = page.workspace, parts["frames"], parts["language"]
    opened = [parts["picture"], parts["board"], parts["room"]]

    @guarded
    def upload_here(paths: list[str], frames: Roll, language: str) -> tuple:
        first = len(frames)
        frames = add_photos(paths, frames, language)
        frames, picture = open_frame(frames, min(first, len(frames) - 1), workspace)
        box = gr.update(visible=len(frames) > 1)
        return frames, show_roll(frames, language), box, picture, describe_picture(picture), picture["name"]

    @guarded
    def open_here(frames: Roll, event: gr.SelectData) -> tuple:
        frames, picture = open_frame(frames, event.index, workspace)
        return frames, picture, describe_picture(picture), picture["name"]

    def find_here(frames: Roll, language: str) -> Iterator[tuple]:
        for done, now in enumerate(find_walls(frames, workspace), start=1):
            frames = now
            said = t("finding", language, done=done, total=len(frames))
            yield frames, gr.skip(), said, gr.skip(), gr.skip()
        marked = [f["name"] for f in frames if canvas.read_walls(f["folder"])[0][0].mask]
        said = t("found_all", language, found=len(marked), total=len(frames))
        ticks = gr.update(choices=marked, value=marked)
        box = gr.update(visible=bool(marked) and not page.public)
        yield frames, show_roll(frames, language), said, ticks, box

    for button in (parts["upload"], parts["upload_folder"]):
        button.upload(
            upload_here, [button, frames, language], [frames, parts["roll"], parts["roll_box"], *opened], **QUIET
        )
    parts["roll"].select(open_here, frames, [frames, *opened], **QUIET)
    found = [frames, parts["roll"], parts["roll_said"], parts["ticked"], parts["ticked_box"]]
    parts["find_all"].click(find_here, [frames, language], found, **QUIET, **GPU)
