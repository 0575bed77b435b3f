"""One photo, one paint, several arms: the same wall painted by each, measured and reported.

An arm is NAME (shipped: old, new, color, base; or recolor, the classical repaint) or NAME=PATH to a run
folder or a .safetensors file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from wallpaint import metrics, report
from wallpaint.color import Swatch
from wallpaint.dataset import PROMPT
from wallpaint.images import load_mask, load_photo
from wallpaint.recolor import recolor
from wallpaint.report import all_or_nothing, best_row, clean, file_names, flat, write_csv

if TYPE_CHECKING:
    from wallpaint.models import Models
    from wallpaint.paint import Painter

ARMS = ["old", "new", "color", "recolor"]
RECOLOR = "recolor"
FAMILY_FIELDS = ("base_model", "resolution", "ip_adapter_model", "ip_adapter_weight_name")
HEADERS = ("arm", "ΔE to paint", "p90", "under 5", "ΔE to truth", "shading", "changed outside", "seconds")
EXPLAINED = (
    "ΔE is CIEDE2000 over the wall (the mask without its rim): to the paint in each pixel's own light "
    "(median, 90th percentile, share below 5), and to the true repaint (mean) where one is known. Shading is "
    "the correlation of lightness gradients with the photo's, or the truth's; a wall painted flat scores "
    "about 0 there however well it hits the colour."
)
Figures = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """What one arm painted: its picture's file and its figures (as in comparison.json)."""

    name: str
    image: Path
    figures: Figures


@dataclass(frozen=True)
class Comparison:
    """A finished comparison: the folder, and its arms in the order asked for."""

    folder: Path
    arms: tuple[Arm, ...]


@dataclass(frozen=True)
class Arms:
    """The arms by name, in order, and the painter of those that diffuse; None for `recolor` alone."""

    names: tuple[str, ...]
    painter: Painter | None

    def paint(
        self, photo: Image.Image, mask: Image.Image, swatch: Swatch, prompt: str, seed: int
    ) -> dict[str, tuple[Image.Image, float]]:
        """Repaint with every arm: name -> (picture at the photo's size, seconds)."""
        start = time.perf_counter()
        painted = {RECOLOR: recolor(photo, mask, swatch)} if RECOLOR in self.names else {}
        seconds = {RECOLOR: time.perf_counter() - start}
        if self.painter is not None:
            painted |= self.painter.paint(photo, mask, swatch, prompt, seed)
            seconds |= self.painter.seconds
        return {name: (painted[name], seconds[name]) for name in self.names}


def open_arms(arms: Sequence[str], family: str | None = None, models: Models | None = None) -> Arms:
    """Load what the arms need.

    Args:
        arms: NAME or NAME=PATH.
        family: None takes the one that the arms' run folders were trained on, room-tiny where none says.
        models: a loaded family, in place of loading one.

    Raises:
        ValueError: an unknown arm, a name given twice, missing weights, runs of different families.
    """
    arms = list(arms)
    if not arms:
        raise ValueError("no arm is given among --arms: name at least one, such as new,recolor")
    if any(arm.startswith(f"{RECOLOR}=") for arm in arms) or arms.count(RECOLOR) > 1:
        raise ValueError("recolor is the classical repaint among --arms: write it once and without a path")
    diffusing = [arm for arm in arms if arm != RECOLOR]
    if not diffusing:
        return Arms((RECOLOR,), None)
    from wallpaint.models import load_models
    from wallpaint.paint import Painter, resolve_arms

    paths = resolve_arms(diffusing)
    if models is None:
        chosen = _family_of(paths, family)
        models = load_models(chosen.pop("family"), **chosen)
    return Arms(tuple(arm.partition("=")[0] for arm in arms), Painter(models, paths))


def measure(
    painted: Image.Image,
    photo: Image.Image,
    mask: Image.Image,
    swatch: Swatch,
    truth: Image.Image | None = None,
) -> Figures:
    """Take every metric of a repaint; `delta_e_truth` only where the truth is known."""
    figures = {
        "delta_e_paint": metrics.delta_e_paint(painted, swatch, mask),
        "shading_correlation": metrics.shading_correlation(painted, truth or photo, mask),
        "outside_changed_pixels": metrics.outside_changed_pixels(painted, photo, mask),
    }
    return (
        figures if truth is None else figures | {"delta_e_truth": metrics.delta_e_truth(painted, truth, mask)}
    )


