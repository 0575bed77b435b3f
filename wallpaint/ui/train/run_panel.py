"""The right side of tab 2: a run as its folder shows it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from wallpaint.errors import UserError
from wallpaint.runs import state
from wallpaint.ui.board.pictures import thumbnail
from wallpaint.ui.page import Page
from wallpaint.ui.train.curves import DELTAS, LOSSES, SMOOTHED, color_map, draw_curves
from wallpaint.ui.train.run_html import ENDED_BADLY, draw_legend, draw_log, draw_nothing, draw_status, state_name
from wallpaint.ui.words.words import T, t

GRIDS, GRID_SIDE = 6, 1600  # sample grids shown, the newest first, and their longest side

PLOT = {"x": "step", "y": "value", "color": "curve", "y_title": " ", "color_title": " ", "height": 260}
PLOT |= {"colors_in_legend": [], "buttons": []}  # its own legend does not fit into its height
GALLERY = {"columns": 2, "object_fit": "contain", "fit_columns": False, "format": "jpeg", "interactive": False}
GALLERY |= {"buttons": ["fullscreen", "download"]}


@dataclass(frozen=True)
class RunPanel:
    """The right column of the tab."""

    run: gr.Dropdown
    stop: gr.Button
    resume: gr.Button
    use: gr.Button  # 'Use in Compare'
    delete: gr.Button
    confirm: gr.Row  # asks before it deletes
    really_delete: gr.Button
    cancel_delete: gr.Button
    status: gr.HTML
    details: gr.Column  # of the five below, unseen while no run is chosen
    losses: gr.LinePlot
    losses_legend: gr.HTML
    deltas: gr.LinePlot
    deltas_legend: gr.HTML
    samples: gr.Gallery
    log: gr.HTML
    snapshot: gr.JSON  # a Snapshot, unseen

    @property
    def shown(self) -> list[Any]:
        """What `refresh_run` updates."""
        buttons = [self.stop, self.resume, self.use, self.delete]
        curves = [self.losses, self.losses_legend, self.deltas, self.deltas_legend]
        return [self.run, *buttons, self.status, self.details, *curves, self.samples, self.log]


class Snapshot(NamedTuple):
    """What a page shows, each a digest; only what differs is sent again.

    The page keeps it beside what it shows: answers may overtake each other on their way, so the server cannot know.
    """

    runs: str = ""  # the language, and each run with its state
    run: str = ""  # the run at hand, and when its files were written
    samples: str = ""


def digest(*values: Any) -> str:
    """Give a short name of what is shown."""
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


def list_choices(found: list[state.RunState], language: str) -> list[tuple[str, str]]:
    """Give (label with the state, name) of each run."""
    return [(f"{run.name} · {state_name(run, language)}", run.name) for run in found]


def choose_run(name: str | None, workspace: Path, language: str = "en") -> Any:
    """Give the run list as it is on disk; `name` is chosen, else the run at work or next, else the newest."""
    found = state.list_runs(workspace)
    turn = [run for run in found if run.alive] or [run for run in found[::-1] if run.state == state.QUEUED]
    named = [run for run in found if run.name == name]
    chosen = next(iter([*named, *turn, *found]), None)
    return gr.update(choices=list_choices(found, language), value=chosen and chosen.name)


def refresh_run(
    workspace: Path, name: str | None, before: Sequence[str] | None, language: str
) -> tuple[Snapshot, dict[str, Any]]:
    """Read the runs' folders.

    Args:
        name: of the run at hand.
        before: the Snapshot of what the page shows, None for nothing.
        language: the reader's.
        workspace: whose runs.

    Returns:
        what it shows from now on, and {part of RunPanel: update} where something has changed.
    """
    before, found = Snapshot(*(before or ())), state.list_runs(workspace)
    run = next((run for run in found if run.name == name), None)
    listed = digest(language, [(run.name, run.state) for run in found])
    updates: dict[str, Any] = {}
    if listed != before.runs:
        # What is chosen meanwhile stays chosen: only for a run that is gone another one is.
        gone = name is not None and run is None
        offered = gr.update(choices=list_choices(found, language))
        updates["run"] = choose_run(None, workspace, language) if gone else offered
    if run is None:
        if listed != before.runs or before.run:
            updates |= {"details": gr.update(visible=False), "status": draw_nothing(found, language)}
            updates |= update_buttons(None)
        return Snapshot(listed), updates
    stamps = digest(name, language, run.state, [_written(run.folder / file) for file in state.GROWING])
    grids = list_grids(run.folder)
    samples = digest(name, language, grids)
    if stamps != before.run:
        updates |= draw_run(run, language) | update_buttons(run) | {"details": gr.update(visible=True)}
    if samples != before.samples:
        updates["samples"] = draw_grids(grids, language)
    return Snapshot(listed, stamps, samples), updates


def _written(path: Path) -> int:
    """When a file was last written, 0 for none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:  # not yet there, or deleted this moment
        return 0


