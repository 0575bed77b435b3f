"""The lower half of tab Dataset: saving, the list of samples, their editing, zips and the checkup."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint.dataset import curate, zips
from wallpaint.dataset.folder import PROMPT
from wallpaint.dataset.metadata import SPLITS
from wallpaint.errors import UserError
from wallpaint.pixels.color import Swatch
from wallpaint.ui.board.component import AFTER_BOARD, BoardPanel, describe_picture
from wallpaint.ui.dataset import samples
from wallpaint.ui.dataset.photos import SHOW_BOARD, Photo, PhotosPanel, save_photos
from wallpaint.ui.dataset.samples import DATASET, Key, dataset_folder, list_datasets
from wallpaint.ui.gallery import add_gallery
from wallpaint.ui.handlers import guarded
from wallpaint.ui.html import Markup
from wallpaint.ui.page import PRIVATE, QUIET, Page, Step, read_paint
from wallpaint.ui.upload import build_upload, open_upload
from wallpaint.ui.words.words import T, t

SAMPLE_ACTIONS = ("edit_save", "edit_open", "edit_move", "edit_delete")


@dataclass(frozen=True)
class SavePanel:
    """What the open room is saved as; on a public page it is there, unseen."""

    name: gr.Dropdown  # of the dataset
    split: gr.Radio
    text: gr.Textbox
    save: gr.Button
    message: gr.Markdown


@dataclass(frozen=True)
class ListPanel:
    """The samples of a dataset; on a public page it is there, unseen."""

    gallery: gr.Gallery
    keys: gr.State  # of what the gallery shows
    key: gr.State  # of the chosen sample
    page_number: gr.Number
    checkup: gr.HTML
    edit_box: gr.Column
    fields: list[Any]  # the chosen sample's paint, room and text
    actions: dict[str, gr.Button]  # SAMPLE_ACTIONS, undo_delete, check and export
    download: gr.DownloadButton
    message: gr.Markdown
    upload: gr.HTML | None  # takes a zip; None on a public page

    @property
    def listed(self) -> list[Any]:
        """What a fresh list updates."""
        listed = [self.gallery, self.keys, self.key, self.edit_box, self.page_number]
        return [*listed, self.checkup, self.actions["undo_delete"]]


def build_save(page: Page, room: gr.Textbox) -> SavePanel:
    """Lay out what saves the open room; `room` is put among it."""
    with gr.Column(visible=not page.public):
        page.add(gr.Markdown, value=T("save_head"))
        with gr.Row():
            names = {"choices": [] if page.public else list_datasets(page.workspace), "value": DATASET}
            custom = {"allow_custom_value": True, "min_width": 140, "elem_id": "dataset-name"}
            name = page.add(gr.Dropdown, label=T("dataset_name"), **names, **custom)
            room.render()
            splits = {"choices": [(T(f"split_{split}"), split) for split in SPLITS], "value": SPLITS[0]}
            about = {"label": T("split"), "info": T("split_info"), "min_width": 180, "elem_id": "split"}
            split = page.add(gr.Radio, **about, **splits)
        with gr.Row(elem_classes="ends"):
            text = page.add(gr.Textbox, value="", label=T("prompt"), placeholder=PROMPT, scale=2, min_width=180)
            look = {"variant": "primary", "min_width": 180}
            save = page.add(gr.Button, value=T("save"), elem_id="save-sample", **look)
        return SavePanel(name, split, text, save, gr.Markdown(elem_id="save-message"))


def build_list(page: Page) -> ListPanel:
    """Lay out the dataset's list, its editing and its checkup."""

    def add_button(key: str, **props: Any) -> gr.Button:
        return page.add(gr.Button, value=T(key), size="md", elem_id=key.replace("_", "-"), **props)

    upload = None
    with gr.Column(visible=not page.public):
        page.add(gr.Markdown, value=T("list_head"))
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                gallery = add_gallery(page, label=T("saved_list"), columns=6, elem_id="saved-samples")
                number = {"value": 1, "precision": 0, "minimum": 1, "visible": False, "elem_id": "list-page"}
                page_number = page.add(gr.Number, label=T("list_page"), **number)
                message = gr.Markdown(elem_id="list-message")
                with gr.Row(elem_classes="buttons"):
                    actions = {"undo_delete": add_button("undo_delete", min_width=120, visible=False)}
                    actions["check"] = add_button("check", min_width=120)
            with gr.Column(scale=1, min_width=260, visible=False) as edit_box:
                color = page.add(gr.ColorPicker, label=T("edit_color"))
                room = page.add(gr.Textbox, label=T("room_id"), elem_id="edit-room")
                text = page.add(gr.Textbox, label=T("prompt"), lines=2)
                actions |= {key: add_button(key) for key in SAMPLE_ACTIONS[:-1]}
                actions["edit_delete"] = add_button("edit_delete", variant="stop")
        checkup = gr.HTML(elem_id="checkup", apply_default_css=False)
        with gr.Row(elem_classes="buttons"):
            actions["export"] = add_button("export", min_width=120)
            download = gr.DownloadButton(visible=False, size="md", min_width=120, elem_id="download")
        if not page.public:
            upload = build_upload(page, T("import"), (".zip",), zips.MAX_BYTES, "import")
    states = (gr.State([]), gr.State(None))
    fields = [color, room, text]
    return ListPanel(gallery, *states, page_number, checkup, edit_box, fields, actions, download, message, upload)