def compare(
    photo_path: str | Path,
    mask_path: str | Path,
    swatch: Swatch,
    arms: Sequence[str] | None,
    out_dir: str | Path,
    seed: int = 0,
    family: str | None = None,
    truth: str | Path | None = None,
    prompt: str | None = None,
    models: Models | None = None,
) -> Comparison:
    """Paint one wall with several arms and write comparison.json, .csv, grid.png, report.html, PNGs.

    Args:
        photo_path: the room.
        mask_path: its walls, of the photo's size, 255 = repaint.
        swatch: the paint.
        arms: NAME or NAME=PATH; None takes ARMS.
        out_dir: gets the files at the end, all or none of them.
        seed: of the noise, the same for every arm.
        family: see `open_arms`.
        truth: the same room truly painted, where one is known.
        prompt: None takes a plain one, the same for every colour.
        models: a loaded family, in place of loading one.

    Raises:
        ValueError: pictures that cannot be read or do not fit together, or arms that cannot be opened.
    """
    photo = load_photo(photo_path)
    mask = load_mask(mask_path, photo.size)
    true = None if truth is None else load_photo(truth)
    if true is not None and true.size != photo.size:
        raise ValueError(
            f"truth {truth} is {true.size} but its photo is {photo.size}: make them the same size"
        )
    with all_or_nothing(out_dir) as folder:
        opened = open_arms(ARMS if arms is None else arms, family, models)
        painted = opened.paint(photo, mask, swatch, prompt or PROMPT, seed)
        rows = []
        for name, image in zip(painted, file_names(list(painted)), strict=True):
            picture, seconds = painted[name]
            picture.save(folder / image)
            figures = {"name": name, "seconds": round(seconds, 3), "image": image}
            rows.append(clean(figures | measure(picture, photo, mask, swatch, true)))
        said = {"photo": str(photo_path), "swatch": swatch.hex, "seed": seed, "arms": rows}
        (folder / "comparison.json").write_text(
            json.dumps(said, indent=2, ensure_ascii=False) + "\n", "utf-8"
        )
        write_csv(folder / "comparison.csv", [flat(row) for row in rows])
        pictures = [("photo", photo), *([("truth", true)] if true else [])]
        pictures += [(name, picture) for name, (picture, _) in painted.items()]
        report.contact_sheet(pictures).save(folder / "grid.png")
        (folder / "report.html").write_text(_page(said, pictures), "utf-8")
    folder = Path(out_dir)
    return Comparison(folder, tuple(Arm(row["name"], folder / row["image"], row) for row in rows))


def _family_of(paths: dict[str, Path | None], family: str | None) -> dict[str, Any]:
    """Find the family (and its overrides) that the arms belong to: what their runs' config.yaml says."""
    from wallpaint.config import load_config

    found: dict[str, tuple[str, dict]] = {}
    for name, path in paths.items():
        folders = [] if path is None else [path, *list(path.parents)[:2]]
        config = next(
            (folder / "config.yaml" for folder in folders if (folder / "config.yaml").is_file()), None
        )
        if config is not None:
            said = load_config(config)
            found[name] = (said.family, {key: getattr(said, key) for key in FAMILY_FIELDS})
    families = {said[0] for said in found.values()} | ({family} if family else set())
    if len(families) > 1:
        told = ", ".join(f"{name} on {said[0]}" for name, said in found.items())
        raise ValueError(f"the arms were trained on different families ({told}): compare arms of one family")
    first = next(iter(found.values()), (family or "room-tiny", {}))
    return {"family": family or first[0], **first[1]}


def _page(said: Figures, pictures: list[tuple[str, Image.Image]]) -> str:
    """Write report.html: the pictures with their figures, and the table."""
    rows, number = said["arms"], report.number
    truths = [(row.get("delta_e_truth") or {}).get("mean") for row in rows]
    columns = [
        (
            row["name"],
            number(row["delta_e_paint"]["median"]),
            number(row["delta_e_paint"]["p90"]),
            number(row["delta_e_paint"]["under_5"], 2),
            number(truth),
            number(row["shading_correlation"], 2),
            str(row["outside_changed_pixels"]),
            number(row["seconds"], 2),
        )
        for row, truth in zip(rows, truths, strict=True)
    ]
    marks = {
        1: best_row([row["delta_e_paint"]["median"] for row in rows]),
        4: best_row(truths),
        5: best_row([row["shading_correlation"] for row in rows], max),
    }
    lines = {
        row["name"]: f"ΔE to paint {cells[1]} · shading {cells[5]}"
        for row, cells in zip(rows, columns, strict=True)
    }
    figures = "".join(report.figure(picture, name, lines.get(name, "")) for name, picture in pictures)
    return report.page(
        "Wall repaint, arm by arm",
        [
            f"<p>{report.chip(said['swatch'])} &nbsp; seed {int(said['seed'])}</p>",
            f'<div class="grid">{figures}</div>',
            "<h2>Figures</h2>",
            report.table(HEADERS, columns, {k: v for k, v in marks.items() if v is not None}),
            report.paragraph(EXPLAINED, quiet=True),
        ],
    )
