"""Many photos at once: uploaded together, opened one by one, their walls found in one go and looked over."""

import html
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from wallpaint.dataset.folder import add_sample
from wallpaint.errors import UserError
from wallpaint.pixels.color import parse_color
from wallpaint.pixels.file_kinds import PHOTO_SUFFIXES, RAW_SUFFIXES
from wallpaint.pixels.images import load_photo
from wallpaint.ui.board import pictures, segmenter
from wallpaint.ui.board.component import AFTER_BOARD, BoardPanel, describe_picture
from wallpaint.ui.board.walls import Wall, mask_at, read_walls, save_wall_mask, wall_mask, write_walls
from wallpaint.ui.gallery import add_gallery, draw_overlay, thumbnail
from wallpaint.ui.handlers import guarded
from wallpaint.ui.page import GPU, PRIVATE, QUIET, Page, check_name, plain_name
from wallpaint.ui.visits import Kept, note_opened
from wallpaint.ui.words.words import T, t, translate
from wallpaint.walls.propose import SURE

log = logging.getLogger(__name__)
MOST_PHOTOS = 200  # on the page at once
NAMED = 5  # files that a message names
THUMBNAIL = 200
# What was opened is looked at: on a phone the board lies below the photos, and the list of samples below the board.
SHOW_BOARD = """() => { const board = document.querySelector("#board"), { top } = board.getBoundingClientRect();
  if (top < 0 || top > window.innerHeight / 2) board.scrollIntoView({ block: "start" }); }"""
KEPT = "dataset"  # what comes back of the tab, by its name


@dataclass(frozen=True)
class Photo:
    """An uploaded photo."""

    path: str  # where the upload is
    name: str  # of its room, from the file's name
    folder: str = ""  # its working copies, once it was opened
    confidence: float = -1.0  # of the wall proposed for it; 0: none found, -1: not asked yet
    found: str = ""  # the mask of that wall


@dataclass(frozen=True)
class PhotosPanel:
    """The uploaded photos; unseen while there is one at most."""

    upload: gr.UploadButton
    upload_folder: gr.UploadButton
    photos: gr.State  # of Photos
    box: gr.Column
    gallery: gr.Gallery
    find_all: gr.Button
    message: gr.Markdown
    ticked_box: gr.Column
    ticked: gr.CheckboxGroup
    save_ticked: gr.Button


def add_photos(paths: list[str] | None, photos: list[Photo], language: str) -> tuple[list[Photo], str]:
    """Add uploads to the photos; give them and what to say of the files that were left out.

    Raises:
        UserError: none of them is a photo.
    """
    good, others, problems, names = [], [], [], {photo.name for photo in photos}
    for path in map(Path, paths or []):
        try:
            thumbnail(path, THUMBNAIL)
        except UserError as problem:
            if path.suffix.lower() in PHOTO_SUFFIXES | RAW_SUFFIXES:
                problems.append(translate(str(problem).replace(str(path), path.name), language))
            else:
                others.append(path.name)
            continue
        stem = plain_name(path.stem)[:40] or "room"
        name = next(name for n in range(len(names) + 1) if (name := f"{stem}-{n + 1}" if n else stem) not in names)
        names.add(name)
        good.append(Photo(str(path), name))
    left_out = [*([t("no_photos_of_them", language, names=_shorten(others, ", "))] if others else [])]
    left_out += [_shorten(problems, "; ")] if problems else []
    if not good:
        raise UserError(" ".join([t("no_photos_there", language), *left_out]))
    if len(photos) + len(good) > MOST_PHOTOS:
        left_out.append(t("too_many_photos", language, most=MOST_PHOTOS))
    return [*photos, *good][-MOST_PHOTOS:], " ".join(left_out)


def _shorten(words: list[str], between: str) -> str:
    """Join the first few words and count the rest."""
    rest = len(words) - NAMED
    return between.join(words[:NAMED]) + (f" … (+{rest})" if rest > 0 else "")


def open_photo(photos: list[Photo], index: int, workspace: Path) -> tuple[list[Photo], pictures.Picture]:
    """Open a photo; give (photos, picture)."""
    photo = photos[index]
    if not photo.folder or not Path(photo.folder).is_dir():
        photo = replace(photo, folder=pictures.open_picture(photo.path, workspace, photo.name)["folder"])
    picture = {"folder": photo.folder, "name": photo.name, "given": False}
    return [*photos[:index], photo, *photos[index + 1 :]], picture


