"""The report.html of a comparison and of an evaluation, and their tables. What people wrote is escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from wallpaint.pixels.images import data_url
from wallpaint.report.files import Figures
from wallpaint.templates import open_templates

SIDE = 256  # pixels, of the pictures of an evaluation
_templates = open_templates(Path(__file__).with_name("templates"), autoescape=True)
Pictures = list[tuple[str, Image.Image]]  # with their titles


@dataclass(frozen=True)
class Column:
    """A column of figures: where in an arm's figures its value is, and which of them is set in bold."""

    title: str
    path: tuple[str, ...]
    digits: int = 1
    best: Callable[[Iterable[float]], float] | None = None  # min or max

    def value(self, figures: Any) -> float | None:
        """The value among an arm's figures; None where it has none."""
        for key in self.path:
            figures = (figures or {}).get(key)
        return figures


COMPARED = (
    Column("ΔE to paint", ("delta_e_paint", "median"), best=min),
    Column("p90", ("delta_e_paint", "p90")),
    Column("under 5", ("delta_e_paint", "under_5"), 2),
    Column("brightness", ("brightness_error",)),
    Column("ΔE to truth", ("delta_e_truth", "mean"), best=min),
    Column("shading", ("shading_correlation",), 2, max),
    Column("changed outside", ("outside_changed_pixels",), 0),
    Column("seconds", ("seconds",), 2),
)
EVALUATED = (
    Column("ΔE to truth", ("delta_e_truth", "mean"), best=min),
    Column("95 % from", ("interval", "low")),
    Column("to", ("interval", "high")),
    Column("median", ("delta_e_truth", "median")),
    Column("p90", ("delta_e_truth", "p90")),
    Column("bias", ("error_split", "level"), 2),
    Column("level", ("error_split", "level_delta_e")),
    Column("tint", ("error_split", "tint_delta_e")),
    Column("rest", ("error_split", "rest_delta_e")),
    Column("ΔE to paint", ("delta_e_paint", "median")),
    Column("shading", ("shading_correlation",), 2, max),
    Column("rim", ("delta_e_rim",)),
    Column("two paints", ("ratio_error",), 2),
    Column("there and back", ("there_and_back",)),
    Column("outside", ("delta_e_outside",)),
    Column("changed outside", ("outside_changed_pixels",), 0),
    Column("s/image", ("seconds_per_image",), 2),
)


@dataclass(frozen=True)
class Table:
    """Texts in rows, an arm a row; `best` has the number of the row in bold by column, None for none."""

    headers: tuple[str, ...]
    rows: list[list[str]]
    best: list[int | None]


def make_table(columns: Sequence[Column], arms: dict[str, Figures]) -> Table:
    """Give the figures of arms by name as a table, their names in the first column."""
    best: list[int | None] = [None]
    for column in columns:
        values = {row: value for row, arm in enumerate(arms.values()) if (value := column.value(arm)) is not None}
        pick = column.best
        best.append(next(row for row in values if values[row] == pick(values.values())) if pick and values else None)
    rows = [[name, *(number(column.value(arm), column.digits) for column in columns)] for name, arm in arms.items()]
    return Table(("arm", *(column.title for column in columns)), rows, best)


def markdown(table: Table) -> str:
    """Write a table as Markdown, numbers to the right."""
    head, *rows = (
        "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
        for cells in (table.headers, *table.rows)
    )
    return "".join([head, "|---|", "---:|" * (len(table.headers) - 1), "\n", *rows])


NOTHING = "–"  # a figure that there is not


def number(value: float | None, digits: int = 1, sign: str = "") -> str:
    """Write a figure, a dash where there is none; `sign` '+' writes it with its sign."""
    if value is None or value != value:
        return NOTHING
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}"  # no -0


def evaluation_table(arms: dict[str, Figures]) -> Table:
    """Give the table of a summary's arms: the figures over all repaints, then ΔE to truth by kind of room."""
    kinds = sorted({kind for figures in arms.values() for kind in figures["by_kind"]})
    by_kind = [Column(kind, ("by_kind", kind, "delta_e_truth", "mean"), best=min) for kind in kinds]
    return make_table([*EVALUATED, *by_kind], arms)


def comparison_section(comparison: Figures, pictures: Pictures) -> dict[str, Any]:
    """One paint of a report, as the template takes it: pictures with their figures, and the table."""
    arms = {row["name"]: row for row in comparison["arms"]}
    texts = {
        name: f"ΔE to paint {number(row['delta_e_paint']['median'])} · shading {number(row['shading_correlation'], 2)}"
        for name, row in arms.items()
    }
    return {
        "swatches": comparison.get("walls") or [comparison["swatch"]],
        "seed": comparison["seed"],
        "pictures": [show_picture(picture, name, texts.get(name, "")) for name, picture in pictures],
        "table": make_table(COMPARED, arms),
        "left_out": {name: "; ".join(row["left_out"]) for name, row in arms.items() if "left_out" in row},
    }


def comparison_page(paints: Iterable[dict[str, Any]]) -> str:
    """Write report.html: a section a paint."""
    return _templates.get_template("comparison.html").render(title="Wall repaint, arm by arm", paints=list(paints))


def evaluation_page(summary: Figures, pairs: Sequence[str], strips: Sequence[dict[str, Any]]) -> str:
    """Write report.html: the table, what it means, how sure the order of the arms is, and some repaints."""
    return _templates.get_template("evaluation.html").render(
        title="Rooms with a known repaint",
        summary=summary,
        table=evaluation_table(summary["arms"]),
        left_out={name: "; ".join(arm["left_out"]) for name, arm in summary["arms"].items() if "left_out" in arm},
        pairs=pairs,
        strips=strips,
    )


def show_repaint(title: str, color: str, pictures: Pictures, rows: Sequence[Figures]) -> dict[str, Any]:
    """One repaint of an evaluation, as the template takes it: a strip of pictures, an arm's error below its own."""
    texts = {row["arm"]: f"ΔE to truth {number(row['delta_e_truth']['mean'])}" for row in rows}
    shown = [show_picture(picture, name, texts.get(name, ""), SIDE) for name, picture in pictures]
    return {"title": title, "color": color, "pictures": shown}


def show_picture(image: Image.Image, title: str, text: str, side: int = 640) -> dict[str, str]:
    """A picture, at most `side` pixels wide or high, with a title and a line below it."""
    small = image.convert("RGB")
    small.thumbnail((side, side))
    return {"title": title, "text": text, "source": data_url(small, quality=90, subsampling=0)}
