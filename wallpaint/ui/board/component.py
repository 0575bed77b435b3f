"""The board: the photo under the mouse, in the browser.

Its script (scripts/board.js) draws, zooms, brushes and undoes by itself; it asks the server (calls.py) for what
needs a model or our own colour arithmetic.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from wallpaint.pixels.file_kinds import PHOTO_SUFFIXES
from wallpaint.pixels.images import data_url
from wallpaint.ui.board import pictures
from wallpaint.ui.board.calls import FUNCTIONS, encode_runs, is_inverted
from wallpaint.ui.board.segmenter import load_view
from wallpaint.ui.board.walls import read_walls, wall_mask
from wallpaint.ui.handlers import serve_function
from wallpaint.ui.page import Page, run_script
from wallpaint.ui.words.words import BOARD

# A handler runs only once the marks of its tab's board have reached the server; where they cannot, it does not run.
AFTER_BOARD, AFTER_COMPARE_BOARD = (
    f"""async (...values) => {{ await document.querySelector("{board} .board")?.settled?.(); return values; }}"""
    for board in ("#board", "#compare-board")
)


@dataclass(frozen=True)
class BoardPanel:
    """The board of tab Dataset and what belongs to the picture on it."""

    picture: gr.State
    board: gr.HTML
    room: gr.Textbox

    @property
    def opened(self) -> list[Any]:
        """What opening a picture updates."""
        return [self.picture, self.board, self.room]


def describe_picture(picture: pictures.Picture | None) -> dict[str, Any] | None:
    """Give what the board shows of a picture: its token, its view and its walls."""
    if picture is None:
        return None
    folder = Path(picture["folder"])
    view, (walls, active) = load_view(folder), read_walls(folder)
    masks = [wall_mask(folder, wall, view.size) for wall in walls]
    told = [
        {**wall, "runs": encode_runs(np.asarray(mask) > 0) if mask else None}
        for wall, mask in zip(map(asdict, walls), masks, strict=True)
    ]
    return {
        **{"token": folder.name, "name": picture["name"], "given": picture["given"], "size": list(view.size)},
        "white": bool(pictures.read_whites(folder, view.size)),
        "sheet": list(pictures.read_sheet(folder).paints),
        **{"image": data_url(view, quality=92), "walls": told, "active": active},
        "inverted": is_inverted(folder, walls[active], view),
    }


def build_board(page: Page, elem_id: str = "board", drop: str = "#upload-photo", plain: bool = False) -> gr.HTML:
    """Make a board; its value is what `describe_picture` gives, or None.

    Args:
        page: the page; the pictures are in its workspace.
        elem_id: the board's own name on the page.
        drop: where photos go that are dropped on it, an upload button.
        plain: it marks walls and chooses their paints, shows them painted at once, and saves no sample.
    """
    here = Path(__file__).parent
    uploads = [drop] if plain else [drop, "#upload-folder"]
    about = {"plain": plain, "uploads": uploads, "suffixes": sorted(PHOTO_SUFFIXES), "limit": page.photo_bytes}
    return gr.HTML(
        value=None,
        html_template=(here / "board.html").read_text("utf-8"),
        css_template=(here / "board.css").read_text("utf-8"),
        js_on_load=run_script("board", BOARD, about),
        apply_default_css=False,
        server_functions=[serve_function(function, page.workspace) for function in FUNCTIONS],
        elem_id=elem_id,
    )
