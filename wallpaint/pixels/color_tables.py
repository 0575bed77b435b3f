"""Colours read from a table of text, whatever its separator, columns and header; what it cannot tell it asks."""

from __future__ import annotations

import csv
import re
from collections import Counter
from itertools import groupby, pairwise

import numpy as np

from wallpaint.errors import UserError
from wallpaint.pixels.color import Swatch, parse_color
from wallpaint.pixels.color_cells import HEX, NUMBER, color_in, drop_alpha, find_role, find_roles, is_data
from wallpaint.pixels.plain_text import decode

SCALE = re.compile(r"\b0 ?(?:-|–|\.\.+|to|bis|a) ?(\d+)|(%|percent|prozent|pourcent)", re.I)  # "R (0-100)", "R %"
QUOTED = re.compile(r'(?:\A|(?<=[,;\t|\r\n])) *"(?:[^"]|"")*"(?=[,;\t|\r\n]|\Z)')  # a cell may have lines of its own
UNCLOSED = re.compile(r'(?:^|[,;\t|]) *"[^"]*$')
MAX_LINES, MANY = 10_000, 4
CHANNELS = ("red", "green", "blue")
REMEDY = "write a first line that names the columns, like 'name,hex' or 'name,r,g,b'"


def read_table(data: bytes) -> list[tuple[str, Swatch]]:
    """Read every row's (name, colour); the name is '' where it has none, a row of one cell is a heading.

    A colour is a hex code or three numbers: 0 to 255, 0 to 1 or percent, decimal point or comma.

    Raises:
        UserError: a row has no colour, or the columns can be taken in more than one way.
    """
    rows = _rows(drop_alpha(decode(data)))
    if len(rows) == 1 and all(HEX.fullmatch(cell) for cell in rows[0][1]):  # codes side by side, as coolors.co has it
        rows = [(rows[0][0], [cell]) for cell in rows[0][1]]
    widths = Counter(len(row) for _, row in rows if is_data(row))
    width = max(widths, key=lambda size: (widths[size], size), default=0)
    rows = [(line, row) for line, row in rows if len(row) > 1 or width == 1]
    first = next((i for i, (_, row) in enumerate(rows) if is_data(row)), len(rows))
    known = [sum(find_role(title) != "unknown" for title in row) for _, row in rows[:first]]
    # What stands between the header and the first colour has to have one too.
    header = known.index(max(known)) if any(known) else first - 1
    titles = rows[header][1] if header >= 0 else []
    if not any(known) and len(titles) != width:
        titles = []  # a title, no header
    return read_rows(titles, rows[header + 1 :], width)


def read_rows(titles: list[str], rows: list[tuple[str, list[str]]], width: int = 0) -> list[tuple[str, Swatch]]:
    """Read (name, colour) of each of (place, cells); the columns are called `titles`, or there are `width` of them.

    Raises:
        UserError: as `read_table`.
    """
    roles, width = find_roles(titles), len(titles) or width
    if not rows:
        raise UserError(f"no row of it has a colour, {REMEDY}")
    for place, row in rows:
        if len(row) > width:
            raise UserError(f"{place} has {len(row)} cells, not {width}: put a name with a separator into quotes")
    columns = [[row[i] if i < len(row) else "" for _, row in rows] for i in range(width)]
    columns = [_scaled(c, titles[i]) if roles and roles[i] in CHANNELS else c for i, c in enumerate(columns)]
    colors, used = _colors(columns, roles, [place for place, _ in rows])
    return list(zip(_names(columns, roles or ["unknown"] * width, used), colors, strict=True))


def _rows(text: str) -> list[tuple[str, list[str]]]:
    """The rows that hold anything, as ('line 3', cells), without empty cells at their ends and without comments."""
    lines = _lines(text)
    declared = re.fullmatch(r"sep=(.)", lines[0][1], re.I) if lines else None  # Excel's own first line
    lines = lines[1:] if declared else lines
    texts = [line for _, line in lines]
    rows = _cut(texts, declared[1]) if declared else _split(texts)
    rows = [[re.sub(r'^="(.*)"$', r"\1", cell.strip()) for cell in row] for row in rows]  # ="001020": Excel's text
    sizes = [max((i + 1 for i, cell in enumerate(row) if cell), default=0) for row in rows]
    return [(f"line {line}", row[:size]) for (line, _), row, size in zip(lines, rows, sizes, strict=True) if size]


