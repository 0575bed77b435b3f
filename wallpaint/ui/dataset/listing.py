"""The lower half of tab 1 as it lies on the page: saving, the list, its editing, zips and the checkup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint.dataset import curate, zips
from wallpaint.dataset import folder as dataset
from wallpaint.ui.board.component import AFTER_BOARD, describe_picture
from wallpaint.ui.dataset.checkup import CSS
from wallpaint.ui.dataset.roll import save_frames
from wallpaint.ui.dataset.samples import (
    DATASET,
    Key,
    dataset_folder,
    export_dataset,
    import_dataset,
    list_datasets,
    open_saved,
    read_sample,
    save_sample,
    say_saved,
    show_dataset,
    write_color,
)
from wallpaint.ui.page import PRIVATE, Page, Step, guarded, read_paint
from wallpaint.ui.upload import build_upload, open_upload
from wallpaint.ui.words.words import T, t

QUIET = {**PRIVATE, "show_progress": "hidden"}


def build_save(page: Page) -> dict[str, Any]:
    """Lay out what keeps the room for training; on a public page it is there, unseen."""
    parts: dict[str, Any] = {}
    with gr.Column(visible=not page.public):
        page.add(gr.Markdown, value=T("save_head"))
        with gr.Row():
            parts["name"] = page.add(
                gr.Dropdown,
                choices=[] if page.public else list_datasets(page.workspace),
                value=DATASET,
                label=T("dataset_name"),
                allow_custom_value=True,
                min_width=140,
                elem_id="dataset-name",
            )
            info = T("room_id_info")
            parts["room"] = page.add(gr.Textbox, label=T("room_id"), info=info, min_width=140, elem_id="room")
            splits = [(T("split_train"), "train"), (T("split_validation"), "validation")]
            parts["split"] = page.add(
                gr.Radio, choices=splits, value="train", label=T("split"), min_width=180, elem_id="split"
            )
        with gr.Row():
            parts["text"] = page.add(
                gr.Textbox, value="", label=T("prompt"), placeholder=dataset.PROMPT, scale=2, min_width=180
            )
            parts["save"] = page.add(
                gr.Button, value=T("save"), variant="primary", elem_id="save-sample", min_width=180
            )
        parts["message"] = gr.Markdown(elem_id="save-message")
    return parts


def build_list(page: Page) -> dict[str, Any]:
    """Lay out the dataset's list, its editing and its checkup; on a public page there, unseen."""
    parts: dict[str, Any] = {"keys": gr.State([]), "key": gr.State(None)}
    with gr.Column(visible=not page.public):
        page.add(gr.Markdown, value=T("list_head"))
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                parts["samples"] = page.add(
                    gr.Gallery,
                    label=T("saved_list"),
                    columns=5,
                    height=260,
                    format="jpeg",
                    object_fit="cover",
                    buttons=[],
                    interactive=False,
                    allow_preview=False,
                    fit_columns=False,
                    elem_id="saved-samples",
                )
                parts |= _build_buttons(page)
            with gr.Column(scale=1, min_width=260, visible=False) as parts["edit_box"]:
                parts["edit_color"] = page.add(gr.ColorPicker, label=T("edit_color"))
                parts["edit_room"] = page.add(gr.Textbox, label=T("room_id"), elem_id="edit-room")
                parts["edit_text"] = page.add(gr.Textbox, label=T("prompt"), lines=2)
                for key in ("edit_save", "edit_open", "edit_move", "edit_delete"):
                    name, stop = key.replace("_", "-"), key == "edit_delete"
                    parts[key] = page.add(
                        gr.Button, value=T(key), size="md", elem_id=name, variant="stop" if stop else "secondary"
                    )
        parts["checkup"] = gr.HTML(elem_id="checkup", css_template=CSS, apply_default_css=False)
    return parts


def _build_buttons(page: Page) -> dict[str, Any]:
    """Lay out what acts on the dataset as a whole."""
    parts: dict[str, Any] = {}
    with gr.Row(elem_classes="buttons"):
        for key in ("check", "undo_delete", "export"):
            parts[key] = page.add(gr.Button, value=T(key), size="md", min_width=120, elem_id=key.replace("_", "-"))
        parts["download"] = gr.DownloadButton(visible=False, size="md", min_width=120, elem_id="download")
    if not page.public:
        parts["import"] = build_upload(page, T("import"), (".zip",), zips.MAX_BYTES, "import")
    return parts


