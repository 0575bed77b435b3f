"""The board's palettes: those shipped, and those that people brought, which name the paints."""

import base64
import hashlib
import tempfile
from collections import OrderedDict
from pathlib import Path

from wallpaint.errors import UserError
from wallpaint.pixels.color import parse_color
from wallpaint.pixels.palettes import MAX_BYTES, Palette, nearest_color, read_palette, shipped_palettes

KEPT_PALETTES = 64
_imported: OrderedDict[str, Palette] = OrderedDict()  # palettes that people brought, by content


def list_palettes(workspace: Path, asked: dict) -> dict:
    """Give the shipped palettes: {palettes: [{id, name, source, colors: [[name, hex, lrv]]}]}."""
    return {"palettes": [_describe(key, palette) for key, palette in shipped_palettes().items()]}


def import_palette(workspace: Path, asked: dict) -> dict:
    """Read a palette file {name, data in base64}: {palette}; it is kept for naming colours by it."""
    data = str(asked.get("data") or "")
    if len(data) > 4 * MAX_BYTES / 3 + 8:
        raise UserError("the palette is larger than 2 MB, give a smaller file")
    try:
        packed = base64.b64decode(data, validate=True)
    except ValueError:
        raise UserError("the palette did not arrive whole, try it again") from None
    name = Path(str(asked.get("name") or "palette")).name[-80:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"palette{Path(name).suffix.lower()[:5]}"
        path.write_bytes(packed)
        palette = read_palette(path)
    if palette.name == "palette":
        palette = Palette(Path(name).stem, palette.colors, palette.source)
    key = hashlib.sha256(packed).hexdigest()[:16]
    _imported[key] = palette
    while len(_imported) > KEPT_PALETTES:
        _imported.popitem(last=False)
    return {"palette": _describe(key, palette)}


def name_color(workspace: Path, asked: dict) -> dict:
    """Name a colour {hex} by the palette {id} or else the first: {name, hex, delta_e, lrv}."""
    palette = find_palette(asked.get("id"))
    paint = parse_color(asked.get("hex") or "")
    color, far = nearest_color(palette, paint)
    about = {"palette": palette.name, "lrv": round(paint.lrv)}
    return {"name": color.name, "hex": color.swatch.hex, "delta_e": round(far, 1), **about}


def find_palette(key: object) -> Palette:
    """Find a palette by its id, which nobody knows who has not its file; else the first shipped one."""
    shipped = shipped_palettes()
    return shipped.get(str(key)) or _imported.get(str(key)) or next(iter(shipped.values()))


def _describe(key: str, palette: Palette) -> dict:
    colors = [[color.name, color.swatch.hex, round(color.swatch.lrv)] for color in palette.colors]
    return {"id": key, "name": palette.name, "source": palette.source, "colors": colors}
