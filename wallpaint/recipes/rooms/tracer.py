"""A path tracer that renders every repaint of a room at once.

Each path carries the number k of diffuse bounces it made on the target wall; its radiance goes to bin k with
the wall's albedo taken as 1, so that a picture with the albedo ρ is I(ρ) = Σ_k ρ^k C_k, a channel at a time,
exactly. No decision of a path (lobe, light, length) looks at ρ, else the series would be biased.
The whole room is one mesh and its materials are plain arrays, so the compiled kernel serves every room.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass

import numpy as np

from .geometry import Builder, Camera
from .kernel import BOUNCES, LIGHT_SLOTS, ROW, look, trace

VARIANTS = {"cpu": "llvm_ad_rgb", "cuda": "cuda_ad_rgb"}


def load_mitsuba(device: str = "auto"):
    """Import Mitsuba with a vectorised variant and say which; one thread a process.

    `auto` is the variant already chosen in this process, else the first that works, the CPU's before CUDA's:
    the shipped rooms were rendered on CPUs.
    """
    import drjit
    import mitsuba

    if device == "auto" and mitsuba.variant():
        return mitsuba, drjit
    found = sorted(glob.glob("/usr/lib/*/libLLVM*.so*19*") + glob.glob("/usr/lib/llvm-19/lib/libLLVM*.so*"))
    if found and "DRJIT_LIBLLVM_PATH" not in os.environ:
        os.environ["DRJIT_LIBLLVM_PATH"] = found[0]  # older LLVMs, which Dr.Jit might pick, crash
    for name in VARIANTS if device == "auto" else (device,):
        try:
            mitsuba.set_variant(VARIANTS[name])
            drjit.eval(mitsuba.Float(1) + 1)
        except Exception:  # Dr.Jit raises different types for a missing backend
            continue
        drjit.set_thread_count(1)
        print(f"rooms: Mitsuba {mitsuba.__version__} {VARIANTS[name]}", flush=True)
        return mitsuba, drjit
    if device == "cuda":
        raise RuntimeError("Mitsuba does not find CUDA: give --device cpu")
    raise RuntimeError("Mitsuba does not find LLVM: install LLVM 19 (Debian: apt install libllvm19)")


@dataclass(frozen=True)
class Sun:
    """Direction towards the sun and its irradiance (linear RGB), zero for none."""

    direction: tuple[float, float, float] = (0.0, -1.0, 1.0)
    irradiance: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Layers:
    """What one pass gives, linear: bins (K, H, W, 3) and the guides of the first hit.

    ``albedo`` (H, W, 3) holds what is not the wall; ``wall`` (H, W) is the coverage of the target wall.
    """

    bins: np.ndarray
    albedo: np.ndarray
    normal: np.ndarray
    wall: np.ndarray


class Tracer:
    """One room, ready to be rendered from any camera."""

    def __init__(self, builder: Builder, textures: dict, reliefs: dict, sun: Sun):
        self.mi, self.dr = load_mitsuba()
        self.pack_atlas(textures, reliefs)
        self.pack_mesh(builder)
        self.pack_materials(builder.materials)
        self.pack_lights(builder.materials, textures, sun)

    def pack_atlas(self, textures: dict, reliefs: dict) -> None:
        """Lay all textures in one array; texel 0 is white, texel 1 a flat slope."""
        self.place = {("t", ""): (0, 1, 1), ("r", ""): (1, 1, 1)}
        blocks, offset = [np.ones((1, 3)), np.zeros((1, 3))], 2
        for kind, images in (("t", textures), ("r", reliefs)):
            for name, image in images.items():
                h, w, channels = image.shape
                blocks.append(np.pad(image.reshape(-1, channels), ((0, 0), (0, 3 - channels))))
                self.place[kind, name] = (offset, w, h)
                offset += h * w
        self.atlas = self.mi.Float(np.concatenate(blocks).astype(np.float32).ravel())

    def pack_mesh(self, builder: Builder) -> None:
        """One mesh for the rays; normals, texture coordinates and tangents a face for the shading."""
        mi = self.mi
        vertices = np.concatenate([p[0] for p in builder.parts]).astype(np.float32)
        normals = np.concatenate([p[1] for p in builder.parts])
        uv = np.concatenate([p[2] for p in builder.parts])
        starts = np.cumsum([0] + [len(p[0]) for p in builder.parts])
        faces = np.concatenate([p[3] + start for p, start in zip(builder.parts, starts, strict=False)])
        self.on_wall = np.concatenate([np.full(len(p[3]), builder.materials[p[4]].wall) for p in builder.parts])
        self.owner = np.concatenate([np.full(len(p[3]), p[4]) for p in builder.parts])
        mesh = mi.Mesh("room", len(vertices), len(faces))
        params = mi.traverse(mesh)
        params["vertex_positions"], params["faces"] = mi.Float(vertices.ravel()), mi.UInt32(faces.ravel())
        params.update()
        self.scene = mi.load_dict({"type": "scene", "room": mesh})
        a, b, c = (vertices[faces[:, i]].astype(np.float64) for i in range(3))
        cross = np.cross(b - a, c - a)
        self.area = np.linalg.norm(cross, axis=1) / 2
        flat = cross / np.maximum(2 * self.area[:, None], 1e-12)
        e, f = uv[faces[:, 1]] - uv[faces[:, 0]], uv[faces[:, 2]] - uv[faces[:, 0]]
        det = e[:, 0] * f[:, 1] - e[:, 1] * f[:, 0]
        sign = np.where(det < 0, -1.0, 1.0)[:, None]
        tangent = sign * ((b - a) * f[:, 1:] - (c - a) * e[:, 1:])
        tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-12)
        # 3 flat normal, 9 corner normals, 6 corner uv, 3 tangent, 9 corners
        record = np.concatenate(
            [flat, normals[faces].reshape(-1, 9), uv[faces].reshape(-1, 6), tangent, np.concatenate([a, b, c], 1)], 1
        )
        self.record = mi.Float(record.astype(np.float32).ravel())
        self.face_owner = mi.UInt32(self.owner.astype(np.uint32))

    def pack_materials(self, materials) -> None:
        """Rows of ``ROW`` floats: see the order below."""
        rows = []
        for m in materials:
            spec = 1.0 if m.metal else 0.5 * (m.f0 > 0)  # the chance of the coat's lobe, the same for all ρ
            rows.append(
                [
                    *m.albedo,
                    *self.place["t", m.texture],
                    *self.place["r", m.relief],
                    m.scale,
                    m.f0,
                    m.rough,
                    spec,
                    float(m.metal),
                    *m.emission,
                    float(m.pane),
                    float(m.wall),
                    0.0,
                ]
            )
        self.materials = self.mi.Float(np.asarray(rows, np.float32).ravel())
        assert len(rows[0]) == ROW

    def pack_lights(self, materials, textures: dict, sun: Sun) -> None:
        """Chances of the emitting faces, and of the sun after the last face."""
        strength = np.array([np.mean(m.emission) * (textures[m.texture].mean() if m.pane else 1.0) for m in materials])
        power = strength[self.owner] * self.area * np.pi
        panes = np.array([m.pane for m in materials])[self.owner]
        shine = np.mean(sun.irradiance) * self.area[panes].sum() * 0.5
        chance = np.concatenate([power, [shine]])
        # A table with each face as often as its chance: one gather draws a light.
        slots = np.diff(np.round(np.cumsum(chance) / chance.sum() * LIGHT_SLOTS).astype(int), prepend=0)
        self.emitters = self.mi.UInt32(np.repeat(np.arange(len(chance)), slots).astype(np.uint32))
        chance = slots / LIGHT_SLOTS
        self.light_pdf = self.mi.Float((chance / np.append(np.maximum(self.area, 1e-12), 1)).astype(np.float32))
        direction = np.asarray(sun.direction, float)
        direction /= np.linalg.norm(direction)
        self.sun = self.mi.Float(np.concatenate([direction, sun.irradiance]).astype(np.float32))

    def look(self, camera: Camera, size: int = 32) -> np.ndarray:
        """Which face each pixel sees, int (size, size), -1 for none."""
        return look(self, camera, size)

    def render(self, camera: Camera, size: int, samples: int, seed: int, glow: float = 0.3) -> Layers:
        """Layers of a size × size picture.

        ``glow`` dims lights and windows seen directly, as a photographer's blended exposure does.
        """
        passes = max(1, size * size * samples // 600_000)  # bounds the memory
        each = max(1, samples // passes)
        runs = [trace(self, camera, size, each, seed * 64 + i, glow) for i in range(passes)]
        total = np.mean(runs, axis=0)
        bins = total[: 3 * (BOUNCES + 1)].reshape(BOUNCES + 1, 3, size, size).transpose(0, 2, 3, 1)
        guide = total[3 * (BOUNCES + 1) :].reshape(7, size, size).transpose(1, 2, 0)
        return Layers(np.ascontiguousarray(bins), guide[..., :3], guide[..., 3:6], guide[..., 6])


def repaint(bins: np.ndarray, paint) -> np.ndarray:
    """Σ_k ρ^k C_k: the linear picture (H, W, 3) with the wall's albedo ``paint`` (3,)."""
    powers = np.asarray(paint, np.float64)[None] ** np.arange(len(bins))[:, None]
    return np.einsum("khwc,kc->hwc", bins, powers).astype(np.float32)