def wire_samples(
    page: Page, save: SavePanel, listing: ListPanel, photos: PhotosPanel, board: BoardPanel, language: gr.State
) -> tuple[tuple[Step, ...], tuple[Any, ...]]:
    """Wire saving, the list and its checkup; give what reads the list anew, and the events that save."""
    workspace, name = page.workspace, save.name

    def relist(name: str, language: str, number: int = 1, check: bool = False, kept: bool = False) -> tuple:
        """Give a fresh list; of the one that is `kept`, what is chosen stays chosen.

        A wrong name is told in the list's place alone: the press on Save that ends its typing tells it too.
        """
        unseen = gr.update(visible=False)
        try:
            folder = dataset_folder(workspace, name, language)
        except UserError as problem:
            return [], [], None, unseen, unseen, Markup('<div class="card empty">{}</div>').format(problem), unseen
        shown, keys, pages, checkup = samples.show_dataset(workspace, name, language, number, check)
        label = t("list_page_of", language, pages=pages)
        number = gr.update(value=min(max(1, int(number or 1)), pages), visible=pages > 1, label=label)
        undo = gr.update(visible=bool(curate.list_deleted(folder)))
        chosen = (gr.skip(), gr.skip()) if kept else (None, unseen)
        return shown, keys, *chosen, number, checkup, undo

    @guarded
    def list_here(name: str, language: str) -> tuple:
        return relist(name, language)

    @guarded
    def list_again(name: str, language: str, number: int) -> tuple:
        return relist(name, language, number, kept=True)

    @guarded
    def turn_here(name: str, language: str, number: int) -> tuple:
        return relist(name, language, number)[:5]

    @guarded
    def check_here(name: str, language: str, number: int) -> tuple:
        return relist(name, language, number, check=True, kept=True)

    @guarded
    def save_here(picture: Any, name: str, split: str, room: str, text: str, language: str) -> tuple:
        message = samples.save_sample(workspace, picture, name, split, room, text, language)
        return message, gr.update(choices=list_datasets(workspace)), *relist(name, language)

    @guarded
    def save_ticked_here(
        photos: list[Photo], ticked: list[str], name: str, split: str, text: str, language: str
    ) -> tuple:
        count = save_photos(workspace, photos, ticked, name, split, text, language)
        message = samples.say_saved(dataset_folder(workspace, name, language), count, language)
        return message, gr.update(choices=list_datasets(workspace)), *relist(name, language)

    saved, asked = [save.message, name, *listing.listed], [name, language]
    row = [board.picture, name, save.split, board.room, save.text, language]
    one = save.save.click(save_here, row, saved, js=AFTER_BOARD, **PRIVATE)
    ticked = [photos.photos, photos.ticked, name, save.split, save.text, language]
    many = photos.save_ticked.click(save_ticked_here, ticked, saved, js=AFTER_BOARD, **PRIVATE)
    name.change(list_here, asked, listing.listed, **QUIET)
    number = listing.page_number
    number.input(turn_here, [*asked, number], listing.listed[:5], **QUIET)
    listing.actions["check"].click(check_here, [*asked, number], listing.listed, **PRIVATE)
    wire_edits(workspace, name, listing, board, language, relist)
    wire_zips(workspace, save, listing, language, relist)
    return (Step(list_again, [*asked, number], listing.listed),), (one, many)


