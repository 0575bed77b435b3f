"""Tab 3: one room, one paint, several ways to paint it, side by side and measured."""

import json
import secrets
import time
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from wallpaint import runs
from wallpaint.color import parse_color
from wallpaint.images import load_mask, load_photo
from wallpaint.ui import canvas
from wallpaint.ui.page import GPU, PRIVATE, Page, add_rooms, guarded, read_paint
from wallpaint.ui.text import T, t

SHIPPED = ("old", "new", "color", "base", "recolor")
COLUMNS = ("arm", "paint", "truth", "shading", "outside", "seconds")
# A room to compare on: photo and mask paths, and {hex: path of the true repaint} where those are known.
Room = dict[str, Any]


def list_arms(workspace: Path) -> list[tuple[str, str]]:
    """Give (label, arm) of what can be compared: the shipped arms that are there, then runs with weights."""
    there = [
        name for name in SHIPPED if name in ("base", "recolor") or (canvas.ASSETS / "loras" / name).is_dir()
    ]
    trained = [
        run for run in runs.list_runs(workspace) if any((run.folder / "weights").glob("*.safetensors"))
    ]
    return [*((name, name) for name in there), *((run.name, f"{run.name}={run.folder}") for run in trained)]


def show_room(room: Room | None) -> Any:
    """Draw the room with its wall marked; None without one."""
    if room is None:
        return None
    photo = load_photo(room["photo"])
    photo.thumbnail((canvas.VIEW, canvas.VIEW))
    mask = load_mask(room["mask"]).resize(photo.size) if room["mask"] else None
    return canvas.draw_overlay(photo, mask and mask.point(lambda value: 255 * (value >= 128)), [])


def open_room(photo: str, mask: str | None, truths: dict[str, str] | None = None) -> tuple:
    """Give (room, its picture, the list of paints whose true repaint is known)."""
    room: Room = {"photo": photo, "mask": mask, "truths": truths or {}}
    known = list(truths or {})
    return room, show_room(room), gr.update(choices=known, value=None, visible=bool(known))


def open_test_room(event: gr.SelectData) -> tuple:
    """Open the chosen test room; give what `open_room` gives."""
    sample = canvas.read_rooms("test")[event.index]
    truths = {parse_color(bytes(truth.color).hex()).hex: str(truth.image) for truth in sample.truths}
    return open_room(str(sample.image), str(sample.mask), truths)


def open_tab1_room(picture: dict[str, Any] | None, language: str) -> tuple:
    """Take the room and mask of tab 1; give what `open_room` gives."""
    paths = picture and canvas.save_photo_mask(picture)
    if not paths:
        raise ValueError(t("no_mask" if picture else "no_photo", language))
    return open_room(str(paths[0]), str(paths[1]))


def open_photo(path: str, workspace: Path) -> tuple:
    """Take an uploaded photo, still without a mask; give what `open_room` gives."""
    picture = canvas.open_picture(path, workspace)
    return open_room(str(Path(picture["folder"]) / "photo.png"), None)


def open_mask(path: str, room: Room | None, language: str, workspace: Path) -> tuple:
    """Take an uploaded mask for the photo at hand, of its size; give what `open_room` gives."""
    if room is None:
        raise ValueError(t("no_upload", language))
    mask = load_mask(path, Image.open(room["photo"]).size)
    kept = canvas.working_folder(workspace) / "mask.png"
    mask.save(kept)
    return open_room(room["photo"], str(kept), room["truths"])


def paint_comparison(
    workspace: Path, room: Room | None, paint: str, arms: list[str], seed: int, language: str
) -> tuple:
    """Paint the room with every arm; give (pictures, table, report file), read from the results folder."""
    from wallpaint.compare import compare  # torch, only once somebody paints

    if not room or not room["mask"]:
        raise ValueError(t("no_room", language))
    if not arms:
        raise ValueError(t("no_arms", language))
    known = {arm: name for name, arm in list_arms(workspace)}
    if any(arm not in known for arm in arms):
        raise ValueError(t("no_arms", language))
    swatch = read_paint(paint)
    out = workspace / "results" / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(6)}"
    truth = room["truths"].get(swatch.hex)
    compare(room["photo"], room["mask"], swatch, arms, out, seed=int(seed or 0), truth=truth)
    return *read_comparison(out, room, truth, language), str(out / "report.html")


def read_comparison(out: Path, room: Room, truth: str | None, language: str) -> tuple[list, Any]:
    """Read comparison.json; give (pictures with captions, the table)."""
    said = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    pictures = [(canvas.thumbnail(room["photo"], canvas.VIEW), "photo")]
    if truth:
        pictures.append((canvas.thumbnail(truth, canvas.VIEW), "truth"))
    rows = []
    for arm in said["arms"]:
        median = arm["delta_e_paint"]["median"]
        pictures.append(
            (canvas.thumbnail(out / arm["image"], canvas.VIEW), f"{arm['name']} · ΔE {write(median, 1)}")
        )
        rows.append(
            [
                arm["name"],
                write(median, 1),
                write((arm.get("delta_e_truth") or {}).get("mean"), 1),
                write(arm["shading_correlation"], 2),
                str(arm["outside_changed_pixels"]),
                write(arm["seconds"], 1),
            ]
        )
    headers = [t(f"column_{name}", language) for name in COLUMNS]
    return pictures, gr.update(value={"headers": headers, "data": rows}, visible=True)


