"""Rooms drawn by seed: walls with windows and doors, furniture, light, and where to stand."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from . import furniture as f
from . import textures as tx
from .fittings import Opening, add_ceiling_spots, add_door, add_picture, add_window, build_walls
from .geometry import Builder, Material
from .palette import DEEP, LIGHT, WOODS, Palette, colour, sample_paint, to_linear
from .tracer import Camera, Sun, Tracer

KINDS = ("plain", "dark", "patterned", "accent")
# Main pieces for the wall that is looked at, pieces for the other walls, free pieces in the middle.
TYPES = {
    "living room": ((f.sofa, f.sofa, f.television), (f.armchair, f.shelf, f.dresser, f.plant, f.floor_lamp),
                    (f.coffee_table, f.ottoman)),
    "bedroom": ((f.bed, f.bed), (f.nightstand, f.dresser, f.plant, f.armchair, f.shelf), (f.ottoman,)),
    "dining room": ((f.dresser, f.shelf), (f.plant, f.dresser, f.floor_lamp), (f.dining,)),
    "office": ((f.desk,), (f.shelf, f.dresser, f.plant, f.armchair), ()),
    "hallway": ((f.dresser,), (f.plant, f.ottoman, f.shelf), ()),
    "kitchen": ((f.kitchen,), (f.shelf, f.plant, f.dresser), (f.dining,)),
}
NOUNS = {"sofa": "a sofa", "bed": "a bed", "desk": "a desk", "dining": "a dining table", "shelf": "a bookcase",
         "plant": "a plant", "television": "a television", "armchair": "an armchair", "dresser": "a dresser",
         "kitchen": "a kitchen counter", "floor_lamp": "a floor lamp", "window": "a window"}


@dataclass
class Room:
    """A room before it is packed for rendering."""

    seed: int
    kind: str
    type: str
    size: tuple[float, float, float]
    paint: tuple[int, int, int]  # sRGB of the wall in the photo, for a pattern the mean
    builder: Builder = field(default_factory=Builder)
    textures: dict = field(default_factory=dict)
    reliefs: dict = field(default_factory=dict)
    boxes: list = field(default_factory=list)  # (low, high) of what takes space
    things: list = field(default_factory=list)
    sun: Sun = Sun()
    pattern: str = ""
    wall: Material = Material()

    def tracer(self, photo: bool = False, albedo=None) -> Tracer:
        """Ready to render: the wall white for a series, as in the photo, or of a given linear albedo."""
        swap = {self.wall: self.wall}
        if photo and self.pattern:
            swap[self.wall] = Material(**{**vars(self.wall), "texture": self.pattern, "scale": self.pattern_scale})
        elif albedo is not None:
            swap[self.wall] = Material(**{**vars(self.wall), "albedo": tuple(float(a) for a in albedo)})
        builder = Builder([swap.get(m, m) for m in self.builder.materials], self.builder.parts)
        return Tracer(builder, self.textures, self.reliefs, self.sun)

    pattern_scale: float = 0.6

    def text(self) -> str:
        """A caption without the wall's colour."""
        seen = [NOUNS[t] for t in dict.fromkeys(self.things) if t in NOUNS][:3]
        return f"a {self.type} with " + ", ".join(seen) + (" and painted walls" if seen else "painted walls")


def build_room(seed: int, kind: str) -> Room:
    """The room of a seed."""
    rng = np.random.default_rng([seed, 7])
    name = list(TYPES)[rng.choice(len(TYPES), p=[0.28, 0.22, 0.15, 0.14, 0.09, 0.12])]
    size = (rng.uniform(3.4, 5.2), rng.uniform(3.8, 5.6), rng.uniform(2.4, 2.9))
    if name == "hallway":
        size = (rng.uniform(1.9, 2.6), rng.uniform(4.5, 6.5), rng.uniform(2.4, 2.8))
    room = Room(seed, kind, name, size, sample_paint(rng, DEEP if kind == "dark" else range(6)))
    palette = Palette(wood_base=WOODS[rng.integers(len(WOODS))])
    make_textures(room, rng)
    night = rng.random() < (0.4 if kind == "dark" else 0.22) or name == "hallway"
    set_lamps(palette, rng, night)
    walls = choose_walls(room, rng)
    openings = make_openings(room, rng)
    build_walls(room, walls, openings, rng)
    add_light(room, palette, openings, rng, night)
    furnish(room, palette, rng)
    return room


