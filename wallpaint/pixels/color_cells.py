"""What one cell of a table says: a colour, a number, or what its column is."""

from __future__ import annotations

import colorsys
import functools
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import yaml

from wallpaint.pixels.color import Swatch, parse_color


def plain(text: str) -> str:
    """Lower case without accents: 'Grün' and 'Đỏ' are 'grun' and 'do'."""
    apart = unicodedata.normalize("NFKD", text).casefold().replace("đ", "d")
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


# Three numbers or six digits below one of these words are no red, green, blue in this order.
OTHER_MODELS = {*"lab cielab lch hsl hsv hsb hwb xyz yuv ycbcr cmyk bgr bgra abgr brg gbr grb rbg vb linear".split()}
AROUND_CHANNELS = re.compile(r"\b(s?rgb|value|wert|channel|kanal|valeur|gia tri|\d*bit|\d+)\b")  # "R (0-255)", "RGB_R"
NUMBER = re.compile(r"((?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]\d\d)?)\s*(%?)", re.ASCII)  # 4.8e-01 as NumPy writes it
TRIPLE = re.compile(r"[\[({]?\s*(\d{1,3})[\s,;/]+(\d{1,3})[\s,;/]+(\d{1,3})\s*[\])}]?", re.ASCII)
FUNCTION = re.compile(r"(rgb|hsl)a?\s*[(\[]?([^()\[\]]*)[)\]]?", re.I)  # as CSS has it
HEX = re.compile(r"(?:#|0x)?([0-9a-f]{6})|#([0-9a-f]{3})", re.I | re.ASCII)
WITH_ALPHA = re.compile(r"(?<!\w)(#|0x|)((?!\d{8})[0-9a-f]{8}|(?<=#)\d{8})(?!\w)", re.I | re.ASCII)


def is_data(row: Sequence[str]) -> bool:
    """Whether a row holds values: a number or a code. 'Facade' is six hex digits, but below no 'r' or 'hex'."""
    if any(NUMBER.fullmatch(cell) or (color_in(cell) and not cell.isalpha()) for cell in row):
        return True
    return any(color_in(cell) for cell in row) and {find_role(cell) for cell in row} == {"unknown"}


def find_roles(titles: Sequence[str]) -> list[str]:
    """What a header says of its columns; 'V' is HSV's, but green beside R and B; 'B' is CIELAB's after L and A."""
    roles = [find_role(title) for title in titles]
    french = {"red", "blue"} <= {*roles} and "green" not in roles
    words = [plain(title) for title in titles]
    lab = [words[max(0, i - 2) : i + 1] == ["l", "a", "b"] for i in range(len(words))]
    roles = ["other" if after else role for after, role in zip(lab, roles, strict=True)]
    return ["green" if french and word == "v" else role for word, role in zip(words, roles, strict=True)]


def find_role(title: str) -> str:
    """What a header's cell says of its column: a role of column_words.yaml, or 'unknown'; 'b*' is CIELAB's."""
    if "*" in title:
        return "other"
    words = re.sub(r"[^\w%]+|_", " ", plain(title))
    if OTHER_MODELS & {*words.split()}:
        return "other"
    for text in (words, AROUND_CHANNELS.sub("", words)):
        if role := _words().get(re.sub(r"[ %]", "", text)):
            return role
    return next((role for role in ("hex", "name", "code") if role in words.split()), "unknown")


@functools.cache
def _words() -> dict[str, str]:
    """The role of a column by its words in any language, plain."""
    languages = yaml.safe_load(Path(__file__).with_name("column_words.yaml").read_text("utf-8"))
    return {plain(word): role for roles in languages.values() for role in roles for word in roles[role].split()}


def color_in(cell: str) -> Swatch | None:
    """A colour written in one cell: #7A9E7E, 7A9E7E, 0x7A9E7E, #abc, 122/158/126, CSS's rgb() and hsl(); else None."""
    if match := HEX.fullmatch(cell.strip("'\"()[];,")):
        return parse_color(match[1] or match[2])
    if match := FUNCTION.fullmatch(cell.strip(";")):
        return _by_function(match[1].lower(), match[2])
    if (match := TRIPLE.fullmatch(cell)) and max(int(value) for value in match.groups()) <= 255:
        red, green, blue = (int(value) for value in match.groups())
        return Swatch((red, green, blue))
    return None


def _by_function(model: str, inside: str) -> Swatch | None:
    """The colour of rgb(122 158 126 / 1) or hsl(127deg, 16%, 55%); None for one that is transparent or none."""
    found = [NUMBER.fullmatch(part) for part in re.split(r"[\s,/]+", inside.lower().replace("deg", "").strip())]
    numbers = [float(number[1]) / (100 if number[2] else 1) for number in found if number]
    if len(numbers) != len(found) or len(numbers) not in (3, 4) or numbers[3:] not in ([], [1], [255]):
        return None
    if model == "hsl":
        values = [*colorsys.hls_to_rgb(numbers[0] / 360, numbers[2], numbers[1]), *numbers[1:3]]
    else:
        values = [v if n and n[2] else v / 255 for v, n in zip(numbers[:3], found, strict=False)]
    if not all(0 <= value <= 1 for value in values):
        return None
    red, green, blue = (round(255 * value) for value in values[:3])
    return Swatch((red, green, blue))


def drop_alpha(text: str) -> str:
    """A text whose codes of eight digits all have an alpha of FF, at the same end, without it; another as it is."""
    codes = [code.lower() for _, code in WITH_ALPHA.findall(text)]
    first, last = (all(code[at] == "ff" for code in codes) for at in (slice(2), slice(6, 8)))
    if first == last and {*codes} != {"ffffffff"}:
        return text
    return WITH_ALPHA.sub(lambda code: code[1] + (code[2][2:] if first else code[2][:6]), text)
