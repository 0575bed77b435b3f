"""--compare: one photo, a swatch for each of its walls, several arms; a project has all of them."""

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path

from wallpaint.cli import read_swatch
from wallpaint.dataset.project import read_project
from wallpaint.errors import UserError
from wallpaint.paint.arms import is_shipped
from wallpaint.paint.settings import SamplingSettings
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import load_mask, load_photo
from wallpaint.pixels.recolor import estimate_paint
from wallpaint.process import collector_paused
from wallpaint.settings.train_config import load_config


def run(options: argparse.Namespace) -> int:
    """Paint what the command line or a project says, and report."""
    asked = {flag: getattr(options, flag.strip("-")) for flag in ("--photo", "--mask", "--swatch", "--white")}
    if not options.room:
        if missing := [flag for flag in ("--photo", "--mask", "--swatch") if not asked[flag]]:
            raise UserError(f"required: {', '.join(missing)}, or --room, on the command line, see --compare --help")
        return compare_walls(options)
    if given := [flag for flag, value in asked.items() if value] + ["--old-paint"] * bool(options.old_paint):
        raise UserError(f"{given[0]} and --room both say what the room is, on the command line, give one of them")
    with tempfile.TemporaryDirectory() as folder:
        open_project(options, Path(folder))
        return compare_walls(options)


def open_project(options: argparse.Namespace, folder: Path) -> None:
    """Let a project, unpacked into `folder`, say what the command line does not."""
    project, options.photo, options.mask = read_project(options.room, folder)
    options.swatch = [wall.paint for wall in project.walls]
    known = [wall.now if wall.chosen or project.whites else "" for wall in project.walls]
    options.old_paint = known if any(known) else []
    if options.arms is None and project.arms:
        options.arms = [name for name in project.arms if is_shipped(name)]
        if left_out := [name for name in project.arms if name not in options.arms]:
            print(f"left out, not shipped: {', '.join(left_out)} (--arms NAME=PATH says where)", file=sys.stderr)
    settings = dataclasses.asdict(project.settings)
    options.bounce = settings.pop("bounce") or options.bounce
    said = {name: str(value) for name, value in settings.items() if value is not None}
    options.overrides = said | options.overrides


def compare_walls(options: argparse.Namespace) -> int:
    """Paint the walls that `options` names, and report."""
    swatches = [read_swatch(text, options.palette) for text in options.swatch]
    old_paints: list[Swatch | None] = [
        read_swatch(text, options.palette, "--old-paint") if text else None for text in options.old_paint
    ]
    masks = options.mask
    for flag, many in (("--swatch", swatches), ("--old-paint", old_paints)):
        if len(many) != len(masks) and many:
            raise UserError(f"{len(masks)} masks and {len(many)} paints are given, to --mask and {flag}, give as many")
    with collector_paused():
        from wallpaint.report.compare import compare

    if options.white:
        old_paints = read_by_white(options)
    more = list(zip(masks[1:], swatches[1:], strict=True))
    how = {"family": options.overrides.get("family"), "invert_mask": options.invert_mask}
    how |= {"more": more, "old_paints": old_paints}
    compare(options.photo, masks[0], swatches[0], options.arms, options.out, painting(options), **how)
    print(f"report: {options.out / 'report.html'}")
    return 0


def read_by_white(options: argparse.Namespace) -> list[Swatch | None]:
    """The paint on each wall now, in the light that something white tells."""
    if options.old_paint:
        raise UserError("--old-paint and --white both say what the wall's paint is now, give one of them")
    photo = load_photo(options.photo)
    masks = [load_mask(mask, photo.size, options.invert_mask, options.photo) for mask in options.mask]
    old_paints = [estimate_paint(photo, mask, options.white) for mask in masks]
    print(f"paint on the wall now, by what is white: about {', '.join(paint.hex for paint in old_paints)}")
    return [*old_paints]


def painting(options: argparse.Namespace) -> SamplingSettings:
    """Give the painting settings of the command line, checked as the fields of TrainConfig are."""
    config = load_config(None, options.overrides)
    given = {name: getattr(config, name) for name in options.overrides if name != "family"}
    for name in ("num_inference_steps", "guidance_scale"):
        given[name] = given.get(name) or None  # 0: the family's own
    return SamplingSettings(**given, bounce=options.bounce)