def make_textures(room: Room, rng) -> None:
    """Floor, furniture grain, reliefs, a pattern."""
    base = WOODS[rng.integers(len(WOODS))]
    floors = {"planks": lambda: tx.planks(rng, base), "tiles": lambda: tx.tiles(rng, rng.uniform(0.25, 0.6) * np.array([1, 0.95, 0.88])),
              "carpet": lambda: tx.carpet(rng, colour(rng, (20, 60), (0.05, 0.3), (0.45, 0.8)))}
    chance = [0.3, 0.7, 0.0] if room.type == "kitchen" else [0.65, 0.15, 0.2]
    room.textures["floor"] = floors[list(floors)[rng.choice(3, p=chance)]]()
    room.textures.update(grain=tx.wood(rng, (1.0, 1.0, 1.0)), weave=tx.fabric(rng, (0.95, 0.95, 0.95)),
                         mottle=tx.carpet(rng, (0.9, 0.9, 0.9)))
    kinds = ("smooth", "roller", "plaster", "brick", "panels")
    relief = kinds[rng.choice(5, p=[0.35, 0.35, 0.18, 0.06, 0.06])]
    room.reliefs["wall"] = tx.wall_relief(rng, relief)
    scale = {"brick": 1.0, "panels": 1.2, "smooth": 2.0}.get(relief, 0.7)
    gloss = 0.04 if rng.random() < 0.45 else 0.0
    room.wall = Material((1.0, 1.0, 1.0), relief="wall", scale=scale, f0=gloss, rough=rng.uniform(0.45, 0.75), wall=True)
    if room.kind == "patterned":
        first = sample_paint(rng, (0, 1, 2, 3, 4, 5, 6))
        second = np.clip(np.asarray(first) * rng.uniform(0.5, 0.85) if rng.random() < 0.5
                         else sample_paint(rng, range(7)), 4, 239)
        room.textures["pattern"] = tx.wallpaper(rng, to_linear(first), to_linear(second))
        room.pattern, room.pattern_scale = "pattern", rng.uniform(0.45, 1.1)
        # Wallpaper hides the roller; texture coordinates are shared, so the relief keeps to the pattern's scale.
        room.wall = Material(**{**vars(room.wall), "scale": room.pattern_scale})
        from .palette import to_srgb
        room.paint = tuple(int(c) for c in to_srgb(room.textures["pattern"].mean((0, 1))))


def choose_walls(room: Room, rng) -> dict[str, Material]:
    """A material a wall; an accent room paints only one of them."""
    if room.kind != "accent":
        return dict.fromkeys(("back", "front", "left", "right"), room.wall)
    other = to_linear(sample_paint(rng, LIGHT if rng.random() < 0.85 else None))
    rest = Material(**{**vars(room.wall), "albedo": tuple(float(c) for c in other), "wall": False})
    walls = dict.fromkeys(("back", "front", "left", "right"), rest)
    walls[rng.choice(["back", "back", "left", "right"])] = room.wall
    return walls


def wall_length(room: Room, wall: str) -> float:
    """Length of a wall in metres."""
    return room.size[0] if wall in ("back", "front") else room.size[1]


def wall_place(room: Room, wall: str) -> tuple[float, float, float, float]:
    """(x, y, z, degrees) of a wall's frame: x along it, y into the room."""
    w, d, _ = room.size
    return {"back": (w / 2, d, 0, 180), "front": (w / 2, 0, 0, 0), "left": (0, d / 2, 0, -90),
            "right": (w, d / 2, 0, 90)}[wall]


def make_openings(room: Room, rng) -> dict[str, list[Opening]]:
    """Windows and a door: where the walls have holes or covers."""
    openings: dict[str, list[Opening]] = {w: [] for w in ("back", "front", "left", "right")}
    side = ("left", "right")[rng.integers(2)]
    opposite = "right" if side == "left" else "left"
    for wall, chance in ((side, 0.9), ("front", 0.75), ("back", 0.15), (opposite, 0.12)):
        if room.type != "hallway" and rng.random() < chance:
            length = wall_length(room, wall)
            width, low = rng.uniform(1.0, min(2.2, length - 1.2)), rng.choice([0.85, 0.9, 0.45, 0.1])
            x = rng.uniform(-1, 1) * (length / 2 - width / 2 - 0.45)
            high = min(rng.uniform(2.0, 2.3), room.size[2] - 0.2)
            openings[wall].append(Opening("window", x - width / 2, x + width / 2, low, high))
    if room.type != "hallway" and not any(openings.values()):
        openings["front"].append(Opening("window", -0.8, 0.8, 0.85, 2.1))
    for wall, chance in (("back", 0.25), (opposite, 0.45)):
        length = wall_length(room, wall)
        x = rng.choice([-1, 1]) * (length / 2 - 0.75) + rng.uniform(-0.1, 0.2)
        free = all(x + 0.6 < o.x0 or x - 0.6 > o.x1 for o in openings[wall])
        if rng.random() < chance and free and abs(x) < length / 2 - 0.55:
            openings[wall].append(Opening("door", x - 0.42, x + 0.42, 0.0, 2.03))
            break
    return openings