def wire_edits(
    workspace: Path, name: gr.Dropdown, listing: ListPanel, board: BoardPanel, language: gr.State, relist: Any
) -> None:
    """Wire editing, moving, deleting and taking that back; `relist` gives a fresh list of the dataset `name`."""
    key = listing.key

    @guarded
    def choose_here(name: str, keys: list, language: str, event: gr.SelectData) -> tuple:
        key = tuple(keys[event.index])
        sample = samples.read_sample(workspace, name, key, language)
        other = t("split_" + SPLITS[1 - SPLITS.index(key[0])], language)
        move = gr.update(value=t("edit_move_to", language, split=other))
        return key, gr.update(visible=True), move, Swatch(sample.color).hex, sample.room_id, sample.text

    @guarded
    def edit_here(name: str, key: Key, color: str, room: str, text: str, language: str, number: int) -> tuple:
        samples.read_sample(workspace, name, key, language)
        folder, rgb = dataset_folder(workspace, name, language), list(read_paint(color).rgb)
        curate.edit_sample(folder, *key, reference_color_rgb=rgb, room_id=room, text=text)
        return t("edited", language, file=key[1]), *relist(name, language, number, kept=True)

    @guarded
    def open_here(name: str, key: Key, language: str) -> tuple:
        picture = samples.open_saved(workspace, name, key, language)
        return picture, describe_picture(picture), picture["name"]

    @guarded
    def move_here(name: str, key: Key, language: str, number: int) -> tuple:
        room = samples.read_sample(workspace, name, key, language).room_id
        split = SPLITS[1 - SPLITS.index(key[0])]
        count = curate.move_room(dataset_folder(workspace, name, language), room, split)
        message = t("moved", language, count=count, room=room, split=t("split_" + split, language))
        return message, *relist(name, language, number)

    @guarded
    def delete_here(name: str, key: Key, language: str, number: int) -> tuple:
        samples.read_sample(workspace, name, key, language)
        curate.delete_sample(dataset_folder(workspace, name, language), *key)
        return t("sample_deleted", language, file=key[1]), *relist(name, language, number)

    @guarded
    def undo_here(name: str, language: str) -> tuple:
        sample = curate.undo_delete(dataset_folder(workspace, name, language))
        return t("restored", language, file=sample.image.name), *relist(name, language)

    told, actions = [listing.message, *listing.listed], listing.actions
    at, number = [name, key, language], listing.page_number
    chosen = [key, listing.edit_box, actions["edit_move"], *listing.fields]
    listing.gallery.select(choose_here, [name, listing.keys, language], chosen, **QUIET)
    actions["edit_save"].click(edit_here, [name, key, *listing.fields, language, number], told, **PRIVATE)
    actions["edit_open"].click(open_here, at, board.opened, **PRIVATE).success(None, None, None, js=SHOW_BOARD)
    actions["edit_move"].click(move_here, [*at, number], told, **PRIVATE)
    actions["edit_delete"].click(delete_here, [*at, number], told, **PRIVATE)
    actions["undo_delete"].click(undo_here, [name, language], told, **PRIVATE)


def wire_zips(workspace: Path, save: SavePanel, listing: ListPanel, language: gr.State, relist: Any) -> None:
    """Wire export and import; `relist` gives a fresh list."""

    @guarded
    def export_here(name: str, language: str) -> Any:
        path = samples.export_dataset(workspace, name, language)
        return gr.update(value=path, label=t("download", language, name=Path(path).name), visible=True)

    @guarded
    def import_here(uploaded: dict | None, name: str, language: str) -> tuple:
        with open_upload(workspace, uploaded, (".zip",)) as path:
            new, message = samples.import_dataset(workspace, path, language)
        names = gr.update(choices=list_datasets(workspace), value=new)
        # Another name in the box lists what is there by itself.
        return message, names, *(relist(new, language) if new == name else (gr.skip(),) * len(listing.listed))

    name = save.name
    listing.actions["export"].click(export_here, [name, language], listing.download, **PRIVATE)
    if listing.upload is not None:
        told = [listing.message, name, *listing.listed]
        listing.upload.upload(import_here, [listing.upload, name, language], told, **PRIVATE)
