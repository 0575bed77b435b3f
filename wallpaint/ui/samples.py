"""The lower half of tab 1: a marked room kept as a training sample."""

from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint import dataset
from wallpaint.ui import canvas
from wallpaint.ui.page import Page, check_name, read_paint
from wallpaint.ui.text import T, t

DATASET = "my-rooms"


def save_sample(
    workspace: Path,
    picture: dict[str, Any] | None,
    name: str,
    split: str,
    room: str,
    wall: str,
    text: str,
    language: str,
) -> tuple[str, list]:
    """Write the room, its mask and its paint into the dataset; give the message and the samples now in it."""
    if picture is None:
        raise ValueError(t("no_photo", language))
    paths = canvas.save_photo_mask(picture)
    if paths is None:
        raise ValueError(t("no_mask", language))
    folder = workspace / "datasets" / check_name(name, "dataset", language)
    photo, mask = canvas.load_photo(paths[0]), canvas.load_mask(paths[1])
    dataset.add_sample(folder, split, photo, mask, read_paint(wall).rgb, text, room)
    samples = saved_samples(folder)
    count = {split: len(samples[split]) for split in samples}
    return t("saved", language, dataset=name, **count), list_samples(name, workspace)


def saved_samples(folder: Path) -> dict[str, list[dataset.Sample]]:
    """Read both splits of a dataset folder; a split that is not there is empty."""
    return {
        split: dataset.read_samples(folder, split) if (folder / split / "metadata.jsonl").is_file() else []
        for split in ("train", "validation")
    }


def list_samples(name: str, workspace: Path) -> list[tuple[Any, str]]:
    """Give (picture, caption) of each sample in the named dataset, newest first."""
    folder = workspace / "datasets" / check_name(name, "dataset")
    rows = [(split, sample) for split, samples in saved_samples(folder).items() for sample in samples]
    return [
        (canvas.thumbnail(sample.image), f"{sample.room_id} · #{bytes(sample.color).hex().upper()} · {split}")
        for split, sample in reversed(rows)
    ]


def build_save(page: Page) -> dict[str, Any]:
    """Lay out what keeps the room for training; on a public page it is there, unseen."""
    parts = {}
    with gr.Column(visible=not page.public):
        page.add(gr.Markdown, value=T("save_head"))
        with gr.Row():
            parts["name"] = page.add(gr.Textbox, value=DATASET, label=T("dataset_name"))
            parts["room"] = page.add(gr.Textbox, label=T("room_id"), info=T("room_id_info"))
            splits = [(T("split_train"), "train"), (T("split_validation"), "validation")]
            parts["split"] = page.add(gr.Radio, choices=splits, value="train", label=T("split"))
        with gr.Row():
            info = T("wall_paint_info")
            parts["wall"] = page.add(gr.ColorPicker, value="#FFFFFF", label=T("wall_paint"), info=info)
            parts["text"] = page.add(
                gr.Textbox, value="", label=T("prompt"), placeholder=dataset.PROMPT, scale=2
            )
        parts["save"] = page.add(gr.Button, value=T("save"), variant="primary", elem_id="save-sample")
        parts["message"] = gr.Markdown()
        parts["samples"] = page.add(
            gr.Gallery,
            label=T("saved_list"),
            columns=4,
            height=220,
            format="jpeg",
            object_fit="cover",
            buttons=[],
            interactive=False,
            fit_columns=False,
            elem_id="saved-samples",
        )
    return parts