def draw_run(run: state.RunState, language: str) -> dict[str, Any]:
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


def update_buttons(run: state.RunState | None) -> dict[str, Any]:
    """Let be pressed what makes sense for the run; None for no run."""
    if run is None:
        return {name: gr.update(interactive=False) for name in ("stop", "resume", "use", "delete")}
    busy = run.alive or run.state == state.QUEUED
    weights = any((run.folder / "weights").glob("*.safetensors"))
    look = "primary" if run.state in ENDED_BADLY else "secondary"
    return {
        "stop": gr.update(interactive=busy),
        "resume": gr.update(interactive=not busy and run.state != "done", variant=look),
        "use": gr.update(interactive=weights),
        "delete": gr.update(interactive=not run.alive),
    }


def list_grids(folder: Path) -> list[tuple[int, Path]]:
    """Give (step, file) of the newest sample grids."""
    paths = [path for path in (folder / "samples").glob("step-*.png") if path.stem[5:].isdecimal()]
    return sorted(((int(path.stem[5:]), path) for path in paths), reverse=True)[:GRIDS]


def draw_grids(grids: list[tuple[int, Path]], language: str) -> list[tuple[Image.Image, str]]:
    """Give (picture, caption) of each sample grid that can be read."""
    drawn = []
    for step, path in grids:
        try:
            drawn.append((thumbnail(path, GRID_SIDE), t("step_short", language, step=step)))
        except (UserError, OSError):  # deleted meanwhile, or not yet whole
            continue
    return drawn


def build_run_panel(page: Page) -> RunPanel:
    """Lay out the right column, where a run is followed."""
    parts: dict[str, Any] = {}
    choices = list_choices(state.list_runs(page.workspace), "en")
    parts["run"] = page.add(gr.Dropdown, choices=choices, value=None, label=T("run"), elem_id="run")
    with gr.Row(elem_classes="buttons"):
        look = {"size": "md", "min_width": 110, "interactive": False}
        for name in ("stop", "resume", "use", "delete"):
            variant = "stop" if name == "stop" else "secondary"
            parts[name] = page.add(gr.Button, value=T(name), variant=variant, elem_id=f"{name}-training", **look)
    with gr.Row(visible=False, elem_id="confirm-delete") as parts["confirm"]:
        parts["really_delete"] = page.add(gr.Button, value=T("really_delete"), variant="stop", size="md")
        parts["cancel_delete"] = page.add(gr.Button, value=T("cancel_delete"), size="md")
    parts["status"] = gr.HTML(elem_id="run-status")
    with gr.Column(visible=False) as parts["details"]:
        with gr.Row():
            for name, metrics in (("losses", LOSSES), ("deltas", DELTAS)):
                with gr.Column(min_width=280):
                    props = {"label": T(f"plot_{name}"), "color_map": color_map(metrics, SMOOTHED), **PLOT}
                    parts[name] = page.add(gr.LinePlot, elem_id=f"{name}-plot", **props)
                    parts[f"{name}_legend"] = gr.HTML(elem_classes="legend")
        parts["samples"] = page.add(gr.Gallery, label=T("sample_grids"), elem_id="sample-grids", **GALLERY)
        parts["log"] = gr.HTML(elem_id="run-log")
    parts["snapshot"] = gr.JSON(visible=False)
    return RunPanel(**parts)
