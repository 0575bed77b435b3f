"""Settings as people write them: a YAML file, a text of the command line or the form."""

from dataclasses import Field
from pathlib import Path
from typing import Any

import yaml

from wallpaint.errors import UserError


def read_yaml(path: Path) -> dict[str, Any]:
    """The settings in a YAML file, flat or nested under `training:`.

    Raises:
        UserError: no such file, not YAML, no settings in it, or one that stands there twice.
    """
    if not path.is_file():
        raise UserError(f"config {path} does not exist: give the path of a YAML file")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"config {path} is not YAML ({reason}): mend that line") from None
    if not isinstance(content, dict):
        raise UserError(f"config {path} holds no settings: write lines such as `method: lora_ip`")
    inner = content.pop("training", None) or {}
    if not isinstance(inner, dict):
        raise UserError(f"`training:` in config {path} holds no settings: indent them below it")
    twice = content.keys() & inner.keys()
    if twice:
        raise UserError(f"{min(twice)} stands twice in config {path}, also under `training:`: keep one")
    return content | inner


def kind_of(f: Field) -> type:
    """The field's plain type: bool | None counts as bool."""
    return bool if f.type == (bool | None) else f.type  # type: ignore[return-value]


def convert(f: Field, value: Any) -> Any:
    """Turn `value` (a YAML value or a text of the command line) to the field's type, or say why not."""
    kind = kind_of(f)
    if f.default is None and isinstance(value, str) and value.lower() in ("", "none"):
        return None  # left to the method
    if kind is bool and isinstance(value, str):
        words = {
            "true": True,
            "yes": True,
            "1": True,
            "on": True,
            "false": False,
            "no": False,
            "0": False,
            "off": False,
        }
        if value.lower() in ("", "none"):
            return f.default
        value = words.get(value.lower(), value)
    try:
        if kind in (int, float) and not isinstance(value, bool):
            number = float(value)  # YAML reads 1e-4 as a text
            value = int(number) if kind is int and number == int(number) else number
        elif kind is str and f.metadata["choices"] and isinstance(value, bool):
            value = "no" if value is False else "yes"  # mixed_precision: no is a boolean to YAML
        elif kind is str and not isinstance(value, (dict, list)):
            value = str(value)
    except (TypeError, ValueError, OverflowError):
        pass  # TrainConfig says what is wrong with it
    return value