def set_lamps(palette: Palette, rng, night: bool) -> None:
    """Lamps are lit at night and at times by day."""
    lit = 1.0 if night else float(rng.random() < 0.35)
    warm = np.array(((1.0, 0.72, 0.42), (1.0, 0.82, 0.6), (1.0, 0.92, 0.8))[rng.integers(3)])
    power = lit * rng.uniform(0.7, 1.3)
    cream = (0.75, 0.72, 0.66)
    palette.shade = Material(cream, emission=tuple(warm * 3.5 * power))
    palette.bulb = Material(cream, emission=tuple(warm * 60 * power))
    palette.glow = Material(cream, emission=tuple(warm * 9 * power))


def add_light(room: Room, palette: Palette, openings, rng, night: bool) -> None:
    """The outdoors, the sun through one of the windows, windows, doors, ceiling lamps."""
    room.textures["outdoors"] = tx.outdoors(rng, night)
    strength = rng.uniform(5, 9)
    pane = Material(texture="outdoors", emission=(strength,) * 3, pane=True)
    trim = colour(rng, (30, 60), (0.0, 0.05), (0.85, 0.93)) if rng.random() < 0.8 else WOODS[rng.integers(len(WOODS))]
    trim = Material(trim, f0=0.04, rough=0.4)
    cloth = palette.cloth(rng) if rng.random() < 0.6 else palette.linen(rng)
    door = trim if rng.random() < 0.6 else palette.wood(rng)
    windows = []
    for wall, holes in openings.items():
        with room.builder.at(*wall_place(room, wall)):
            for hole in holes:
                if hole.kind == "window":
                    curtains = rng.random() < 0.5
                    add_window(room.builder, hole, pane, trim, cloth if curtains else None, palette.metal(rng), rng)
                    windows.append(wall)
                    room.things.append("window")
                    pad = 0.32 if curtains else 0.05
                    block(room, wall, (hole.x0 - pad, 0, hole.z0 if not curtains else 0.02), (hole.x1 + pad, 0.16, hole.z1 + 0.2))
                else:
                    add_door(room.builder, hole, door, trim, palette.metal(rng))
                    block(room, wall, (hole.x0 - 0.1, 0, 0), (hole.x1 + 0.1, 0.75, hole.z1 + 0.1))
    if windows and not night and rng.random() < 0.4:
        inward = {"back": (0, 1), "front": (0, -1), "left": (-1, 0), "right": (1, 0)}[windows[0]]
        across = rng.uniform(-1.2, 1.2)
        direction = (inward[0] + across * inward[1], inward[1] + across * inward[0], rng.uniform(0.5, 1.2))
        room.sun = Sun(direction, tuple(np.array([1.0, 0.9, 0.75]) * strength * rng.uniform(1.5, 4.0)))
    w, d, h = room.size
    if night or not windows or rng.random() < 0.4:
        if rng.random() < 0.55 and room.type != "hallway":
            with room.builder.at(w / 2, d * rng.uniform(0.5, 0.65)):
                f.pendant(room.builder, palette, rng, h)
        else:
            add_ceiling_spots(room, palette, rng)
    if night:  # a faint fill, so that corners are not black
        glow = palette.glow.emission
        room.builder.quad((w / 2 - 0.2, 0.6, h - 0.004), (0.4, 0, 0), (0, 0.4, 0), Material((0.7,) * 3, emission=glow))


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
    return any((low < h + gap).all() and (high > l - gap).all() for l, h in room.boxes)


def put(room: Room, make, palette: Palette, rng, wall: str, offsets, depth: float = 0.03) -> bool:
    """Try to stand a piece at a wall (or ``depth`` metres from it) at one of the offsets along it."""
    piece = Builder()
    make(piece, palette, rng)
    x0, y0, _, degrees = wall_place(room, wall)
    for offset in offsets:
        trial = Builder()
        with trial.at(x0, y0, 0, degrees), trial.at(offset, depth, 0):
            parts = [(v @ trial.turn.T + trial.shift, n @ trial.turn.T, uv, faces, room.builder.material(piece.materials[m]))
                     for v, n, uv, faces, m in piece.parts]
        points = np.concatenate([p[0] for p in parts])
        low, high = points.min(0), points.max(0)
        if not collides(room, low, high):
            room.builder.parts += parts
            room.boxes.append((low, high))
            room.things.insert(0, make.__name__) if wall == "back" else room.things.append(make.__name__)
            return True
    return False


