"""Room-like sketches from a few lines of numpy: a pool to warm up on, and to test with.

`python -m wallpaint.recipes.tiny.sketch DIR --count 160` writes the format of a rendered pool. A box in perspective,
a striped floor, flat shapes as furniture, light with fall-off, corners and stripes of sun; the wall may be
chequered. No global light: colour does not bleed from wall to floor here. 25 ms a picture.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from wallpaint.recipes.tiny.sizes import RESOLUTION

CAPTION = "a photo of a room with painted walls"
Y, X = np.mgrid[0:RESOLUTION, 0:RESOLUTION] / RESOLUTION


def write_sketches(folder: Path, count: int, truths: int = 4, seed: int = 1) -> None:
    """`count` rooms of one view each, with `truths` repaints."""
    rng = np.random.default_rng(seed)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metadata.jsonl").open("w") as rows:
        for number in range(count):
            rows.write(json.dumps(write_room(folder, number, truths, rng)) + "\n")


def write_room(folder: Path, number: int, truths: int, rng: np.random.Generator) -> dict:
    """Pictures and mask of one room; returns its row."""
    wall, floor, left, right = draw_box(rng)
    shapes, cover = draw_shapes(rng)
    light = draw_light(rng, left, right)
    pattern = chequer(rng) if rng.random() < 0.3 else np.ones_like(X)
    stripes = 1 + rng.uniform(0, 0.3) * np.sign(np.sin((X - 0.5) / (Y + 0.01) * rng.uniform(20, 80)))
    albedo = np.full((*X.shape, 3), rng.uniform(0.6, 0.9))
    albedo[floor] = (rng.uniform(0.05, 0.5, 3) * stripes[..., None])[floor]
    colors = rng.integers(20, 250, (truths + 1, 3)).tolist()
    names = [f"{number:05d}-{i}.png" for i in range(truths + 1)]
    for color, name in zip(colors, names, strict=True):
        painted = albedo.copy()
        painted[wall] = ((np.array(color) / 255) ** 2.2 * pattern[..., None])[wall]
        linear = (painted * (1 - cover) + shapes * cover) * light
        noisy = np.clip(linear / (1 + 0.15 * linear), 0, 1) ** (1 / 2.2) * 255 + rng.normal(0, 1, linear.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / name, compress_level=1)
    Image.fromarray((wall & (cover[..., 0] < 0.5)).astype(np.uint8) * 255).save(folder / f"{number:05d}-mask.png")
    return {
        "file_name": names[0],
        "mask_file_name": f"{number:05d}-mask.png",
        "reference_color_rgb": colors[0],
        "text": CAPTION,
        "room_id": f"sketch-{number:05d}",
        "kind": "plain" if pattern.all() and pattern.std() == 0 else "patterned",
        "truths": [{"color": c, "file_name": n} for c, n in zip(colors[1:], names[1:], strict=True)],
    }


def draw_box(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Masks of wall and floor (R, R), and where the back wall begins and ends."""
    left, right = rng.uniform(0.05, 0.4), rng.uniform(0.6, 0.95)
    ceiling, floor = rng.uniform(0.05, 0.25), rng.uniform(0.6, 0.85)
    slant = np.minimum(1, np.minimum(X / left, (1 - X) / (1 - right)))
    above, below = ceiling * slant > Y, 1 - (1 - floor) * slant < Y
    return ~(above | below), below, left, right


def draw_shapes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Linear colour (R, R, 3) and cover (R, R, 1) of some rectangles, ellipses, polygons and lines."""
    size = 2 * RESOLUTION  # drawn twice as large, for soft edges
    picture, cover = Image.new("RGB", (size, size)), Image.new("L", (size, size))
    draw, mask = ImageDraw.Draw(picture), ImageDraw.Draw(cover)
    for _ in range(rng.integers(4, 16)):
        corner = rng.uniform(0, size, 2)
        box = [*corner, *(corner + rng.uniform(4, 110) * rng.uniform(0.2, 1, 2))]
        points = [tuple(point) for point in corner + rng.uniform(0, 80, (4, 2))]
        fill = tuple(int(v) for v in rng.uniform(0, 220) * rng.uniform(0.4, 1, 3))
        kind, width = rng.integers(4), int(rng.integers(1, 7))
        for canvas, ink in ((draw, fill), (mask, 255)):
            if kind == 0:
                canvas.rectangle(box, fill=ink)
            elif kind == 1:
                canvas.ellipse(box, fill=ink)
            elif kind == 2:
                canvas.polygon(points, fill=ink)
            else:
                canvas.line(points[:2], fill=ink, width=width)
    small = (RESOLUTION, RESOLUTION)
    colour = np.asarray(picture.resize(small, Image.Resampling.BOX)) / 255
    return colour**2.2, np.asarray(cover.resize(small, Image.Resampling.BOX))[..., None] / 255


def draw_light(rng: np.random.Generator, left: float, right: float) -> np.ndarray:
    """(R, R, 3) light: ambient, lamps, darker side walls, at times a stripe of sun or shadow, a tint."""
    light = np.full_like(X, rng.uniform(0.1, 0.5))
    for _ in range(rng.integers(1, 4)):
        x, y = rng.uniform(0, 1, 2)
        light += rng.uniform(0.2, 1) * np.exp(-rng.uniform(1, 12) * ((X - x) ** 2 + (Y - y) ** 2))
    light *= np.where(left > X, rng.uniform(0.5, 1), np.where(right < X, rng.uniform(0.5, 1), 1))
    if rng.random() < 0.4:
        light *= 1 + rng.uniform(-0.6, 1) * ((X + rng.uniform(0.2, 2) * Y) % 0.6 < 0.25)
    return light[..., None] * (1 + rng.uniform(-0.12, 0.12, 3))


def chequer(rng: np.random.Generator) -> np.ndarray:
    """(R, R) factor around 1: a pattern on the wall."""
    waves = np.sin(X * rng.uniform(20, 120)) * np.sin(Y * rng.uniform(20, 120))
    return 1 + rng.uniform(0.1, 0.5) * np.sign(waves)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=160)
    args = parser.parse_args()
    write_sketches(args.folder, args.count)
