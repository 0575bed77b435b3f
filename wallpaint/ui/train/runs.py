"""What tab 2 does: reads the form, queues runs, stops, resumes and deletes them."""

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint.errors import UserError
from wallpaint.paths import CONFIGS
from wallpaint.runs import launch, state
from wallpaint.settings.train_config import TrainConfig, load_config, to_yaml
from wallpaint.ui.board import pictures as picture
from wallpaint.ui.train.form import fill_form, read_form
from wallpaint.ui.train.plan import draw_preflight
from wallpaint.ui.train.watch import choose_run
from wallpaint.ui.words.words import t

ARMS = ("old_lora", "new_lora", "color_lora")  # the three the study compares


def list_presets() -> list[str]:
    """Names of the recipes in configs/, the study's three first."""
    names = {path.stem for path in CONFIGS.glob("*.yaml")}
    return [*(name for name in ARMS if name in names), *sorted(names - {*ARMS})]


def list_datasets(workspace: Path) -> list[tuple[str, str]]:
    """Give (name, folder) of what can be trained on: the workspace's datasets, then the shipped sample."""
    folders = sorted((workspace / "datasets").glob("*/train/metadata.jsonl"))
    found = [(path.parent.parent.name, str(path.parent.parent)) for path in folders]
    sample = picture.ASSETS / "rooms" / "sample"
    shipped = (sample / "train" / "metadata.jsonl").is_file()
    return [*found, *([("sample rooms", str(sample))] if shipped else [])]


def run_folder(name: str | None, workspace: Path, language: str = "en") -> Path:
    """Give the folder of a run that the workspace lists; a name from elsewhere is refused."""
    folders = {run.name: run.folder for run in state.list_runs(workspace)}
    if name not in folders:
        raise UserError(t("no_run", language))
    return folders[name]


def choose_dataset(folder: str | None, workspace: Path) -> Any:
    """Give the datasets as they are on disk, `folder` chosen, else the first."""
    choices = list_datasets(workspace)
    folders = [folder for _, folder in choices]
    return gr.update(choices=choices, value=folder if folder in folders else next(iter(folders), None))


def read_config(dataset: str | None, language: str, workspace: Path, names: list[str], values: list) -> TrainConfig:
    """Give the checked config that the form says, on a dataset the tab lists."""
    if dataset not in [folder for _, folder in list_datasets(workspace)]:
        raise UserError(t("no_dataset", language))
    places = {"dataset": dataset, "cache_dir": str(workspace / "cache")}
    return load_config(None, {**read_form(names, values), **places})


def show_plan(dataset: str | None, language: str, workspace: Path, names: list[str], values: list) -> tuple[str, str]:
    """Give what the form would start, before it starts: the pre-flight as HTML, the config as YAML."""
    try:
        config = read_config(dataset, language, workspace, names, values)
        return draw_preflight(config, workspace, language), to_yaml(config)
    except UserError as problem:
        said = escape(str(problem))
        return f'<section class="card run-error" id="preflight" role="alert">{said}</section>', ""


def queue_run(config: TrainConfig, workspace: Path) -> Path:
    """Write the config as YAML and start it, or queue it behind what is running; give the run folder."""
    path = picture.working_folder(workspace) / "config.yaml"
    path.write_text(to_yaml(config), encoding="utf-8")
    return launch.start_run(path, workspace, config.method)


def say_started(folders: list[Path], language: str) -> str:
    """Tell which runs have started and which wait."""
    waiting = [folder.name for folder in folders if state.read_run(folder).state == state.QUEUED]
    started = [folder.name for folder in folders if folder.name not in waiting]
    said = [t("started", language, name=", ".join(started))] if started else []
    return " ".join([*said, *([t("queued", language, name=", ".join(waiting))] if waiting else [])])


def start_training(dataset: str | None, language: str, workspace: Path, names: list[str], values: list) -> tuple:
    """Check the form and start or queue the run; give the run list and the message."""
    folder = queue_run(read_config(dataset, language, workspace, names, values), workspace)
    return choose_run(folder.name, workspace, language), say_started([folder], language)


def train_arms(
    preset: str, dataset: str | None, language: str, workspace: Path, names: list[str], values: list
) -> tuple:
    """Queue the study's three arms, each by its own recipe; what was changed in the form holds for all.

    Returns:
        the run list with the first of them chosen, and the message.
    """
    plain = fill_form(names, CONFIGS / f"{preset}.yaml") if preset in list_presets() else [None] * len(names)
    rows = zip(names, values, plain, strict=True)
    changed = {name: value for name, value, before in rows if value != before and name != "method"}
    configs = []
    for arm in ARMS:
        recipe = fill_form(names, CONFIGS / f"{arm}.yaml")
        said = dict(zip(names, recipe, strict=True)) | changed
        steps = int(said["max_train_steps"])
        if int(said["color_loss_start_step"]) >= steps:  # in a short run it would never act
            said["color_loss_start_step"] = steps // 10
        configs.append(read_config(dataset, language, workspace, names, list(said.values())))
    folders = [queue_run(config, workspace) for config in configs]
    return choose_run(folders[0].name, workspace, language), say_started(folders, language)


def stop_training(name: str | None, language: str, workspace: Path) -> str:
    """Ask the chosen run to stop; give the message."""
    asked = launch.stop_run(run_folder(name, workspace, language))
    return t("stopping", language, name=name) if asked else t("not_running", language)


def resume_training(name: str | None, language: str, workspace: Path) -> str:
    """Go on with the chosen run from its last checkpoint; give the message."""
    return say_started([launch.resume_run(run_folder(name, workspace, language))], language)


def delete_training(name: str | None, language: str, workspace: Path) -> tuple:
    """Delete the chosen run; give the run list and the message."""
    launch.delete_run(run_folder(name, workspace, language))
    return choose_run(None, workspace, language), t("deleted", language, name=name)
