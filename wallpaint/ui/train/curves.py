"""Runs' metrics as curves: one run's raw and smoothed, or those of several laid over each other."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from wallpaint.ui.html import render
from wallpaint.ui.words.words import t

POINTS = 300
SMOOTH = 0.9  # weight of the past in the running mean
FEW = 6  # values below which a running mean says nothing
MARGIN, NARROW = 0.05, 0.1  # of the values' span, above and below; the least span, as a share of the highest
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 360, 210, 40, 16, 8, 22  # of a plot and its margins
PLOTS = {"losses": ("loss_diffusion", "loss_color"), "deltas": ("delta_e_truth", "delta_e_paint")}
DELTAS = PLOTS["deltas"]
COLORS = ("#0d9488", "#e11d48", "#2563eb", "#d97706", "#9333ea", "#65a30d")  # as many runs lie over each other
Rows = Sequence[dict[str, Any]]

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


class Curve(NamedTuple):
    """Values by step and how they are drawn."""

    name: str  # '' for raw values, which lie pale under their mean
    color: str
    look: str  # 'raw', 'first' or 'second' (dashed)
    points: list[tuple[float, float]]  # steps and values; in a Frame: places


class Frame(NamedTuple):
    """A plot's curves and axes, laid out in its WIDTH x HEIGHT."""

    curves: list[Curve]
    steps: list[tuple[float, str]]  # place and label of each tick
    values: list[tuple[float, str]]


def draw_plots(runs: dict[str, Rows], alone: Sequence[str], language: str) -> str:
    """Give the plots of the losses and of the validation's ΔE as HTML; '' before the first value of any.

    `runs` has the rows of metrics.jsonl by the run's name; where there is one alone its curves are named by metric.
    Those named in `alone` have no room held out: their ΔE is of rooms that they learn from.
    """
    titles = {name: {metric: t(f"figure_{metric}", language) for metric in names} for name, names in PLOTS.items()}
    drawn = {name: list_curves(runs, titles[name], language) for name in PLOTS}
    on = "learned" if len(alone) == len(runs) else "partly_learned" if alone else "held_out"
    heads = {"losses": t("plot_losses", language), "deltas": t(f"plot_{on}", language, names=", ".join(alone))}
    frames = {heads[name]: lay_out(curves) for name, curves in drawn.items() if curves}
    return render("train/plots.html", language, frames=frames, size=(WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM))


def list_curves(runs: dict[str, Rows], titles: dict[str, str], language: str) -> list[Curve]:
    """Give the curves of the metrics that `titles` names: of one run a colour each, of several a colour a run."""
    curves = []
    for number, (run, rows) in enumerate(list(runs.items())[: len(COLORS)]):
        for order, (metric, title) in enumerate(titles.items()):
            points = read_points(rows, metric)
            if not points:
                continue
            color, name, look = COLORS[order], title, "first"
            if len(runs) > 1:
                color, name, look = COLORS[number], f"{run}: {title}", ("first", "second")[order]
            if len(points) >= FEW:
                if len(runs) == 1:
                    curves.append(Curve("", color, "raw", thin(points)))
                    name = t("smoothed", language, name=name)
                points = smooth(points)
            curves.append(Curve(name, color, look, thin(points)))
    return curves


def read_points(rows: Rows, metric: str) -> list[tuple[float, float]]:
    """Give (step, value) wherever a metric has a value that can be drawn."""
    return [(row["step"], row[metric]) for row in rows if is_number(row.get(metric)) and is_number(row["step"])]


def smooth(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Give the running mean of the values, without the pull towards 0 at its start."""
    means = pd.Series([value for _, value in points]).ewm(alpha=1 - SMOOTH, adjust=True).mean()
    return [(step, mean) for (step, _), mean in zip(points, means, strict=True)]


def thin(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Give at most POINTS + 1 of the points, the last among them."""
    every = max(1, -(-len(points) // POINTS))
    return [*points[:-1][::every], points[-1]]


def lay_out(curves: list[Curve]) -> Frame:
    """Put curves on common axes."""
    steps, values = zip(*(point for curve in curves for point in curve.points), strict=True)
    first, last, low, high = min(steps), max(steps), min(values), max(values)
    last, room = max(last, first + 1), max(MARGIN * (high - low), (NARROW * abs(high) - (high - low)) / 2, 0.01)
    low, high = min(low, max(low - room, 0)), high + room  # what lies close is not torn apart, and no loss is below 0

    def x(step: float) -> float:
        return round(LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    placed = [curve._replace(points=[(x(step), y(value)) for step, value in curve.points]) for curve in curves]
    ticks = [tick for tick in round_ticks(first, last) if tick == int(tick)]
    return Frame(
        placed,
        [(x(tick), f"{tick:.0f}") for tick in ticks],
        [(y(tick), f"{tick:g}") for tick in round_ticks(low, high)],
    )


def round_ticks(low: float, high: float) -> list[float]:
    """Give three to six round numbers between two."""
    rough = (high - low) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    every = unit * next(factor for factor in (1, 2, 5, 10) if factor * unit >= rough)
    return [round(every * n, 12) for n in range(math.ceil(low / every), math.floor(high / every) + 1)]


def is_number(value: Any) -> bool:
    """Tell whether a metric has a value that can be drawn; a run's file may hold anything."""
    return isinstance(value, (int, float)) and math.isfinite(value)
