"""A room while it is built: its walls' frames, and what takes space in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .geometry import Builder, Material
from .tracer import Sun, Tracer

NOUNS = {
    "sofa": "a sofa",
    "bed": "a bed",
    "desk": "a desk",
    "dining": "a dining table",
    "shelf": "a bookcase",
    "plant": "a plant",
    "television": "a television",
    "armchair": "an armchair",
    "dresser": "a dresser",
    "kitchen": "a kitchen counter",
    "floor_lamp": "a floor lamp",
    "window": "a window",
}


@dataclass
class Room:
    """A room before it is packed for rendering."""

    seed: int
    kind: str
    type: str
    size: tuple[float, float, float]
    paint: tuple[int, ...]  # sRGB of the wall in the photo, for a pattern the mean
    builder: Builder = field(default_factory=Builder)
    textures: dict = field(default_factory=dict)
    reliefs: dict = field(default_factory=dict)
    boxes: list = field(default_factory=list)  # (low, high) of what takes space
    shell: int = 0  # the first parts are walls, floor, ceiling and openings; furniture follows
    things: list = field(default_factory=list)
    sun: Sun = Sun()
    pattern: str = ""
    wall: Material = Material()

    def tracer(self, photo: bool = False, albedo=None) -> Tracer:
        """Ready to render: the wall white for a series, as in the photo, or of a given linear albedo."""
        swap = {self.wall: self.wall}
        if photo and self.pattern:
            swap[self.wall] = replace(self.wall, texture=self.pattern)
        elif albedo is not None:
            swap[self.wall] = replace(self.wall, albedo=tuple(float(a) for a in albedo))
        builder = Builder([swap.get(m, m) for m in self.builder.materials], self.builder.parts)
        return Tracer(builder, self.textures, self.reliefs, self.sun)

    def text(self) -> str:
        """A caption without the wall's colour."""
        seen = [NOUNS[t] for t in dict.fromkeys(self.things) if t in NOUNS][:3]
        return f"a {self.type} with " + ", ".join(seen) + (" and painted walls" if seen else "painted walls")


def wall_length(room: Room, wall: str) -> float:
    """Length of a wall in metres."""
    return room.size[0] if wall in ("back", "front") else room.size[1]


def wall_place(room: Room, wall: str) -> tuple[float, float, float, float]:
    """(x, y, z, degrees) of a wall's frame: x along it, y into the room."""
    w, d, _ = room.size
    return {
        "back": (w / 2, d, 0, 180),
        "front": (w / 2, 0, 0, 0),
        "left": (0, d / 2, 0, -90),
        "right": (w, d / 2, 0, 90),
    }[wall]


def block(room: Room, wall: str, low, high) -> None:
    """Reserve a box given in a wall's frame."""
    probe = Builder()
    with probe.at(*wall_place(room, wall)):
        probe.box(low, high, Material(), 0.001)
    points = np.concatenate([p[0] for p in probe.parts])
    room.boxes.append((points.min(0), points.max(0)))


def collides(room: Room, low, high, gap: float = 0.04) -> bool:
    """Whether a box touches what is there, or leaves the room."""
    size = np.array(room.size)
    if (low[:2] < -0.02).any() or (high[:2] > size[:2] + 0.02).any():
        return True
    return any((low < above + gap).all() and (high > below - gap).all() for below, above in room.boxes)
