"""Tab 2: choose a recipe, start a run, follow it. All that is shown of a run is read from its folder."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from wallpaint.errors import UserError
from wallpaint.paths import CONFIGS
from wallpaint.runs import state
from wallpaint.settings.train_config import load_config
from wallpaint.ui.handlers import announce, guarded
from wallpaint.ui.page import PRIVATE, QUIET, Page, Step
from wallpaint.ui.train import actions
from wallpaint.ui.train.form import build_form, fill_form
from wallpaint.ui.train.run_panel import RunPanel, build_run_panel, choose_over, choose_run, refresh_run
from wallpaint.ui.visits import Kept
from wallpaint.ui.words.words import T

POLL_SECONDS = 2.0
# The run that was started is shown once it is there: on a phone it stands above the form, see style.css.
SHOW_RUN = """() => setTimeout(() => { const watch = document.querySelector("#watch");
  if (window.innerWidth <= 700 || watch.getBoundingClientRect().top < 0) watch.scrollIntoView({ block: "start" });
}, 700)"""


@dataclass(frozen=True)
class RecipePanel:
    """The left column: what a new run will be."""

    preset: gr.Dropdown
    dataset: gr.Dropdown
    plan: gr.HTML
    start: gr.Button
    start_all: gr.Button
    filled: gr.State  # the recipe that filled in the form
    settings: dict[str, Any]  # the form's inputs by field
    yaml: gr.Code


@dataclass(frozen=True)
class TrainTab:
    """What the page needs of the tab; a public page has no run."""

    run: gr.Dropdown | None = None
    dataset: gr.Dropdown | None = None
    use: gr.Button | None = None  # 'Use in Compare'
    kept: tuple[Kept, ...] = ()
    refresh: tuple[Step, ...] = ()


def build_train_tab(page: Page, language: gr.State, timer: gr.Timer) -> TrainTab:
    """Build the tab and wire it to the page's timer; a public page says why it has none."""
    if page.public:
        page.add(gr.Markdown, value=T("space_no_training"))
        return TrainTab()
    with gr.Row(elem_id="train"):
        with gr.Column(scale=2, min_width=320):
            recipe = build_recipe(page)
        with gr.Column(scale=3, min_width=320, elem_id="watch"):
            panel = build_run_panel(page)

    def reload_lists(name: str | None, dataset: str | None, language: str) -> tuple:
        return choose_run(name, page.workspace, language), actions.choose_dataset(dataset, page.workspace, language)

    first = Step(reload_lists, [panel.run, recipe.dataset, language], [panel.run, recipe.dataset])
    wire_start(page, recipe, panel.run, language)
    refresh = (first, wire_plan(page, recipe, language), wire_run(page, panel, language, timer))
    return TrainTab(panel.run, recipe.dataset, panel.use, keep_form(page, recipe, panel), refresh)


def keep_form(page: Page, recipe: RecipePanel, panel: RunPanel) -> tuple[Kept, ...]:
    """Say what of the tab comes back: the form as it was filled in, and the runs that were looked at."""
    names, form = list(recipe.settings), [recipe.preset, recipe.dataset, *recipe.settings.values()]

    def pack_form(preset: str, dataset: str, *values: Any) -> list:
        return [preset, dataset, dict(zip(names, values, strict=True))]

    def bring_form(packed: list, language: str) -> list:
        preset, dataset, settings = packed
        known = preset if preset in actions.list_presets() else gr.skip()
        brought = actions.choose_dataset(dataset, page.workspace, language)
        return [known, brought, *(settings[name] for name in names), preset]

    def bring_runs(packed: list, language: str) -> tuple:
        name, over = packed
        return choose_run(name, page.workspace, language), choose_over(over, state.list_runs(page.workspace))

    looked_at = [panel.run, panel.over]
    return (
        Kept("recipe", form, [*form, recipe.filled], pack_form, bring_form),
        Kept("runs", looked_at, looked_at, lambda *values: values, bring_runs),
    )


