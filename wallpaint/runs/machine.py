"""What machine this is, which family fits it, what is there and what is missing: `--doctor`.

Imports neither torch nor diffusers where it can be helped; loads no model and downloads nothing.
"""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from wallpaint.errors import UserError
from wallpaint.models.families import FAMILIES, Family, list_files, resolve_family
from wallpaint.models.fetching import only_looking
from wallpaint.models.files import find_sam, find_weights, pieces_of
from wallpaint.runs.device import GB, find_device
from wallpaint.runs.forecast import find_cost, peak_bytes, picture_bytes
from wallpaint.settings.choices import CANNOT_TRAIN, choose_preset, presets_of
from wallpaint.settings.train_config import load_config
from wallpaint.walls.finders import FINDERS, Finder

PACKAGES = ("torch", "diffusers", "transformers", "peft", "accelerate")


@dataclass(frozen=True)
class Part:
    """A file of a family: where it is, or what is said of its absence."""

    label: str
    path: Path | None
    remedy: str  # '' where it is there
    optional: bool  # one method or one tab alone needs it

    def __str__(self) -> str:
        """One line."""
        if self.path:
            size = sum(piece.stat().st_size for piece in pieces_of(self.path))
            return f"  there     {self.label}: {self.path} ({size / 1e6:.1f} MB)"
        return f"  {'(missing)' if self.optional else 'MISSING  '} {self.label}"


def describe_machine() -> Iterator[str]:
    """Lines about the machine, then about every family."""
    device, disk = find_device(), shutil.disk_usage(".")
    yield f"machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    yield f"device: {device.name}, {device.free / GB:.1f} of {device.total / GB:.1f} GB free"
    yield f"disk: {disk.free / GB:.0f} GB free"
    yield "packages: " + ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    for name in FAMILIES:
        parts = list_parts(resolve_family(name))
        smallest = next(iter(presets_of(name)))
        config = load_config(None, {"family": name, "method": "lora_ip_color", "memory_preset": smallest})
        cost = find_cost(config, device.kind)
        painting, training = picture_bytes(cost), peak_bytes(cost, config)
        yield ""
        yield f"family {name}: {'ready' if is_ready(parts) else 'incomplete'}; " + (
            f"painting takes about {painting / GB:.0f} GB here and training {training / GB:.0f} or more, which "
            f"{'fits' if training <= device.total else 'does not fit'}"
        )
        if name != "room-tiny":
            slow = "a CPU takes minutes a step: train room-tiny here"
            yield f"  {choose_preset(device.total, name)[1] if device.kind == 'cuda' else slow}"
        yield from _describe_parts(parts)
    for finder in FINDERS.values():
        parts = list_finder_parts(finder)
        yield ""
        yield f"walls found by {finder.name}: {'ready' if is_ready(parts) else 'incomplete'}"
        yield from _describe_parts(parts)


def _describe_parts(parts: list[Part]) -> Iterator[str]:
    yield from map(str, parts)
    yield from (f"  {remedy}" for remedy in dict.fromkeys(part.remedy for part in parts) if remedy)


def is_ready(parts: list[Part]) -> bool:
    """Whether all that a family cannot do without is there."""
    return all(part.path or part.optional for part in parts)


def list_parts(family: Family) -> list[Part]:
    """Every file a family is made of, found or not."""
    some: dict[str, Callable[[], Path]] = {}
    if "anydoor" not in CANNOT_TRAIN.get(family.name, ()):
        some["DINOv2, for anydoor"] = partial(find_weights, family.dinov2_model, "")
    if family.paint_by_example_model:
        some["Paint-by-Example, for that method"] = partial(find_weights, family.paint_by_example_model, "unet")
    with only_looking():
        return [
            *(_look(name, find, False) for name, find in list_files(family).items()),
            *(_look(name, find, True) for name, find in some.items()),
        ]


def list_finder_parts(finder: Finder) -> list[Part]:
    """Both files of what finds walls, found or not."""
    with only_looking():
        return [
            _look("segment-anything, asked by clicks", partial(find_sam, finder.sam), False),
            _look("what finds walls unasked", finder.find_walls, False),
        ]


def _look(label: str, find: Callable[[], Path], optional: bool) -> Part:
    try:
        return Part(label, find(), "", optional)
    except UserError as problem:
        return Part(label, None, str(problem).rpartition("): ")[2], optional)
