"""The report.html of a comparison and of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PIL import Image

from wallpaint.dataset.rows import Sample, Truth
from wallpaint.pixels.color import Swatch
from wallpaint.report import html
from wallpaint.report.html import Figures, best_row
from wallpaint.report.summary import describe

COMPARED = ("arm", "ΔE to paint", "p90", "under 5", "ΔE to truth", "shading", "changed outside", "seconds")
EVALUATED = ("arm", "ΔE to truth", "median", "p90", "ΔE to paint", "shading", "changed outside", "s/image")
EXPLAINED = (
    "ΔE is CIEDE2000 over the wall (the mask without its rim): to the paint in each pixel's own light "
    "(median, 90th percentile, share below 5), and to the true repaint (mean) where one is known. Shading is "
    "the correlation of lightness gradients with the photo's, or the truth's; a wall painted flat scores "
    "about 0 there however well it hits the colour."
)
SIDE = 256  # pixels, of the pictures of an evaluation
Pictures = list[tuple[str, Image.Image]]  # with their titles


def comparison_page(sections: Iterable[list[str]]) -> str:
    """Write report.html: a section a paint."""
    parts = [part for section in sections for part in section]
    return html.page("Wall repaint, arm by arm", [*parts, html.paragraph(EXPLAINED, quiet=True)])


def comparison_section(said: Figures, pictures: Pictures) -> list[str]:
    """Write one paint of a report: the pictures with their figures, and the table."""
    rows, number = said["arms"], html.number
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
        row["name"]: f"ΔE to paint {cells[1]} · shading {cells[5]}" for row, cells in zip(rows, columns, strict=True)
    }
    figures = "".join(html.figure(picture, name, lines.get(name, "")) for name, picture in pictures)
    return [
        f"<p>{html.chip(said['swatch'])} &nbsp; seed {int(said['seed'])}</p>",
        f'<div class="grid">{figures}</div>',
        "<h2>Figures</h2>",
        html.table(COMPARED, columns, {k: v for k, v in marks.items() if v is not None}),
        *(
            html.paragraph(f"{row['name']}: not used of its file: {'; '.join(row['left_out'])}.")
            for row in rows
            if "left_out" in row
        ),
    ]


def evaluation_table(arms: Figures) -> tuple[list[str], list[list[str]]]:
    """Give the headers and cells of the summary: the figures over all repaints, then ΔE to truth by kind."""
    kinds = sorted({kind for figures in arms.values() for kind in figures["by_kind"]})
    number = html.number
    cells = [
        [
            name,
            number(figures["delta_e_truth"]["mean"]),
            number(figures["delta_e_truth"]["median"]),
            number(figures["delta_e_truth"]["p90"]),
            number(figures["delta_e_paint"]["median"]),
            number(figures["shading_correlation"], 2),
            str(figures["outside_changed_pixels"]),
            number(figures["seconds_per_image"], 2),
            *(number(figures["by_kind"].get(kind, {}).get("delta_e_truth", {}).get("mean")) for kind in kinds),
        ]
        for name, figures in arms.items()
    ]
    return [*EVALUATED, *kinds], cells


def evaluation_page(summary: Figures, strips: Sequence[str]) -> str:
    """Write report.html: the table, what it means, and some repaints."""
    arms = summary["arms"]
    headers, cells = evaluation_table(arms)
    kinds = headers[len(EVALUATED) :]
    columns = {1: [a["delta_e_truth"]["mean"] for a in arms.values()]}
    columns |= {
        len(EVALUATED) + i: [a["by_kind"].get(kind, {}).get("delta_e_truth", {}).get("mean") for a in arms.values()]
        for i, kind in enumerate(kinds)
    }
    best = {column: best_row(values) for column, values in columns.items()}
    best[5] = best_row([a["shading_correlation"] for a in arms.values()], max)
    floor = summary["floor"]["vae_round_trip_delta_e"]
    parts = [
        html.paragraph(f"{summary['repaints']} repaints of {summary['rooms']} rooms, every arm from the same noise."),
        html.table(headers, cells, {k: v for k, v in best.items() if v is not None}),
        html.paragraph("Columns named after a kind of room hold its mean ΔE to truth. " + EXPLAINED, quiet=True),
    ]
    parts += [html.paragraph(describe(pair), quiet=True) for pair in summary["pairs"]]
    if floor is not None:
        parts.append(html.paragraph(f"The VAE alone, given the truth, is off by ΔE {floor:.1f}: the arms' floor."))
    return html.page("Rooms with a known repaint", [*parts, "<h2>Some of them</h2>", *strips])


def repaint_strip(
    sample: Sample, truth: Truth, pictures: Sequence[tuple[str, Image.Image]], rows: Sequence[Figures]
) -> str:
    """Give one repaint as a row of pictures, with each arm's error below its own."""
    said = {row["arm"]: f"ΔE to truth {html.number(row['delta_e_truth']['mean'])}" for row in rows}
    figures = "".join(html.figure(picture, name, said.get(name, ""), SIDE) for name, picture in pictures)
    title = html.escape(f"{sample.room_id}, {sample.kind or 'room'}")
    return f'<p>{html.chip(Swatch(truth.color).hex)} &nbsp; {title}</p><div class="strip">{figures}</div>'


def thumbnail(picture: Image.Image) -> Image.Image:
    """Give a copy of at most SIDE pixels."""
    small = picture.copy()
    small.thumbnail((SIDE, SIDE))
    return small
