"""What a comparison or an evaluation leaves behind: tables as CSV, a sheet of pictures, all of it or nothing."""

from __future__ import annotations

import csv
import errno
import glob
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from PIL import Image, ImageDraw, ImageFont

from wallpaint.errors import UserError
from wallpaint.paths import ascii_name
from wallpaint.pixels.arrays import fit_size

SIDE = 512  # pixels, of a picture on the sheet
Figures = dict[str, Any]


def contact_sheet(pictures: Sequence[tuple[str, Image.Image]], columns: int = 6) -> Image.Image:
    """Lay titled pictures of one shape out on a white sheet; each is at most SIDE pixels wide or high."""
    size = fit_size(pictures[0][1].size, SIDE)
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


def clean(value: Any) -> Any:
    """Turn what is not a number to None, so that JSON can say it."""
    if isinstance(value, dict):
        return {key: clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def flat(row: Figures, prefix: str = "") -> Figures:
    """Turn {'delta_e_paint': {'median': 1}} to {'delta_e_paint_median': 1}, and a list of texts to one.

    What is said of each of several things, {'walls': [{…}, …]}, is numbered: {'wall1_…': …}.
    """
    out: Figures = {}
    for key, value in row.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            out |= flat({f"{key.removesuffix('s')}{number}": one for number, one in enumerate(value, 1)}, prefix)
        elif isinstance(value, dict):
            out |= flat(value, f"{prefix}{key}_")
        else:
            out[prefix + key] = "; ".join(value) if isinstance(value, list) else value
    return out


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8; of a name that is none the bytes are escaped."""
    path.write_text(text, "utf-8", "backslashreplace")


def write_json(path: Path, figures: Figures) -> None:
    """Write figures as JSON; what is not a number is null."""
    write_text(path, json.dumps(clean(figures), indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, rows: Sequence[Figures]) -> None:
    """Write rows of figures, `flat`, under the names of all their fields; what is not a number is empty."""
    rows = [flat(clean(row)) for row in rows]
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def file_names(arms: Sequence[str]) -> list[str]:
    """Give each arm a PNG of its own name, whatever the name holds."""
    taken, names = {"grid"}, []
    for arm in arms:
        stem = plain = ascii_name(arm) or "arm"
        count = 1
        while stem.lower() in taken:
            count += 1
            stem = f"{plain}-{count}"
        taken.add(stem.lower())
        names.append(f"{stem}.png")
    return names


@contextmanager
def all_or_nothing(out_dir: str | Path) -> Iterator[Path]:
    """Give a folder that takes the place of `out_dir` on success and vanishes on failure.

    A new `out_dir` appears whole, by one rename. In one that is there already the files take the place of those of
    their names, other files stay; what names the others (JSON, HTML, CSV) goes first and comes last, so that no old
    figures ever stand beside new pictures. What a killed process has left is cleared away by the next.

    Raises:
        UserError: the folder cannot be made or written; then it is as it was.
    """
    out = Path(out_dir).absolute()
    new = not out.exists()
    place, prefix = (out.parent, f".{out.name}.unfinished-") if new else (out, ".unfinished-")
    temporary = place / f"{prefix}{os.getpid()}-{secrets.token_hex(4)}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        for left in place.glob(f"{glob.escape(prefix)}*"):
            owner = left.name.removeprefix(prefix).split("-")[0]
            if not (owner.isdecimal() and psutil.pid_exists(int(owner))):
                shutil.rmtree(left, ignore_errors=True)
        temporary.mkdir()
    except OSError as error:
        raise UserError(f"folder {out} cannot be written ({error.strerror}): give another --out") from None
    try:
        yield temporary
        if new and not out.exists():
            os.replace(temporary, out)
        else:
            _take_places(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _take_places(new: Path, out: Path) -> None:
    """Move the files of `new` into `out`; where one cannot be, what was there before comes back."""
    names = sorted(os.listdir(new), key=lambda name: (name.endswith((".json", ".html", ".csv")), name))
    before, moves = new / ".before", []
    before.mkdir()
    try:
        for name in reversed(names):
            if (out / name).is_dir():
                raise IsADirectoryError(errno.EISDIR, f"{name} is a folder there")
            if os.path.lexists(out / name):
                os.replace(out / name, before / name)
                moves.append((before / name, out / name))
        for name in names:
            os.replace(new / name, out / name)
            moves.append((out / name, new / name))
    except OSError as error:
        for source, target in reversed(moves):
            os.replace(source, target)
        raise UserError(f"folder {out} cannot be written ({error.strerror}): give another --out") from None
