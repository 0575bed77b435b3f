"""The board: the picture under the mouse, in the browser.

Its script (board/) draws, zooms, brushes and undoes by itself; it asks the server (board_calls.py) for what
needs a model or our own colour arithmetic.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint.ui.board import picture as canvas
from wallpaint.ui.board.calls import FUNCTIONS, data_url, encode_runs
from wallpaint.ui.page import serve_function
from wallpaint.ui.words.words import board_words

PARTS = Path(__file__).parent
# Whatever the boards still have on their way to the server arrives before a handler runs.
AFTER_BOARD = """async (...values) => {
  await Promise.all(Object.values(window.wallpaintKept ?? {}).map((kept) => kept())); return values; }"""
SCRIPTS = ("state.js", "draw.js", "tools.js", "paints.js", "keys.js", "start.js")


def describe_picture(picture: canvas.Picture | None) -> dict[str, Any] | None:
    """Give what the board shows of a picture: its token, its view and its walls."""
    if picture is None:
        return None
    view, (walls, active) = canvas.load_view(picture), canvas.read_walls(picture["folder"])
    masks = [canvas.wall_mask(picture["folder"], wall, view.size) for wall in walls]
    return {
        "token": Path(picture["folder"]).name,
        "name": picture["name"],
        "size": list(view.size),
        "image": data_url(view, quality=92),
        "given": bool(picture["given"]),
        "active": active,
        "walls": [
            {
                "now": w.now,
                "chosen": w.chosen,
                "paint": w.paint,
                "runs": encode_runs(canvas.as_array(m)) if m else None,
            }
            for w, m in zip(walls, masks, strict=True)
        ],
    }


def build_board(workspace: Path, elem_id: str = "board", drop: str = "#upload-photo", plain: bool = False) -> gr.HTML:
    """Make a board; its value is what `describe_picture` gives, or None.

    Args:
        workspace: where the pictures are.
        elem_id: the board's own name on the page.
        drop: where photos go that are dropped on it, an upload button.
        plain: it marks walls and leaves paints to others.
    """
    about = {"name": elem_id, "drop": drop, "plain": plain}
    script = "\n".join((PARTS / name).read_text("utf-8") for name in SCRIPTS)
    return gr.HTML(
        value=None,
        html_template=(PARTS / "board.html").read_text("utf-8"),
        css_template=(PARTS / "board.css").read_text("utf-8"),
        js_on_load=f"const WORDS = {json.dumps(board_words())}, BOARD = {json.dumps(about)};\n{script}",
        apply_default_css=False,
        server_functions=[serve_function(function, workspace) for function in FUNCTIONS],
        elem_id=elem_id,
    )
