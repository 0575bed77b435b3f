"""What the board's script asks of the server.

What comes may come from anybody (see `serve_function`), so a picture is named by its token and everything else
is checked. Masks travel as runs: the lengths of 0s and 1s in turn, row by row.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from wallpaint.errors import UserError
from wallpaint.pixels import recolor as recoloring
from wallpaint.pixels.color import Swatch, linear_to_bytes, parse_color
from wallpaint.pixels.images import data_url
from wallpaint.pixels.mask_ops import looks_inverted
from wallpaint.pixels.palettes import shipped_palettes
from wallpaint.pixels.recolor import estimate_paint, read_light
from wallpaint.ui.board import pictures, segmenter
from wallpaint.ui.board.palettes import find_palette, import_palette, list_palettes, name_color
from wallpaint.ui.board.repaints import repaint_walls
from wallpaint.ui.board.walls import (
    GIVEN,
    MAX_WALLS,
    PAINT,
    Wall,
    drop_wall_mask,
    read_walls,
    save_wall_mask,
    wall_mask,
    write_walls,
)
from wallpaint.walls.propose import SURE

MAX_POINTS = 64
DROPPER = 0.012  # radius of what the eyedropper looks at, of the long side


def encode_runs(mask: np.ndarray) -> list[int]:
    """Boolean (h, w) to the lengths of its runs, row by row, 0s first."""
    flat = np.concatenate([[False], mask.ravel(), [not mask.flat[-1]]])
    return np.diff(np.concatenate([[0], np.flatnonzero(np.diff(flat))])).tolist()


def decode_runs(runs: object, size: tuple[int, int]) -> np.ndarray:
    """Runs to a boolean mask (h, w) of `size` (w, h); UserError where they are no runs of such a mask."""
    width, height = size
    if not isinstance(runs, list) or len(runs) > width * height + 1:
        raise UserError("the mask is broken, the board, open the photo again")
    if not all(type(run) is int and 0 <= run <= width * height for run in runs) or sum(runs) != width * height:
        raise UserError("the mask does not fit its photo, the board, open the photo again")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)


def embed(workspace: Path, asked: dict) -> dict:
    """Wait until the picture has been embedded."""
    segmenter.embed(pictures.find_folder(workspace, asked.get("token")))
    return {"ready": True}


def predict(workspace: Path, asked: dict) -> dict:
    """Give the masks that clicks `points` [[x, y, label]] and a `box` may mean: {masks: [runs], scores}.

    Clicks may correct a mask, `before` {runs}. A score is null where it could not be compared with the others.
    """
    folder = pictures.find_folder(workspace, asked.get("token"))
    points, labels = _read_clicks(asked.get("points"))
    box = asked.get("box")
    if box and (len(box) != 4 or not _are_numbers(box)):
        raise UserError("the box is broken, the board, clear it")
    found = segmenter.predict(folder, points, labels, box, _read_before(folder, asked))
    return {"masks": [encode_runs(mask) for mask, _ in found], "scores": [s and round(s, 3) for _, s in found]}


def refine(workspace: Path, asked: dict) -> dict:
    """Move the edges of a mask {runs} that `predict` gave for `points`, and `before`, to the photo's: {runs}."""
    folder = pictures.find_folder(workspace, asked.get("token"))
    wall = decode_runs(asked.get("runs"), segmenter.load_view(folder).size)
    fine = segmenter.refine(folder, wall, *_read_clicks(asked.get("points")), _read_before(folder, asked))
    return {"runs": encode_runs(fine)}


def _read_before(folder: Path, asked: dict) -> np.ndarray | None:
    """Read the mask that clicks correct; None where they begin one."""
    return decode_runs(asked["before"], segmenter.load_view(folder).size) if asked.get("before") else None


def _read_clicks(clicks: object) -> tuple[list[tuple[float, float]], list[int]]:
    """Read clicks [[x, y, label]]: (x, y) of each, and the labels; UserError where they are none, or too many."""
    points = clicks or []
    if not isinstance(points, list) or len(points) > MAX_POINTS:
        raise UserError(f"the clicks are broken or more than {MAX_POINTS}, the board, clear them")
    if not all(isinstance(point, list) and len(point) == 3 and _are_numbers(point) for point in points):
        raise UserError("the clicks are broken, the board, clear them")
    return [(x, y) for x, y, _ in points], [int(label) for *_, label in points]


def _are_numbers(values: list) -> bool:
    return all(isinstance(value, (int, float)) and abs(value) < 1e5 for value in values)


def save_walls(workspace: Path, asked: dict) -> dict:
    """Save all walls as the page has them: {now: each wall's paint, estimated where nobody said it, inverted}.

    `inverted` tells that the mask at hand has changed and looks like all but the wall.
    """
    folder = pictures.find_folder(workspace, asked.get("token"))
    sent = asked.get("walls")
    if not isinstance(sent, list) or not 1 <= len(sent) <= MAX_WALLS:
        raise UserError(f"a picture has 1 to {MAX_WALLS} walls, the board, remove some")
    view, (before, _) = segmenter.load_view(folder), read_walls(folder)
    walls = []
    for index, wall in enumerate(sent):
        mask = before[index].mask if index < len(before) else ""
        if wall.get("runs") is not None:
            mask = save_wall_mask(folder, decode_runs(wall["runs"], view.size))
        chosen, paint = bool(wall.get("chosen")), parse_color(wall.get("paint") or PAINT).hex
        now = parse_color(wall["now"]).hex if chosen else _estimate_now(folder, mask, view)
        walls.append(Wall(mask, now, paint, chosen))
    active = min(max(0, int(asked.get("active") or 0)), len(walls) - 1)
    write_walls(folder, walls, active)
    _save_sheet(folder, asked, walls)
    for old in {wall.mask for wall in before} - {wall.mask for wall in walls} - {"", GIVEN}:
        drop_wall_mask(folder, old)
    inverted = sent[active].get("runs") is not None and is_inverted(folder, walls[active], view)
    return {"now": [wall.now for wall in walls], "inverted": inverted}


