"""What one cell of a table says: a colour, a number, or what its column is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from wallpaint.pixels.color import Swatch, parse_color

# What a header calls its columns in the languages of Western Europe and Vietnamese, accents and spaces left out.
ROLES = {
    "red": "r red rot rouge rojo rosso vermelho rood do",
    "green": "g green grun gruen vert verde groen luc xanhla xanhlacay",
    "blue": "b blue blau bleu azul blu blauw lam xanhlam xanhduong",
    "hex": "hex hexcode hexwert hexvalue html htmlcode htmlhex web rgbhex hexrgb mahex codehex",
    "color": "color colour farbe couleur mau rgb srgb colorcode colourcode farbcode mamau codecouleur",
    "name": "name title titel nom nombre nome naam ten tenmau bezeichnung farbname colorname colourname paint label",
    "code": "id code no nr num number nummer numero ref sku index key stt ma so",
    "other": "l a c m y k h s v x z alpha cyan magenta yellow black lab cmyk hsl hsv hue lrv group collection",
}
ROLE_OF = {word: role for role, words in ROLES.items() for word in words.split()}
# Three numbers or six digits below one of these words are no red, green, blue in this order.
OTHER_MODELS = {*"lab cielab lch hsl hsv hsb hwb xyz yuv ycbcr cmyk bgr bgra abgr brg gbr grb rbg vb linear".split()}
AROUND_CHANNELS = re.compile(r"\b(s?rgb|value|wert|channel|kanal|valeur|gia tri|\d+|bit)\b")  # "R (0-255)", "RGB_R"
NUMBER = re.compile(r"(\d+(?:[.,]\d*)?|[.,]\d+)\s*(%?)", re.ASCII)
TRIPLE = re.compile(r"(?:rgb)?\s*[\[({]?\s*(\d{1,3})[\s,;/]+(\d{1,3})[\s,;/]+(\d{1,3})\s*[\])}]?", re.I | re.ASCII)
HEX = re.compile(r"(?:#|0x)?([0-9a-f]{6})|#([0-9a-f]{3})", re.I | re.ASCII)


def plain(text: str) -> str:
    """Lower case without accents: 'Grün' and 'Đỏ' are 'grun' and 'do'."""
    apart = unicodedata.normalize("NFKD", text.casefold().replace("đ", "d"))
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


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
    """What a header's cell says of its column: a key of ROLES, or 'unknown'; 'b*' is CIELAB's."""
    if "*" in title:
        return "other"
    words = re.sub(r"[^a-z0-9%]+", " ", plain(title))
    if OTHER_MODELS & {*words.split()}:
        return "other"
    for text in (words, AROUND_CHANNELS.sub("", words)):
        if role := ROLE_OF.get(re.sub(r"[ %]", "", text)):
            return role
    return next((role for role in ("hex", "name", "code") if role in words.split()), "unknown")


def color_in(cell: str) -> Swatch | None:
    """A colour written in one cell: #7A9E7E, 7A9E7E, 0x7A9E7E, #abc, rgb(122, 158, 126); else None."""
    if match := HEX.fullmatch(cell.strip("'\"")):
        return parse_color(match[1] or match[2])
    if (match := TRIPLE.fullmatch(cell)) and max(int(value) for value in match.groups()) <= 255:
        red, green, blue = (int(value) for value in match.groups())
        return Swatch((red, green, blue))
    return None
