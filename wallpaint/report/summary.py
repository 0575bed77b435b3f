"""What an evaluation comes to: the means of each arm, and how sure their order is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from scipy.stats import bootstrap

from wallpaint.pixels.color import parse_color
from wallpaint.pixels.metrics import ratio_error
from wallpaint.report.files import Figures, clean

# Their means over repaints are reported.
MEASURED = (
    "delta_e_truth error_split delta_e_rim delta_e_outside delta_e_paint shading_correlation there_and_back".split()
)


def summarise(rows: Sequence[Figures], floors: Sequence[float], rooms: int) -> Figures:
    """Turn a row a repaint and arm into summary.json's content."""
    arms: Figures = {}
    for name in dict.fromkeys(row["arm"] for row in rows):
        own = [row for row in rows if row["arm"] == name]
        kinds = sorted({row["kind"] for row in own} - {""})
        arms[name] = {
            **_means(own),
            "interval": interval([row["delta_e_truth"]["mean"] for row in own], [row["room_id"] for row in own]),
            "ratio_error": two_paints(own, "wall"),
            "by_kind": {kind: _means([row for row in own if row["kind"] == kind]) for kind in kinds},
            "seconds_per_image": fmean(row["seconds"] for row in own),
        }
    floor = {
        "vae_round_trip_delta_e": fmean(floors) if floors else None,
        "ratio_error": two_paints([row for row in rows if row["arm"] == rows[0]["arm"]], "true_wall"),
    }
    repaints = len(rows) // max(1, len(arms))
    return clean({"arms": arms, "floor": floor, "rooms": rooms, "repaints": repaints, "pairs": pairs(rows)})


def two_paints(rows: Sequence[Figures], wall: str) -> float | None:
    """The mean `metrics.ratio_error` over each photo's paints, one and the next; None where none has two.

    The rows are of one arm; `wall` names the figure that has the wall's mean, 'wall' as it was painted or 'true_wall'.
    """
    photos: dict[tuple, list[Figures]] = {}
    for row in rows:
        photos.setdefault((row["room_id"], row["photo"]), []).append(row)
    return _mean(
        [
            ratio_error(first[wall], second[wall], (parse_color(first["color"]), parse_color(second["color"])))
            for painted in photos.values()
            for first, second in pairwise(painted)
        ]
        or [math.nan]
    )


def pairs(rows: Sequence[Figures]) -> list[Figures]:
    """Compare each arm with the next worse one, repaint by repaint: the same rooms, paints and noise.

    Returns:
        rows of better, worse, `gain` (mean difference of ΔE to truth), its `standard_error` over `rooms` (see
        `clustered_error`), and in how many of how many repaints the better one was `ahead`.
    """
    errors: dict[str, dict[tuple, float]] = {}
    for row in rows:
        if row["delta_e_truth"]["mean"] == row["delta_e_truth"]["mean"]:  # not nan: a wall too thin
            key = (row["room_id"], row["photo"], row["color"])
            errors.setdefault(row["arm"], {})[key] = row["delta_e_truth"]["mean"]
    order = sorted(errors, key=lambda name: fmean(errors[name].values()))
    compared = []
    for better, worse in pairwise(order):
        gains = {key: errors[worse][key] - errors[better][key] for key in errors[better].keys() & errors[worse].keys()}
        compared.append(
            {
                "better": better,
                "worse": worse,
                "gain": fmean(gains.values()),
                "standard_error": clustered_error(list(gains.values()), [room for room, *_ in gains]),
                "rooms": len({room for room, *_ in gains}),
                "ahead": sum(gain > 0 for gain in gains.values()),
                "repaints": len(gains),
            }
        )
    return compared


def clustered_error(values: Sequence[float], clusters: Sequence[str]) -> float:
    """The standard error of a mean whose values are alike within a cluster: repaints of one room.

    Cluster-robust (Liang and Zeger 1986) with the usual correction G / (G - 1); where every cluster holds one
    value it is the common standard error. nan for one cluster: nothing tells how rooms differ.
    """
    mean, sums = fmean(values), dict.fromkeys(clusters, 0.0)
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] += value - mean
    count = len(sums)
    return math.sqrt(count / (count - 1) * sum(s * s for s in sums.values())) / len(values) if count > 1 else math.nan


def interval(values: Sequence[float], clusters: Sequence[str]) -> dict[str, float]:
    """Where the mean lies with 95 % were other rooms of the kind drawn: {'low', 'high'}, the same every time.

    The percentile bootstrap over clusters, whole rooms: repaints of one are alike. Values that are nan do not count.
    """
    sums: dict[str, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        if value == value:
            sums.setdefault(cluster, []).append(value)
    if len(sums) < 2:
        return {"low": math.nan, "high": math.nan}
    found = bootstrap(
        ([sum(group) for group in sums.values()], [len(group) for group in sums.values()]),
        lambda total, count, axis: total.sum(axis) / count.sum(axis),
        n_resamples=2000,
        paired=True,
        vectorized=True,
        method="percentile",
        random_state=0,
    ).confidence_interval
    return {"low": float(found.low), "high": float(found.high)}


def describe(pair: Figures) -> str:
    """Say one row of `pairs`."""
    error = "" if pair["standard_error"] is None else f" ± {pair['standard_error']:.2f}"
    return (
        f"{pair['better']} before {pair['worse']}: ΔE {pair['gain']:.2f}{error} less, "
        f"ahead in {pair['ahead']} of {pair['repaints']} repaints of {pair['rooms']} rooms"
    )


def _means(rows: Sequence[Figures]) -> Figures:
    """Average MEASURED over rows, and add up what changed outside the masks."""
    means = {key: _mean([row[key] for row in rows]) for key in MEASURED if key in rows[0]}
    changed = sum(row["outside_changed_pixels"] for row in rows)
    return {**means, "outside_changed_pixels": changed, "repaints": len(rows)}


def _mean(values: Sequence[Any]) -> Any:
    """Average numbers, or dicts of them key by key; nan (a wall too thin to measure) does not count."""
    if isinstance(values[0], dict):
        return {key: _mean([value[key] for value in values]) for key in values[0]}
    known = [value for value in values if value == value]
    return fmean(known) if known else None
