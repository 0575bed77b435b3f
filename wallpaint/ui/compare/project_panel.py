"""What saves the room of tab 3 with all that was chosen, and opens it again."""

from dataclasses import astuple, dataclass
from html import escape
from typing import Any

import gradio as gr

from wallpaint.dataset.project import MAX_BYTES, SUFFIX
from wallpaint.ui.board.component import AFTER_COMPARE_BOARD
from wallpaint.ui.compare import project, scene
from wallpaint.ui.compare.arms import OwnLora, list_arms
from wallpaint.ui.compare.choice_panel import ChoicePanel
from wallpaint.ui.compare.painting import PaintRequest
from wallpaint.ui.compare.room_panel import choose_room
from wallpaint.ui.compare.scene import Room
from wallpaint.ui.handlers import guarded, naming
from wallpaint.ui.page import DOWNLOAD, PRIVATE, Page
from wallpaint.ui.upload import build_upload, open_upload
from wallpaint.ui.words.words import T, t

SHOW_BOARD = """() => document.querySelector("#compare-board").scrollIntoView({ block: "start" })"""


@dataclass(frozen=True)
class ProjectPanel:
    """The room with all that was chosen, as a file."""

    save: gr.Button
    saved: gr.DownloadButton
    open: gr.HTML


def build_project(page: Page) -> ProjectPanel:
    """Lay out, folded, what saves the room and all that was chosen, and opens it again."""
    with page.add(gr.Accordion, label=T("project"), open=False, elem_id="project"):
        page.add(gr.Markdown, value=T("project_help"), elem_classes="quiet")
        save = page.add(gr.Button, value=T("save_project"), size="md", elem_id="save-project")
        saved = gr.DownloadButton(visible="hidden", elem_id="saved-project")
        return ProjectPanel(save, saved, build_upload(page, T("open_project"), (SUFFIX,), MAX_BYTES, "open-project"))


def wire_project(
    page: Page,
    panel: ProjectPanel,
    board: gr.HTML,
    choice: ChoicePanel,
    states: tuple[gr.State, ...],
    language: gr.State,
) -> None:
    """Wire saving the room as a project and opening one; `states` are the room and the reader's own LoRAs."""
    workspace, (room, own_loras) = page.workspace, states

    def save_project(room: Room | None, own: list[OwnLora], language: str, *values: Any) -> str:
        offered = {arm: name for name, arm in list_arms(workspace, own)}
        return str(project.save_project(workspace, room, PaintRequest(*values), offered, language))

    def open_project(uploaded: Any, own: list[OwnLora], language: str, request: gr.Request) -> tuple:
        with open_upload(workspace, uploaded, (SUFFIX,)) as path, naming(path):
            opened = project.open_project(workspace, path, dict(list_arms(workspace, own)))
        if opened.left_out:
            gr.Warning(escape(t("project_arms", language, names=", ".join(opened.left_out))))
        arms, sheet_arm, *others = astuple(opened.request)
        shown = choose_room(scene.show_room, request, opened.room)
        return *shown, arms or gr.skip(), sheet_arm or gr.skip(), *others

    given = [room, own_loras, language, *choice.request]
    saved = panel.save.click(guarded(save_project), given, panel.saved, js=AFTER_COMPARE_BOARD, **PRIVATE)
    saved.success(None, None, None, js=DOWNLOAD % panel.saved.elem_id)
    shown = [room, board, *choice.request]
    opened = panel.open.upload(guarded(open_project), [panel.open, own_loras, language], shown, **PRIVATE)
    opened.success(None, None, None, js=SHOW_BOARD)
