"""The right side of tab 2: a run as its folder shows it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from wallpaint.disk import written
from wallpaint.errors import UserError
from wallpaint.runs import launch, state
from wallpaint.runs.device import look_at_load
from wallpaint.ui.gallery import thumbnail
from wallpaint.ui.page import Page
from wallpaint.ui.train.curves import COLORS, draw_plots
from wallpaint.ui.train.run_html import ENDED_BADLY, draw_load, draw_log, draw_nothing, draw_status, state_name
from wallpaint.ui.words.words import T, t

GRIDS, GRID_SIDE = 6, 1600  # sample grids shown, the newest first, and their longest side

GALLERY = {"columns": 2, "object_fit": "contain", "fit_columns": False, "format": "jpeg", "interactive": False}
GALLERY |= {"buttons": ["fullscreen", "download"]}


# When a run will be done, by the reader's own clock.
CLOCK = """const show = () => { for (const part of element.querySelectorAll("time")) {
    const at = new Date(part.dateTime), soon = at - Date.now() < 12 * 3600e3;
    const text = at.toLocaleString(document.documentElement.lang,
      { hour: "2-digit", minute: "2-digit", ...(soon ? {} : { weekday: "short" }) });
    if (part.textContent !== text) part.textContent = text; } };
  new MutationObserver(show).observe(element, { childList: true, subtree: true }); show();"""


@dataclass(frozen=True)
class RunPanel:
    """The right column of the tab."""

    run: gr.Dropdown
    stop: gr.Button
    resume: gr.Button
    use: gr.Button  # 'Use in Compare'
    delete: gr.Button
    bring_back: gr.Button  # what was deleted last; unseen while the trash is empty
    status: gr.HTML
    load: gr.HTML  # the machine's
    details: gr.Column  # of the four below, unseen while no run is chosen
    over: gr.Dropdown  # runs that are laid over the chosen one
    plots: gr.HTML
    samples: gr.Gallery
    log: gr.HTML
    snapshot: gr.JSON  # a Snapshot, unseen

    @property
    def shown(self) -> list[Any]:
        """What `refresh_run` updates."""
        buttons = [self.stop, self.resume, self.use, self.delete, self.bring_back]
        below = [self.status, self.load, self.details, self.over, self.plots, self.samples, self.log]
        return [self.run, *buttons, *below]


class Snapshot(NamedTuple):
    """What a page shows, each a digest; only what differs is sent again.

    The page keeps it beside what it shows: answers may overtake each other on their way, so the server cannot know.
    """

    runs: str = ""  # the language, each run with its state, and the trash
    run: str = ""  # the run at hand, and when its files were written
    plots: str = ""  # the same of all runs that lie over each other
    samples: str = ""
    load: str = ""


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


def choose_over(over: Sequence[str], found: list[state.RunState]) -> Any:
    """Give the runs that can be laid over another; those of `over` that are still there are chosen."""
    names = [run.name for run in found]
    return gr.update(choices=names, value=[name for name in over if name in names])


def refresh_run(
    workspace: Path, name: str | None, over: Sequence[str], before: Sequence[str] | None, language: str
) -> tuple[Snapshot, dict[str, Any]]:
    """Read the folder of the run at hand, and of those `over` it whose curves are laid over its own.

    `before` is the Snapshot of what the page shows, None for nothing.

    Returns:
        what it shows from now on, and {part of RunPanel: update} where something has changed.
    """
    before, found, deleted = Snapshot(*(before or ())), state.list_runs(workspace), launch.list_deleted(workspace)[:1]
    run = next((run for run in found if run.name == name), None)
    listed = digest(language, [(run.name, run.state) for run in found], deleted)
    said = draw_load(look_at_load(), language)
    load = digest(said)
    updates: dict[str, Any] = {"load": said} if load != before.load else {}
    if listed != before.runs:
        # What is chosen meanwhile stays chosen: only for a run that is gone another one is.
        gone = name is not None and run is None
        offered = gr.update(choices=list_choices(found, language))
        updates["run"] = choose_run(None, workspace, language) if gone else offered
        still = {*over} <= {run.name for run in found}
        offered = gr.update(choices=[run.name for run in found]) if still else choose_over(over, found)
        updates["over"] = offered | {"visible": len(found) > 1}  # a single run has nothing to lay over it
        label = t("bring_back", language, name=deleted[0].name) if deleted else ""
        updates["bring_back"] = gr.update(visible=bool(deleted), value=label)
    if run is None:
        if listed != before.runs or before.run:
            updates |= {"details": gr.update(visible=False), "status": draw_nothing(found, language)}
            updates |= update_buttons(None)
        return Snapshot(listed, load=load), updates
    ahead = list_ahead(run, found)
    stamps = digest(name, language, run.state, ahead, [written(run.folder / file) for file in state.GROWING])
    laid = [run, *(other for other in found if other.name in over and other is not run)]
    plots = digest(language, [(other.name, written(other.folder / "metrics.jsonl")) for other in laid])
    grids = list_grids(run.folder)
    samples = digest(name, language, grids)
    if stamps != before.run:
        rows = state.read_metrics(run.folder)
        updates |= {"status": draw_status(run, rows, language, ahead), "log": draw_log(run.folder, language)}
        begun = run.state != state.QUEUED or written(run.folder / "train.log") > 0
        updates |= update_buttons(run) | {"details": gr.update(visible=begun)}
    if plots != before.plots:
        alone = [other.name for other in laid if other.fields.get("held_out") == 0]
        updates["plots"] = draw_plots({run.name: state.read_metrics(run.folder) for run in laid}, alone, language)
    if samples != before.samples:
        drawn = draw_grids(grids, language)
        updates["samples"] = gr.update(value=drawn, visible=bool(drawn))
    return Snapshot(listed, stamps, plots, samples, load), updates


def list_ahead(run: state.RunState, found: list[state.RunState]) -> list[str]:
    """Name the runs that a queued one waits for, in their order."""
    if run.state != state.QUEUED:
        return []
    turn = run.fields.get("queued") or 0.0
    waiting = sorted((other.fields.get("queued") or 0.0, other.name) for other in found if other.state == state.QUEUED)
    return [*(other.name for other in found if other.alive), *(name for at, name in waiting if at < turn)]


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
        "use": gr.update(interactive=weights, variant="primary" if run.state == "done" else "secondary"),
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
    with gr.Row(elem_classes="buttons", elem_id="run-buttons"):
        look = {"size": "md", "min_width": 110, "interactive": False}
        for name in ("stop", "resume", "use", "delete"):
            variant = "stop" if name == "stop" else "secondary"
            parts[name] = page.add(gr.Button, value=T(name), variant=variant, elem_id=f"{name}-training", **look)
        parts["bring_back"] = gr.Button(visible=False, elem_id="bring-back", size="md", min_width=110)
    parts["status"] = gr.HTML(elem_id="run-status", js_on_load=CLOCK)
    parts["load"] = gr.HTML(elem_id="machine-load")
    with gr.Column(visible=False) as parts["details"]:
        many = {"choices": [], "value": [], "multiselect": True, "max_choices": len(COLORS) - 1}
        parts["over"] = page.add(gr.Dropdown, label=T("over"), info=T("over_info"), elem_id="over", **many)
        parts["plots"] = gr.HTML(elem_id="plots")
        parts["samples"] = page.add(gr.Gallery, label=T("sample_grids"), elem_id="sample-grids", **GALLERY)
        parts["log"] = gr.HTML(elem_id="run-log")
    parts["snapshot"] = gr.JSON(visible=False)
    return RunPanel(**parts)
