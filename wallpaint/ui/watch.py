"""The right side of tab 2: a run as its folder shows it."""

import html
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
from PIL import Image

from wallpaint import runs
from wallpaint.ui.page import Page
from wallpaint.ui.text import T, t

CURVE_POINTS = 400


def choose_run(name: str | None, workspace: Path) -> Any:
    """Give the run list as it is on disk, `name` chosen, else the newest run."""
    names = [run.name for run in runs.list_runs(workspace)]
    return gr.update(choices=names, value=name if name in names else next(iter(names), None))


def watch_run(name: str | None, seen: Any, language: str, workspace: Path) -> tuple:
    """Give (seen, status, curve, picture, log) of the chosen run; skipped while its folder is the same."""
    names = [run.name for run in runs.list_runs(workspace)]
    if name not in names:
        empty = (None, language)
        return (gr.skip(),) * 5 if seen == empty else (empty, t("no_runs", language), None, None, "")
    folder = workspace / "runs" / name
    run = runs.read_run(folder)
    picture = max((folder / "samples").glob("step-*.png"), default=None)
    files = [
        folder / "run.json",
        folder / "metrics.jsonl",
        folder / "train.log",
        *([picture] if picture else []),
    ]
    now = (name, language, run.state, *(path.stat().st_mtime_ns if path.exists() else 0 for path in files))
    if now == seen:
        return (gr.skip(),) * 5
    shown = (
        gr.skip() if seen and seen[0] == name and seen[-1] == now[-1] and len(seen) == len(now) else picture
    )
    shown = Image.open(shown).convert("RGB") if isinstance(shown, Path) else shown
    return now, draw_status(run, language), draw_curve(folder), shown, runs.tail_log(folder, 14)


def draw_status(run: runs.RunState, language: str) -> str:
    """Write a run's state, progress and time left as HTML."""
    total, step = run.max_train_steps, run.step
    share = min(1.0, step / total) if total else 0.0
    words = [t("step", language, step=step, total=total or "?")]
    if run.eta_seconds is not None:
        words.append(t("left", language, time=write_duration(run.eta_seconds)))
    known = (
        f"state_{run.state}"
        if run.state in (*runs.ALIVE, "done", "stopped", "failed", "crashed")
        else "state_unknown"
    )
    error = f'<div class="run-error">{html.escape(run.error)}</div>' if run.error else ""
    return (
        f'<div class="run"><span class="badge {html.escape(run.state)}">{t(known, language)}</span> '
        f"<b>{html.escape(run.name)}</b> · {' · '.join(words)}"
        f'<div class="bar"><div style="width:{share:.1%}"></div></div>{error}</div>'
    )


def write_duration(seconds: float) -> str:
    """Write 75 as '1 min 15 s', 7500 as '2 h 5 min'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def draw_curve(folder: Path) -> pd.DataFrame | None:
    """Give the losses as rows (step, value, loss) thinned to what a plot can show; None before the first."""
    rows = runs.read_metrics(folder)
    names = [name for name in ("loss", "loss_diffusion", "loss_color") if any(name in row for row in rows)]
    rows = rows[:: max(1, len(rows) // CURVE_POINTS)]
    points = [(row["step"], row[name], name) for name in names for row in rows if row.get(name) is not None]
    return pd.DataFrame(points, columns=["step", "value", "loss"]) if points else None


def build_watch(page: Page) -> dict[str, Any]:
    """Lay out the right column, where a run is watched."""
    parts = {}
    with gr.Row(equal_height=True):
        names = [run.name for run in runs.list_runs(page.workspace)]
        parts["run"] = page.add(
            gr.Dropdown, choices=names, value=next(iter(names), None), label=T("run"), scale=3, elem_id="run"
        )
        parts["stop"] = page.add(
            gr.Button, value=T("stop"), variant="stop", min_width=80, elem_id="stop-training"
        )
        parts["resume"] = page.add(gr.Button, value=T("resume"), min_width=80)
    parts["message"] = gr.Markdown()
    parts["status"] = gr.HTML(elem_id="run-status")
    with gr.Row():
        parts["curve"] = page.add(
            gr.LinePlot,
            label=T("loss"),
            x="step",
            y="value",
            color="loss",
            height=340,
            elem_id="loss-plot",
            buttons=[],
        )
        parts["samples"] = page.add(
            gr.Image,
            label=T("last_samples"),
            interactive=False,
            format="png",
            height=300,
            buttons=["fullscreen"],
        )
    parts["log"] = page.add(
        gr.Textbox, label=T("log"), lines=10, max_lines=10, interactive=False, elem_id="run-log"
    )
    return parts
