"""A run as HTML: its state, its figures, why it ended, its log. Whatever a run wrote is escaped."""

from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from wallpaint.runs import state
from wallpaint.runs.forecast import adapter_of
from wallpaint.settings.methods import METHODS
from wallpaint.ui.train.curves import DELTAS, FIGURES, SMOOTHED, color_map
from wallpaint.ui.train.plan import write_duration
from wallpaint.ui.words.words import t

KNOWN = (*state.ALIVE, state.QUEUED, "done", "stopped", "failed", "crashed")
ENDED_BADLY = ("failed", "crashed")
LOG_LINES = 60


def say_state(run: state.RunState, language: str) -> str:
    """Give the word for a run's state."""
    return t(f"state_{run.state}" if run.state in KNOWN else "state_unknown", language)


def draw_nothing(found: list[state.RunState], language: str) -> str:
    """Say what to do while no run is chosen."""
    return f'<div class="card empty">{t("no_run_chosen" if found else "no_runs", language)}</div>'


def draw_status(run: state.RunState, rows: list[dict[str, Any]], language: str) -> str:
    """Write a run's state, progress, figures and, if it ended badly, why, as HTML."""
    total, step = run.max_train_steps, run.step
    words = [t("step", language, step=step, total=total or "?")]
    if run.eta_seconds is not None:
        words.append(t("left", language, time=write_duration(run.eta_seconds)))
    method = METHODS.get(str(run.fields.get("method")))
    label = escape(t("progress_of", language, name=run.name))
    return (
        f'<section class="card run"><div><span class="badge {escape(run.state)}">'
        f"{say_state(run, language)}</span> <b>{escape(run.name)}</b>"
        f"{' · ' + escape(method.study_name) if method else ''} · {' · '.join(words)}</div>"
        f'<progress max="{total or 1}" value="{min(step, total or 1)}" aria-label="{label}"></progress>'
        f"{draw_learned(run, language)}{draw_figures(rows, language)}{draw_end(run, language)}</section>"
    )


def draw_learned(run: state.RunState, language: str) -> str:
    """Say whether the adapter is active and frozen, and count what learns, as the trainer has found it."""
    method = METHODS.get(str(run.fields.get("method")))
    counts = (run.fields.get("preflight") or {}).get("parameters")
    if method is None or not counts:
        return ""
    adapter = adapter_of(method)
    learns = ", ".join(f"{escape(name)} {count:,}" for name, count in counts.items() if name != "frozen")
    said = t("learning_now", language, learns=learns, frozen=f"{counts.get('frozen', 0):,}")
    pill = f'<span class="pill {adapter}">{t(f"adapter_{adapter}", language)}</span>'
    return f'<p class="learned">{t("fact_adapter", language)} {pill} · {said}</p>'


def draw_figures(rows: list[dict[str, Any]], language: str) -> str:
    """Write the newest figures of a run, and the best ΔE so far, as HTML."""
    last: dict[str, float] = {}
    for row in rows:
        last |= {key: value for key, value in row.items() if value is not None}
    figures = []
    for key, form in FIGURES.items():
        if key in last:
            best = min(row[key] for row in rows if row.get(key) is not None)
            extra = t("best", language, value=f"{best:.1f}") if key in DELTAS else ""
            title = t(f"figure_{key}", language)
            figures.append(f"<div><dt>{title}</dt><dd>{last[key]:{form}}{extra}</dd></div>")
    return f'<dl class="figures">{"".join(figures)}</dl>' if figures else ""


def draw_end(run: state.RunState, language: str) -> str:
    """Say why a run ended badly: its error, its exit code, the log's last lines, and what can be done."""
    if run.state not in ENDED_BADLY:
        return ""
    code = run.exit_code
    why = [escape(run.error)] if run.error else []
    if code is None:
        why.append(t("ended_silently", language))
    elif code < 0 or code in (137, 143):
        why.append(t("ended_by_signal", language, code=code))
    else:
        why.append(t("ended_with", language, code=code))
    said = escape(state.tail_log(run.folder, 6))
    return (
        f'<div class="run-error" role="alert"><p>{" ".join(why)}</p><pre>{said}</pre>'
        f"<p>{t('may_resume', language)}</p></div>"
    )


def draw_log(folder: Path, language: str) -> str:
    """Write the log's last lines as HTML that stays scrolled to its end."""
    said = escape(state.tail_log(folder, LOG_LINES))
    label = t("log", language)
    return f'<div class="log" role="log" tabindex="0" aria-label="{label}"><pre>{said}</pre></div>'


def draw_legend(frame: pd.DataFrame | None, metrics: tuple[str, ...], language: str) -> str:
    """Name the curves that are there; the plot's own legend does not fit into its height."""
    drawn = set() if frame is None else set(frame.dropna().curve)
    named: dict[str, str] = {}
    for metric in metrics:
        name = t(f"figure_{metric}", language)
        named |= {metric: name, SMOOTHED.format(name=metric): t("smoothed", language, name=name)}
    curves = [item for item in color_map(metrics, SMOOTHED).items() if item[0] in drawn]
    return " ".join(f'<span><i style="background:{color}"></i>{named[curve]}</span>' for curve, color in curves)
