"""The doctor's findings and the paints on the a*b* plane, as HTML with every word escaped."""

import html
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from wallpaint.dataset.doctor import Finding, check_dataset
from wallpaint.dataset.metadata import find_splits
from wallpaint.dataset.rows import Sample
from wallpaint.pixels.color import Swatch, lab_to_rgb
from wallpaint.pixels.hues import BORDERS, HUES, hue_name
from wallpaint.ui.words.words import t, translate

REACH, SIDE = 100.0, 280  # chroma at the plot's rim; pixels a side
MOST_FINDINGS, MOST_DOTS = 200, 1000  # that are drawn


def draw_findings(folder: Path, samples: dict[str, list[Sample]], language: str, check: bool = True) -> str:
    """Write what the doctor finds in a dataset, if he is to `check` it, beside the plot of its paints."""
    count = sum(len(part) for part in samples.values())
    if not find_splits(folder):
        words = html.escape(t("check_empty", language, dataset=folder.name))
        return f'<div class="card empty">{words}</div>'
    told = write_findings(check_dataset(folder), count, language) if check else t("check_ask", language, count=count)
    plot = write_plot(samples, language) if count else ""
    return f'<div class="checkup"><div class="card">{told}</div>{plot}</div>'


def write_findings(findings: list[Finding], count: int, language: str) -> str:
    """Write the findings as a table: where, what, what to do."""
    if not findings:
        return f"<p>{html.escape(t('check_fine', language, count=count))}</p>"

    def write_row(tag: str, cells: Iterable[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    head = write_row("th", (t(key, language) for key in ("column_where", "column_what", "column_remedy")))
    rows = "".join(
        write_row("td", (_where(one, language), _what(one, language), t("mend_" + one.kind, language, **one.values)))
        for one in findings[:MOST_FINDINGS]
    )
    title = html.escape(t("check_found", language, findings=len(findings), count=count))
    return f"<table><caption>{title}</caption><thead>{head}</thead><tbody>{rows}</tbody></table>"


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


def write_plot(samples: dict[str, list[Sample]], language: str) -> str:
    """Draw the paints on the a*b* plane; hues that no training wall has are hatched."""
    there = {hue_name(color) for color in {sample.color for sample in samples.get("train", [])}}
    middle = SIDE / 2
    starts = (BORDERS[-1] - 360, *BORDERS[:-1])
    parts = [_sector(start, end, name not in there) for name, start, end in zip(HUES, starts, BORDERS, strict=True)]
    parts += [
        f'<circle cx="{middle}" cy="{middle}" r="{chroma / REACH * middle:.0f}" class="ring"/>'
        for chroma in (25, 50, 75)
    ]
    for name, start, end in zip(HUES, starts, BORDERS, strict=True):
        x, y = _point((start + end) / 2, 0.74 * REACH)
        label = html.escape(t("hue_" + name, language))
        parts.append(f'<text x="{x:.0f}" y="{y:.0f}" class="hue">{label}</text>')
    for split in ("validation", "train"):
        paints = {sample.color: sample for sample in samples.get(split, [])}  # one dot a paint
        parts += [_dot(sample, split) for sample in list(paints.values())[:MOST_DOTS]]
    words = html.escape(t("plot", language))
    return (
        f'<figure class="plot"><svg viewBox="0 0 {SIDE} {SIDE}" role="img" aria-label="{words}"><defs>'
        '<pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)">'
        '<path d="M0 0V7" class="hatch"/></pattern></defs>'
        f"{''.join(parts)}</svg><figcaption>{words}</figcaption></figure>"
    )


def _point(angle: float, chroma: float) -> tuple[float, float]:
    """Place a hue angle in degrees and a chroma on the plot."""
    reach = min(chroma, REACH) / REACH * SIDE / 2
    return SIDE / 2 + reach * math.cos(math.radians(angle)), SIDE / 2 - reach * math.sin(math.radians(angle))


def _sector(start: float, end: float, missing: bool) -> str:
    """Draw a hue's sector in its own colour, hatched where no wall has it."""
    (x0, y0), (x1, y1), middle, radius = _point(start, REACH), _point(end, REACH), SIDE / 2, SIDE / 2
    angle = math.radians((start + end) / 2)
    rgb = lab_to_rgb(np.array([70, 40 * math.cos(angle), 40 * math.sin(angle)]))
    fill = "#" + "".join(f"{round(255 * float(value)):02x}" for value in rgb)
    path = f"M{middle} {middle}L{x0:.1f} {y0:.1f}A{radius} {radius} 0 0 0 {x1:.1f} {y1:.1f}Z"
    drawn = f'<path d="{path}" fill="{fill}" fill-opacity="0.28"/>'
    return drawn + (f'<path d="{path}" fill="url(#hatch)"/>' if missing else "")


def _dot(sample: Sample, split: str) -> str:
    """Draw a sample: a circle or a square in its paint, with its name as title."""
    swatch = Swatch(sample.color)
    _, a, b = (float(value) for value in swatch.lab)
    x, y = _point(math.degrees(math.atan2(b, a)), math.hypot(a, b))
    title = f"<title>{html.escape(f'{sample.room_id} {swatch.hex}')}</title>"
    if split == "train":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{swatch.hex}" class="dot">{title}</circle>'
    place = f'x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10"'
    return f'<rect {place} fill="{swatch.hex}" class="dot">{title}</rect>'
