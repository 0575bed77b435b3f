"""Tab Dataset: open rooms, mark their walls on the board, save them as training samples."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint.ui.board import pictures
from wallpaint.ui.board.component import BoardPanel, build_board, describe_picture
from wallpaint.ui.dataset.photos import KEPT, SHOW_BOARD, build_photos, wire_photos
from wallpaint.ui.dataset.samples_panel import build_list, build_save, wire_samples
from wallpaint.ui.finder import build_finder
from wallpaint.ui.gallery import add_rooms, read_rooms
from wallpaint.ui.handlers import guarded
from wallpaint.ui.page import QUIET, Page, Step
from wallpaint.ui.visits import Kept, note_opened
from wallpaint.ui.words.words import T


@dataclass(frozen=True)
class DatasetTab:
    """What the page needs of the tab."""

    kept: tuple[Kept, ...]
    finder: Step  # says what finds walls
    refresh: tuple[Step, ...] = ()
    name: gr.Dropdown | None = None  # of the dataset; None on a public page, which saves nothing
    saved: tuple[Any, ...] = ()  # the events that save to it


def open_sample(index: int, workspace: Path) -> tuple:
    """Open a sample room; give (picture, what the board shows, the room's name)."""
    sample = read_rooms("sample")[index]
    picture = pictures.open_picture(sample.image, workspace, sample.room_id, sample.mask)
    return picture, describe_picture(picture), picture["name"]


def build_dataset_tab(page: Page, language: gr.State, picture: gr.State) -> DatasetTab:
    """Build the tab and wire it; `picture` is the room that is open. A public page marks walls and saves nothing."""
    room = page.add(
        gr.Textbox, label=T("room_id"), info=T("room_id_info"), min_width=140, elem_id="room", render=False
    )
    with gr.Row():
        with gr.Column(scale=2, min_width=350):
            page.add(gr.Markdown, value=T("choose_room"))
            about = {"label": T("sample_rooms"), "height": 460, "elem_id": "sample-rooms"}
            rooms = add_rooms(page, read_rooms("sample"), "room_id", **about)
            photos = build_photos(page)
        with gr.Column(scale=5, min_width=340):
            board = BoardPanel(picture, build_board(page), room)
            finder = build_finder(page, language)
            save = build_save(page, room)
    listing = build_list(page)

    @guarded
    def open_sample_here(event: gr.SelectData, request: gr.Request) -> tuple:
        note_opened(request, KEPT)
        return open_sample(event.index, page.workspace)

    rooms.select(open_sample_here, None, board.opened, **QUIET).success(None, None, None, js=SHOW_BOARD)
    kept = (wire_photos(page, photos, board, language),)
    if page.public:
        return DatasetTab(kept, finder)
    refresh, saved = wire_samples(page, save, listing, photos, board, language)
    return DatasetTab(kept, finder, refresh, save.name, saved)
