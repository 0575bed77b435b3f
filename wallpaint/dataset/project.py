"""A project: a photo with its walls, their paints and how to paint them, in one file NAME.wallpaint.

The file is a zip of project.json, photo.png, and wall-0.png, wall-1.png, …: a mask a wall, of the photo's size.
Whoever opens one may have it from anybody: only these names are read, and each only up to its bound.
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from wallpaint.dataset.zips import BROKEN, unpack_entry
from wallpaint.disk import atomic_path, explain_disk
from wallpaint.errors import UserError, reason_of
from wallpaint.pixels.plain_text import keys_once

SUFFIX = ".wallpaint"
PROJECT, PHOTO = "project.json", "photo.png"
MAX_BYTES = 500_000_000  # of the file and of each picture in it: 108 megapixels as PNG stay below
MAX_JSON = 100_000
MAX_WALLS, MAX_PAINTS, MAX_ARMS = 8, 64, 64

Paint = Annotated[str, Field(pattern="^#[0-9A-F]{6}$")]
Text = Annotated[str, Field(max_length=200)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class ProjectWall:
    """A wall: the paint to try, and what is on it now, '' where nobody and nothing white tells it."""

    paint: Paint
    now: Paint | Annotated[str, Field(max_length=0)] = ""
    chosen: bool = False  # `now` comes from a person


@dataclass(frozen=True)
class Settings:
    """How to paint; None, or steps and guidance of 0: the family's own, or the run's own strength."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    num_inference_steps: Annotated[int, Field(ge=0, le=1000)] | None = None
    guidance_scale: Annotated[float, Field(ge=0, le=100)] | None = None
    ip_adapter_scale: Annotated[float, Field(ge=0, le=10)] | None = None
    bounce: bool = False


@dataclass(frozen=True)
class Project:
    """What project.json says."""

    name: Text
    walls: Annotated[tuple[ProjectWall, ...], Field(min_length=1, max_length=MAX_WALLS)]
    active: int = 0  # the wall at hand
    whites: Annotated[tuple[tuple[Share, Share], ...], Field(max_length=MAX_WALLS)] = ()  # shares of width and height
    sheet: Annotated[tuple[Paint, ...], Field(max_length=MAX_PAINTS)] = ()  # paints to decide between
    names: Annotated[dict[Paint, Text], Field(max_length=2 * MAX_PAINTS)] = field(default_factory=dict)
    arms: Annotated[tuple[Text, ...], Field(max_length=MAX_ARMS)] = ()  # by name; a file or run is not in it
    sheet_arm: Text = ""
    settings: Settings = Settings()


_adapter = TypeAdapter(Project)


def write_project(path: str | Path, project: Project, photo: Path, masks: Sequence[Path]) -> Path:
    """Write a project with its photo and a mask a wall, PNG both; give its path.

    Raises:
        UserError: the disk is full, or nothing may be written there.
    """
    path = Path(path)
    pictures = {PHOTO: photo} | {f"wall-{number}.png": mask for number, mask in enumerate(masks)}
    with explain_disk(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", strict_timestamps=False) as archive:
            archive.writestr(PROJECT, json.dumps(asdict(project), indent=1, ensure_ascii=False))
            for name, picture in pictures.items():  # PNG does not shrink further
                archive.write(picture, name)
    return path


def read_project(path: str | Path, folder: Path) -> tuple[Project, Path, list[Path]]:
    """Read a project: (what it says, its photo, the masks of its walls), the pictures unpacked into `folder`.

    The pictures are as they came: `load_photo` and `load_mask` check them.

    Raises:
        UserError: it is no project, lacks something, says what cannot be, or unpacks to more than it may.
    """
    path, remedy = Path(path), "save it again in tab Compare"
    try:
        with zipfile.ZipFile(path) as archive, explain_disk(folder):
            _unpack(archive, PROJECT, folder, MAX_JSON)
            project = _adapter.validate_json((folder / PROJECT).read_bytes())
            json.loads((folder / PROJECT).read_bytes(), object_pairs_hook=keys_once)
            if not 0 <= project.active < len(project.walls):
                raise ValueError(f"no wall {project.active}")
            names = [PHOTO, *(f"wall-{number}.png" for number in range(len(project.walls)))]
            photo, *masks = [_unpack(archive, name, folder, MAX_BYTES) for name in names]
    except KeyError as problem:
        raise UserError(f"project {path.name} is not whole ({problem.args[0]!s:.99}), {remedy}") from None
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"])) or PROJECT
        raise UserError(f"project {path.name} says what cannot be ({where}: {first['msg']:.99}), {remedy}") from None
    except (OSError, *BROKEN) as problem:
        raise UserError(f"project {path.name} cannot be read ({reason_of(problem)}), {remedy}") from None
    return project, photo, masks


def _unpack(archive: zipfile.ZipFile, name: str, folder: Path, most: int) -> Path:
    """Unpack one entry, up to `most` bytes."""
    if archive.namelist().count(name) > 1:
        raise ValueError(f"{name} is in it twice")
    if unpack_entry(archive, name, folder / name, most) > most:
        raise ValueError(f"{name} unpacks to more than it may")
    return folder / name
