"""Triangle meshes of simple solids, collected into one mesh with a material a face (metres, z is up)."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

TURNS = 20  # faces of what is round about z


@dataclass(frozen=True)
class Material:
    """What a surface looks like.

    ``albedo`` is linear RGB in [0, 1], multiplied by ``texture`` (a name of the atlas; ``scale`` metres a
    repeat). ``f0`` > 0 adds a coat of roughness ``rough`` above the diffuse base; ``metal`` makes the whole
    surface a reflector of colour ``albedo``. ``emission`` is radiance; a ``pane`` emits the outdoors.
    """

    albedo: tuple[float, ...] = (0.5, 0.5, 0.5)
    texture: str = ""
    relief: str = ""
    scale: float = 1.0
    f0: float = 0.0
    rough: float = 0.5
    metal: bool = False
    emission: tuple[float, ...] = (0.0, 0.0, 0.0)
    pane: bool = False
    wall: bool = False


@dataclass(frozen=True)
class Camera:
    """A pinhole: position, target (metres), horizontal field of view (degrees)."""

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    fov: float

    def axes(self) -> np.ndarray:
        """Rows: right, up, forward; right and up scaled to the half image."""
        forward = np.subtract(self.target, self.position)
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        half = np.tan(np.radians(self.fov) / 2)
        return np.stack([right * half, np.cross(right, forward) * half, forward])


def rotation(degrees: float) -> np.ndarray:
    """3 × 3 rotation about z."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