def _lines(text: str) -> list[tuple[int, str]]:
    """The lines that hold anything, numbered, without comments; a quoted cell of several lines is in one."""
    text = QUOTED.sub(lambda cell: re.sub(r"[\r\n]+", " ", cell[0]), text)
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    if len(lines) > MAX_LINES:
        raise UserError(f"{len(lines)} lines are more than a palette has: give at most {MAX_LINES}")
    lines = [(number, _uncommented(line).rstrip(";,")) for number, line in lines]
    lines = [(number, line) for number, line in lines if re.search(r"\w", line)]
    open_quote = next((number for number, line in lines if UNCLOSED.search(line)), None)
    if open_quote:
        raise UserError(f"line {open_quote} has a quote that is not closed: close it, or leave it out")
    return lines


def _cut(lines: list[str], separator: str) -> list[list[str]]:
    """One reader a row: a quote that is never closed must not swallow the rest."""
    return [next(csv.reader([line], delimiter=separator, skipinitialspace=True), []) for line in lines]


def _split(lines: list[str]) -> list[list[str]]:
    """Cells by the separator that most lines agree on, else by spaces, at least two of them if all agree on that."""

    def agreement(rows: list[list[str]]) -> int:
        """How many rows have as many cells as most have."""
        return max(Counter(len(row) for row in rows if len(row) > 1).values(), default=0)

    best = max((_cut(lines, separator) for separator in ";\t|,"), key=agreement)
    if 2 * agreement(best) >= len(lines):
        return best
    aligned = [re.split(r"\s{2,}", line) for line in lines]
    if len({len(row) for row in aligned}) == 1 and len(aligned[0]) > 1:
        return aligned
    return [_join_words(line.split()) for line in lines]


def _uncommented(line: str) -> str:
    """Empty a comment ('# by me'), unless it names the columns, as NumPy writes a header."""
    if not (mark := re.match(r"(#+|//)(\s+|$)", line)):
        return line
    rest = line[mark.end() :]
    return rest if {*CHANNELS} <= {find_role(title) for title in re.split(r"[;,|\s]+", rest)} else ""


def _join_words(words: list[str]) -> list[str]:
    """Words between the values of a line are one name: 122 158 126 'Sage green'. A line of words alone is a header."""
    values = [bool(NUMBER.fullmatch(word) or color_in(word)) for word in words]
    joined: list[str] = []
    for i, word in enumerate(words):
        if any(values) and i and not values[i] and not values[i - 1]:
            joined[-1] += f" {word}"
        else:
            joined.append(word)
    return joined


def _colors(columns: list[list[str]], roles: list[str], places: list[str]) -> tuple[list[Swatch], set[int]]:
    """The colour of every row, and the columns it was taken from."""
    # RAL's own tables write 137-172-118 below RGB; elsewhere that is a number of an article.
    dashed = {i for i, role in enumerate(roles) if role == "color"}
    columns = [[re.sub("-", " ", cell) for cell in c] if i in dashed else c for i, c in enumerate(columns)]
    trust, codes = _code_columns(columns, roles)
    channels = _channel_columns(columns, roles)
    if not codes and not channels:
        raise UserError(f"no colour in it that can be told for sure, {REMEDY}")
    by_code = [_codes(columns[i], places) for i in codes]
    by_number = [_channels([columns[i] for i in channels], places)] if channels else []
    # What is named, or marked by '#', has to agree with what else is named. Numbers beside a '#' mean anything,
    # but '#123' beside them may be an article's number.
    short = all(len(cell) == 4 for i in codes for cell in columns[i])
    rivals = by_code + (by_number if (trust > 1 if roles else trust == 1 or short) else [])
    for place, *colors in zip(places, *rivals, strict=True):
        for color in colors[1:]:
            if max(abs(a - b) for a, b in zip(color.rgb, colors[0].rgb, strict=True)) > 2:
                raise UserError(f"{place} has two colours, {colors[0].hex} and {color.hex}: leave one, {REMEDY}")
    best = by_code[0] if codes and (trust > 1 or not channels) else by_number[0]
    return best, {*codes, *channels}


def _code_columns(columns: list[list[str]], roles: list[str]) -> tuple[int, list[int]]:
    """The columns that hold a colour in each cell, most trusted alone, and the trust: 0 six digits, 1 with letters."""
    trusted: dict[int, list[int]] = {}
    for i, column in enumerate(columns):
        role = roles[i] if roles else "unknown"
        cells = [cell for cell in column if cell]
        if not cells or role == "other" or (role != "hex" and not all(map(color_in, cells))):
            continue
        marked = any(not cell.isalnum() or cell[:2] in ("0x", "0X") for cell in cells)
        if role == "name" and not marked:  # Facade, Decade
            continue
        letters = any(re.search("[a-f]", cell, re.I) for cell in cells) and role != "code"
        trusted.setdefault(3 if role == "hex" or marked else 2 if role == "color" else int(letters), []).append(i)
    trust = max(trusted, default=0)
    return trust, trusted.get(trust, [])


