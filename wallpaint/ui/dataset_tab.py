"""Tab 1: open a room, mark its wall, try a paint, keep it as a training sample."""

from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint.recolor import estimate_paint, recolor
from wallpaint.ui import canvas
from wallpaint.ui.page import PRIVATE, Page, add_rooms, guarded, read_paint
from wallpaint.ui.samples import DATASET, build_save, list_samples, save_sample
from wallpaint.ui.text import T, t

PAINT = "#7A9E7E"
Shown = tuple[dict[str, Any] | None, Any, Any, Any]


def show(picture: dict[str, Any] | None, paint: str, estimate: bool = True) -> Shown:
    """Give (picture, canvas image, quick repaint, wall paint) for a picture and the paint to try."""
    if picture is None:
        return None, None, None, gr.skip()
    view = canvas.load_view(picture)
    mask = canvas.mask_at(picture, view.size)
    overlay = canvas.draw_overlay(view, mask, picture["clicks"])
    wall = estimate_paint(view, mask).hex if mask is not None and estimate else gr.skip()
    return picture, overlay, mask and recolor(view, mask, read_paint(paint)), wall


def open_sample(paint: str, workspace: Path, event: gr.SelectData) -> tuple:
    """Open the chosen sample room; give what `show` gives and the room's name."""
    sample = canvas.read_rooms("sample")[event.index]
    picture = canvas.open_picture(sample.image, workspace, sample.room_id, sample.mask)
    return *show(picture, paint), sample.room_id


def open_upload(path: str, paint: str, workspace: Path) -> tuple:
    """Open an uploaded photo; give what `show` gives and a name made of the file's."""
    name = (
        "".join(letter if letter.isalnum() else "-" for letter in Path(path).stem).strip("-")[:40] or "room"
    )
    return *show(canvas.open_picture(path, workspace, name), paint), name


def add_click(picture: dict[str, Any] | None, mode: int, paint: str, event: gr.SelectData) -> Shown:
    """Add the click (label 1 wall, 0 leave out) and mark the wall anew; give what `show` gives."""
    if picture is None:
        return show(None, paint)
    x, y = event.index
    clicks = [*picture["clicks"], (int(x), int(y), int(mode))]
    return show(canvas.mark_wall({**picture, "clicks": clicks}), paint)


def undo_click(picture: dict[str, Any] | None, paint: str) -> Shown:
    """Take the last click back; give what `show` gives."""
    if picture is None:
        return show(None, paint)
    return show(canvas.mark_wall({**picture, "clicks": picture["clicks"][:-1]}), paint)


def clear_clicks(picture: dict[str, Any] | None, paint: str) -> Shown:
    """Take all clicks and the mask back; give what `show` gives."""
    return show(picture and {**picture, "clicks": [], "mask": None}, paint)


def use_given_mask(picture: dict[str, Any] | None, paint: str, language: str) -> Shown:
    """Take the mask that the sample brings; give what `show` gives."""
    if picture is None or not picture["given"]:
        raise ValueError(t("no_photo" if picture is None else "no_given", language))
    return show({**picture, "clicks": [], "mask": picture["given"]}, paint)


def change_paint(picture: dict[str, Any] | None, paint: str) -> tuple[str, Any]:
    """Repaint quickly in another paint; give the hex as we write it and the quick repaint."""
    hex_code = read_paint(paint).hex
    return hex_code, show(picture, hex_code, estimate=False)[2]


def build_rooms(page: Page) -> dict[str, Any]:
    """Lay out the left column: rooms to open, the paint to try."""
    parts = {}
    page.add(gr.Markdown, value=T("choose_room"))
    parts["rooms"] = add_rooms(
        page, "sample", "room_id", label=T("sample_rooms"), height=260, elem_id="sample-rooms"
    )
    parts["upload"] = page.add(
        gr.UploadButton, label=T("upload_photo"), file_types=["image"], elem_id="upload-photo"
    )
    page.add(gr.Markdown, value=T("try_paint"))
    with gr.Row():
        parts["paint"] = page.add(gr.ColorPicker, value=PAINT, label=T("paint"), min_width=100)
        parts["hex"] = page.add(gr.Textbox, value=PAINT, label=T("paint_hex"), max_length=7, min_width=100)
    parts["preview"] = page.add(
        gr.Image,
        label=T("preview"),
        interactive=False,
        format="jpeg",
        buttons=["fullscreen"],
        elem_id="preview",
    )
    return parts


