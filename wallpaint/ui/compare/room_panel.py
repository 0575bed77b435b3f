"""The room of tab 3 and the board that marks its wall and chooses its paint; where rooms come from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint.ui.board import pictures
from wallpaint.ui.board.component import AFTER_BOARD, AFTER_COMPARE_BOARD, build_board
from wallpaint.ui.compare import scene
from wallpaint.ui.compare.scene import Room, shipped_rooms
from wallpaint.ui.gallery import add_rooms
from wallpaint.ui.handlers import guarded
from wallpaint.ui.page import PRIVATE, QUIET, Page, Step
from wallpaint.ui.visits import note_opened, was_opened
from wallpaint.ui.words.words import T

FIRST = "first room"  # by `note_opened`


@dataclass(frozen=True)
class RoomPanel:
    """The room and the board that marks its wall and chooses its paint."""

    rooms: gr.Gallery
    photo: gr.UploadButton
    mask: gr.UploadButton
    from_dataset: gr.Button
    back: gr.Button  # to the room before; unseen while there is none
    board: gr.HTML


def build_room(page: Page) -> RoomPanel:
    """Lay out the room: its board to mark the wall on and choose its paint, and where it comes from."""
    upload = {"file_types": ["image"], "size": "md", "min_width": 90}
    page.add(gr.Markdown, value=T("try_yours"))
    with gr.Row(elem_classes="buttons"):
        look = {"variant": "primary", "elem_id": "compare-photo"}
        photo = page.add(gr.UploadButton, label=T("upload_photo"), **look, **upload)
        mask = page.add(gr.UploadButton, label=T("upload_mask"), **upload)
        from_dataset = page.add(gr.Button, value=T("use_tab1"), size="md", min_width=90, elem_id="use-tab1")
        back = page.add(
            gr.Button, value=T("room_before"), size="md", min_width=90, visible=False, elem_id="room-before"
        )
    board = build_board(page, "compare-board", drop="#compare-photo", plain=True)
    about = {"label": T("test_rooms"), "elem_id": "test-rooms"}
    rooms = add_rooms(page, shipped_rooms(), "kind", height=180, columns=5, **about)
    return RoomPanel(rooms, photo, mask, from_dataset, back, board)


def choose_room(open_room: Callable, request: gr.Request, *values: Any) -> tuple:
    """Open a room that somebody asks for; the first one, or the last visit's, may come later and leaves it there."""
    opened = open_room(*values)
    note_opened(request, "room")
    return opened


def open_first_room(workspace: Path, room: Room | None, request: gr.Request) -> tuple | dict:
    """Open the room that stands there before anybody has chosen one, unless somebody has meanwhile; once a page.

    It is asked for as the page comes and as the tab is opened; a second one would replace the first, painted perhaps.
    """
    if room is None and was_opened(request, FIRST):
        return gr.skip()  # on its way
    note_opened(request, FIRST)
    opened = scene.open_first_room(workspace, room)
    return gr.skip() if was_opened(request, "room") else opened


def wire_room(page: Page, panel: RoomPanel, room: gr.State, picture: gr.State, language: gr.State) -> Step:
    """Wire what opens a room and marks its wall; give the step that opens the first one."""
    workspace, opened = page.workspace, [room, panel.board]

    def open_shipped_room(room: Room | None, event: gr.SelectData, request: gr.Request) -> tuple:
        return choose_room(scene.open_shipped_room, request, workspace, event.index, room)

    def open_dataset_room(picture: pictures.Picture | None, language: str, request: gr.Request) -> tuple:
        return choose_room(scene.open_dataset_room, request, workspace, picture, language)

    def open_photo(uploaded: str | None, room: Room | None, request: gr.Request) -> tuple:
        return choose_room(scene.open_photo, request, workspace, uploaded, room)

    panel.rooms.select(guarded(open_shipped_room), room, opened, **QUIET)
    panel.from_dataset.click(guarded(open_dataset_room), [picture, language], opened, js=AFTER_BOARD, **QUIET)
    panel.photo.upload(guarded(open_photo), [panel.photo, room], opened, **PRIVATE)
    panel.mask.upload(guarded(scene.open_mask, workspace), [panel.mask, room, language], opened, **PRIVATE)
    return Step(guarded(open_first_room, workspace), [room], opened)


def wire_way_back(panel: RoomPanel, room: gr.State, before: gr.State) -> Any:
    """Let the room that another has replaced be had back, whatever replaced it: a second press changes them again.

    Gives the event after which it is known which room is at hand and which was before.
    """
    at_hand = gr.State(None)

    def note_room(room: Room | None, at_hand: Room | None) -> tuple:
        if at_hand is None or room == at_hand:  # the first one, or one that came back with the page
            return room, gr.skip(), gr.skip()
        return room, at_hand, gr.update(visible=True)

    panel.back.click(guarded(scene.show_room), before, [room, panel.board], js=AFTER_COMPARE_BOARD, **QUIET)
    return room.change(guarded(note_room), [room, at_hand], [at_hand, before, panel.back], **QUIET).then
