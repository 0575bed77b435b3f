"""The results of tab 3 as HTML: a verdict, the stage with its strip of arms or grid of paints, the figures."""

from collections import Counter
from typing import Any
from urllib.parse import quote

from wallpaint.pixels.color import parse_color
from wallpaint.pixels.metrics import TOO_BRIGHT
from wallpaint.pixels.palettes import nearest_color, shipped_palettes
from wallpaint.report.heat import TOP
from wallpaint.report.pages import NOTHING, number
from wallpaint.ui.compare.painting import Results, read_arms
from wallpaint.ui.html import Markup, render, say
from wallpaint.ui.words.words import t, translate

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NEAR = 0.5  # ΔE that nobody sees
FLAT = 0.15  # a wall of less shading has lost its light


def draw_nothing(language: str, elsewhere: bool = False) -> str:
    """Say as HTML what to do where nothing was painted of this room, or something of the one before, `elsewhere`."""
    said = [say("no_results", language), *([say("results_elsewhere", language)] if elsewhere else [])]
    return f'<div class="card empty">{Markup("<br>").join(said)}</div>'


def draw_results(results: Results, language: str, votes: Counter | None = None) -> str:
    """Give the results as HTML; when their folder was deleted, what to do."""
    try:
        painted = {paint: read_arms(results, paint) for paint in results.paints}
    except FileNotFoundError:
        return f'<div class="card empty">{say("results_gone", language)}</div>'

    def address(name: str) -> str:
        """Give the address of a file of the results, as the page asks for it."""
        return f"gradio_api/file={quote(str(results.folder / name))}"

    def score(arm: dict[str, Any]) -> str:
        """Write the ΔE that counts, one measure for all that is shown; '' in a blind look."""
        known = results.truth and len(results.paints) == 1
        return "" if results.blind else f"ΔE {number(score_of(arm, known))}"

    def wear(paint: str) -> list[tuple[str, str, str]]:
        """Give hex, name and a line of the paint of every wall of a picture, the wall at hand first."""
        worn = []
        for color in (paint, *results.others):
            name, lrv = results.called.get(color), f"LRV {parse_color(color).lrv:.0f}"
            worn.append((color, name or color, f"{color if name else called[color]} · {lrv}"))
        return worn

    every = (*results.paints, *results.others)
    called = {paint: call_paint(paint, results.called.get(paint), language) for paint in every}
    first, best = painted[results.paints[0]], 0
    if not results.blind:  # the best is seen first, which a blind look must not tell
        best = results.arms.index(next(iter(rank_arms(first, results.truth)[0]), results.arms[0]))
    return render(
        "compare/results.html",
        language,
        results=results,
        painted=painted,
        titles=LETTERS[: len(results.arms)] if results.blind else results.arms,
        best=best,
        verdict=draw_verdict(first, results.truth, language),
        tally=", ".join(f"{name} {count}" for name, count in votes.most_common()) if votes else "",
        address=address,
        tabulate=tabulate,
        score=score,
        top=f"{TOP:.0f}",
        called=called,
        wear=wear,
        walls=lambda arm: [wall["swatch"] for wall in arm.get("walls", [])],  # of several, each in its paint
        left_out=lambda arm: "; ".join(translate(what, language) for what in arm["left_out"]),
        lrv=lambda paint: round(parse_color(paint).lrv),
    )


def call_paint(paint: str, name: str | None, language: str) -> str:
    """Give a paint's name, or whose it is near to."""
    if name:
        return name
    color, far = nearest_color(next(iter(shipped_palettes().values())), parse_color(paint))
    return t("paint_near", language, name=color.name, far=f"{far:.1f}")


def tabulate(arms: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Give what was measured of each arm by the key of its title; a row that no arm has is left out."""
    rows = {
        "column_paint": [number(arm["delta_e_paint"]["median"]) for arm in arms],
        "column_truth": [number((arm.get("delta_e_truth") or {}).get("mean")) for arm in arms],
        "column_brightness": [number(arm.get("brightness_error"), 0, "+") for arm in arms],
        "column_shading": [number(arm["shading_correlation"], 2) for arm in arms],
        "column_outside": [str(arm["outside_changed_pixels"]) for arm in arms],
        "column_seconds": [number(arm["seconds"]) for arm in arms],
    }
    return {key: figures for key, figures in rows.items() if set(figures) != {NOTHING}}


def draw_verdict(arms: list[dict[str, Any]], truth: bool, language: str) -> Markup:
    """Say in words which arm obeys the colour, what it costs in shading, and whether the claim holds here.

    Without a truth an arm that left the wall too dark or too bright for the paint comes after all others:
    ΔE to the paint scales the paint to the wall's own brightness, so it cannot see that.
    """
    scores, off = rank_arms(arms, truth)
    if not scores:
        return say("verdict_none", language)
    best, *others = scores
    measure = say("to_truth" if truth else "to_paint", language)
    key = "verdict_none_bright" if best in off else "verdict_best"
    parts = [say(key, language, name=best, score=f"{scores[best]:.1f}", measure=measure)]
    if others and others[0] not in off:
        key = "verdict_tie" if scores[others[0]] - scores[best] < NEAR else "verdict_next"
        parts.append(say(key, language, name=others[0], score=f"{scores[others[0]]:.1f}"))
    for key, sign in (("verdict_dark", -1), ("verdict_bright", 1)):
        if names := [f"{name} (L* {error:+.0f})" for name, error in off.items() if error * sign > 0]:
            parts.append(say(key, language, names=", ".join(names)))
    if {"old", "new"} <= scores.keys() - off.keys():
        gap = scores["old"] - scores["new"]
        key = "claim_holds" if gap > NEAR else "claim_fails" if gap < -NEAR else "claim_open"
        parts.append(say(key, language, gap=f"{abs(gap):.1f}"))
    if flat := [arm["name"] for arm in arms if (arm["shading_correlation"] or 0) < FLAT]:
        parts.append(say("verdict_flat", language, names=", ".join(flat)))
    return Markup(" ").join(parts)


def rank_arms(arms: list[dict[str, Any]], truth: bool) -> tuple[dict[str, float], dict[str, float]]:
    """Give {name: the ΔE that counts}, best first, and {name: L* it is off} of those too dark or too bright."""
    measured = {arm["name"]: score_of(arm, truth) for arm in arms}
    off = {} if truth else {arm["name"]: error for arm in arms if abs(error := brightness_of(arm)) > TOO_BRIGHT}
    scores = {name: score for name, score in measured.items() if score is not None}
    return {name: scores[name] for name in sorted(scores, key=lambda name: (name in off, scores[name]))}, off


def brightness_of(arm: dict[str, Any]) -> float:
    """How much too bright the wall became, in L*; 0 where that was not measured."""
    return arm.get("brightness_error") or 0.0


def score_of(arm: dict[str, Any], truth: bool) -> float | None:
    """The ΔE that counts: the mean to the truth where it is known, else the median to the paint."""
    if truth:
        return (arm.get("delta_e_truth") or {}).get("mean")
    return arm["delta_e_paint"]["median"]