def show_photos(photos: list[Photo], language: str) -> list[tuple[Any, str]]:
    """Give (picture, caption) of each photo, its wall drawn once there is one."""
    shown = []
    for photo in photos:
        small, caption = thumbnail(photo.path, THUMBNAIL), photo.name
        mask = mask_at(photo.folder, small.size) if photo.folder else None
        if (sure := confidence_of(photo)) >= 0:
            caption += f" · {_say_confidence(sure, language)}"
        shown.append((draw_overlay(small, mask), caption))
    return shown


def _say_confidence(confidence: float, language: str) -> str:
    """Say how sure it is that what was found is wall."""
    if not confidence:
        return t("no_wall_there", language)
    sure = f"{100 * confidence:.0f} %"
    return sure if confidence >= SURE else t("unsure_wall", language, sure=sure)


def is_marked(photo: Photo) -> bool:
    """Tell whether a photo's first wall is marked."""
    return bool(_first_mask(photo))


def confidence_of(photo: Photo) -> float:
    """How sure the search was of what is marked; -1 where nobody asked, or a person has marked it since."""
    return photo.confidence if _first_mask(photo) == photo.found else -1.0


def _first_mask(photo: Photo) -> str:
    return read_walls(photo.folder)[0][0].mask if photo.folder else ""


def find_walls(photos: list[Photo], workspace: Path) -> Iterator[list[Photo]]:
    """Propose the wall of every photo that nobody has marked yet; give the photos after each."""
    for index in range(len(photos)):
        confidence, mask = 0.0, ""
        try:
            photos, picture = open_photo(photos, index, workspace)
            if is_marked(photos[index]):
                confidence, mask = photos[index].confidence, photos[index].found
            elif found := segmenter.propose(picture["folder"]):
                mask = save_wall_mask(picture["folder"], np.asarray(found.mask) >= 128)
                write_walls(picture["folder"], [Wall(mask, found.paint.hex)])
                confidence = round(found.confidence, 3)
        except Exception:  # one odd photo must not end the search in the others
            log.exception("no wall could be proposed for %s", photos[index].name)
        searched = replace(photos[index], confidence=confidence, found=mask)
        photos = [*photos[:index], searched, *photos[index + 1 :]]
        yield photos


def sum_up(photos: list[Photo], language: str) -> tuple[str, list[str], list[str]]:
    """Give what to say after a search, the names of what is marked, and those to tick: not what it is unsure of."""
    marked = [photo.name for photo in photos if is_marked(photo)]
    unsure = [photo.name for photo in photos if 0 < confidence_of(photo) < SURE]
    told = [t("found_all", language, found=len(marked), total=len(photos))]
    told += [t("found_unsure", language, names=_shorten(unsure, ", "))] if unsure else []
    return " ".join(told), marked, [name for name in marked if name not in unsure]


def save_photos(
    workspace: Path, photos: list[Photo], ticked: list[str], name: str, split: str, text: str, language: str
) -> int:
    """Save the marked walls of the ticked photos, each a room of its own; give how many samples that made."""
    chosen = [photo for photo in photos if photo.name in ticked and photo.folder]
    if not chosen:
        raise UserError(t("no_ticked", language))
    folder = workspace / "datasets" / check_name(name, language)
    return sum(save_walls(folder, photo.folder, split, photo.name, text) for photo in chosen)


def save_walls(folder: Path, working: str | Path, split: str, room: str, text: str, first: int = 0) -> int:
    """Save the marked walls of a picture, from that one on, each as a sample of one room; give how many there were."""
    photo, count = load_photo(Path(working) / "photo.png"), 0
    for wall in read_walls(working)[0][first:]:
        mask = wall_mask(working, wall, photo.size)
        if mask is not None:
            add_sample(folder, split, photo, mask, parse_color(wall.now).rgb, text, room)
            count += 1
    return count


