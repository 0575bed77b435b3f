"""Where things are in tab 3."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint.dataset.project import MAX_BYTES, SUFFIX
from wallpaint.paint.settings import COMPARED_ARMS
from wallpaint.ui.board.component import build_board
from wallpaint.ui.compare.arms import LORA_SUFFIXES, MAX_LORA, SHEET_ARM, list_arms
from wallpaint.ui.compare.results_html import draw_results
from wallpaint.ui.compare.scene import shipped_rooms
from wallpaint.ui.gallery import add_rooms
from wallpaint.ui.page import Page, run_script
from wallpaint.ui.upload import build_upload
from wallpaint.ui.words.words import T


@dataclass(frozen=True)
class RoomPanel:
    """The room and the board that marks its wall and chooses its paint."""

    rooms: gr.Gallery
    photo: gr.UploadButton
    mask: gr.UploadButton
    from_dataset: gr.Button
    back: gr.Button  # to the room before; unseen while there is none
    board: gr.HTML


@dataclass(frozen=True)
class ProjectPanel:
    """The room with all that was chosen, as a file."""

    save: gr.Button
    saved: gr.DownloadButton
    open: gr.HTML


@dataclass(frozen=True)
class ChoicePanel:
    """The arms, how they paint, and the buttons."""

    arms: gr.CheckboxGroup
    go: gr.Button
    cancel: gr.Button
    sheet_arm: gr.Dropdown
    go_sheet: gr.Button
    lora: gr.HTML  # uploads one
    own: gr.HTML  # what is known of those brought
    seed: gr.Number
    num_inference_steps: gr.Number
    guidance_scale: gr.Number
    ip_adapter_scale: gr.Slider
    blind: gr.Checkbox
    bounce: gr.Checkbox

    @property
    def request(self) -> list[Any]:
        """The inputs of a PaintRequest, in its order."""
        sampling = [self.seed, self.num_inference_steps, self.guidance_scale, self.ip_adapter_scale]
        return [self.arms, self.sheet_arm, *sampling, self.blind, self.bounce]


@dataclass(frozen=True)
class ResultsPanel:
    """The pictures with their figures, the vote and the files."""

    results: gr.HTML
    vote: gr.Radio
    report: gr.Button
    zip: gr.Button
    written: gr.DownloadButton  # of what they write

    @property
    def shown(self) -> list[Any]:
        """What new results change."""
        return [self.results, self.vote, self.report, self.zip]


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


def build_project(page: Page) -> ProjectPanel:
    """Lay out, folded, what saves the room and all that was chosen, and opens it again."""
    with page.add(gr.Accordion, label=T("project"), open=False, elem_id="project"):
        page.add(gr.Markdown, value=T("project_help"), elem_classes="quiet")
        save = page.add(gr.Button, value=T("save_project"), size="md", elem_id="save-project")
        saved = gr.DownloadButton(visible="hidden", elem_id="saved-project")
        return ProjectPanel(save, saved, build_upload(page, T("open_project"), (SUFFIX,), MAX_BYTES, "open-project"))


def build_choice(page: Page) -> ChoicePanel:
    """Lay out the arms, the buttons and, folded, the rarer choices."""
    parts: dict[str, Any] = {}
    arms = list_arms(page.workspace)
    ticked = [arm for _, arm in arms if arm in COMPARED_ARMS]
    look: dict[str, Any] = {"elem_id": "arms", "label": T("arms")}
    parts["arms"] = page.add(gr.CheckboxGroup, choices=arms, value=ticked, **look)
    with gr.Row(elem_classes="buttons", elem_id="paint-row"):
        look = {"min_width": 140, "scale": 3, "variant": "primary"}
        parts["go"] = page.add(gr.Button, value=T("paint_button"), elem_id="paint", **look)
        parts["cancel"] = page.add(gr.Button, value=T("cancel"), elem_id="cancel", min_width=90, scale=1)
    with page.add(gr.Accordion, label=T("arms_help"), open=False, elem_id="arms-help"):
        page.add(gr.Markdown, value=T("arms_info"))
    with page.add(gr.Accordion, label=T("sheet_fold"), open=False, elem_id="sheet"):
        look = {"label": T("sheet_arm"), "info": T("sheet_info"), "elem_id": "sheet-arm"}
        parts["sheet_arm"] = page.add(gr.Dropdown, choices=arms, value=SHEET_ARM, **look)
        parts["go_sheet"] = page.add(gr.Button, value=T("paint_sheet"), elem_id="paint-sheet", size="md")
    with page.add(gr.Accordion, label=T("lora_fold"), open=False, elem_id="loras"):
        parts["lora"] = build_upload(page, T("add_lora"), LORA_SUFFIXES, MAX_LORA, "add-lora")
        parts["own"] = gr.HTML(elem_id="own-loras")
    with page.add(gr.Accordion, label=T("sampling"), open=False, elem_id="sampling"):
        parts |= build_sampling(page)
    return ChoicePanel(**parts)


def build_sampling(page: Page) -> dict[str, Any]:
    """Lay out the rarer choices; give them by their names in ChoicePanel."""
    parts: dict[str, Any] = {}
    with gr.Row():
        for name, value, most, info in (
            ("seed", 0, None, "seed_info"),
            ("num_inference_steps", 0, 200, "own_default"),
            ("guidance_scale", 0, 30, "own_default"),
            ("ip_adapter_scale", None, 2, "own_scale"),
        ):
            texts: dict[str, Any] = {"label": T(name), "info": T(info), "min_width": 90}
            step = {"precision": 0} if name in ("seed", "num_inference_steps") else {"step": 0.05}
            parts[name] = page.add(gr.Number, value=value, minimum=0, maximum=most, **texts, **step)
    with gr.Row():
        for name in ("blind", "bounce"):
            texts = {"label": T(name), "info": T(f"{name}_info"), "elem_id": name}
            parts[name] = page.add(gr.Checkbox, value=False, **texts)
    return parts


def build_results(page: Page) -> ResultsPanel:
    """Lay out the results, the vote and the files."""
    css, script = Path(__file__).with_name("stage.css").read_text("utf-8"), run_script("stage", {}, {})
    look: dict[str, Any] = {"css_template": css, "js_on_load": script, "apply_default_css": False, "min_height": 120}
    results = gr.HTML(draw_results(None, "en"), elem_id="results", **look)
    vote = page.add(gr.Radio, choices=[], label=T("vote"), visible=False, elem_id="vote", interactive=True)
    with gr.Row(elem_classes="buttons"):
        report, packed = (
            page.add(gr.Button, value=T(name), visible=False, elem_id=name, size="md") for name in ("report", "zip")
        )
    return ResultsPanel(results, vote, report, packed, gr.DownloadButton(visible="hidden", elem_id="written"))