def build_canvas(page: Page) -> dict[str, Any]:
    """Lay out the right column: the picture to click on and its buttons."""
    parts = {}
    parts["image"] = page.add(
        gr.Image,
        label=T("canvas"),
        interactive=False,
        format="jpeg",
        height=520,
        elem_id="canvas",
        buttons=["fullscreen"],
        placeholder=T("canvas_empty"),
    )
    page.add(gr.Markdown, value=T("canvas_help"))
    with gr.Row():
        modes = [(T("click_add"), 1), (T("click_remove"), 0)]
        parts["mode"] = page.add(
            gr.Radio, choices=modes, value=1, label=T("click_mode"), elem_id="click-mode"
        )
        with gr.Column(min_width=280):
            with gr.Row():
                parts["undo"] = page.add(gr.Button, value=T("undo"), size="md", min_width=90)
                parts["clear"] = page.add(gr.Button, value=T("clear"), size="md", min_width=90)
            parts["given"] = page.add(gr.Button, value=T("given_mask"), size="md")
    return parts


def build_dataset_tab(page: Page, language: gr.State) -> dict[str, Any]:
    """Build the tab and wire it; give its parts, `picture` (the state the other tabs may read) among them."""
    picture = gr.State(None)
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            parts = build_rooms(page)
        with gr.Column(scale=2, min_width=480):
            parts |= build_canvas(page)
            parts |= build_save(page)
    wire_dataset_tab(page, parts, picture, language)
    return {**parts, "picture": picture}


def wire_dataset_tab(page: Page, parts: dict[str, Any], picture: gr.State, language: gr.State) -> None:
    """Wire the tab's events."""
    workspace, paint = page.workspace, parts["paint"]
    shown = [picture, parts["image"], parts["preview"], parts["wall"]]
    opened = [*shown, parts["room"]]
    click = {**PRIVATE, "show_progress": "minimal", "show_progress_on": parts["image"]}

    @guarded
    def open_sample_here(paint: str, event: gr.SelectData) -> tuple:
        return open_sample(paint, workspace, event)

    @guarded
    def open_upload_here(path: str, paint: str) -> tuple:
        return open_upload(path, paint, workspace)

    parts["rooms"].select(open_sample_here, paint, opened, **click)
    parts["upload"].upload(open_upload_here, [parts["upload"], paint], opened, **click)
    parts["image"].select(
        guarded(add_click), [picture, parts["mode"], paint], shown, trigger_mode="multiple", **click
    )
    parts["undo"].click(guarded(undo_click), [picture, paint], shown, **click)
    parts["clear"].click(guarded(clear_clicks), [picture, paint], shown, **click)
    parts["given"].click(guarded(use_given_mask), [picture, paint, language], shown, **click)
    live = {**PRIVATE, "show_progress": "hidden", "trigger_mode": "always_last"}
    parts["paint"].change(guarded(change_paint), [picture, paint], [parts["hex"], parts["preview"]], **live)
    parts["hex"].submit(guarded(lambda text: read_paint(text).hex), parts["hex"], paint, **live)
    parts["hex"].blur(guarded(lambda text: read_paint(text).hex), parts["hex"], paint, **live)
    if page.public:
        return

    @guarded
    def save_sample_here(*values: Any) -> tuple:
        return save_sample(workspace, *values)

    @guarded
    def list_samples_here(name: str) -> list:
        return list_samples(name, workspace)

    parts["reload"], parts["reload_outputs"] = lambda: list_samples(DATASET, workspace), [parts["samples"]]
    row = [picture, *(parts[name] for name in ("name", "split", "room", "wall", "text")), language]
    parts["save"].click(save_sample_here, row, [parts["message"], parts["samples"]], **PRIVATE)
    for listen in (parts["name"].submit, parts["name"].blur):
        listen(list_samples_here, parts["name"], parts["samples"], **live)