@dataclass
class Builder:
    """Collects surfaces under a current placement (rotation about z, then translation)."""

    materials: list[Material] = field(default_factory=list)
    parts: list[tuple] = field(default_factory=list)
    turn: np.ndarray = field(default_factory=lambda: np.eye(3))
    shift: np.ndarray = field(default_factory=lambda: np.zeros(3))

    @contextmanager
    def at(self, x: float, y: float, z: float = 0.0, degrees: float = 0.0):
        """Place what is added inside the block at (x, y, z), turned about z."""
        turn, shift = self.turn, self.shift
        self.shift = turn @ np.array([x, y, z]) + shift
        self.turn = turn @ rotation(degrees)
        try:
            yield
        finally:
            self.turn, self.shift = turn, shift

    def material(self, material: Material) -> int:
        """Index of the material, added when new."""
        if material not in self.materials:
            self.materials.append(material)
        return self.materials.index(material)

    def grid(self, points, material: Material, normals=None, uv=None) -> None:
        """A grid of points (n, m, 3) as a smooth surface; normals follow from the grid unless given."""
        points = np.asarray(points, float)
        n, m = points.shape[:2]
        if normals is None:
            du, dv = np.gradient(points, axis=0), np.gradient(points, axis=1)
            normals = np.cross(du, dv)
        normals = normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
        if uv is None:
            uv = _plane_uv(points, normals)
        a = (np.arange(n - 1)[:, None] * m + np.arange(m - 1)).ravel()
        faces = np.concatenate([np.stack([a, a + m, a + m + 1], 1), np.stack([a, a + m + 1, a + 1], 1)])
        flat = points.reshape(-1, 3)
        size = np.linalg.norm(
            np.cross(flat[faces[:, 1]] - flat[faces[:, 0]], flat[faces[:, 2]] - flat[faces[:, 0]]), axis=1
        )
        self.parts.append(
            (
                flat @ self.turn.T + self.shift,
                normals.reshape(-1, 3) @ self.turn.T,
                np.asarray(uv, float).reshape(-1, 2),
                faces[size > 1e-10],
                self.material(material),
            )
        )

    def quad(self, corner, u, v, material: Material, uv=None) -> None:
        """A parallelogram with edges u and v; the default texture coordinates are metres."""
        corner, u, v = (np.asarray(a, float) for a in (corner, u, v))
        places = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
        points = corner + places[:, :1] * u + places[:, 1:] * v
        uv = None if uv is None else places * uv
        self.grid(points.reshape(2, 2, 3), material, uv=uv)

    def box(self, low, high, material: Material, bevel: float = 0.006) -> None:
        """An upright box from its low to its high corner with rounded edges of radius ``bevel``."""
        low, high = np.minimum(low, high).astype(float), np.maximum(low, high).astype(float)
        centre, half = (low + high) / 2, (high - low) / 2
        r = min(bevel, 0.98 * half.min())
        steps = [0, r * 0.35, r] if r > 0.02 else [0, r]
        for axis in range(3):
            u, v = (axis + 1) % 3, (axis + 2) % 3
            a = _inset(half[u], steps)
            b = _inset(half[v], steps)
            for side in (-1, 1):
                p = np.empty((len(a), len(b), 3))
                p[..., u], p[..., v], p[..., axis] = a[:, None], b[None], side * half[axis]
                inner = np.clip(p, -(half - r), half - r)
                out = p - inner
                out /= np.linalg.norm(out, axis=-1, keepdims=True)
                # The texture keeps to the side's own plane, also round its bevel.
                self.grid(
                    centre + inner + r * out,
                    material,
                    normals=out,
                    uv=np.stack([p[..., u], p[..., v]], -1) + centre[[u, v]],
                )

    def lathe(self, profile, material: Material, centre=(0, 0, 0)) -> None:
        """A surface of revolution about z: ``profile`` lists (radius, height)."""
        profile = np.asarray(profile, float)
        angle = np.linspace(0, 2 * np.pi, TURNS + 1)
        ring = np.stack([np.cos(angle), np.sin(angle)], -1)

        def turned(radii, heights):
            """(radius, height) of each point of the profile, turned about z."""
            return np.concatenate(
                [radii[:, None] * ring[:, None], np.broadcast_to(heights[:, None], (TURNS + 1, len(profile), 1))], -1
            )

        slope = np.gradient(profile, axis=0)
        normals = turned(slope[:, 1], -slope[:, 0])
        self.grid(turned(*profile.T) + np.asarray(centre, float), material, normals=normals)

    def cylinder(self, radius, low, high, material: Material, centre=(0, 0), top: float | None = None) -> None:
        """A capped upright cylinder, or a cone frustum with another radius on ``top``."""
        top = radius if top is None else top
        x, y = centre
        self.lathe([(radius, low), (top, high)], material, (x, y, 0))
        for r, z in ((radius, low), (top, high)):
            self.lathe([(1e-4, z), (r, z)], material, (x, y, 0))

    def ball(self, centre, radii, material: Material, power: float = 1.0) -> None:
        """An ellipsoid; a ``power`` below 1 makes it a pillow."""
        t = np.linspace(-np.pi / 2, np.pi / 2, 13)
        a = np.linspace(0, 2 * np.pi, 25)

        def bend(x):
            return np.sign(x) * np.abs(x) ** power

        points = np.stack(
            [
                bend(np.cos(a))[:, None] * bend(np.cos(t)),
                bend(np.sin(a))[:, None] * bend(np.cos(t)),
                np.broadcast_to(bend(np.sin(t)), (25, 13)),
            ],
            -1,
        )
        self.grid(points * np.asarray(radii, float) + np.asarray(centre, float), material)

    def rod(self, start, end, radius: float, material: Material) -> None:
        """A round bar between two points."""
        start, end = np.asarray(start, float), np.asarray(end, float)
        axis = (end - start) / np.linalg.norm(end - start)
        side = np.cross(axis, [0.0, 0, 1] if abs(axis[2]) < 0.9 else [1.0, 0, 0])
        side /= np.linalg.norm(side)
        angle = np.linspace(0, 2 * np.pi, 11)
        ring = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * np.cross(axis, side)
        self.grid(
            np.stack([start + radius * ring, end + radius * ring], 1), material, normals=np.stack([ring, ring], 1)
        )


def _inset(half: float, steps) -> np.ndarray:
    steps = np.asarray(steps)
    return np.concatenate([-half + steps, (half - steps)[::-1]])


def _plane_uv(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Metres along the two axes that the surface faces least."""
    axis = np.abs(normals.reshape(-1, 3)).mean(0).argmax()
    keep = [(1, 2), (0, 2), (0, 1)][axis]
    return points[..., keep]