def write(number: float | None, digits: int) -> str:
    """Write a number of a table, a dash where there is none."""
    return "–" if number is None or number != number else f"{number:.{digits}f}"


def build_compare_tab(page: Page, language: gr.State, picture: gr.State) -> dict[str, Any]:
    """Build the tab and wire it; `picture` is tab 1's. Give its parts."""
    with gr.Row():
        with gr.Column(scale=1, min_width=340):
            parts = build_choice(page)
        with gr.Column(scale=2, min_width=480):
            parts["results"] = page.add(
                gr.Gallery,
                label=T("results"),
                columns=3,
                height=560,
                format="png",
                object_fit="contain",
                interactive=False,
                buttons=["fullscreen", "download"],
                fit_columns=False,
                elem_id="results",
            )
            parts["table"] = page.add(
                gr.Dataframe, label=T("table"), interactive=False, visible=False, elem_id="table"
            )
            page.add(gr.Markdown, value=T("table_help"))
            parts["report"] = page.add(
                gr.DownloadButton, label=T("report"), interactive=False, elem_id="report"
            )
    wire_compare_tab(page, parts, language, picture)
    return parts


def build_choice(page: Page) -> dict[str, Any]:
    """Lay out the left column: the room, the paint and the arms."""
    parts = {}
    parts["rooms"] = add_rooms(page, "test", "kind", label=T("test_rooms"), height=220, elem_id="test-rooms")
    parts["tab1"] = page.add(gr.Button, value=T("use_tab1"), elem_id="use-tab1")
    with gr.Row():
        parts["photo"] = page.add(
            gr.UploadButton, label=T("upload_photo"), file_types=["image"], size="sm", min_width=90
        )
        parts["mask"] = page.add(
            gr.UploadButton, label=T("upload_mask"), file_types=["image"], size="sm", min_width=90
        )
    parts["image"] = page.add(
        gr.Image,
        label=T("photo_and_mask"),
        interactive=False,
        format="jpeg",
        buttons=[],
        elem_id="compare-room",
    )
    with gr.Row():
        parts["paint"] = page.add(gr.ColorPicker, value="#7A9E7E", label=T("paint"), min_width=100)
        parts["known"] = page.add(
            gr.Dropdown, choices=[], label=T("known_paint"), visible=False, min_width=140
        )
    arms = list_arms(page.workspace)
    parts["arms"] = page.add(
        gr.CheckboxGroup,
        choices=arms,
        value=[arm for _, arm in arms if arm in SHIPPED],
        label=T("arms"),
        info=T("arms_info"),
        elem_id="arms",
    )
    parts["seed"] = page.add(gr.Number, value=0, precision=0, minimum=0, label=T("seed"))
    parts["go"] = page.add(gr.Button, value=T("paint_button"), variant="primary", elem_id="paint")
    return parts


def wire_compare_tab(page: Page, parts: dict[str, Any], language: gr.State, picture: gr.State) -> None:
    """Wire the tab's events."""
    workspace, room = page.workspace, gr.State(None)
    opened = [room, parts["image"], parts["known"]]

    @guarded
    def open_photo_here(path: str) -> tuple:
        return open_photo(path, workspace)

    @guarded
    def open_mask_here(path: str, room: Room | None, language: str) -> tuple:
        return open_mask(path, room, language, workspace)

    @guarded
    def paint_here(*values: Any) -> tuple:
        pictures, table, report = paint_comparison(workspace, *values)
        return pictures, table, gr.update(value=report, interactive=True)

    parts["rooms"].select(guarded(open_test_room), None, opened, **PRIVATE)
    parts["tab1"].click(guarded(open_tab1_room), [picture, language], opened, **PRIVATE)
    parts["photo"].upload(open_photo_here, parts["photo"], opened, **PRIVATE)
    parts["mask"].upload(open_mask_here, [parts["mask"], room, language], opened, **PRIVATE)
    parts["known"].input(lambda known: known or gr.skip(), parts["known"], parts["paint"], **PRIVATE)
    parts["go"].click(
        paint_here,
        [room, parts["paint"], parts["arms"], parts["seed"], language],
        [parts["results"], parts["table"], parts["report"]],
        **GPU,
        **PRIVATE,
    )
    parts["reload"] = lambda chosen=None: gr.update(choices=list_arms(workspace))
    parts["reload_outputs"] = [parts["arms"]]
