"""The results of tab 3 as HTML: one row of before/after sliders with figures, a verdict, a grid of paints."""

from collections import Counter
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from wallpaint.report.heat import TOP
from wallpaint.ui.compare.job import Shown, read_arms
from wallpaint.ui.words.words import t

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SLIDE = "this.parentNode.style.setProperty('--at', this.value + '%')"
NEAR = 0.5  # ΔE that nobody sees
FLAT = 0.15  # a wall of less shading has lost its light


def draw_results(shown: Shown | None, language: str, votes: Counter | None = None) -> str:
    """Give the results as HTML; without any, what to do."""
    if shown is None:
        return f'<div class="card empty">{t("no_results", language)}</div>'
    first = shown["paints"][0]
    said = [f'<p class="quiet">{t("blind_help", language)}</p>'] if shown["blind"] else []
    if not shown["blind"]:
        said.append(f'<p class="verdict" role="status">{draw_verdict(shown, language)}</p>')
    if votes:
        tally = ", ".join(f"{escape(name)} {count}" for name, count in votes.most_common())
        said.append(f"<p>{t('voted', language, name=escape(shown['voted']), tally=tally)}</p>")
    if len(shown["paints"]) > 1:
        return f'<section class="results">{"".join(said)}{draw_grid(shown, language)}</section>'
    arms = enumerate(read_arms(shown, first))
    cards = [draw_card(shown, first, number, arm, language) for number, arm in arms]
    if shown["truth"]:
        cards.append(draw_truth(shown, language))
    legend = f'<p class="quiet">{t("heat_legend", language, top=f"{TOP:.0f}")}</p>' if shown["heat"] else ""
    row = f'<div class="arms">{"".join(cards)}</div>'
    return f'<section class="results">{"".join(said)}{row}{legend}</section>'


def address(shown: Shown, name: str) -> str:
    """Give the address of a file of the results, as the page asks for it."""
    return f"gradio_api/file={quote(str(Path(shown['folder']) / name))}"


def draw_slider(shown: Shown, name: str, title: str, language: str) -> str:
    """Draw the photo under the repaint, and a handle that any pointer or arrow key moves."""
    before, after = address(shown, "views/photo.jpg"), address(shown, f"views/{name}.jpg")
    alt = t("alt_after", language, name=escape(title))
    return (
        f'<div class="slider" style="--at:0%"><img src="{before}" alt="{t("alt_before", language)}">'
        f'<img class="after" src="{after}" alt="{alt}"><span class="handle"></span>'
        f'<input type="range" min="0" max="100" value="0" oninput="{SLIDE}" '
        f'aria-label="{t("slider", language, name=escape(title))}"></div>'
    )


def draw_card(shown: Shown, paint: str, number: int, arm: dict[str, Any], language: str) -> str:
    """Draw one arm: its name, the slider with the swatch beside it, its figures, its file."""
    title = LETTERS[number] if shown["blind"] else arm["name"]
    view = f"{paint[1:]}-{number}"
    picture = draw_slider(shown, view, title, language)
    if shown["heat"]:
        heat = address(shown, f"views/{view}-heat.jpg")
        picture += f'<img class="heat" src="{heat}" alt="{t("alt_heat", language, name=escape(title))}">'
    below = "" if shown["blind"] else draw_figures(arm, language) + draw_download(shown, paint, arm, language)
    return (
        f'<figure class="arm"><figcaption><b>{escape(title)}</b> {paint}</figcaption>'
        f'<div class="pair">{picture}<span class="swatch" style="background:{paint}"></span></div>'
        f"{below}</figure>"
    )


def draw_truth(shown: Shown, language: str) -> str:
    """Draw the true repaint."""
    title = t("truth", language)
    return (
        f'<figure class="arm"><figcaption><b>{title}</b></figcaption><div class="pair">'
        f"{draw_slider(shown, 'truth', title, language)}</div></figure>"
    )


