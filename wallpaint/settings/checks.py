"""What a TrainConfig settles and refuses when it is made; errors say what, where and what to do."""

import difflib
from dataclasses import fields
from typing import Any

from wallpaint.errors import UserError
from wallpaint.settings.choices import CANNOT_TRAIN, PRESET_FIELDS, PRESETS, SWITCHES, presets_of
from wallpaint.settings.text import kind_of


def check_types_and_ranges(config: Any) -> None:
    """Every field is of its type, within its range and among its choices, or a UserError names it."""
    for f in fields(config):
        value, kind = getattr(config, f.name), kind_of(f)
        if value is None and f.default is None:
            continue
        number = kind is float and isinstance(value, int) and not isinstance(value, bool)
        if not number and type(value) is not kind:
            wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[kind]
            raise UserError(f"{f.name} is {value!r} in the settings: it has to be {wanted}")
        choices, limits = f.metadata["choices"], f.metadata["range"]
        if choices and value not in choices and value != f.default:
            near = difflib.get_close_matches(str(value), choices, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise UserError(f"{f.name} is {value!r} in the settings: choose {', '.join(choices)}{hint}")
        if limits and not limits[0] <= value <= limits[1]:  # also refuses NaN
            raise UserError(f"{f.name} is {value} in the settings: it goes from {limits[0]} to {limits[1]}")


def settle_preset(config: Any) -> None:
    """Put the preset's values in place of the defaults; what was set otherwise contradicts it."""
    presets = presets_of(config.family)
    if config.memory_preset in PRESETS and config.memory_preset not in presets:
        raise UserError(
            f"memory_preset {config.memory_preset} is too small for family {config.family} "
            f"in the settings: choose {' or '.join(presets)}"
        )
    for f in fields(config):
        if config.memory_preset not in presets or f.name not in PRESET_FIELDS:
            continue
        value = presets[config.memory_preset][PRESET_FIELDS.index(f.name)]
        if getattr(config, f.name) not in (f.default, value):
            raise UserError(
                f"{f.name} is {getattr(config, f.name)} but memory_preset is "
                f"{config.memory_preset} in the settings: leave one of them out"
            )
        object.__setattr__(config, f.name, value)


def family_from_adapter(config: Any) -> str:
    """The family that an adapter of h94's was made for, where no family is named."""
    if "sdxl" in config.ip_adapter_weight_name:
        return "sdxl"
    return "sd15" if config.ip_adapter_model.startswith("h94/") else "room-tiny"


def method_from_switches(config: Any) -> str:
    """The study's switches, where no method is named."""
    if config.use_ip_adapter_training is False:
        return "lora"
    return "joint" if config.freeze_ip_adapter is False else "lora_ip"


def check_contradictions(c: Any) -> None:
    """The settings go together, or a UserError says which do not and what to do."""
    adapter, frozen, color = SWITCHES[c.method]
    drops = c.image_drop_prob + c.text_drop_prob + c.both_drop_prob
    other = {"adapter": "lora" if adapter else "lora_ip", "freeze": "joint" if frozen else "lora_ip"}
    rules = (  # (does it go wrong, what is wrong, what to do)
        (
            c.method in CANNOT_TRAIN.get(c.family, ()),
            f"method {c.method} cannot be trained on family {c.family}, which needs a text,",
            "choose family sd15, or method lora_ip",
        ),
        (
            c.use_ip_adapter_training != adapter,
            f"use_ip_adapter_training is {c.use_ip_adapter_training} but method is {c.method}",
            f"leave it out, or choose method {other['adapter']}",
        ),
        (
            c.freeze_ip_adapter != frozen,
            f"freeze_ip_adapter is {c.freeze_ip_adapter} but method is {c.method}",
            f"leave it out, or choose method {other['freeze']}",
        ),
        (
            color and not c.use_color_loss,
            f"use_color_loss is False but method is {c.method}",
            "leave it out, or choose method lora_ip",
        ),
        (
            c.use_color_loss and c.color_loss_start_step >= c.max_train_steps,
            f"the colour loss would never act: color_loss_start_step {c.color_loss_start_step} is not below "
            f"max_train_steps {c.max_train_steps}",
            "lower it",
        ),
        (
            drops > 1,
            f"image_drop_prob, text_drop_prob and both_drop_prob add up to {drops:g}, more than 1",
            "lower one of them",
        ),
        (
            c.resolution and (c.resolution < 64 or c.resolution % 8),
            f"resolution is {c.resolution}",
            "use 0 or a multiple of 8 from 64 on",
        ),
        (
            c.lr_warmup_steps >= c.max_train_steps,
            f"lr_warmup_steps {c.lr_warmup_steps} is not below max_train_steps {c.max_train_steps}",
            "lower it",
        ),
    )
    for wrong, problem, remedy in rules:
        if wrong:
            raise UserError(f"{problem} in the settings: {remedy}")
