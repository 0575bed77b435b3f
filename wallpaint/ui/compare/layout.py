"""Where things are in tab 3."""

from typing import Any

import gradio as gr

from wallpaint.ui.board.component import build_board
from wallpaint.ui.compare.job import TICKED, list_arms
from wallpaint.ui.compare.room import PAINT, known_paints
from wallpaint.ui.compare.view import draw_results
from wallpaint.ui.page import Page, add_rooms, read_paint
from wallpaint.ui.words.words import T

MORE = ["#7A9E7E", "#C8553D", "#2F4858", "#E8C547", "#F2F0E9", "#B65D8F", "#5B8DB8"]


def build_room(page: Page) -> dict[str, Any]:
    """Lay out the room: where it comes from, its board to mark the wall on."""
    parts: dict[str, Any] = {}
    parts["rooms"] = add_rooms(page, "test", "kind", label=T("test_rooms"), height=200, elem_id="test-rooms")
    with gr.Row(elem_classes="buttons"):
        parts["photo"] = page.add(
            gr.UploadButton,
            label=T("upload_photo"),
            file_types=["image"],
            size="sm",
            min_width=90,
            elem_id="compare-photo",
        )
        parts["mask"] = page.add(
            gr.UploadButton, label=T("upload_mask"), file_types=["image"], size="sm", min_width=90
        )
        parts["tab1"] = page.add(gr.Button, value=T("use_tab1"), size="sm", elem_id="use-tab1")
    parts["board"] = build_board(page.workspace, "compare-board", drop="#compare-photo", plain=True)
    return parts


def build_choice(page: Page) -> dict[str, Any]:
    """Lay out the paint, the arms, how they paint, and the buttons."""
    parts: dict[str, Any] = {}
    known = list(known_paints())
    paint = max(known, key=vividness, default=PAINT)
    with gr.Row():
        parts["paint"] = page.add(
            gr.ColorPicker, value=paint, label=T("paint"), min_width=110, scale=1, elem_id="compare-paint"
        )
        parts["known"] = page.add(
            gr.Dropdown,
            choices=known,
            value=paint if known else None,
            label=T("known_paint"),
            visible=bool(known),
            min_width=150,
            scale=1,
            elem_id="known-paint",
        )
        arms = list_arms(page.workspace)
        parts["arms"] = page.add(
            gr.CheckboxGroup,
            choices=arms,
            value=[arm for _, arm in arms if arm in TICKED],
            label=T("arms"),
            info=T("arms_info"),
            elem_id="arms",
            min_width=300,
            scale=4,
        )
    with gr.Row(elem_classes="buttons"):
        parts["go"] = page.add(
            gr.Button, value=T("paint_button"), variant="primary", elem_id="paint", min_width=140, scale=3
        )
        parts["cancel"] = page.add(gr.Button, value=T("cancel"), elem_id="cancel", min_width=90, scale=1)
        parts["lora"] = page.add(
            gr.UploadButton,
            label=T("add_lora"),
            file_types=[".safetensors"],
            elem_id="add-lora",
            min_width=120,
            scale=1,
        )
    return parts | build_sampling(page)


def build_sampling(page: Page) -> dict[str, Any]:
    """Lay out the rarer choices, folded."""
    parts: dict[str, Any] = {}
    family = {"info": T("own_default"), "min_width": 90}
    with page.add(gr.Accordion, label=T("sampling"), open=False, elem_id="sampling"):
        with gr.Row():
            parts["seed"] = page.add(
                gr.Number, value=0, precision=0, minimum=0, label=T("seed"), info=T("seed_info"), min_width=90
            )
            parts["steps"] = page.add(
                gr.Number, value=0, precision=0, minimum=0, maximum=200, label=T("steps"), **family
            )
            parts["guidance"] = page.add(gr.Number, value=0, minimum=0, maximum=30, label=T("guidance"), **family)
            parts["scale"] = page.add(
                gr.Slider, minimum=0, maximum=2, step=0.05, value=1.0, label=T("scale"), min_width=260
            )
        with gr.Row():
            parts["more"] = page.add(
                gr.Dropdown,
                choices=MORE,
                value=[],
                multiselect=True,
                allow_custom_value=True,
                max_choices=7,
                label=T("more_paints"),
                info=T("more_paints_info"),
                elem_id="more-paints",
            )
            parts["blind"] = page.add(
                gr.Checkbox, value=False, label=T("blind"), info=T("blind_info"), elem_id="blind"
            )
    return parts


def vividness(paint: str) -> int:
    """How far a paint is from grey."""
    rgb = read_paint(paint).rgb
    return max(rgb) - min(rgb)


def build_results(page: Page) -> dict[str, Any]:
    """Lay out the results, the vote and the files."""
    parts: dict[str, Any] = {}
    parts["results"] = gr.HTML(draw_results(None, "en"), elem_id="results", min_height=120)
    parts["vote"] = page.add(gr.Radio, choices=[], label=T("vote"), visible=False, elem_id="vote", interactive=True)
    parts["heat"] = page.add(gr.Checkbox, value=False, label=T("heat"), visible=False, elem_id="heat")
    with gr.Row(elem_classes="buttons"):
        for name in ("report", "zip"):
            parts[name] = page.add(gr.DownloadButton, label=T(name), visible=False, elem_id=name, size="md")
    page.add(gr.Markdown, value=T("table_help"), elem_classes="quiet")
    return parts
