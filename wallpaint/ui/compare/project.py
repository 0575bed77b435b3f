"""Tab 3's project file: the room with its walls, paints and choices, saved and opened again."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wallpaint.dataset.project import SUFFIX, Project, ProjectWall, Settings, read_project, write_project
from wallpaint.pixels.images import load_mask, read_size
from wallpaint.ui.board import pictures
from wallpaint.ui.board.walls import Wall, read_walls, save_wall_mask, write_walls
from wallpaint.ui.compare.painting import PaintRequest
from wallpaint.ui.compare.scene import Room, save_masks
from wallpaint.ui.page import plain_name


@dataclass(frozen=True)
class Opened:
    """A project that was opened."""

    room: Room
    request: PaintRequest
    left_out: list[str]  # arms that are not here


def save_project(
    workspace: Path, room: Room | None, request: PaintRequest, offered: Mapping[str, str], language: str
) -> Path:
    """Write the room as it is into a file to download; `offered` gives the name of each arm.

    Raises:
        UserError: as `save_masks`.
    """
    room, photo, (first, *others) = save_masks(room, language)
    folder = room.picture["folder"]
    walls, active = read_walls(folder)
    at = sum(1 for wall in walls[:active] if wall.mask)
    ordered = [*others[:at], first, *others[at:]]  # as on the board, those alone that are marked
    sheet = pictures.read_sheet(folder)
    project = Project(
        room.picture["name"][:200],
        tuple(ProjectWall(wall.paint, wall.now, wall.chosen) for _, wall in ordered),
        at,
        tuple((x, y) for x, y in pictures.read_whites(folder, (1, 1))),
        sheet.paints,
        sheet.names,
        tuple(offered[arm] for arm in request.arms if arm in offered),
        offered.get(request.sheet_arm, ""),
        Settings(*request.sampling, bool(request.bounce)),
    )
    path = workspace / "results" / f"project-{secrets.token_hex(12)}" / (plain_name(project.name) or "room")
    return write_project(path.with_suffix(SUFFIX), project, photo, [mask for mask, _ in ordered])


def open_project(workspace: Path, path: Path, offered: Mapping[str, str]) -> Opened:
    """Open a project as a room of its own; `offered` gives the arm of each name.

    Raises:
        UserError: it cannot be read, or a picture in it cannot.
    """
    with tempfile.TemporaryDirectory() as place:
        project, photo, masks = read_project(path, Path(place))
        picture = pictures.open_picture(photo, workspace, project.name)
        folder, size = Path(picture["folder"]), read_size(photo)
        names = [save_wall_mask(folder, np.asarray(load_mask(mask, size)) > 0) for mask in masks]
    walls = [Wall(name, wall.now, wall.paint, wall.chosen) for name, wall in zip(names, project.walls, strict=True)]
    write_walls(folder, walls, project.active)
    pictures.write_whites(folder, project.whites, (1, 1))
    pictures.write_sheet(folder, pictures.Sheet(project.sheet[: pictures.MAX_SHEET], dict(project.names)))
    arms = [offered[name] for name in project.arms if name in offered]
    told: dict[str, Any] = vars(project.settings)
    request = PaintRequest(arms=arms, sheet_arm=offered.get(project.sheet_arm, ""), blind=False, **told)
    return Opened(Room(picture), request, [name for name in project.arms if name not in offered])
