"""A run's metrics as rows a plot can draw, raw and smoothed."""

import math
from typing import Any

import pandas as pd

POINTS = 300
SMOOTH = 0.9  # weight of the past in the running mean
FEW = 6  # values below which a running mean says nothing
SMOOTHED = "{name} (mean)"  # what a running mean is called
LOSSES = ("loss", "loss_color")  # with the diffusion loss alone, that one is the loss
DELTAS = ("delta_e_truth", "delta_e_paint")
PALETTE = {  # raw pale, smoothed full
    "loss": ("#5eead4", "#0d9488"),
    "loss_color": ("#fda4af", "#e11d48"),
    "delta_e_truth": ("#a78bfa", "#7c3aed"),
    "delta_e_paint": ("#fbbf24", "#d97706"),
}

FIGURES = {  # a metric people watch, and how it is written
    "loss": ".4f",
    "loss_color": ".4f",
    "delta_e_truth": ".1f",
    "delta_e_paint": ".1f",
    "lr": ".2e",
    "samples_per_second": ".1f",
    "gpu_memory_gb": ".1f",
    "memory_gb": ".1f",
}


def smooth(values: list[float]) -> list[float]:
    """Give the running mean of `values`, without the pull towards 0 at its start."""
    mean, weight, out = 0.0, 0.0, []
    for value in values:
        mean, weight = SMOOTH * mean + (1 - SMOOTH) * value, SMOOTH * weight + (1 - SMOOTH)
        out.append(mean / weight)
    return out


def draw_curves(rows: list[dict[str, Any]], names: tuple[str, ...], smoothed: str) -> pd.DataFrame | None:
    """Give (step, value, curve) of each metric there is, and of its running mean, named by `smoothed`.

    Few values, as of a validation, stand alone. None before the first value. A plot that is being watched
    takes up no further curve, so those that may still come are there from the start, without a value.
    """
    points: list[tuple[int, float | None, str]] = []
    for name in names:
        known = [(row["step"], row[name]) for row in rows if is_number(row.get(name)) and is_number(row["step"])]
        means = smooth([value for _, value in known])  # of all values; thinning comes after
        every = max(1, -(-len(known) // POINTS))
        points += [(step, value, name) for step, value in known[::every]]
        if len(known) >= FEW:
            last = [(step, mean) for (step, _), mean in zip(known, means, strict=True)][::every]
            points += [(step, mean, smoothed.format(name=name)) for step, mean in last]
    if not points:
        return None
    coming = sorted(set(color_map(names, smoothed)) - {curve for _, _, curve in points})
    points += [(points[0][0], None, curve) for curve in coming]
    return pd.DataFrame(points, columns=["step", "value", "curve"])


def is_number(value: Any) -> bool:
    """Tell whether a metric has a value that can be drawn; a run's file may hold anything."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def color_map(names: tuple[str, ...], smoothed: str) -> dict[str, str]:
    """Give the colour of each curve and of its running mean."""
    raw = {name: PALETTE[name][0] for name in names}
    return raw | {smoothed.format(name=name): PALETTE[name][1] for name in names}
