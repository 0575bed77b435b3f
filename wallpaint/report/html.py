"""What a comparison or an evaluation leaves behind: self-contained pages, tables, CSV, all or nothing.

Pages are plain HTML and CSS with the pictures inside as data; everything that people wrote is escaped.
"""

from __future__ import annotations

import base64
import csv
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from wallpaint.errors import UserError

Figures = dict[str, Any]
STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 16%, transparent); }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1240px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 36px 0 10px; }
p { max-width: 78ch; } .quiet { opacity: .7; }
.chip { display: inline-block; width: 1.1em; height: 1.1em; border-radius: 4px; border: 1px solid var(--line);
  vertical-align: -.2em; margin-right: .35em; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 14px 6px 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; }
td.best { font-weight: 700; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(260px, 1fr)); gap: 18px; }
.strip { display: flex; gap: 10px; overflow-x: auto; padding-bottom: 6px; margin-bottom: 14px; }
.strip figure { flex: 0 0 200px; }
figure { margin: 0; } img { width: 100%; border-radius: 8px; display: block; }
figcaption { font-size: 13px; padding-top: 5px; } figcaption b { display: block; font-size: 14px; }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """Put a whole page around HTML parts; the title is escaped, the parts are not."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def paragraph(text: str, quiet: bool = False) -> str:
    """Give an escaped paragraph."""
    return f'<p class="quiet">{escape(text)}</p>' if quiet else f"<p>{escape(text)}</p>"


def chip(hex_color: str) -> str:
    """Give a small square of a colour and its name."""
    return f'<span class="chip" style="background:{escape(hex_color)}"></span>{escape(hex_color)}'


def figure(image: Image.Image, title: str, text: str = "", side: int = 640) -> str:
    """Give a picture, at most `side` pixels wide or high, with a title and a line below it."""
    small = image.convert("RGB")
    small.thumbnail((side, side))
    caption = f"<figcaption><b>{escape(title)}</b>{escape(text)}</figcaption>"
    return f'<figure><img alt="{escape(title)}" src="{data_uri(small)}">{caption}</figure>'


def data_uri(image: Image.Image) -> str:
    """Give a picture as a JPEG inside a `data:` address."""
    buffer = BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=90, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], best: dict[int, int] | None = None) -> str:
    """Give a table of escaped texts; `best` maps a column to the row that is set in bold."""
    best = best or {}
    head = "".join(f"<th>{escape(text)}</th>" for text in headers)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{' class=best' if best.get(column) == number else ''}>{escape(text)}</td>"
            for column, text in enumerate(row)
        )
        + "</tr>"
        for number, row in enumerate(rows)
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def markdown(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Give the same table as Markdown, numbers to the right."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"

    return line(headers) + "|---|" + "---:|" * (len(headers) - 1) + "\n" + "".join(line(row) for row in rows)


def number(value: float | None, digits: int = 1) -> str:
    """Write a figure, a dash where there is none."""
    return "–" if value is None or value != value else f"{value:.{digits}f}"


def contact_sheet(pictures: Sequence[tuple[str, Image.Image]], side: int = 512, columns: int = 6) -> Image.Image:
    """Lay titled pictures of one shape out on a white sheet; each is at most `side` pixels wide or high."""
    width, height = pictures[0][1].size
    scale = min(1.0, side / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    gap, line = 12, 26
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    whole = (columns * (size[0] + gap) + gap, rows * (size[1] + gap + line) + gap)
    sheet = Image.new("RGB", whole, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for index, (title, picture) in enumerate(pictures):
        x = gap + index % columns * (size[0] + gap)
        y = gap + index // columns * (size[1] + gap + line)
        sheet.paste(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS), (x, y + line))
        draw.text((x, y + 3), title, fill="black", font=font)
    return sheet


def best_row(values: Sequence[float | None], pick: Callable = min) -> int | None:
    """Tell the row of the best figure, None where nothing was measured."""
    known = [(value, row) for row, value in enumerate(values) if value is not None]
    return pick(known)[1] if known else None


def clean(value: Any) -> Any:
    """Turn what is not a number to None, so that JSON can say it."""
    if isinstance(value, dict):
        return {key: clean(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def flat(row: Figures, prefix: str = "") -> Figures:
    """Turn {'delta_e_paint': {'median': 1}} to {'delta_e_paint_median': 1}, and a list of texts to one."""
    out: Figures = {}
    for key, value in row.items():
        if isinstance(value, dict):
            out |= flat(value, f"{prefix}{key}_")
        else:
            out[prefix + key] = "; ".join(value) if isinstance(value, list) else value
    return out


def write_csv(path: Path, rows: Sequence[Figures]) -> None:
    """Write rows under the names of all their fields."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def file_names(arms: Sequence[str]) -> list[str]:
    """Give each arm a PNG of its own name, whatever the name holds."""
    taken, names = {"grid"}, []
    for arm in arms:
        stem = plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", arm).strip("-.")[:60] or "arm"
        count = 1
        while stem.lower() in taken:
            count += 1
            stem = f"{plain}-{count}"
        taken.add(stem.lower())
        names.append(f"{stem}.png")
    return names


@contextmanager
def all_or_nothing(out_dir: str | Path) -> Iterator[Path]:
    """Give a temporary folder beside `out_dir`, whose files move there on success and vanish on failure.

    Raises:
        UserError: the folder cannot be made or written.
    """
    out = Path(out_dir)
    try:
        out.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=out))
    except OSError as error:
        raise UserError(f"folder {out} cannot be written ({error.strerror}): give another --out") from None
    try:
        yield temporary
        for path in sorted(temporary.iterdir()):
            os.replace(path, out / path.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if not any(out.iterdir()):
            out.rmdir()
