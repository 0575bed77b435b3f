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


def smooth(values: pd.Series) -> pd.Series:
    """Give the running mean of `values`, without the pull towards 0 at its start."""
    return values.ewm(alpha=1 - SMOOTH, adjust=True).mean()


def draw_curves(rows: list[dict[str, Any]], names: tuple[str, ...], smoothed: str) -> pd.DataFrame | None:
    """Give (step, value, curve) of each metric there is, and of its running mean, named by `smoothed`.

    Few values, as of a validation, stand alone. None before the first value. A plot that is being watched
    takes up no further curve, so those that may still come are there from the start, without a value.
    """
    curves: dict[str, pd.DataFrame] = {}
    for name in names:
        known = [(row["step"], row[name]) for row in rows if is_number(row.get(name)) and is_number(row["step"])]
        raw = pd.DataFrame(known, columns=["step", "value"])
        drawn = {name: raw, smoothed.format(name=name): raw.assign(value=smooth(raw.value))}
        every = max(1, -(-len(raw) // POINTS))
        for curve, points in list(drawn.items())[: 2 if len(raw) >= FEW else min(1, len(raw))]:
            curves[curve] = points[::every].assign(curve=curve)  # thinned after the mean was taken
    if not curves:
        return None
    first = next(iter(curves.values())).step.iloc[0]
    coming = [(first, float("nan"), curve) for curve in sorted(set(color_map(names, smoothed)) - curves.keys())]
    frames = [*curves.values(), pd.DataFrame(coming, columns=["step", "value", "curve"])]
    return pd.concat(frames, ignore_index=True).astype({"step": int, "value": float})  # else no axis of numbers


def is_number(value: Any) -> bool:
    """Tell whether a metric has a value that can be drawn; a run's file may hold anything."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def color_map(names: tuple[str, ...], smoothed: str) -> dict[str, str]:
    """Give the colour of each curve and of its running mean."""
    raw = {name: PALETTE[name][0] for name in names}
    return raw | {smoothed.format(name=name): PALETTE[name][1] for name in names}
