"""The loop of the path tracer, in Dr.Jit arrays with one lane a path."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from .geometry import Camera

BOUNCES = 6  # of a path; the bins are 0..BOUNCES
LIGHT_SLOTS = 8192  # of the table that draws a light
ROW = 20  # floats a material, see Tracer.pack_materials
RECORD = 30  # floats a face, see Tracer.pack_mesh


def trace(room, camera: Camera, size: int, samples: int, seed: int, glow: float) -> np.ndarray:
    """Mean over samples, (3 K + 7, size * size): bins, albedo, normal, wall coverage."""
    mi, dr = room.mi, room.dr
    count = size * size * samples
    lane = dr.arange(mi.UInt32, count)
    rng = mi.PCG32(size=count, initstate=mi.UInt64(seed), initseq=mi.UInt64(lane))
    origin, direction = camera_rays(mi, dr, camera, size, samples, lane, rng)
    zero = mi.Color3f(dr.zeros(mi.Float, count))
    state = {
        "rng": rng,
        "o": origin,
        "d": direction,
        "beta": zero + 1,  # throughput with the wall's albedo taken as 1
        "k": dr.zeros(mi.UInt32, count),  # diffuse bounces on the target wall
        "depth": dr.zeros(mi.UInt32, count),
        "pdf": dr.zeros(mi.Float, count),  # of the last direction, for multiple importance sampling
        "active": dr.full(mi.Bool, True, count),
        "bins": [mi.Color3f(zero) for _ in range(BOUNCES + 1)],
        "albedo": mi.Color3f(zero),
        "normal": mi.Vector3f(0, 0, 0) + dr.zeros(mi.Float, count),
        "wall": dr.zeros(mi.Float, count),
    }
    # Opaque: constants would be compiled in, a kernel a value.
    glow, limit = dr.opaque(mi.Float, float(glow)), dr.opaque(mi.UInt32, BOUNCES)
    keys = tuple(state)

    def body(*values):
        after = step(room, dict(zip(keys, values, strict=True)), glow, limit)
        return tuple(after[key] for key in keys)

    final = dr.while_loop(tuple(state.values()), lambda *values: values[keys.index("active")], body)
    out = dict(zip(keys, final, strict=True))
    planes = [c for b in out["bins"] for c in (b.x, b.y, b.z)]
    planes += [*(out["albedo"][i] for i in range(3)), *(out["normal"][i] for i in range(3)), out["wall"]]
    dr.eval(planes)  # at once: one kernel, not one a plane
    planes = [dr.block_sum(p, samples) for p in planes]
    dr.eval(planes)
    return np.stack([np.array(p) for p in planes]).astype(np.float64) / samples


def look(room, camera: Camera, size: int) -> np.ndarray:
    """Which face each pixel sees, int (size, size), -1 for none: one ray a pixel."""
    mi, dr = room.mi, room.dr
    lane = dr.arange(mi.UInt32, size * size)
    rng = mi.PCG32(size=size * size)
    pi = room.scene.ray_intersect_preliminary(
        mi.Ray3f(*camera_rays(mi, dr, camera, size, 1, lane, rng)), coherent=True
    )
    return np.where(np.array(pi.is_valid()), np.array(pi.prim_index).astype(int), -1).reshape(size, size)


def camera_rays(mi, dr, camera, size, samples, lane, rng):
    """Origins and directions, jittered evenly over each pixel."""
    axes = mi.Float(np.concatenate([camera.axes().ravel(), camera.position]).astype(np.float32))
    row = [mi.Vector3f(*(dr.gather(mi.Float, axes, mi.UInt32(3 * i + j)) for j in range(3))) for i in range(4)]
    pixel = lane // dr.opaque(mi.UInt32, samples)
    width = dr.opaque(mi.UInt32, size)
    x, y = mi.Float(pixel % width), mi.Float(pixel // width)
    scale = 2 / mi.Float(width)
    x, y = (x + rng.next_float32()) * scale - 1, (y + rng.next_float32()) * scale - 1
    return mi.Point3f(row[3]) + dr.zeros(mi.Float, len(lane)), dr.normalize(row[0] * x - row[1] * y + row[2])


def fetch(mi, dr, array, index, width: int, first: int, count: int, active):
    """``count`` floats of row ``index`` from column ``first``."""
    return [dr.gather(mi.Float, array, index * width + (first + i), active) for i in range(count)]


def texel(room, u, v, place, active):
    """Nearest texel, wrapped; ``place`` is (offset, width, height) as floats."""
    mi, dr = room.mi, room.dr
    offset, w, h = place
    x = dr.minimum((u - dr.floor(u)) * w, w - 1)
    y = dr.minimum((v - dr.floor(v)) * h, h - 1)
    index = mi.UInt32(offset) + mi.UInt32(y) * mi.UInt32(w) + mi.UInt32(x)
    return fetch(mi, dr, room.atlas, index, 3, 0, 3, active)


def outdoors(room, direction, place, active):
    """Radiance that a window shows in a direction, before its strength."""
    mi, dr = room.mi, room.dr
    u = dr.atan2(direction.y, direction.x) * (0.5 / np.pi) + 0.5
    v = 0.5 - dr.asin(dr.clip(direction.z, -1, 1)) / np.pi
    return mi.Color3f(*texel(room, u, dr.clip(v, 0, 0.9999), place, active))


def emission(room, face, direction, active):
    """Radiance that a face sends against ``direction``, and whether it is a pane."""
    mi, dr = room.mi, room.dr
    owner = dr.gather(mi.UInt32, room.face_owner, face, active)
    place = fetch(mi, dr, room.materials, owner, ROW, 3, 3, active)
    light = fetch(mi, dr, room.materials, owner, ROW, 14, 4, active)
    pane = light[3] > 0.5
    view = outdoors(room, direction, place, active & pane)
    return mi.Color3f(*light[:3]) * dr.select(pane, view, mi.Color3f(1)), pane


def surface(room, face, uv, direction, active):
    """Shading data of a hit: normals, colours, coat."""
    mi, dr = room.mi, room.dr
    r = fetch(mi, dr, room.record, face, RECORD, 0, 21, active)
    b = (1 - uv.x - uv.y, uv.x, uv.y)
    flat = mi.Vector3f(*r[:3])
    normal = sum((mi.Vector3f(*r[3 + 3 * i : 6 + 3 * i]) * b[i] for i in range(3)), mi.Vector3f(0))
    normal = dr.select(dr.squared_norm(normal) > 1e-8, dr.normalize(normal), flat)
    u, v = (sum(r[12 + 2 * i + j] * b[i] for i in range(3)) for j in range(2))
    owner = dr.gather(mi.UInt32, room.face_owner, face, active)
    m = fetch(mi, dr, room.materials, owner, ROW, 0, 19, active)
    # Everything is two-sided: the normals face the ray, whatever the winding.
    flat = dr.select(dr.dot(flat, direction) > 0, -flat, flat)
    normal = dr.select(dr.dot(normal, flat) < 0, -normal, normal)
    u, v = u / m[9], v / m[9]
    slope = texel(room, u, v, m[6:9], active)
    tangent = mi.Vector3f(*r[18:21])
    tangent = tangent - normal * dr.dot(normal, tangent)
    tangent = dr.select(dr.squared_norm(tangent) > 1e-8, dr.normalize(tangent), mi.coordinate_system(normal)[0])
    normal = dr.normalize(normal - tangent * slope[0] - dr.cross(normal, tangent) * slope[1])
    # A shading normal that looks away from the ray would be black; bend it back to grazing.
    facing = dr.dot(normal, direction)
    normal = dr.select(facing > -0.02, dr.normalize(normal - direction * (facing + 0.02)), normal)
    colour = mi.Color3f(*m[:3]) * mi.Color3f(*texel(room, u, v, m[3:6], active))
    metal = m[13]
    return SimpleNamespace(
        flat=flat,
        normal=normal,
        diffuse=colour * (1 - metal),
        colour=colour,
        coat=mi.Color3f(m[10]) * (1 - metal) + colour * metal,
        rough=m[11],
        chance=m[12],
        metal=metal,
        wall=m[18] > 0.5,
        plain=(m[10] <= 0) & (metal < 0.5),
    )


def fresnel(f0, cosine):
    """Schlick."""
    x = 1 - cosine
    return f0 + (1 - f0) * (x * x * x * x * x)


def lobes(room, s, alpha, view, light):
    """The diffuse and the coat's value times cosine, and the densities of their sampling."""
    mi, dr = room.mi, room.dr
    ci, co = dr.dot(s.normal, light), dr.dot(s.normal, view)
    valid = (ci > 1e-4) & (co > 1e-4) & (dr.dot(s.flat, light) > 1e-5)
    ci, co = dr.maximum(ci, 1e-4), dr.maximum(co, 1e-4)
    half = dr.normalize(view + light)
    ch, vh = dr.maximum(dr.dot(s.normal, half), 1e-4), dr.maximum(dr.dot(view, half), 1e-4)
    a2 = alpha * alpha
    t = ch * ch * (a2 - 1) + 1
    d = a2 / (np.pi * t * t)
    g = 2 / (1 + dr.sqrt(1 + a2 * (1 / (ci * ci) - 1))) * 2 / (1 + dr.sqrt(1 + a2 * (1 / (co * co) - 1)))
    coat = fresnel(s.coat, vh) * (d * g / (4 * co))
    under = dr.select(s.plain, mi.Float(1), (1 - fresnel(0.04, ci)) * (1 - fresnel(0.04, co)))
    diffuse = s.diffuse * (under * ci / np.pi)
    none = mi.Color3f(0)
    return (
        dr.select(valid, diffuse, none),
        dr.select(valid & ~s.plain, coat, none),
        (1 - s.chance) * ci / np.pi,
        s.chance * d * ch / (4 * vh),
    )


