"""The doctor's findings, and the paints on the a*b* plane, as HTML."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from wallpaint.dataset.doctor import Finding, check_dataset
from wallpaint.dataset.metadata import find_splits
from wallpaint.dataset.rows import Sample
from wallpaint.pixels.color import Swatch, lab_to_rgb
from wallpaint.pixels.hues import BORDERS, HUES, hue_name
from wallpaint.ui.html import Markup, render, say
from wallpaint.ui.words.words import t, translate

REACH, SIDE = 100.0, 280  # chroma at the plot's rim; pixels a side
MOST_FINDINGS, MOST_DOTS = 200, 1000  # that are drawn


def draw_findings(folder: Path, samples: dict[str, list[Sample]], language: str, check: bool) -> str:
    """Write what the doctor finds in a dataset, if he is to `check` it, beside the plot of its paints."""
    count = sum(len(part) for part in samples.values())
    if not find_splits(folder):
        return f'<div class="card empty">{say("check_empty", language, dataset=folder.name)}</div>'
    ask = Markup('<p class="ask">{}</p>').format(say("check_ask", language, count=count))
    told = write_findings(check_dataset(folder), count, language) if check else ask
    plot = draw_plot(samples, language) if count else ""
    return f'<div class="checkup"><div class="card">{told}</div>{plot}</div>'


def write_findings(findings: list[Finding], count: int, language: str) -> Markup:
    """Write the findings as a table: where, what, what to do."""
    rows = [
        (_where(one, language), _what(one, language), t("mend_" + one.kind, language, **one.values))
        for one in findings[:MOST_FINDINGS]
    ]
    return render("dataset/findings.html", language, rows=rows, findings=len(findings), count=count)


def _where(finding: Finding, language: str) -> str:
    """Name the split in the reader's language, and the file."""
    split = t(f"split_{finding.split}", language)
    return f"{split}: {finding.where}" if finding.where else split


def _what(finding: Finding, language: str) -> str:
    """Say what is wrong, hues and lightnesses in the reader's language too."""
    values = dict(finding.values)
    for key, prefix in (("hues", "hue_"), ("lightness", "light_")):
        if key in values:
            values[key] = ", ".join(t(prefix + name, language) for name in values[key].split(", "))
    if "problem" in values:
        values["problem"] = translate(values["problem"], language)
    return t("doctor_" + finding.kind, language, **values)


def draw_plot(samples: dict[str, list[Sample]], language: str) -> Markup:
    """Draw the paints on the a*b* plane; hues that no training wall has are hatched."""
    there = {hue_name(color) for color in {sample.color for sample in samples.get("train", [])}}
    starts = (BORDERS[-1] - 360, *BORDERS[:-1])
    sectors = [
        _sector(start, end) | {"name": name, "missing": name not in there}
        for name, start, end in zip(HUES, starts, BORDERS, strict=True)
    ]
    dots = []
    for split in ("validation", "train"):
        paints = {sample.color: sample for sample in samples.get(split, [])}  # one dot a paint
        dots += [_dot(sample) | {"train": split == "train"} for sample in list(paints.values())[:MOST_DOTS]]
    return render("dataset/plot.html", language, side=SIDE, reach=REACH, sectors=sectors, dots=dots)


def _point(angle: float, chroma: float) -> tuple[float, float]:
    """Place a hue angle in degrees and a chroma on the plot."""
    reach, angle = min(chroma, REACH) / REACH * SIDE / 2, math.radians(angle)
    return round(SIDE / 2 + reach * math.cos(angle), 1), round(SIDE / 2 - reach * math.sin(angle), 1)


def _sector(start: float, end: float) -> dict[str, Any]:
    """Where a hue's sector lies and its name stands, and its own colour."""
    (x0, y0), (x1, y1), middle, angle = _point(start, REACH), _point(end, REACH), SIDE / 2, (start + end) / 2
    lab = [70, 40 * math.cos(math.radians(angle)), 40 * math.sin(math.radians(angle))]
    fill = Swatch(tuple((255 * lab_to_rgb(np.array(lab))).round().astype(int).tolist())).hex
    path = f"M{middle} {middle}L{x0} {y0}A{middle} {middle} 0 0 0 {x1} {y1}Z"
    return {"path": path, "fill": fill, "label": _point(angle, 0.74 * REACH)}


def _dot(sample: Sample) -> dict[str, Any]:
    """Where a sample's paint lies, and what it is."""
    swatch = Swatch(sample.color)
    _, a, b = (float(value) for value in swatch.lab)
    x, y = _point(math.degrees(math.atan2(b, a)), math.hypot(a, b))
    return {"x": x, "y": y, "hex": swatch.hex, "room": sample.room_id}