def build_photos(page: Page) -> PhotosPanel:
    """Lay out the buttons that upload, and what came by them."""
    props: dict[str, Any] = {"size": "md", "min_width": 120}
    kinds = ["image", *sorted(PHOTO_SUFFIXES)]  # not every system knows the newer ones to be images
    with gr.Row(elem_classes="buttons"):
        one = {"label": T("upload_photos"), "file_types": kinds, "file_count": "multiple", "variant": "primary"}
        upload = page.add(gr.UploadButton, elem_id="upload-photo", **one, **props)
        all_ = {"label": T("upload_folder"), "file_count": "directory"}
        upload_folder = page.add(gr.UploadButton, elem_id="upload-folder", **all_, **props)
    with gr.Column(visible=False) as box:
        page.add(gr.Markdown, value=T("photos_help"), elem_classes="quiet")
        gallery = add_gallery(page, label=T("photos"), columns=2, elem_id="photos")
        find_all = page.add(gr.Button, value=T("find_all"), size="md", elem_id="find-all")
        message = gr.Markdown(elem_classes="quiet", elem_id="photos-message")
        with gr.Column(visible=False) as ticked_box:
            ticked = page.add(gr.CheckboxGroup, label=T("ticked"), choices=[], elem_id="ticked")
            save = page.add(gr.Button, value=T("save_ticked"), variant="primary", elem_id="save-ticked")
    return PhotosPanel(upload, upload_folder, gr.State([]), box, gallery, find_all, message, ticked_box, ticked, save)


def bring_photos(workspace: Path, packed: dict[str, Any], language: str) -> tuple:
    """Give the photos and the picture at hand as they were, what shows them, and the room's name."""
    picture = packed["picture"]
    pictures.find_folder(workspace, Path(picture["folder"]).name)
    photos = [photo for said in packed["photos"] if Path((photo := Photo(**said)).path).is_file()]
    box = gr.update(visible=len(photos) > 1)
    return photos, show_photos(photos, language), box, picture, describe_picture(picture), packed["room"]


def wire_photos(page: Page, panel: PhotosPanel, board: BoardPanel, language: gr.State) -> Kept:
    """Wire uploading, opening and finding; give what comes back.

    Saving what is ticked is wired with the dataset's list.
    """
    workspace, photos = page.workspace, panel.photos

    @guarded
    def upload_here(paths: list[str], photos: list[Photo], language: str, request: gr.Request) -> tuple:
        before = len(photos)
        photos, left_out = add_photos(paths, photos, language)
        if left_out:
            gr.Warning(html.escape(f"{t('left_out', language)}: {left_out}"))
        photos, picture = open_photo(photos, min(before, len(photos) - 1), workspace)
        note_opened(request, KEPT)
        box = gr.update(visible=len(photos) > 1)
        return photos, show_photos(photos, language), box, picture, describe_picture(picture), picture["name"]

    @guarded
    def open_here(photos: list[Photo], event: gr.SelectData) -> tuple:
        photos, picture = open_photo(photos, event.index, workspace)
        return photos, picture, describe_picture(picture), picture["name"]

    @guarded
    def find_here(photos: list[Photo], picture: pictures.Picture | None, language: str) -> Iterator[tuple]:
        photos = [photo for photo in photos if Path(photo.path).is_file()]
        asked = [photo.confidence < 0 for photo in photos]
        for done, found in enumerate(find_walls(photos, workspace), start=1):
            photos = found
            message = t("finding", language, done=done, total=len(photos))
            yield photos, gr.skip(), message, gr.skip(), gr.skip(), gr.skip()
        new = [photo for photo, was in zip(photos, asked, strict=True) if was and photo.confidence > 0]
        message, marked, ticks = sum_up(photos, language)
        ticked, box = gr.update(choices=marked, value=ticks), gr.update(visible=bool(marked) and not page.public)
        # The board does not know yet of the wall of the picture at hand.
        at_hand = picture is not None and picture["folder"] in [photo.folder for photo in new]
        shown = (describe_picture(picture) or {}) | {"again": True} if at_hand else gr.skip()
        yield photos, show_photos(photos, language), message, ticked, box, shown

    for button in (panel.upload, panel.upload_folder):
        shown = [photos, panel.gallery, panel.box, *board.opened]
        opened = button.upload(upload_here, [button, photos, language], shown, show_progress_on=board.board, **PRIVATE)
        opened.success(None, None, None, js=SHOW_BOARD)
    looked = panel.gallery.select(open_here, photos, [photos, *board.opened], show_progress_on=board.board, **PRIVATE)
    looked.success(None, None, None, js=SHOW_BOARD)
    found = [photos, panel.gallery, panel.message, panel.ticked, panel.ticked_box, board.board]
    panel.find_all.click(find_here, [photos, board.picture, language], found, js=AFTER_BOARD, **QUIET, **GPU)

    def pack(picture: pictures.Picture | None, photos: list[Photo], room: str) -> dict | None:
        return {"picture": picture, "photos": [asdict(photo) for photo in photos], "room": room} if picture else None

    shown = [photos, panel.gallery, panel.box, *board.opened]
    return Kept(KEPT, [board.picture, photos, board.room], shown, pack, partial(bring_photos, workspace))
