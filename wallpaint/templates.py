"""Jinja's templates under the rules that hold for all of ours: what is not given is an error, not a gap."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def open_templates(folder: Path, **rules: Any) -> Environment:
    """Give the templates of a folder; `rules` are further arguments of Environment."""
    loader = FileSystemLoader(folder)
    return Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, **rules)