def add(room, st, colour, bin_index, active):
    """Add radiance to one bin a lane."""
    dr = room.dr
    st["bins"] = [
        b + dr.select(active & (bin_index == i), colour, room.mi.Color3f(0)) for i, b in enumerate(st["bins"])
    ]


def sample_light(room, rng, position, active):
    """A point on a lamp or window, or the sun: direction, face, distance, irradiance-like weight, density."""
    mi, dr = room.mi, room.dr
    slot = mi.UInt32(rng.next_float32(active) * LIGHT_SLOTS)
    face = dr.gather(mi.UInt32, room.emitters, slot, active)
    faces = dr.opaque(mi.UInt32, dr.width(room.face_owner))
    is_sun = face == faces
    density = dr.gather(mi.Float, room.light_pdf, face, active)
    face = dr.select(is_sun, mi.UInt32(0), face)
    r = fetch(mi, dr, room.record, face, RECORD, 0, RECORD, active)
    a, b = rng.next_float32(active), rng.next_float32(active)
    root = dr.sqrt(a)
    w = (1 - root, root * (1 - b), root * b)
    point = sum((mi.Point3f(*r[21 + 3 * i : 24 + 3 * i]) * w[i] for i in range(3)), mi.Point3f(0))
    way = point - position
    distance = dr.norm(way)
    sun = [dr.gather(mi.Float, room.sun, mi.UInt32(i), active) for i in range(6)]
    spread = mi.Vector3f(a - 0.5, b - 0.5, a + b - 1) * 0.02
    direction = dr.select(is_sun, dr.normalize(mi.Vector3f(*sun[:3]) + spread), way / distance)
    cosine = dr.abs(dr.dot(mi.Vector3f(*r[:3]), direction))
    density = dr.select(is_sun, density, density * distance * distance / dr.maximum(cosine, 1e-5))
    return direction, face, is_sun, mi.Color3f(*sun[3:]), density


