"""Names of paint colours, so that a caption can say what a wall looks like."""

import numpy as np

from wallpaint.pixels import color

PAINTS = {
    "white": "#F4F4F2",
    "off white": "#ECE7DA",
    "cream": "#F3E5C0",
    "ivory": "#F5EFD8",
    "beige": "#D9C7A3",
    "sand": "#C9AE7C",
    "tan": "#B98E5E",
    "taupe": "#8B7D6B",
    "light grey": "#CBCBC9",
    "grey": "#9A9A9A",
    "dark grey": "#5C5D5F",
    "charcoal": "#36383B",
    "black": "#18181A",
    "brown": "#6B4428",
    "chocolate": "#3F2A1D",
    "terracotta": "#B8603F",
    "rust": "#8E3D1E",
    "orange": "#E08A2E",
    "peach": "#F0BE98",
    "apricot": "#EBA56A",
    "coral": "#E5745E",
    "red": "#B3262A",
    "brick red": "#8A3330",
    "burgundy": "#5B1F2D",
    "pink": "#E9A9B8",
    "blush": "#E7CCC8",
    "rose": "#C4687C",
    "magenta": "#A92D72",
    "plum": "#5C3050",
    "purple": "#6F4590",
    "lavender": "#BCAFD6",
    "lilac": "#CDA9CE",
    "indigo": "#363A78",
    "navy": "#1E2B4A",
    "blue": "#2F62A8",
    "sky blue": "#8FBFE2",
    "powder blue": "#C2D6E0",
    "steel blue": "#5B7F9E",
    "slate": "#54626E",
    "teal": "#1F6F72",
    "turquoise": "#3FB3AC",
    "aqua": "#A5DAD4",
    "mint": "#BFE3C8",
    "sage green": "#9BAA87",
    "olive": "#6E6B31",
    "moss green": "#7C8A3F",
    "green": "#3F8A4A",
    "lime green": "#A9CB45",
    "emerald": "#146B4C",
    "forest green": "#23452F",
    "yellow": "#F2CE3D",
    "pale yellow": "#F5EBA6",
    "mustard": "#C49A26",
    "gold": "#B08A3C",
}
_NAMES = list(PAINTS)
_LAB = color.rgb_to_lab(np.array([[int(h[i : i + 2], 16) for i in (1, 3, 5)] for h in PAINTS.values()]) / 255)


def name_color(rgb: tuple[int, int, int]) -> str:
    """The word whose colour is nearest by CIEDE2000 to sRGB bytes."""
    lab = color.rgb_to_lab(np.array(rgb) / 255)
    return _NAMES[int(np.argmin(color.delta_e(_LAB, lab[None])))]


def with_color(caption: str, rgb: tuple[int, int, int] | None) -> str:
    """`caption` with the wall's colour said: "a bedroom with a bed and sage green walls"."""
    if rgb is None:
        return caption
    walls = f"{name_color(rgb)} walls"
    if "painted walls" in caption:
        return caption.replace("painted walls", walls)
    return f"{caption.rstrip('. ')}, {walls}"
