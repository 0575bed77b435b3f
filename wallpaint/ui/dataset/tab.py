"""Tab 1: open rooms, mark their walls on the board, keep them as training samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint.ui.board import pictures as canvas
from wallpaint.ui.board.component import build_board, describe_picture
from wallpaint.ui.dataset import listing, roll
from wallpaint.ui.page import PRIVATE, Page, add_rooms, guarded
from wallpaint.ui.words.words import T

QUIET = {**PRIVATE, "show_progress": "hidden"}


def open_sample(workspace: Path, event: gr.SelectData) -> tuple:
    """Open the chosen sample room; give (picture, what the board shows, the room's name)."""
    sample = canvas.read_rooms("sample")[event.index]
    return show(canvas.open_picture(sample.image, workspace, sample.room_id, sample.mask))


def show(picture: canvas.Picture) -> tuple:
    """Give (picture, what the board shows, the room's name)."""
    return picture, describe_picture(picture), picture["name"]


def build_rooms(page: Page) -> dict[str, Any]:
    """Lay out the left column: rooms to open, photos of one's own."""
    parts: dict[str, Any] = {}
    page.add(gr.Markdown, value=T("choose_room"))
    parts["rooms"] = add_rooms(page, "sample", "room_id", label=T("sample_rooms"), height=460, elem_id="sample-rooms")
    with gr.Row(elem_classes="buttons"):
        parts["upload"] = page.add(
            gr.UploadButton,
            label=T("upload_photos"),
            file_types=["image"],
            file_count="multiple",
            elem_id="upload-photo",
            size="md",
            min_width=120,
            variant="primary",
        )
        parts["upload_folder"] = page.add(
            gr.UploadButton,
            label=T("upload_folder"),
            file_count="directory",
            elem_id="upload-folder",
            size="md",
            min_width=120,
        )
    return parts | roll.build_roll(page)


def build_dataset_tab(page: Page, language: gr.State) -> dict[str, Any]:
    """Build the tab and wire it; give its parts, `picture` (the state the other tabs may read) among them."""
    picture = gr.State(None)
    with gr.Row():
        with gr.Column(scale=2, min_width=350):
            parts = build_rooms(page)
        with gr.Column(scale=5, min_width=340):
            parts["board"] = build_board(page.workspace)
            parts |= listing.build_save(page)
    parts |= listing.build_list(page)
    parts["picture"], parts["language"] = picture, language
    wire_opening(page, parts)
    roll.wire_roll(page, parts)
    if not page.public:
        listing.wire_samples(page, parts)
    return parts


def wire_opening(page: Page, parts: dict[str, Any]) -> None:
    """Wire what opens a picture on the board."""
    workspace, opened = page.workspace, [parts["picture"], parts["board"], parts["room"]]

    @guarded
    def open_sample_here(event: gr.SelectData) -> tuple:
        return open_sample(workspace, event)

    parts["rooms"].select(open_sample_here, None, opened, **QUIET)