def draw_figures(arm: dict[str, Any], language: str) -> str:
    """Write an arm's figures."""
    truth = (arm.get("delta_e_truth") or {}).get("mean")
    rows = [
        ("column_paint", write(arm["delta_e_paint"]["median"], 1)),
        *([("column_truth", write(truth, 1))] if truth is not None else []),
        ("column_shading", write(arm["shading_correlation"], 2)),
        ("column_outside", str(arm["outside_changed_pixels"])),
        ("column_seconds", write(arm["seconds"], 1)),
    ]
    cells = "".join(f"<dt>{t(key, language)}</dt><dd>{value}</dd>" for key, value in rows)
    return f'<dl class="measured">{cells}</dl>'


def draw_download(shown: Shown, paint: str, arm: dict[str, Any], language: str) -> str:
    """Link to the picture at the photo's own size."""
    link = address(shown, f"{paint[1:]}/{arm['image']}")
    return f'<a href="{link}" download="{escape(arm["image"])}">{t("download_png", language)}</a>'


def draw_grid(shown: Shown, language: str) -> str:
    """Draw a table of pictures: an arm a row, a paint a column."""
    head = "".join(
        f'<th scope="col"><span class="chip" style="background:{paint}"></span>{paint}</th>'
        for paint in shown["paints"]
    )
    by_paint = {paint: read_arms(shown, paint) for paint in shown["paints"]}
    body = ""
    for number, name in enumerate(shown["arms"]):
        title = LETTERS[number] if shown["blind"] else name
        cells = "".join(
            _draw_cell(shown, paint, number, title, arms[number], language) for paint, arms in by_paint.items()
        )
        body += f'<tr><th scope="row">{escape(title)}</th>{cells}</tr>'
    return f'<div class="scroll"><table class="paints"><tr><td></td>{head}</tr>{body}</table></div>'


def _draw_cell(shown: Shown, paint: str, number: int, title: str, arm: dict[str, Any], language: str) -> str:
    kind = "-heat" if shown["heat"] else ""
    source = address(shown, f"views/{paint[1:]}-{number}{kind}.jpg")
    alt = t("alt_after", language, name=f"{escape(title)}, {paint}")
    said = "" if shown["blind"] else f"ΔE {write(arm['delta_e_paint']['median'], 1)}"
    return f'<td><img src="{source}" alt="{alt}"><br>{said}</td>'


def draw_verdict(shown: Shown, language: str) -> str:
    """Say in words which arm obeys the colour, what it costs in shading, and whether the claim holds here."""
    arms = [arm for paint in shown["paints"][:1] for arm in read_arms(shown, paint)]
    measured = {arm["name"]: score_of(arm, shown["truth"]) for arm in arms}
    scores = {name: score for name, score in measured.items() if score is not None}
    if not scores:
        return t("verdict_none", language)
    ranked = sorted(scores, key=lambda name: scores[name])
    best, measure = ranked[0], t("to_truth" if shown["truth"] else "to_paint", language)
    score = f"{scores[best]:.1f}"
    said = [t("verdict_best", language, name=escape(best), score=score, measure=measure)]
    if len(ranked) > 1:
        gap = scores[ranked[1]] - scores[best]
        key = "verdict_tie" if gap < NEAR else "verdict_next"
        said.append(t(key, language, name=escape(ranked[1]), score=f"{scores[ranked[1]]:.1f}"))
    if {"old", "new"} <= scores.keys():
        gap = scores["old"] - scores["new"]
        key = "claim_holds" if gap > NEAR else "claim_fails" if gap < -NEAR else "claim_open"
        said.append(t(key, language, gap=f"{abs(gap):.1f}"))
    flat = [arm["name"] for arm in arms if (arm["shading_correlation"] or 0) < FLAT]
    if flat:
        said.append(t("verdict_flat", language, names=escape(", ".join(flat))))
    return " ".join(said)


def score_of(arm: dict[str, Any], truth: bool) -> float | None:
    """The ΔE that counts: the mean to the truth where it is known, else the median to the paint."""
    if truth:
        return (arm.get("delta_e_truth") or {}).get("mean")
    return arm["delta_e_paint"]["median"]


def write(number: float | None, digits: int) -> str:
    """Write a number of a table, a dash where there is none."""
    return "–" if number is None or number != number else f"{number:.{digits}f}"
