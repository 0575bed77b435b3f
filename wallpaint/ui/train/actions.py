"""What tab 2 does: reads the form, queues runs, stops, resumes and deletes them.

What a button does gives (update of the run list, message).
"""

import contextlib
from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint import paths
from wallpaint.dataset.metadata import find_splits
from wallpaint.errors import UserError
from wallpaint.paths import CONFIGS
from wallpaint.runs import launch, state
from wallpaint.settings.choices import meant_by
from wallpaint.settings.train_config import TrainConfig, load_config, to_yaml
from wallpaint.ui.board import pictures
from wallpaint.ui.html import Markup
from wallpaint.ui.train.form import fill_form, read_form
from wallpaint.ui.train.plan import draw_preflight
from wallpaint.ui.train.run_panel import choose_run
from wallpaint.ui.words.words import t, translate

ARMS = ("old_lora", "new_lora", "color_lora")  # the three the study compares


def list_presets() -> list[str]:
    """Names of the recipes in configs/, the study's three first."""
    names = {path.stem for path in CONFIGS.glob("*.yaml")}
    return [*(name for name in ARMS if name in names), *sorted(names - {*ARMS})]


def list_datasets(workspace: Path, language: str = "en") -> list[tuple[str, str]]:
    """Give (name, folder) of what can be trained on: the workspace's datasets, then the shipped sample."""
    folders = sorted(path for path in (workspace / "datasets").glob("[!.]*") if "train" in find_splits(path))
    sample = paths.ASSETS / "rooms" / "sample"
    shipped = [(t("sample_rooms", language), str(sample))] if find_splits(sample) else []
    return [*((path.name, str(path)) for path in folders), *shipped]


def run_folder(workspace: Path, name: str | None, language: str) -> Path:
    """Give the folder of a run that the workspace lists; a name from elsewhere is refused."""
    folders = {run.name: run.folder for run in state.list_runs(workspace)}
    if name not in folders:
        raise UserError(t("no_run", language))
    return folders[name]


def choose_dataset(folder: str | None, workspace: Path, language: str) -> Any:
    """Give the datasets as they are on disk, `folder` chosen, else the first."""
    choices = list_datasets(workspace, language)
    folders = [folder for _, folder in choices]
    return gr.update(choices=choices, value=folder if folder in folders else next(iter(folders), None))


def read_config(workspace: Path, names: list[str], dataset: str | None, language: str, *values: Any) -> TrainConfig:
    """Give the checked config that the form says, on a dataset the tab lists."""
    if dataset not in [folder for _, folder in list_datasets(workspace)]:
        raise UserError(t("no_dataset", language))
    places = {"dataset": dataset, "cache_dir": str(workspace / "cache")}
    return load_config(None, {**read_form(names, values), **places})


def show_plan(workspace: Path, names: list[str], dataset: str | None, language: str, *values: Any) -> tuple[str, str]:
    """Give what the form would start, before it starts: the plan as HTML, the config as YAML."""
    try:
        config = read_config(workspace, names, dataset, language, *values)
        return draw_preflight(config, workspace, language), to_yaml(config)
    except UserError as problem:
        html = Markup('<section class="card run-error" id="preflight" role="alert">{}</section>')
        return html.format(translate(str(problem), language)), ""


def queue_runs(workspace: Path, configs: list[TrainConfig], language: str) -> tuple[Any, str]:
    """Write configs as YAML and start them, or queue them behind what is running; the first one is chosen."""
    names: dict[str, list[str]] = {"started": [], "queued": []}
    for config in configs:
        path = pictures.working_folder(workspace) / "config.yaml"
        path.write_text(to_yaml(config), encoding="utf-8")
        folder = launch.start_run(path, workspace, config.method)
        names["queued" if state.read_run(folder).state == state.QUEUED else "started"].append(folder.name)
    message = " ".join(t(key, language, name=", ".join(some)) for key, some in names.items() if some)
    return choose_run([*names["started"], *names["queued"]][0], workspace, language), message


def start_training(
    workspace: Path, names: list[str], dataset: str | None, language: str, *values: Any
) -> tuple[Any, str]:
    """Check the form and start or queue the run."""
    return queue_runs(workspace, [read_config(workspace, names, dataset, language, *values)], language)


def train_arms(
    workspace: Path, names: list[str], preset: str, dataset: str | None, language: str, *values: Any
) -> tuple[Any, str]:
    """Queue the study's three arms, each by its own recipe; what was changed in the form holds for all."""
    unchanged = fill_form(names, CONFIGS / f"{preset}.yaml") if preset in list_presets() else [None] * len(names)
    rows = zip(names, values, unchanged, strict=True)
    changed = {name: value for name, value, before in rows if value != before and name != "method"}
    configs = []
    for arm in ARMS:
        recipe = fill_form(names, CONFIGS / f"{arm}.yaml")
        form = dict(zip(names, recipe, strict=True)) | changed
        steps, meant = int(form["max_train_steps"]), meant_by(form["method"])["use_color_loss"]
        used = form["use_color_loss"] == "true" or (meant and not form["use_color_loss"])
        if used and int(form["color_loss_start_step"]) >= steps:  # in a short run it would never act
            form["color_loss_start_step"] = steps // 10
        configs.append(read_config(workspace, names, dataset, language, *form.values()))
    return queue_runs(workspace, configs, language)


def stop_training(workspace: Path, name: str | None, language: str) -> tuple[Any, str]:
    """Ask the chosen run to stop."""
    asked = launch.stop_run(run_folder(workspace, name, language))
    return gr.skip(), t("stopping", language, name=name) if asked else t("not_running", language)


def resume_training(workspace: Path, name: str | None, language: str) -> tuple[Any, str]:
    """Go on with the chosen run from its last checkpoint."""
    folder = launch.resume_run(run_folder(workspace, name, language))
    key = "queued" if state.read_run(folder).state == state.QUEUED else "started"
    return gr.skip(), t(key, language, name=folder.name)


def delete_training(workspace: Path, name: str | None, language: str) -> tuple[Any, str]:
    """Move the chosen run to the trash."""
    with contextlib.suppress(FileNotFoundError):  # another studio was faster
        launch.delete_run(run_folder(workspace, name, language))
    return choose_run(None, workspace, language), t("deleted", language, name=name)


def bring_back_training(workspace: Path, name: str | None, language: str) -> tuple[Any, str]:
    """Bring back the run that was deleted last, and choose it."""
    deleted = launch.list_deleted(workspace)
    if not deleted:
        raise UserError(t("nothing_deleted", language))
    folder = launch.restore_run(deleted[0])
    key = "brought_back" if folder.name == deleted[0].name else "brought_back_as"
    return choose_run(folder.name, workspace, language), t(key, language, name=deleted[0].name, now=folder.name)
