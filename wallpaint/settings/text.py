"""Settings as people write them in a YAML file."""

import re
from pathlib import Path
from typing import Any

import yaml

from wallpaint.errors import UserError


class TextLoader(yaml.BaseLoader):
    """Leaves every value the text it is, so that `no` and `1e-4` mean what they mean on the command line."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a setting that stands there twice, of which YAML would keep the last."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise UserError(f"{twice[0]} stands twice in config {self.name}: keep one")
        return super().construct_mapping(node, deep)


NULL = "tag:yaml.org,2002:null"
TextLoader.add_implicit_resolver(NULL, re.compile("(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
TextLoader.add_constructor(NULL, lambda loader, node: None)


def read_yaml(path: Path) -> dict[str, Any]:
    """The settings in a YAML file as texts, flat or nested under `training:`.

    Raises:
        UserError: no such file, not YAML, no settings in it, or one that stands there twice.
    """
    if not path.is_file():
        raise UserError(f"config {path} does not exist: give the path of a YAML file")
    try:
        loader = TextLoader(path.read_bytes())  # which tells UTF-8 from UTF-16, as PowerShell's `>` writes it
        loader.name = str(path)  # as it stands in complaints
        content = loader.get_single_data() or {}
    except (yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        remedy = "save it as UTF-8 text" if isinstance(error, yaml.reader.ReaderError) else "mend that line"
        raise UserError(f"config {path} is not YAML ({reason}): {remedy}") from None
    if not isinstance(content, dict):
        raise UserError(f"config {path} holds no settings: write lines such as `method: lora_ip`")
    inner = content.pop("training", None) or {}
    if not isinstance(inner, dict):
        raise UserError(f"`training:` in config {path} holds no settings: indent them below it")
    twice = content.keys() & inner.keys()
    if twice:
        raise UserError(f"{min(twice)} stands twice in config {path}, also under `training:`: keep one")
    return content | inner
