"""Check the series against renders of the same room with the paint really on its wall."""

from __future__ import annotations

import numpy as np

from .palette import sample_paints, to_linear
from .photo import meter
from .scene import KINDS, build_room
from .shoot import choose_cameras
from .tracer import repaint


def compare(seed: int, kind: str, size: int = 64, samples: int = 64, paints: int = 4) -> list[dict]:
    """Errors of repaints of one room.

    ``same`` compares along the same paths (developed pictures, steps of 255: what is left is rounding);
    ``ratio`` is the mean of the series over the mean of a direct render with other random numbers.
    """
    room, rng = build_room(seed, kind), np.random.default_rng(seed)
    tracer = room.tracer()
    cameras = choose_cameras(room, tracer, 1, rng)
    if not cameras:
        return []
    layers = tracer.render(cameras[0], size, samples, 1)
    exposure = meter(layers, rng)
    if exposure is None:
        return []
    rows = []
    for paint in sample_paints(rng, paints):
        direct = room.tracer(albedo=to_linear(paint))
        series = repaint(layers.bins, to_linear(paint))
        same = repaint(direct.render(cameras[0], size, samples, 1).bins, np.ones(3))
        other = repaint(direct.render(cameras[0], size, samples, 2).bins, np.ones(3))
        gap = np.abs(exposure.develop(series).astype(int) - exposure.develop(same))
        rows.append(
            {
                "seed": seed,
                "kind": kind,
                "paint": paint,
                "same_mean": float(gap.mean()),
                "same_max": int(gap.max()),
                "ratio": float(series.mean() / other.mean()),
            }
        )
    return rows


def report(seed: int, rooms: int) -> None:
    """Print the errors of some rooms."""
    rows = [r for i in range(rooms) for r in compare(seed + i, KINDS[i % len(KINDS)])]
    for r in rows:
        print(
            f"room {r['seed']:>6} {r['kind']:<9} paint {str(r['paint']):<16} same paths: mean "
            f"{r['same_mean']:.4f} max {r['same_max']} of 255; other paths: ratio {r['ratio']:.4f}",
            flush=True,
        )
    ratios = [r["ratio"] for r in rows]
    print(
        f"{len(rows)} repaints: worst mean error {max(r['same_mean'] for r in rows):.4f} of 255; "
        f"ratio of means {np.mean(ratios):.4f} ± {np.std(ratios):.4f}"
    )