def step(room, st, glow, limit):
    """One surface hit: its emission, a shadow ray, and the next direction."""
    mi, dr = room.mi, room.dr
    active, rng, d = st["active"], st["rng"], st["d"]
    pi = room.scene.ray_intersect_preliminary(mi.Ray3f(st["o"], d), coherent=False, active=active)
    active = active & pi.is_valid()
    face = dr.select(active, pi.prim_index, mi.UInt32(0))
    first = st["depth"] == 0
    # What the surface itself sends, weighted against the shadow rays of the hit before.
    light, _pane = emission(room, face, d, active)
    s = surface(room, face, pi.prim_uv, d, active)
    flat_cos = dr.maximum(dr.abs(dr.dot(s.flat, d)), 1e-5)
    other = dr.gather(mi.Float, room.light_pdf, face, active) * pi.t * pi.t / flat_cos
    weight = dr.select(first, glow, st["pdf"] / dr.maximum(st["pdf"] + other, 1e-12))
    add(room, st, st["beta"] * light * weight, st["k"], active)
    lit = dr.max(light) > 0
    seen = active & first
    st["albedo"] = dr.select(
        seen, dr.select(s.wall, mi.Color3f(0), dr.select(lit, mi.Color3f(1), s.colour)), st["albedo"]
    )
    st["normal"] = dr.select(seen, s.normal, st["normal"])
    st["wall"] = dr.select(seen & s.wall, mi.Float(1), st["wall"])
    active = active & ~lit & (st["depth"] < limit)
    position = mi.Point3f(st["o"] + d * pi.t) + s.flat * 1e-4
    # After a bounce rough coats save fireflies; the rule does not look at the paint.
    alpha = dr.maximum(s.rough * s.rough, dr.select(first, mi.Float(0.002), mi.Float(0.15)))
    step_k = dr.select(s.wall, mi.UInt32(1), mi.UInt32(0))
    shadow(room, st, s, alpha, position, step_k, active)
    return scatter(room, st, s, alpha, position, step_k, active, rng)


