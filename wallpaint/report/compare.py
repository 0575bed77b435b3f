"""One photo, one paint or one a wall, several arms: the same walls painted by each, measured and reported.

An arm is what `open_arms` takes: NAME, or NAME=PATH to a run folder or a .safetensors file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from wallpaint.dataset.doctor import WHOLE
from wallpaint.dataset.folder import PROMPT
from wallpaint.errors import UserError
from wallpaint.paint.arms import Arms, open_arms
from wallpaint.paint.coats import paint_coats, part_masks
from wallpaint.paint.settings import COMPARED_ARMS, OnStep, SamplingSettings, share_of
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import load_mask, load_photo, save_png
from wallpaint.pixels.kept import keep
from wallpaint.pixels.mask_ops import looks_inverted
from wallpaint.pixels.recolor import Coat
from wallpaint.report.files import (
    Figures,
    all_or_nothing,
    contact_sheet,
    file_names,
    write_csv,
    write_json,
    write_text,
)
from wallpaint.report.measure import Yardstick, measure_walls
from wallpaint.report.pages import comparison_page, comparison_section

if TYPE_CHECKING:
    from wallpaint.models.bundle import Models

Save = Callable[[Image.Image, Path], None]  # writes a picture as a PNG of that path, and what belongs to it
MANY = 20_000_000  # pixels of a photo from which on one arm at a time is measured: each takes gigabytes


@dataclass(frozen=True)
class Scene:
    """A room whose walls, the one at hand first, are painted together; their masks share no pixel."""

    coats: tuple[Coat, ...]
    truth: Image.Image | None  # the same room truly painted, where one is known
    name: str  # where the photo came from

    @property
    def photo(self) -> Image.Image:
        """The room as it is."""
        return self.coats[0].photo


def compare(
    photo_path: str | Path,
    mask_path: str | Path,
    swatch: Swatch,
    arms: Sequence[str] | None,
    out_dir: str | Path,
    settings: SamplingSettings | None = None,
    family: str | None = None,
    truth: str | Path | None = None,
    models: Models | None = None,
    invert_mask: bool = False,
    more: Sequence[tuple[str | Path, Swatch]] = (),
    old_paints: Sequence[Swatch | None] = (),
) -> list[Figures]:
    """Paint a wall, or each of several in its own paint, with several arms.

    Writes comparison.json, comparison.csv, grid.png, report.html and a PNG an arm to `out_dir`, all or none of them.

    Args:
        photo_path: the room.
        mask_path: its wall, of the photo's size, 255 = repaint.
        swatch: the paint.
        arms: NAME or NAME=PATH; None takes COMPARED_ARMS.
        out_dir: gets the files.
        settings: how to paint, the same for every arm; None takes the usual.
        family: see `open_arms`.
        truth: the same room truly painted, where one is known.
        models: a loaded family, in place of loading one.
        invert_mask: the mask's black is the wall, as in those of `more`.
        more: masks of further walls with their paints; where masks overlap the later one wins.
        old_paints: what is on each wall now, None where it is not known: one for each wall, or none at all.

    Returns:
        the figures of each arm, see `paint_scene`.

    Raises:
        UserError: pictures that cannot be read or do not fit together, or arms that cannot be opened.
    """
    settings, paths = settings or SamplingSettings(), ((mask_path, swatch), *more)
    walls = [(mask, paint, old) for (mask, paint), old in zip_longest(paths, old_paints)]
    arms = COMPARED_ARMS if arms is None else arms
    scene = load_scene(photo_path, walls, truth, invert_mask)
    _spare([photo_path, *(mask for mask, *_ in walls), *([] if truth is None else [truth])], arms, Path(out_dir))
    wall = scene.coats[0].mask
    if looks_inverted(scene.photo, wall):
        remedy = "leave --invert-mask out" if invert_mask else "--invert-mask takes the rest"
        print(f"note: what {mask_path} marks looks like everything but the wall; if so, {remedy}", file=sys.stderr)
    elif (share := np.asarray(wall).mean() / 255) > WHOLE:
        print(f"note: {mask_path} marks {share:.0%} of the photo; leave out what is no wall", file=sys.stderr)
    with all_or_nothing(out_dir) as folder:
        opened = open_arms(arms, family, models, settings.ip_adapter_scale)
        say_left_out(opened)
        rows = paint_scene(opened, scene, settings, folder)
        write_report(folder, [folder], scene.photo, scene.truth)
    return rows


def _spare(given: Sequence[str | Path], arms: Sequence[str], out: Path) -> None:
    """Refuse to write over a picture that is given: an old.png, say, that lies in the working folder, with --out ."""
    written = [out / name for name in ("grid.png", *file_names([arm.partition("=")[0] for arm in arms]))]
    for path in given:
        if any(place.exists() and place.samefile(path) for place in written):
            raise UserError(
                f"{path} would be written over, its place in --out is that of a result: give another --out"
            )


def compare_paints(
    scene: Scene,
    swatches: Sequence[Swatch],
    arms: Sequence[str],
    out_dir: str | Path,
    settings: SamplingSettings,
    on_step: OnStep | None,
    save: Save,
) -> None:
    """Paint the wall at hand in many colours with several arms, loaded once and kept for the next time.

    A paint's files, by `paint_scene`, go to a folder of `out_dir` that is named as its hex; `write_report` makes the
    rest. The scene's truth belongs to the first paint. What `on_step` raises ends it all; then nothing is written.

    Raises:
        UserError: arms that cannot be opened.
    """
    with all_or_nothing(out_dir) as folder:
        opened = open_arms(arms, None, None, settings.ip_adapter_scale, keep=True)
        if on_step:
            on_step(0.0)  # loading may have taken long enough for a change of mind
        for number, swatch in enumerate(swatches):
            place = folder / swatch.hex.lstrip("#")
            place.mkdir(exist_ok=True)
            coats = (replace(scene.coats[0], swatch=swatch), *scene.coats[1:])
            painted = replace(scene, coats=coats, truth=None if number else scene.truth)
            paint_scene(opened, painted, settings, place, share_of(on_step, number, 1, len(swatches)), save)


_load_kept = keep(load_photo)  # many paints are tried on one photo


def load_scene(
    photo: str | Path,
    walls: Sequence[tuple[str | Path, Swatch, Swatch | None]],
    truth: str | Path | None = None,
    invert_mask: bool = False,
) -> Scene:
    """Load a photo, the mask of each wall and, where one is known, its true repaint, all of one size.

    `walls`: masks, new paints, and what is on them now where that is known; where masks overlap the later one wins.

    Raises:
        UserError: pictures that cannot be read or do not fit together.
    """
    room = _load_kept(Path(photo))
    masks = [load_mask(path, room.size, invert_mask, photo) for path, *_ in walls]
    masks = part_masks(masks) if len(masks) > 1 else masks
    coats = tuple(Coat(room, mask, paint, old) for mask, (_, paint, old) in zip(masks, walls, strict=True))
    true = None if truth is None else load_photo(truth)
    if true is not None and true.size != room.size:
        raise UserError(f"truth {truth} is {true.size} but its photo is {room.size}: make them the same size")
    return Scene(coats, true, str(photo))


def paint_scene(
    opened: Arms,
    scene: Scene,
    settings: SamplingSettings,
    folder: Path,
    on_step: OnStep | None = None,
    save: Save = save_png,
) -> list[Figures]:
    """Paint and measure, and write comparison.json, comparison.csv and a PNG an arm to `folder`.

    `save` writes an arm's picture in place of `save_png`.

    Returns:
        the figures of each arm, as in comparison.json; nan stands for its null.
    """
    prompted = replace(settings, prompt=settings.prompt or PROMPT)
    painted = paint_coats(opened, scene.coats, prompted, on_step)
    walls = [Yardstick.of(coat, scene.truth) for coat in scene.coats]

    def finish(name: str, image: str) -> Figures:
        picture, seconds = painted[name]
        save(picture, folder / image)
        figures: dict[str, Any] = {"name": name, "seconds": round(seconds, 3), "image": image}
        if name in opened.left_out:
            figures["left_out"] = list(opened.left_out[name])
        return figures | measure_walls(picture, walls)

    with ThreadPoolExecutor(2 if scene.photo.width * scene.photo.height < MANY else 1) as pool:
        rows = list(pool.map(finish, painted, file_names(list(painted))))
    hexes = [coat.swatch.hex for coat in scene.coats]
    several = {"walls": hexes} if len(hexes) > 1 else {}
    comparison = {"photo": scene.name, "swatch": hexes[0], **several, "seed": settings.seed, "arms": rows}
    write_json(folder / "comparison.json", comparison)
    write_csv(folder / "comparison.csv", rows)
    return rows


def write_report(out: Path, places: Sequence[Path], photo: Image.Image, truth: Image.Image | None) -> None:
    """Write grid.png to each folder of `places`, which hold a paint's pictures, and one report.html of all to `out`.

    The truth is that of the first.
    """
    sections = []
    for number, place in enumerate(places):
        comparison = json.loads((place / "comparison.json").read_text("utf-8"))
        pictures = [("photo", photo), *([("truth", truth)] if truth and not number else [])]
        pictures += [(arm["name"], load_photo(place / arm["image"])) for arm in comparison["arms"]]
        save_png(contact_sheet(pictures), place / "grid.png")
        sections.append(comparison_section(comparison, pictures))
    write_text(out / "report.html", comparison_page(sections))


def say_left_out(opened: Arms) -> None:
    """Say on stderr what of the arms' files is not used."""
    for name, left_out in opened.left_out.items():
        print(f"arm {name}: not used of its file: {'; '.join(left_out)}", file=sys.stderr)
