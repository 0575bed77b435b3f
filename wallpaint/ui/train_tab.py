"""Tab 2: choose a recipe, start a run, watch it. All that is shown of a run is read from its folder."""

from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint import launch, runs
from wallpaint.config import load_config, to_yaml
from wallpaint.ui import canvas
from wallpaint.ui.form import build_form, fill_form, read_form
from wallpaint.ui.page import PRIVATE, Page, guarded
from wallpaint.ui.text import T, t
from wallpaint.ui.watch import build_watch, choose_run, watch_run

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
POLL_SECONDS = 2.0


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
    folder = launch.start_run(path, workspace, config.method)
    return choose_run(folder.name, workspace), t("started", language, name=folder.name)


def stop_training(name: str | None, language: str, workspace: Path) -> str:
    """Ask the chosen run to stop; give the message."""
    asked = launch.stop_run(run_folder(name, workspace, language))
    return t("stopping", language, name=name) if asked else t("not_running", language)


def resume_training(name: str | None, language: str, workspace: Path) -> str:
    """Go on with the chosen run from its last checkpoint; give the message."""
    launch.resume_run(run_folder(name, workspace, language))
    return t("started", language, name=name)


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