def shadow(room, st, s, alpha, position, step_k, active) -> None:
    """Next-event estimation, each lobe to its own bin."""
    mi, dr = room.mi, room.dr
    way, face, is_sun, sun, density = sample_light(room, st["rng"], position, active)
    diffuse, coat, pdf_d, pdf_c = lobes(room, s, alpha, -st["d"], way)
    useful = active & (dr.max(diffuse + coat) > 0) & (density > 0)
    hit = room.scene.ray_intersect_preliminary(mi.Ray3f(position, way), coherent=False, active=useful)
    useful &= hit.is_valid()
    reached = dr.select(useful, hit.prim_index, mi.UInt32(0))
    light, pane = emission(room, reached, way, useful)
    visible = useful & dr.select(is_sun, pane, reached == face)
    light = dr.select(is_sun, sun, light)
    zero = mi.Float(0)
    for value, pdf, k in ((diffuse, pdf_d, st["k"] + step_k), (coat, pdf_c, st["k"])):
        part = st["beta"] * value * light / (density + dr.select(is_sun, zero, pdf))
        add(room, st, part, k, visible)


def scatter(room, st, s, alpha, position, step_k, active, rng):
    """Choose a lobe and a direction; the chance of the lobe does not depend on the paint."""
    mi, dr = room.mi, room.dr
    is_coat = rng.next_float32(active) < s.chance
    a, b = rng.next_float32(active), rng.next_float32(active)
    frame = mi.Frame3f(s.normal)
    cosine = mi.warp.square_to_cosine_hemisphere(mi.Point2f(a, b))
    ct = dr.sqrt((1 - a) / dr.maximum(1 + (alpha * alpha - 1) * a, 1e-6))
    sin_t = dr.safe_sqrt(1 - ct * ct)
    half = frame.to_world(mi.Vector3f(sin_t * dr.cos(2 * np.pi * b), sin_t * dr.sin(2 * np.pi * b), ct))
    view = -st["d"]
    mirrored = 2 * dr.dot(view, half) * half - view
    way = dr.normalize(dr.select(is_coat, mirrored, frame.to_world(cosine)))
    diffuse, coat, pdf_d, pdf_c = lobes(room, s, alpha, view, way)
    pdf = dr.select(is_coat, pdf_c, pdf_d)
    value = dr.select(is_coat, coat, diffuse) / dr.maximum(pdf, 1e-9)
    active = active & (pdf > 1e-9) & (dr.max(value) > 0)
    st["beta"] = dr.select(active, st["beta"] * value, st["beta"])
    st["k"] = dr.select(active & ~is_coat, st["k"] + step_k, st["k"])
    st["pdf"] = dr.select(active, pdf, st["pdf"])
    st["o"] = dr.select(active, position, st["o"])
    st["d"] = dr.select(active, way, st["d"])
    st["depth"] = st["depth"] + 1
    st["active"] = active
    return st