def furnish(room: Room, palette: Palette, rng) -> None:
    """The main piece at the back wall, others around, pictures, a rug."""
    mains, others, middles = TYPES[room.type]
    w, d, _ = room.size
    main = mains[rng.integers(len(mains))]
    spots = [rng.uniform(-0.5, 0.5), 0, w / 6, -w / 6, w / 4, -w / 4]
    if not put(room, main, palette, rng, "back", spots):
        for wall in ("left", "right"):
            if put(room, main, palette, rng, wall, rng.uniform(-d / 3, d / 3, 6)):
                break
    for make in middles:
        if rng.random() < 0.8:
            put(room, make, palette, rng, "back", rng.uniform(-w / 5, w / 5, 4), rng.uniform(1.25, 1.6))
    if main is f.bed:
        put(room, f.nightstand, palette, rng, "back", rng.permutation([-1.2, -1.0, -0.85, 0.85, 1.0, 1.2]))
    count = int(rng.integers(1, 2 if room.type == "hallway" else 4))
    for index in rng.permutation(len(others))[:count]:
        wall = ("back", "left", "right")[rng.integers(3)]
        length = wall_length(room, wall)
        low = -length / 2 + 0.4 if wall != "back" else -length / 2 + 0.3
        put(room, others[index], palette, rng, wall, rng.uniform(low, -low, 8))
    hang_pictures(room, palette, rng)
    if rng.random() < 0.6:
        lay_rug(room, rng)


def hang_pictures(room: Room, palette: Palette, rng) -> None:
    """Pictures, clocks and mirrors at eye height where the wall is free."""
    for wall, tries in (("back", int(rng.integers(1, 4))), ("left", int(rng.integers(0, 2))), ("right", int(rng.integers(0, 2)))):
        length, z = wall_length(room, wall), rng.uniform(1.45, 1.65)
        for _ in range(tries):
            width, height = rng.uniform(0.3, 0.9), rng.uniform(0.35, 0.75)
            x = rng.uniform(-1, 1) * (length / 2 - width / 2 - 0.25)
            before = len(room.boxes)
            block(room, wall, (x - width / 2, 0.0, z - height / 2), (x + width / 2, 0.05, z + height / 2))
            box = room.boxes.pop()
            if len(room.boxes) == before and not collides(room, *box):
                room.boxes.append(box)
                with room.builder.at(*wall_place(room, wall)), room.builder.at(x, 0, z):
                    add_picture(room, width, height, palette, rng)


def lay_rug(room: Room, rng) -> None:
    """A rug in the middle."""
    w, d, _ = room.size
    room.textures["rug"] = tx.rug(rng, [colour(rng, (0, 360), (0.05, 0.6), (0.25, 0.85)) for _ in range(3)])
    half_x, half_y = min(rng.uniform(0.7, 1.3), w / 2 - 0.35), rng.uniform(0.9, 1.3)
    y = d * rng.uniform(0.5, 0.6)
    room.builder.quad((w / 2 - half_x, y - half_y, 0.012), (2 * half_x, 0, 0), (0, 2 * half_y, 0),
                      Material((1.0, 1.0, 1.0), texture="rug"), uv=(0.9999, 0.9999))


def sample_camera(room: Room, rng) -> Camera | None:
    """A place to stand, at eye height, with nothing right before the lens; None when the draw was bad."""
    w, d, h = room.size
    position = np.array([rng.uniform(0.3, w - 0.3), rng.uniform(0.25, 0.3 * d), rng.uniform(1.15, 1.6)])
    aim = rng.choice(["back", "back", "left", "right"]) if room.type != "hallway" else "back"
    target = {"back": (rng.uniform(0.25, 0.75) * w, d), "left": (0.0, rng.uniform(0.55, 0.9) * d),
              "right": (w, rng.uniform(0.55, 0.9) * d)}[str(aim)]
    target = np.array([*target, position[2] + rng.uniform(-0.3, 0.06)])
    along = position + (target - position) * (np.linspace(0.0, 1.0, 12) / np.linalg.norm(target - position))[:, None]
    for low, high in room.boxes:
        if ((along > low - 0.28) & (along < high + 0.28)).all(1).any():
            return None
    if np.linalg.norm((target - position)[:2]) < 2.0:
        return None
    return Camera(tuple(position), tuple(target), rng.uniform(58, 82))