def build_recipe(page: Page) -> RecipePanel:
    """Lay out the recipe, the dataset, the plan, the buttons that start, and the form."""
    presets, folders = actions.list_presets(), actions.list_datasets(page.workspace)
    methods = {name: load_config(CONFIGS / f"{name}.yaml").method for name in presets}
    preset = page.add(
        gr.Dropdown,
        choices=[(T(f"study_{method}").after(name), name) for name, method in methods.items()],
        value=next(iter(presets), None),
        label=T("preset"),
        info=T("preset_info"),
        elem_id="preset",
    )
    first = folders[0][1] if folders else None
    dataset = page.add(gr.Dropdown, choices=folders, value=first, label=T("train_dataset"), elem_id="train-dataset")
    plan = gr.HTML()
    with gr.Row(elem_classes="buttons"):
        look = {"min_width": 140}
        start = page.add(gr.Button, value=T("start"), variant="primary", elem_id="start-training", **look)
        start_all = page.add(gr.Button, value=T("train_all"), elem_id="train-all", **look)
    page.add(gr.Markdown, value=T("queue_help"), elem_classes="quiet")
    settings = build_form(page, CONFIGS / f"{presets[0]}.yaml" if presets else None)
    with page.add(gr.Accordion, label=T("yaml"), open=False, elem_id="yaml-fold"):
        # All of it at once and in one colour: its own scroller takes no keys, and some of its colours are too pale.
        code = {"language": None, "interactive": False, "show_label": False, "wrap_lines": True}
        yaml = gr.Code(**code, buttons=["copy", "download"], elem_id="yaml")
    return RecipePanel(preset, dataset, plan, start, start_all, gr.State(preset.value), settings, yaml)


def wire_plan(page: Page, recipe: RecipePanel, language: gr.State) -> Step:
    """Wire what shows the run to come: recipe, form, plan, YAML; give the step that shows the plan."""
    names, inputs = list(recipe.settings), list(recipe.settings.values())

    def fill_inputs(preset: str, filled: str | None) -> list:
        if preset not in actions.list_presets():
            raise UserError(f"no such recipe {preset!r}, configs, choose one of the list")
        if preset == filled:  # the list was opened and left: what was filled in by hand stays
            return [preset, *[gr.skip()] * len(names)]
        return [preset, *fill_form(names, CONFIGS / f"{preset}.yaml")]

    show_plan = guarded(actions.show_plan, page.workspace, names)
    step = Step(show_plan, [recipe.dataset, language, *inputs], [recipe.plan, recipe.yaml])
    # By the reader's hand alone: a form that comes back with its recipe stays as it was filled in.
    filling = {"inputs": [recipe.preset, recipe.filled], "outputs": [recipe.filled, *inputs]}
    recipe.preset.input(guarded(fill_inputs), **filling, **QUIET).then(*step, **QUIET)
    changes = [*(field.input for field in inputs), language.change]
    gr.on(changes, *step, trigger_mode="always_last", **QUIET)
    # Its masks are looked at: that may take time.
    recipe.dataset.change(*step, trigger_mode="always_last", show_progress_on=recipe.plan, **PRIVATE)
    return step


def wire_start(page: Page, recipe: RecipePanel, run: gr.Dropdown, language: gr.State) -> None:
    """Wire the two buttons that start; the run list follows."""
    form, given = [recipe.dataset, language, *recipe.settings.values()], (page.workspace, list(recipe.settings))
    started = (
        recipe.start.click(guarded(announce(actions.start_training), *given), form, run, **PRIVATE),
        recipe.start_all.click(guarded(announce(actions.train_arms), *given), [recipe.preset, *form], run, **PRIVATE),
    )
    for event in started:
        event.success(None, None, None, js=SHOW_RUN)


def wire_run(page: Page, panel: RunPanel, language: gr.State, timer: gr.Timer) -> Step:
    """Wire what stops, deletes and shows runs; give the step that reads their folders.

    The timer does so while the tab is looked at.
    """
    run, over, snapshot = panel.run, panel.over, panel.snapshot

    def refresh_panel(name: str | None, over: list[str] | None, before: Any, language: str) -> dict:
        after, updates = refresh_run(page.workspace, name, over or (), before, language)
        return {snapshot: list(after), **{getattr(panel, part): update for part, update in updates.items()}}

    for listen, action in (
        (panel.stop.click, actions.stop_training),
        (panel.resume.click, actions.resume_training),
        (panel.delete.click, actions.delete_training),
        (panel.bring_back.click, actions.bring_back_training),
    ):
        listen(guarded(announce(action), page.workspace), [run, language], run, **PRIVATE)
    step = Step(guarded(refresh_panel), [run, over, snapshot, language], [snapshot, *panel.shown])
    # Past the queue: what many pages read every few seconds must not fill it, nor wait behind who paints.
    gr.on([timer.tick, run.change, over.input, language.change], *step, trigger_mode="once", queue=False, **QUIET)
    return step
