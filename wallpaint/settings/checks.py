"""What a TrainConfig settles and refuses when it is made; errors say what, where and what to do."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from pydantic import ValidationError

from wallpaint.errors import UserError
from wallpaint.paths import COMMAND
from wallpaint.settings.choices import CANNOT_TRAIN, PRESET_FIELDS, PRESETS, meant_by, presets_of

KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def unknown_setting(name: str, where: str, known: Iterable[str]) -> str:
    """Say that no setting has this name, and which name is the nearest."""
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"see {COMMAND} --help for the names"
    return f"unknown setting {name!r} in {where}: {hint}"


def explain(error: ValidationError, settings: Sequence[Any]) -> str:
    """Say the first thing that pydantic found wrong with `settings`: which, what it is, what it has to be."""
    first = error.errors()[0]
    name, value = str(first["loc"][0]), first["input"]
    known = {setting.name: setting for setting in settings}
    if name not in known:
        return unknown_setting(name, "the settings", known)
    setting = known[name]
    wrong = f"{name} is {value!r} in the settings: "
    if setting.choices:
        near = difflib.get_close_matches(str(value), setting.choices, n=1)
        return f"{wrong}choose {', '.join(setting.choices)}" + (f" (did you mean {near[0]}?)" if near else "")
    if first["type"] in ("greater_than_equal", "less_than_equal"):  # NaN is neither
        return f"{wrong}it goes from {setting.range[0]} to {setting.range[1]}"
    return f"{wrong}it has to be {KINDS[setting.kind]}"


def settle_preset(config: Any) -> None:
    """Put the preset's values in place of the defaults; what was set otherwise contradicts it."""
    presets = presets_of(config.family)
    if config.memory_preset in PRESETS and config.memory_preset not in presets:
        raise UserError(
            f"memory_preset {config.memory_preset} is too small for family {config.family} "
            f"in the settings: choose {' or '.join(presets)}"
        )
    defaults = {f.name: f.default for f in fields(config)}
    for name, value in zip(PRESET_FIELDS, presets.get(config.memory_preset, ()), strict=False):
        if getattr(config, name) not in (defaults[name], value):
            raise UserError(
                f"{name} is {getattr(config, name)} but memory_preset is "
                f"{config.memory_preset} in the settings: leave one of them out"
            )
        object.__setattr__(config, name, value)


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


def find_contradictions(c: Any) -> Iterator[tuple[str, str]]:
    """Settings that contradict each other: (what is wrong, what to do about it)."""
    switches = meant_by(c.method)
    adapter, frozen = switches["use_ip_adapter_training"], switches["freeze_ip_adapter"]
    drops = c.image_drop_prob + c.text_drop_prob + c.both_drop_prob
    if c.method in CANNOT_TRAIN.get(c.family, ()):
        yield (
            f"method {c.method} cannot be trained on family {c.family}, which needs a text,",
            "choose family sd15, or method lora_ip",
        )
    for name, meant, other in (
        ("use_ip_adapter_training", adapter, "lora" if adapter else "lora_ip"),
        ("freeze_ip_adapter", frozen, "joint" if frozen else "lora_ip"),
        ("use_color_loss", switches["use_color_loss"] or c.use_color_loss, "lora_ip"),  # may be added to any method
    ):
        if getattr(c, name) != meant:
            yield f"{name} is {not meant} but method is {c.method}", f"leave it out, or choose method {other}"
    if c.use_color_loss and c.color_loss_start_step >= c.max_train_steps:
        late = f"color_loss_start_step {c.color_loss_start_step} is not below max_train_steps {c.max_train_steps}"
        yield f"the colour loss would never act: {late}", "lower it"
    if drops > 1:
        yield (
            f"image_drop_prob, text_drop_prob and both_drop_prob add up to {drops:g}, more than 1",
            "lower one of them",
        )
    if c.resolution and (c.resolution < 64 or c.resolution % 8):
        yield f"resolution is {c.resolution}", "use 0 or a multiple of 8 from 64 on"
    if c.lr_warmup_steps >= c.max_train_steps:
        yield f"lr_warmup_steps {c.lr_warmup_steps} is not below max_train_steps {c.max_train_steps}", "lower it"
