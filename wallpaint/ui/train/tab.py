"""Tab 2: choose a recipe, start a run, watch it. All that is shown of a run is read from its folder."""

from html import escape
from typing import Any

import gradio as gr

from wallpaint.errors import UserError
from wallpaint.paths import CONFIGS
from wallpaint.settings.methods import METHODS
from wallpaint.settings.train_config import load_config
from wallpaint.ui.page import PRIVATE, Page, guarded
from wallpaint.ui.train.form import build_form, fill_form
from wallpaint.ui.train.runs import (
    choose_dataset,
    delete_training,
    list_datasets,
    list_presets,
    resume_training,
    show_plan,
    start_training,
    stop_training,
    train_arms,
)
from wallpaint.ui.train.watch import WATCHED, build_watch, choose_run, watch_run
from wallpaint.ui.words.words import T

POLL_SECONDS = 2.0
QUIET = {**PRIVATE, "show_progress": "hidden"}


def build_train_tab(page: Page, language: gr.State, timer: gr.Timer) -> dict[str, Any]:
    """Build the tab, wire it to the page's timer and give its parts; a public page says why it has none."""
    if page.public:
        page.add(gr.Markdown, value=T("space_no_training"))
        return {}
    parts: dict[str, Any] = {}
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            parts |= build_recipe(page)
            presets = list_presets()
            inputs = build_form(page, CONFIGS / f"{presets[0]}.yaml" if presets else None)
            with page.add(gr.Accordion, label=T("yaml"), open=False, elem_id="yaml-fold"):
                parts["yaml"] = gr.Code(
                    language="yaml",
                    interactive=False,
                    show_label=False,
                    max_lines=30,
                    buttons=["copy", "download"],
                    elem_id="yaml",
                )
        with gr.Column(scale=3, min_width=320):
            parts |= build_watch(page)
    wire_plan(page, parts, inputs, language)
    wire_runs(page, parts, inputs, language, timer)
    return parts


def build_recipe(page: Page) -> dict[str, Any]:
    """Lay out the recipe, the dataset, the pre-flight and the buttons that start."""
    parts: dict[str, Any] = {}
    presets, folders = list_presets(), list_datasets(page.workspace)
    named = [
        (f"{name} · {METHODS[load_config(CONFIGS / f'{name}.yaml').method].study_name}", name) for name in presets
    ]
    parts["preset"] = page.add(
        gr.Dropdown,
        choices=named,
        value=next(iter(presets), None),
        label=T("preset"),
        elem_id="preset",
        info=T("preset_info"),
    )
    parts["dataset"] = page.add(
        gr.Dropdown,
        choices=folders,
        value=folders[0][1] if folders else None,
        label=T("train_dataset"),
        elem_id="train-dataset",
    )
    parts["preflight"] = gr.HTML()
    with gr.Row(elem_classes="buttons"):
        parts["start"] = page.add(
            gr.Button, value=T("start"), variant="primary", min_width=140, elem_id="start-training"
        )
        parts["all"] = page.add(gr.Button, value=T("train_all"), min_width=140, elem_id="train-all")
    page.add(gr.Markdown, value=T("queue_help"), elem_classes="quiet")
    return parts


def wire_plan(page: Page, parts: dict, inputs: dict, language: gr.State) -> None:
    """Wire what shows the run to come: recipe, form, pre-flight, YAML."""
    workspace, names = page.workspace, list(inputs)

    @guarded
    def fill_form_here(preset: str) -> list:
        if preset not in list_presets():
            raise UserError(f"no such recipe {preset!r}, configs, choose one of the list")
        return fill_form(names, CONFIGS / f"{preset}.yaml")

    @guarded
    def show_plan_here(dataset: str | None, language: str, *values: Any) -> tuple:
        return show_plan(dataset, language, workspace, names, list(values))

    given, shown = [parts["dataset"], language, *inputs.values()], [parts["preflight"], parts["yaml"]]
    filled = parts["preset"].change(fill_form_here, parts["preset"], list(inputs.values()), **QUIET)
    filled.then(show_plan_here, given, shown, **QUIET)
    heard = [field.input for field in inputs.values()]
    gr.on(
        [*heard, parts["dataset"].change, language.change],
        show_plan_here,
        given,
        shown,
        trigger_mode="always_last",
        **QUIET,
    )
    parts["looks"] = [(show_plan_here, given, shown)]


def wire_runs(page: Page, parts: dict, inputs: dict, language: gr.State, timer: gr.Timer) -> None:
    """Wire what starts, stops and shows runs; the timer reads the folders whether or not the tab is open."""
    workspace, names, seen = page.workspace, list(inputs), gr.State(None)
    run = parts["run"]

    @guarded
    def start_here(dataset: str | None, language: str, *values: Any) -> Any:
        return tell(*start_training(dataset, language, workspace, names, list(values)))

    @guarded
    def train_all_here(preset: str, dataset: str | None, language: str, *values: Any) -> Any:
        return tell(*train_arms(preset, dataset, language, workspace, names, list(values)))

    @guarded
    def stop_here(name: str | None, language: str) -> None:
        tell(None, stop_training(name, language, workspace))

    @guarded
    def resume_here(name: str | None, language: str) -> None:
        tell(None, resume_training(name, language, workspace))

    @guarded
    def delete_here(name: str | None, language: str) -> tuple:
        return tell(*delete_training(name, language, workspace)), gr.update(visible=False)

    @guarded
    def watch_here(name: str | None, seen: Any, language: str) -> list:
        seen, updates = watch_run(name, seen, language, workspace)
        return [seen, *(updates.get(part, gr.skip()) for part in ("run", *WATCHED))]

    form = [parts["dataset"], language, *inputs.values()]
    parts["start"].click(start_here, form, run, **PRIVATE)
    parts["all"].click(train_all_here, [parts["preset"], *form], run, **PRIVATE)
    parts["stop"].click(stop_here, [run, language], None, **PRIVATE)
    parts["resume"].click(resume_here, [run, language], None, **PRIVATE)
    parts["delete"].click(lambda: gr.update(visible=True), None, parts["confirm"], **QUIET)
    parts["keep"].click(lambda: gr.update(visible=False), None, parts["confirm"], **QUIET)
    parts["really"].click(delete_here, [run, language], [run, parts["confirm"]], **PRIVATE)
    watched = [seen, run, *(parts[name] for name in WATCHED)]
    gr.on(
        [timer.tick, run.change, language.change],
        watch_here,
        [run, seen, language],
        watched,
        trigger_mode="once",
        **QUIET,
    )
    parts["looks"].append((watch_here, [run, seen, language], watched))
    parts["reload"] = lambda name, dataset, language: (
        choose_run(name, workspace, language),
        choose_dataset(dataset, workspace),
    )
    parts["reload_inputs"] = [run, parts["dataset"], language]
    parts["reload_outputs"] = [run, parts["dataset"]]


def tell(update: Any, message: str) -> Any:
    """Show a message as a toast and hand the update on."""
    gr.Info(escape(message))
    return update
