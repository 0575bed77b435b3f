"""Tab 2: choose a recipe, start a run, watch it. All that is shown of a run is read from its folder."""

import html
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
from PIL import Image

from wallpaint import runs
from wallpaint.config import load_config, to_yaml
from wallpaint.ui import canvas
from wallpaint.ui.form import build_form, fill_form, read_form
from wallpaint.ui.page import PRIVATE, Page, guarded
from wallpaint.ui.text import T, t

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
POLL_SECONDS = 2.0
CURVE_POINTS = 400


def list_presets() -> list[str]:
    """Names of the recipes in configs/, the study's three first."""
    names = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
    return sorted(
        names, key=lambda name: next((i for i, k in enumerate(("old", "new", "color")) if k in name), 9)
    )


def list_datasets(workspace: Path) -> list[tuple[str, str]]:
    """Give (name, folder) of what can be trained on: the workspace's datasets, then the shipped sample."""
    folders = sorted((workspace / "datasets").glob("*/train/metadata.jsonl"))
    found = [(path.parent.parent.name, str(path.parent.parent)) for path in folders]
    sample = canvas.ASSETS / "rooms" / "sample"
    return [
        *found,
        *([("sample rooms", str(sample))] if (sample / "train" / "metadata.jsonl").is_file() else []),
    ]


def run_folder(name: str | None, workspace: Path, language: str = "en") -> Path:
    """Give the folder of a run that the workspace lists; a name from elsewhere is refused."""
    folders = {run.name: run.folder for run in runs.list_runs(workspace)}
    if name not in folders:
        raise ValueError(t("no_run", language))
    return folders[name]


def choose_run(name: str | None, workspace: Path) -> Any:
    """Give the run list as it is on disk, `name` chosen, else the newest run."""
    names = [run.name for run in runs.list_runs(workspace)]
    return gr.update(choices=names, value=name if name in names else next(iter(names), None))


def choose_dataset(folder: str | None, workspace: Path) -> Any:
    """Give the datasets as they are on disk, `folder` chosen, else the first."""
    choices = list_datasets(workspace)
    folders = [folder for _, folder in choices]
    return gr.update(choices=choices, value=folder if folder in folders else next(iter(folders), None))


def start_training(
    dataset: str | None, language: str, workspace: Path, names: list[str], values: list
) -> tuple:
    """Check the form, write it as YAML and start the run; give the run list and the message."""
    if dataset not in [folder for _, folder in list_datasets(workspace)]:
        raise ValueError(t("no_dataset", language))
    places = {"dataset": dataset, "cache_dir": str(workspace / "cache")}
    config = load_config(None, {**read_form(names, values), **places})
    path = canvas.working_folder(workspace) / "config.yaml"
    path.write_text(to_yaml(config), encoding="utf-8")
    folder = runs.start_run(path, workspace, config.method)
    return choose_run(folder.name, workspace), t("started", language, name=folder.name)


def stop_training(name: str | None, language: str, workspace: Path) -> str:
    """Ask the chosen run to stop; give the message."""
    asked = runs.stop_run(run_folder(name, workspace, language))
    return t("stopping", language, name=name) if asked else t("not_running", language)


def resume_training(name: str | None, language: str, workspace: Path) -> str:
    """Go on with the chosen run from its last checkpoint; give the message."""
    runs.resume_run(run_folder(name, workspace, language))
    return t("started", language, name=name)


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


def build_train_tab(page: Page, language: gr.State, timer: gr.Timer) -> dict[str, Any]:
    """Build the tab, wire it to the page's timer and give its parts; a public page says why it has none."""
    if page.public:
        page.add(gr.Markdown, value=T("space_no_training"))
        return {}
    parts = {}
    with gr.Row():
        with gr.Column(scale=1, min_width=380):
            presets, folders = list_presets(), list_datasets(page.workspace)
            with gr.Row():
                parts["preset"] = page.add(
                    gr.Dropdown,
                    choices=presets,
                    value=next(iter(presets), None),
                    label=T("preset"),
                    min_width=150,
                )
                first = folders[0][1] if folders else None
                parts["dataset"] = page.add(
                    gr.Dropdown, choices=folders, value=first, label=T("train_dataset"), min_width=150
                )
            parts["start"] = page.add(
                gr.Button, value=T("start"), variant="primary", elem_id="start-training"
            )
            inputs = build_form(page, CONFIGS / f"{presets[0]}.yaml" if presets else None)
        with gr.Column(scale=2, min_width=480):
            parts |= build_watch(page)
    wire_train_tab(page, parts, inputs, language, timer)
    return parts


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
            height=300,
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


def wire_train_tab(page: Page, parts: dict, inputs: dict, language: gr.State, timer: gr.Timer) -> None:
    """Wire the tab's events; the timer reads the run folder whether or not the tab is open."""
    workspace, names, seen = page.workspace, list(inputs), gr.State(None)

    @guarded
    def fill_form_here(preset: str) -> list:
        if preset not in list_presets():
            raise ValueError(f"no such recipe {preset!r}, configs, choose one of the list")
        return fill_form(names, CONFIGS / f"{preset}.yaml")

    @guarded
    def start_here(dataset: str | None, language: str, *values: Any) -> tuple:
        return start_training(dataset, language, workspace, names, list(values))

    @guarded
    def stop_here(name: str | None, language: str) -> str:
        return stop_training(name, language, workspace)

    @guarded
    def resume_here(name: str | None, language: str) -> str:
        return resume_training(name, language, workspace)

    @guarded
    def watch_here(name: str | None, seen: Any, language: str) -> tuple:
        return watch_run(name, seen, language, workspace)

    quiet = {**PRIVATE, "show_progress": "hidden"}
    watched = [seen, parts["status"], parts["curve"], parts["samples"], parts["log"]]
    parts["preset"].change(fill_form_here, parts["preset"], list(inputs.values()), **quiet)
    parts["start"].click(
        start_here,
        [parts["dataset"], language, *inputs.values()],
        [parts["run"], parts["message"]],
        **PRIVATE,
    )
    parts["stop"].click(stop_here, [parts["run"], language], parts["message"], **PRIVATE)
    parts["resume"].click(resume_here, [parts["run"], language], parts["message"], **PRIVATE)
    for listen in (timer.tick, parts["run"].change):
        listen(watch_here, [parts["run"], seen, language], watched, trigger_mode="once", **quiet)
    parts["reload"] = lambda run=None, dataset=None: (
        choose_run(run, workspace),
        choose_dataset(dataset, workspace),
    )
    parts["reload_outputs"] = [parts["run"], parts["dataset"]]
