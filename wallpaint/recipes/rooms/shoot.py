"""Photograph a room: choose cameras, render the series, write pictures, masks and rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from wallpaint.disk import atomic_path
from wallpaint.pixels.mask_ops import to_mask

from .geometry import Camera
from .palette import LUMINANCE, sample_paints, to_linear
from .photo import denoise, meter, picture, series
from .scene import build_room
from .tracer import repaint

COVERAGE = (0.15, 0.70)  # of the picture is wall
FURNISHED = 0.07  # of the picture is furniture, at least


def sample_camera(room, rng) -> Camera | None:
    """A place to stand, at eye height, with nothing right before the lens; None when the draw was bad."""
    w, d, h = room.size
    position = np.array([rng.uniform(0.3, w - 0.3), rng.uniform(0.25, 0.3 * d), rng.uniform(1.15, 1.6)])
    aim = rng.choice(["back", "back", "left", "right"]) if room.type != "hallway" else "back"
    x, y = {
        "back": (rng.uniform(0.25, 0.75) * w, d),
        "left": (0.0, rng.uniform(0.55, 0.9) * d),
        "right": (w, rng.uniform(0.55, 0.9) * d),
    }[str(aim)]
    target = np.array([x, y, position[2] + rng.uniform(-0.3, 0.06)])
    forward = (target - position) / np.linalg.norm(target - position)
    along = position + forward * np.linspace(0.0, 1.0, 12)[:, None]  # the first metre stays free
    for low, high in room.boxes:
        if ((along > low - 0.28) & (along < high + 0.28)).all(1).any():
            return None
    if np.linalg.norm((target - position)[:2]) < 2.0:
        return None
    return Camera(tuple(position), tuple(target), rng.uniform(58, 82))


def choose_cameras(room, tracer, count: int, rng):
    """Cameras that see enough of the wall and, unless the room is bare, some furniture (by a 32 px look)."""
    furniture = sum(len(part[3]) for part in room.builder.parts[: room.shell])  # the first face of it
    found: list[Camera] = []
    for attempt in range(400 * count):
        camera = sample_camera(room, rng)
        if camera is None:
            continue
        faces = tracer.look(camera)
        wall = (tracer.on_wall[faces] & (faces >= 0)).mean()
        bare = (faces >= furniture).mean() < FURNISHED and attempt < 60 * count
        if COVERAGE[0] < wall < COVERAGE[1] and not bare:
            found.append(camera)
        if len(found) == count:
            break
    return found


def shoot_room(out: Path, seed: int, kind: str, args) -> list[dict]:
    """All views of a room; returns their rows. A room that cannot be seen well gives none."""
    room = build_room(seed, kind)
    rng = np.random.default_rng([seed, 11])
    tracer = room.tracer()
    patterned = room.tracer(photo=True) if room.pattern else None
    rows: list[dict] = []
    cameras = choose_cameras(room, tracer, args.views, rng)
    view, spare = -1, 2 * args.views
    while cameras:
        camera, view = cameras.pop(0), view + 1
        paints = sample_paints(rng, args.truths)
        dim = rng.uniform(0.5, 0.85) if kind == "dark" and rng.random() < 0.5 else 1.0
        render_seed = int(rng.integers(1 << 24))
        layers = tracer.render(camera, args.size, args.samples, render_seed)
        exposure = meter(layers, rng, dim)
        if exposure is None:  # against the light: look elsewhere
            cameras += choose_cameras(room, tracer, 1, rng) if spare > 0 else []
            spare -= 1
            continue
        own = patterned.render(camera, args.size, args.samples, render_seed) if patterned else None
        if args.layout == "layers":
            rows.append(write_layers(out, room, f"{seed:06d}-{view}", layers, own))
            continue
        if own is None:
            photo = picture(layers, to_linear(room.paint), exposure)
        else:
            photo = picture(own, np.ones(3), exposure, wall_albedo=np.zeros(3))
        pictures = [(paint, picture(layers, to_linear(paint), exposure)) for paint in paints]
        rows += write_rows(out, describe(room), f"{seed:06d}-{view}", photo, layers.wall >= 0.5, pictures, args)
    return rows


def write_layers(out: Path, room, stem: str, layers, own) -> dict:
    """Write a view before any camera: the series, the photo as the wall is now, how much of a pixel is wall.

    `own` are the layers of the room with its pattern; None where the wall is plain. All are scaled by one
    number, so that the photo's median luminance is 1: float16 holds it.
    """
    powers = series(layers)
    if own is None:
        photo = repaint(powers, to_linear(room.paint))
    else:
        photo = denoise(repaint(own.bins, np.ones(3)), own.albedo, own.normal)
    scale = 1 / max(float(np.median(photo @ LUMINANCE)), 1e-6)
    with atomic_path(out / f"{stem}.npz") as path:
        np.savez_compressed(
            path,
            series=np.clip(powers * scale, -1000, 1000).astype(np.float16),
            photo=np.clip(photo * scale, 0, 1000).astype(np.float16),
            wall=np.round(255 * np.clip(layers.wall, 0, 1)).astype(np.uint8),
        )
    return {"file_name": f"{stem}.npz", **describe(room)}


def describe(room) -> dict:
    """What every row says of its room."""
    return {
        "reference_color_rgb": [int(c) for c in room.paint],
        "text": room.text(),
        "room_id": f"room-{room.seed:06d}",
        "kind": room.kind,
    }


def save_image(path: Path, image: np.ndarray) -> None:
    """PNG, or JPEG of quality 95 without chroma subsampling; atomically."""
    options: dict = {"quality": 95, "subsampling": 0} if path.suffix == ".jpg" else {}
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary, **options)


def write_rows(out: Path, row: dict, stem: str, photo, wall, pictures, args) -> list[dict]:
    """Write a photo, its mask and its repaints; rows as `args.layout` has them, begun with `row`."""
    save_image(out / f"{stem}-mask.png", np.asarray(to_mask(wall)))
    names = [f"{stem}-paint{i}.{args.format}" for i in range(len(pictures))]
    for name, (_, image) in zip(names, pictures, strict=True):
        save_image(out / name, image)
    paints = [[int(c) for c in paint] for paint, _ in pictures]
    files = {"file_name": f"{stem}.{args.format}", "mask_file_name": f"{stem}-mask.png"}
    row = files | row | files  # they come first, and are these
    if args.layout == "dataset":
        kept = {key: value for key, value in row.items() if key != "kind"}
        return [
            {**kept, "file_name": name, "reference_color_rgb": paint}
            for name, paint in zip(names, paints, strict=True)
        ]
    save_image(out / f"{stem}.{args.format}", photo)
    truths = [{"color": paint, "file_name": name} for name, paint in zip(names, paints, strict=True)]
    return [{**row, "truths": truths}]