def _save_sheet(folder: Path, asked: dict, walls: list[Wall]) -> None:
    """Keep the sheet as the page has it, and what the palette at hand or a shipped one calls the paints.

    Raises:
        UserError: it is none, or has too many paints.
    """
    sheet = asked.get("sheet") or []
    if not isinstance(sheet, list) or len(sheet) > pictures.MAX_SHEET:
        raise UserError(f"a sheet has {pictures.MAX_SHEET} paints at most, the board, take one off")
    paints = tuple(dict.fromkeys(parse_color(paint).hex for paint in sheet))
    named = {color.swatch.hex: color.name for part in shipped_palettes().values() for color in part.colors}
    named |= pictures.read_sheet(folder).names  # by a palette that was at hand then
    named |= {color.swatch.hex: color.name for color in find_palette(asked.get("palette")).colors}
    names = {paint: named[paint] for paint in (*paints, *(wall.paint for wall in walls)) if paint in named}
    pictures.write_sheet(folder, pictures.Sheet(paints, names))


def is_inverted(folder: Path, wall: Wall, view: Image.Image) -> bool:
    """Tell whether a wall's mask looks like all but the wall."""
    mask = wall_mask(folder, wall, view.size)
    return mask is not None and looks_inverted(view, mask)


def _estimate_now(folder: Path, mask: str, view: Image.Image) -> str:
    """Estimate the paint on a wall by its mask's file; '' while it is unmarked."""
    wall = wall_mask(folder, Wall(mask), view.size)
    return estimate_paint(view, wall, pictures.read_whites(folder, view.size)).hex if wall else ""


def repaint(workspace: Path, asked: dict) -> dict:
    """Give the picture with every marked wall in its paint to try: {image}, or {} with none marked."""
    folder = pictures.find_folder(workspace, asked.get("token"))
    walls, paints = read_walls(folder)[0], asked.get("paints") or []
    for number, paint in enumerate(paints[: len(walls)]):
        walls[number] = replace(walls[number], paint=parse_color(paint).hex)
    tried = [wall for wall in walls if wall.mask]
    return {"image": data_url(repaint_walls(folder, tried).picture, quality=85)} if tried else {}


def pick_color(workspace: Path, asked: dict) -> dict:
    """Guess the paint of the wall at a point, in the light there: {hex}, and the bare colour {seen}."""
    folder = pictures.find_folder(workspace, asked.get("token"))
    view, x, y = segmenter.load_view(folder), float(asked["x"]), float(asked["y"])
    radius = max(2.0, DROPPER * max(view.size))
    rows, columns = np.ogrid[: view.height, : view.width]
    spot = (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
    if not spot.any():
        raise UserError("the eyedropper is outside the photo, the board, point at the wall")
    red, green, blue = (int(value) for value in np.median(np.asarray(view)[spot], axis=0).round())
    mask = Image.fromarray(np.where(spot, 255, 0).astype(np.uint8))
    whites = pictures.read_whites(folder, view.size)
    return {"hex": estimate_paint(view, mask, whites).hex, "seen": Swatch((red, green, blue)).hex}


def read_white(workspace: Path, asked: dict) -> dict:
    """Take a point as something white, by which the room's light is known from now on; without a point forget it.

    Returns:
        {hex: the paint on the wall at hand in that light, far: the ΔE00 it may be off}; {} where none is marked.
    """
    folder = pictures.find_folder(workspace, asked.get("token"))
    view = segmenter.load_view(folder)
    whites = [(float(asked["x"]), float(asked["y"]))] if "x" in asked else []
    for spot in whites:
        recoloring.read_white(view, spot)  # which complains
    pictures.write_whites(folder, whites, view.size)
    walls, active = read_walls(folder)
    mask = wall_mask(folder, walls[active], view.size)
    if not whites or mask is None or mask.getbbox() is None:
        return {}
    light = read_light(view, mask, None, whites)
    return {"hex": Swatch(tuple(linear_to_bytes(light.paint))).hex, "far": round(light.doubt(light.paint))}


def propose(workspace: Path, asked: dict) -> dict:
    """Propose the wall without a click: {runs, confidence, sure: whether to believe it}, or {} where none is found."""
    found = segmenter.propose(pictures.find_folder(workspace, asked.get("token")))
    if found is None:
        return {}
    sure = found.confidence >= SURE
    return {"runs": encode_runs(np.asarray(found.mask) > 0), "confidence": round(found.confidence, 2), "sure": sure}


def load_given(workspace: Path, asked: dict) -> dict:
    """Give the mask that a sample room brings: {runs}."""
    folder = pictures.find_folder(workspace, asked.get("token"))
    if not (folder / GIVEN).is_file():
        raise UserError("this photo brings no mask of its own, the board, click on its wall")
    mask = wall_mask(folder, Wall(GIVEN), segmenter.load_view(folder).size)
    return {"runs": encode_runs(np.asarray(mask) > 0)}


FUNCTIONS = (
    *(embed, predict, refine, propose, load_given, save_walls, repaint),
    *(pick_color, read_white, list_palettes, import_palette, name_color),
)
