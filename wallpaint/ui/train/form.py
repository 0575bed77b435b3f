"""The form of tab 2, made from TrainConfig's own fields: name, type, default, choices, group and help."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint.settings.choices import meant_by
from wallpaint.settings.train_config import Setting, config_fields, load_config
from wallpaint.ui.page import Page
from wallpaint.ui.words.words import T

BASIC = ("method", "max_train_steps", "learning_rate", "train_batch_size", "lora_rank", "seed")
# The tab asks for the dataset, run folder and cache are the workspace's, the method sets the switches.
ELSEWHERE = ("dataset", "output_dir", "cache_dir", "use_ip_adapter_training", "freeze_ip_adapter")


def form_fields() -> list[Setting]:
    """Give the fields the form shows, the main ones first."""
    shown = [field for field in config_fields() if field.name not in ELSEWHERE]
    return sorted(shown, key=lambda field: BASIC.index(field.name) if field.name in BASIC else len(BASIC))


def make_input(page: Page, field: Setting, value: Any) -> Any:
    """Make the component that fits a field; floats are text, so that 1e-05 stays readable."""
    props = {"label": T(f"label_{field.name}"), "info": T(f"help_{field.name}"), "interactive": True, "min_width": 180}
    default, choices = field.default, field.choices
    if field.name == "method":
        named = [(T(f"study_{name}").after(name), name) for name in choices]
        wide = {**props, "min_width": 320}  # its names are long
        return page.add(gr.Dropdown, choices=named, value=value, elem_id="method", **wide)
    if choices:
        options = [*([] if default in choices else [("–", default)]), *choices]
        return page.add(gr.Dropdown, choices=options, value=value, **props)
    if field.kind is bool and default is None:
        options = [(T("as_method"), ""), (T("yes"), "true"), (T("no"), "false")]
        return page.add(gr.Dropdown, choices=options, value=value, **props)
    if field.kind is bool:
        return page.add(gr.Checkbox, value=value, **props)
    if field.kind is int:
        return page.add(gr.Number, value=value, precision=0, **props)
    return page.add(gr.Textbox, value=value, **props)


def build_form(page: Page, preset: Path | None) -> dict[str, Any]:
    """Lay out the inputs, filled from a recipe, all groups but the main one folded; give {field: input}."""
    names = [field.name for field in form_fields()]
    shown = dict(zip(names, fill_form(names, preset), strict=True))
    groups: dict[str, list[Setting]] = {}
    for field in form_fields():
        groups.setdefault("basic" if field.name in BASIC else field.group, []).append(field)
    inputs = {}
    for group, fields in groups.items():
        with page.add(gr.Accordion, label=T(f"group_{group}"), open=group == "basic"):
            for start in range(0, len(fields), 2):
                with gr.Row():
                    for field in fields[start : start + 2]:
                        inputs[field.name] = make_input(page, field, shown[field.name])
    return inputs


def read_form(names: list[str], values: Sequence[Any]) -> dict[str, Any]:
    """Turn what the inputs hold into overrides for `load_config`; an empty one means the field's default."""
    return {name: value for name, value in zip(names, values, strict=True) if value not in (None, "")}


def fill_form(names: list[str], preset: Path | None) -> list[Any]:
    """Give the values the inputs show for a YAML recipe, or for the defaults."""
    config = load_config(preset)
    meant, values = meant_by(config.method), {}
    for field in config_fields():
        value = getattr(config, field.name)
        if field.kind is bool and field.default is None:  # empty where the method decides: it may be changed
            differs = field.name == "use_color_loss" and value != meant["use_color_loss"]
            value = str(value).lower() if differs else ""
        elif field.default is None and value == meant[field.name]:
            value = ""
        as_it_is = field.choices or field.kind in (bool, int)
        values[field.name] = value if as_it_is else str(value)
    return [values[name] for name in names]