def _channel_columns(columns: list[list[str]], roles: list[str]) -> list[int]:
    """The columns of red, green and blue: as the header names them, else the one run of three columns of numbers."""
    if roles:
        named = [[i for i, role in enumerate(roles) if role == channel] for channel in CHANNELS]
        return [found[0] for found in named] if all(len(found) == 1 for found in named) else []
    numbers = [all(NUMBER.fullmatch(cell) for cell in column) for column in columns]
    runs = [[i for i, _ in run] for number, run in groupby(enumerate(numbers), key=lambda pair: pair[1]) if number]
    runs = [[i for i in run if len(run) == 3 or not _is_index(columns[i])] for run in runs]
    threes = [run for run in runs if len(run) == 3 and run[2] - run[0] == 2]
    return threes[0] if len(threes) == 1 and all(len(run) < 3 or run == threes[0] for run in runs) else []


def _is_index(column: list[str]) -> bool:
    """Whether a column of numbers counts the rows, or has one that no channel can have."""
    values = [float(NUMBER.fullmatch(cell)[1].replace(",", ".")) for cell in column]  # type: ignore[index]
    return max(values) > 255 or (len(values) > 2 and all(b - a == 1 for a, b in pairwise(values)))


def _scaled(column: list[str], title: str) -> list[str]:
    """Numbers as percent where their column's title says of what: 'R %', 'R (0-100)', 'R (0-1)'."""
    if not (told := SCALE.search(title)):
        return column
    percent = 100 / float(told[1] or 100) if told[1] != "0" else 1
    numbers = [NUMBER.fullmatch(cell) for cell in column]
    return [
        f"{percent * float(number[1].replace(',', '.')):.6f}%" if number and not number[2] else cell
        for number, cell in zip(numbers, column, strict=True)
    ]


def _codes(column: list[str], places: list[str]) -> list[Swatch]:
    """The colours of a column of codes; below the title 'hex' three digits do without '#'."""
    found, full = [], any(len(cell) > 4 for cell in column)
    for cell, place in zip(column, places, strict=True):
        if full and len(cell) == 3 and cell.isdigit():  # a spreadsheet drops zeros in front
            raise UserError(f"{place}: {cell} may be #000{cell} or {parse_color(cell).hex}: write one of them")
        try:
            found.append(color_in(cell) or parse_color(cell))
        except UserError as error:
            raise UserError(f"{place}: {error}") from None
    return found


def _channels(columns: list[list[str]], places: list[str]) -> list[Swatch]:
    """The colours of three columns of numbers, all of one scale."""
    cells = [NUMBER.fullmatch(cell) for row in zip(*columns, strict=True) for cell in row]
    if None in cells:
        raise UserError(f"{places[cells.index(None) // 3]} has no number where red, green and blue should be")
    values = np.array([float(cell[1].replace(",", ".")) for cell in cells if cell]).reshape(-1, 3)
    percent = [bool(cell[2]) for cell in cells if cell]
    top = values.max(axis=1)
    if top.max() > (100 if all(percent) else 255):
        raise UserError(f"{places[int(top.argmax())]} is out of range, write 0 to 255 for each channel")
    full = _full_light(values, percent, whole=all(cell[1].isdigit() for cell in cells if cell))
    return [Swatch(tuple(row)) for row in (values / full * 255).round().astype(int).tolist()]


def _full_light(values: np.ndarray, percent: list[bool], whole: bool) -> float:
    """The number that says full light in a table of channels (N, 3): 100, 1 or 255."""
    top = values.max(axis=1)
    fractions = (values % 1 > 0).any(axis=1) & (top <= 100)
    # White, in percent? Or many paints, none of them with a channel of more than 100 of 255?
    hundred = top.max() <= 100 and (len(top) >= MANY or (values == 100).all(axis=1).any())
    if all(percent):
        return 100.0
    if not any(percent) and not whole and top.max() <= 1:
        return 1.0
    if not any(percent) and (top.max() > 1 or not top.max()) and not fractions.any() and not hundred:
        return 255.0
    # 0 and 1 alone, percent without its sign, or two scales in one table
    raise UserError("red, green and blue may be 0 to 1, 0 to 255 or percent here: write 0 to 255, 1.0 or 100 %")


def _names(columns: list[list[str]], roles: list[str], used: set[int]) -> list[str]:
    """What each row calls its colour: its name and a code that is no plain number, else all there is."""
    spare = [i for i in range(len(columns)) if i not in used and roles[i] not in (*CHANNELS, "other")]
    texts = [i for i in spare if not all(NUMBER.fullmatch(cell) for cell in columns[i] if cell)]
    if any(roles[i] == "name" for i in texts):
        texts = [i for i in texts if roles[i] in ("name", "code")]
    rows = zip(*(columns[i] for i in texts or spare), strict=True)
    return [" ".join(filter(None, cells)) for cells in rows] if spare else [""] * len(columns[0])
