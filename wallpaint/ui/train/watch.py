"""The right side of tab 2: a run as its folder shows it."""

from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from wallpaint.runs import state
from wallpaint.ui.board.pictures import thumbnail
from wallpaint.ui.page import Page
from wallpaint.ui.train.curves import DELTAS, LOSSES, SMOOTHED, color_map, draw_curves
from wallpaint.ui.train.run_view import ENDED_BADLY, draw_legend, draw_log, draw_nothing, draw_status, say_state
from wallpaint.ui.words.words import T, t

GRIDS, GRID_SIDE = 6, 1600  # sample grids shown, the newest first, and their longest side
WATCHED = (
    *("details", "status", "losses", "losses_legend", "deltas", "deltas_legend", "samples", "log"),
    *("stop", "resume", "use", "delete"),
)


def list_choices(found: list[state.RunState], language: str) -> list[tuple[str, str]]:
    """Give (label with the state, name) of each run."""
    return [(f"{run.name} · {say_state(run, language)}", run.name) for run in found]


def choose_run(name: str | None, workspace: Path, language: str = "en") -> Any:
    """Give the run list as it is on disk; `name` is chosen, else the run at work or next, else the newest."""
    found = state.list_runs(workspace)
    turn = [run for run in found if run.alive] or [run for run in found[::-1] if run.state == state.QUEUED]
    named = [run for run in found if run.name == name]
    chosen = next(iter([*named, *turn, *found]), None)
    return gr.update(choices=list_choices(found, language), value=chosen and chosen.name)


def watch_run(name: str | None, seen: Any, language: str, workspace: Path) -> tuple[Any, dict[str, Any]]:
    """Look at the runs: give what was seen, and updates of `run` and of WATCHED where something is new."""
    found = state.list_runs(workspace)
    run = next((run for run in found if run.name == name), None)
    listed = (language, tuple((run.name, run.state) for run in found))
    before = seen or (None, None, None)
    updates: dict[str, Any] = {}
    if listed != before[0]:
        # What is chosen meanwhile stays chosen: only for a run that is gone another one is.
        gone = name is not None and run is None
        offered = gr.update(choices=list_choices(found, language))
        updates["run"] = choose_run(None, workspace, language) if gone else offered
    if run is None:
        if listed != before[0] or before[1] is not None:
            updates |= {"details": gr.update(visible=False), "status": draw_nothing(found, language)}
            updates |= show_buttons(None, Path())
        return (listed, None, None), updates
    stamps = (name, language, run.state, *(_stamp(run.folder / file) for file in state.GROWING))
    grids = (name, tuple(sorted(path.name for path in (run.folder / "samples").glob("step-*.png"))))
    if stamps != before[1]:
        updates |= show_run(run, language) | show_buttons(run, run.folder)
        updates["details"] = gr.update(visible=True)
    if grids != before[2]:
        updates["samples"] = show_grids(run.folder, language)
    return (listed, stamps, grids), updates


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def show_run(run: state.RunState, language: str) -> dict[str, Any]:
    """Give the status, the curves and the log of a run."""
    rows = state.read_metrics(run.folder)
    losses, deltas = (draw_curves(rows, names, SMOOTHED) for names in (LOSSES, DELTAS))
    return {
        "status": draw_status(run, rows, language),
        "losses": losses,
        "losses_legend": draw_legend(losses, LOSSES, language),
        "deltas": deltas,
        "deltas_legend": draw_legend(deltas, DELTAS, language),
        "log": draw_log(run.folder, language),
    }


def show_buttons(run: state.RunState | None, folder: Path) -> dict[str, Any]:
    """Let be pressed what makes sense for the run."""
    busy = run is not None and (run.alive or run.state == state.QUEUED)
    rested = run is not None and not busy
    return {
        "stop": gr.update(interactive=busy),
        "resume": gr.update(
            interactive=rested and run is not None and run.state != "done",
            variant="primary" if run is not None and run.state in ENDED_BADLY else "secondary",
        ),
        "use": gr.update(interactive=run is not None and any((folder / "weights").glob("*.safetensors"))),
        "delete": gr.update(interactive=run is not None and not run.alive),
    }


def show_grids(folder: Path, language: str) -> list[tuple[Image.Image, str]]:
    """Give (picture, caption) of the newest sample grids."""
    paths = sorted((folder / "samples").glob("step-*.png"), reverse=True)[:GRIDS]
    steps = [t("step_short", language, step=int(path.stem.split("-")[1])) for path in paths]
    return [(thumbnail(path, GRID_SIDE), step) for path, step in zip(paths, steps, strict=True)]


def build_watch(page: Page) -> dict[str, Any]:
    """Lay out the right column, where a run is watched."""
    parts: dict[str, Any] = {}
    parts["run"] = page.add(
        gr.Dropdown,
        choices=list_choices(state.list_runs(page.workspace), "en"),
        value=None,
        label=T("run"),
        elem_id="run",
    )
    with gr.Row(elem_classes="buttons"):
        for name, variant in (
            ("stop", "stop"),
            ("resume", "secondary"),
            ("use", "secondary"),
            ("delete", "secondary"),
        ):
            parts[name] = page.add(
                gr.Button,
                value=T(name),
                variant=variant,
                size="md",
                min_width=110,
                interactive=False,
                elem_id=f"{name}-training",
            )
    with gr.Row(visible=False, elem_id="confirm-delete") as parts["confirm"]:
        parts["really"] = page.add(gr.Button, value=T("really_delete"), variant="stop", size="md")
        parts["keep"] = page.add(gr.Button, value=T("keep"), size="md")
    parts["status"] = gr.HTML(elem_id="run-status")
    with gr.Column(visible=False) as parts["details"]:
        with gr.Row():
            for name, metrics in (("losses", LOSSES), ("deltas", DELTAS)):
                with gr.Column(min_width=280):
                    parts[name] = page.add(
                        gr.LinePlot,
                        label=T(f"plot_{name}"),
                        x="step",
                        y="value",
                        color="curve",
                        color_map=color_map(metrics, SMOOTHED),
                        colors_in_legend=[],
                        y_title=" ",
                        color_title=" ",
                        height=260,
                        elem_id=f"{name}-plot",
                        buttons=[],
                    )
                    parts[f"{name}_legend"] = gr.HTML(elem_classes="legend")
        parts["samples"] = page.add(
            gr.Gallery,
            label=T("sample_grids"),
            columns=2,
            object_fit="contain",
            format="jpeg",
            fit_columns=False,
            interactive=False,
            buttons=["fullscreen", "download"],
            elem_id="sample-grids",
        )
        parts["log"] = gr.HTML(elem_id="run-log")
    return parts