def wire_samples(page: Page, parts: dict[str, Any]) -> None:
    """Wire saving, the list and its checkup."""
    workspace, language, name = page.workspace, parts["language"], parts["name"]
    listed = [parts["samples"], parts["keys"], parts["checkup"]]

    @guarded
    def list_here(name: str, language: str) -> tuple:
        return show_dataset(workspace, name, language)

    @guarded
    def save_here(picture: Any, name: str, split: str, room: str, text: str, language: str) -> tuple:
        message = save_sample(workspace, picture, name, split, room, text, language)
        return message, gr.update(choices=list_datasets(workspace)), *show_dataset(workspace, name, language)

    @guarded
    def keep_here(frames: Any, ticked: list[str], name: str, split: str, text: str, language: str) -> tuple:
        count = save_frames(workspace, frames, ticked, name, split, text, language)
        message = say_saved(dataset_folder(workspace, name, language), count, language)
        return message, gr.update(choices=list_datasets(workspace)), *show_dataset(workspace, name, language)

    saved = [parts["message"], name, *listed]
    row = [parts["picture"], name, parts["split"], parts["room"], parts["text"], language]
    parts["save"].click(save_here, row, saved, js=AFTER_BOARD, **PRIVATE)
    ticked = [parts["frames"], parts["ticked"], name, parts["split"], parts["text"], language]
    parts["keep_ticked"].click(keep_here, ticked, saved, js=AFTER_BOARD, **PRIVATE)
    for listen in (name.change, parts["check"].click):
        listen(list_here, [name, language], listed, **QUIET)
    parts["refresh"] = (Step(list_here, [name, language], listed),)
    wire_edits(workspace, parts, listed)
    wire_zips(workspace, parts, listed)


def wire_edits(workspace: Path, parts: dict[str, Any], listed: list) -> None:
    """Wire editing, moving, deleting and taking that back."""
    name, key, language = parts["name"], parts["key"], parts["language"]
    fields = [parts["edit_color"], parts["edit_room"], parts["edit_text"]]

    @guarded
    def choose_here(name: str, keys: list, language: str, event: gr.SelectData) -> tuple:
        key = tuple(keys[event.index])
        sample = read_sample(workspace, name, key, language)
        return key, gr.update(visible=True), write_color(sample), sample.room_id, sample.text

    @guarded
    def edit_here(name: str, key: Key, color: str, room: str, text: str, language: str) -> tuple:
        read_sample(workspace, name, key, language)
        folder, rgb = dataset_folder(workspace, name, language), list(read_paint(color).rgb)
        curate.edit_sample(folder, *key, reference_color_rgb=rgb, room_id=room, text=text)
        return t("edited", language, file=key[1]), *show_dataset(workspace, name, language)

    @guarded
    def open_here(name: str, key: Key, language: str) -> tuple:
        picture = open_saved(workspace, name, key, language)
        return picture, describe_picture(picture), picture["name"]

    @guarded
    def move_here(name: str, key: Key, language: str) -> tuple:
        room = read_sample(workspace, name, key, language).room_id
        split = dataset.SPLITS[1 - dataset.SPLITS.index(key[0])]
        count = curate.move_room(dataset_folder(workspace, name, language), room, split)
        said = t("moved", language, count=count, room=room, split=t("split_" + split, language))
        return said, *show_dataset(workspace, name, language), None, gr.update(visible=False)

    @guarded
    def delete_here(name: str, key: Key, language: str) -> tuple:
        read_sample(workspace, name, key, language)
        curate.delete_sample(dataset_folder(workspace, name, language), *key)
        said = t("sample_deleted", language, file=key[1])
        return said, *show_dataset(workspace, name, language), None, gr.update(visible=False)

    @guarded
    def undo_here(name: str, language: str) -> tuple:
        sample = curate.undo_delete(dataset_folder(workspace, name, language))
        return t("restored", language, file=sample.image.name), *show_dataset(workspace, name, language)

    said, closed = [parts["message"], *listed], [key, parts["edit_box"]]
    at = [name, key, language]
    parts["samples"].select(choose_here, [name, parts["keys"], language], [*closed, *fields], **QUIET)
    parts["edit_save"].click(edit_here, [name, key, *fields, language], said, **PRIVATE)
    parts["edit_open"].click(open_here, at, [parts["picture"], parts["board"], parts["room"]], **PRIVATE)
    parts["edit_move"].click(move_here, at, [*said, *closed], **PRIVATE)
    parts["edit_delete"].click(delete_here, at, [*said, *closed], **PRIVATE)
    parts["undo_delete"].click(undo_here, [name, language], said, **PRIVATE)


def wire_zips(workspace: Path, parts: dict[str, Any], listed: list) -> None:
    """Wire export and import."""
    name, language = parts["name"], parts["language"]

    @guarded
    def export_here(name: str, language: str) -> Any:
        path = export_dataset(workspace, name, language)
        return gr.update(value=path, label=t("download", language, name=Path(path).name), visible=True)

    @guarded
    def import_here(uploaded: dict | None, name: str, language: str) -> tuple:
        with open_upload(workspace, uploaded, (".zip",)) as path:
            new, counts = import_dataset(workspace, path)
        rows = {split: counts.get(split, 0) for split in dataset.SPLITS}
        said = t("imported_zip", language, dataset=new, **rows)
        names = gr.update(choices=list_datasets(workspace), value=new)
        # Another name in the box lists what is there by itself.
        return said, names, *(show_dataset(workspace, new, language) if new == name else (gr.skip(),) * 3)

    parts["export"].click(export_here, [name, language], parts["download"], **PRIVATE)
    parts["import"].upload(
        import_here, [parts["import"], name, language], [parts["message"], name, *listed], **PRIVATE
    )
