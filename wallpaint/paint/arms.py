"""The arms by name: shipped, a run's, a file's, and the classical repaints; opened together, painted together.

An arm is NAME (shipped: refine, old, new, color, base; or a row of `CLASSICAL`) or NAME=PATH to a run folder or a
.safetensors file.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from PIL import Image

from wallpaint.errors import UserError
from wallpaint.models.field import guess_gains, throw_light
from wallpaint.paint.classical import CLASSICAL, LAID
from wallpaint.paint.settings import OnStep, SamplingSettings, share_of
from wallpaint.pixels.recolor import Coat, Laying, repaint_each
from wallpaint.process import collector_paused

if TYPE_CHECKING:
    from wallpaint.models.bundle import Models
    from wallpaint.paint.painter import Painter
    from wallpaint.settings.train_config import TrainConfig

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a tenth of the time, where libyaml is there
Base = tuple[str, tuple[tuple[str, Any], ...]]  # the arguments of `load_models`: family, and what replaces its own


@dataclass(frozen=True)
class Arms:
    """The arms by name, in order; `painters` paint those that diffuse, one for each set of models."""

    names: tuple[str, ...]
    painters: tuple[Painter, ...] = ()

    @property
    def left_out(self) -> dict[str, tuple[str, ...]]:
        """By arm what of its files is not used, for people; only arms that leave something out."""
        return {name: what for painter in self.painters for name, what in painter.left_out.items() if what}

    def paint(
        self,
        coat: Coat,
        settings: SamplingSettings,
        on_step: OnStep | None = None,
        only: Collection[str] | None = None,
    ) -> dict[str, tuple[Image.Image, float]]:
        """Repaint a wall with every arm, or `only` some: name -> (picture at the photo's own size, seconds).

        Outside the mask it is the photo, byte for byte, unless the new wall's light may bounce.
        """
        chosen = self.names if only is None else [name for name in self.names if name in only]
        painted: dict[str, Image.Image] = {}
        layings: dict[str, Laying] = {}
        seconds: dict[str, float] = {}
        for name in [name for name in chosen if name in CLASSICAL]:
            start = time.perf_counter()
            if name in LAID:
                layings[name] = Laying(guess_gains(name, coat))
            else:
                painted[name] = CLASSICAL[name](coat)
            seconds[name] = time.perf_counter() - start
        diffusing, before = sum(len(painter.names) for painter in self.painters), 0
        for painter in self.painters:
            progress = share_of(on_step, before, len(painter.names), diffusing)
            layings |= painter.find_layings(coat, settings, progress, only)
            seconds |= painter.seconds
            before += len(painter.names)
        start = time.perf_counter()
        painted |= zip(layings, repaint_each(coat, [*layings.values()]), strict=True)
        for name in layings:  # they are laid together
            seconds[name] += (time.perf_counter() - start) / len(layings)
        if settings.bounce:
            lit = throw_light(list(painted.values()), [coat])
            painted = dict(zip(painted, lit, strict=True))
        return {name: (painted[name], seconds[name]) for name in chosen}


def is_shipped(name: str) -> bool:
    """Tell whether an arm needs no path."""
    from wallpaint.paint.painter import SHIPPED_ARMS

    return name in CLASSICAL or name in SHIPPED_ARMS


_kept: dict[Base, Models] = {}  # the models of the last call that was to keep them
_painters: dict[tuple, Painter] = {}  # on those models, by all that they are made of; one for each set of models


def open_arms(
    arms: Sequence[str],
    family: str | None = None,
    models: Models | None = None,
    ip_adapter_scale: float | None = None,
    keep: bool = False,
) -> Arms:
    """Load what the arms need. Arms of runs on different models are painted each on its own.

    Args:
        arms: NAME or NAME=PATH.
        family: None takes the one that the arms' runs and files were trained on, room-tiny where none says.
        models: a loaded family for all arms, in place of loading one.
        ip_adapter_scale: strength of the adapter; None takes that of each arm's run, 1 where there is none.
        keep: keep the loaded models and painters for the next call; one caller at a time may.

    Raises:
        UserError: an unknown arm, a name given twice, missing weights, arms of different families.
    """
    arms = list(arms)
    if not arms:
        raise UserError("no arm is given among --arms: name at least one, such as new,recolor")
    for name in CLASSICAL:
        if any(arm.startswith(f"{name}=") for arm in arms) or arms.count(name) > 1:
            raise UserError(f"{name} is a classical repaint among --arms: write it once and without a path")
    diffusing = [arm for arm in arms if arm not in CLASSICAL]
    if not diffusing:
        return Arms(tuple(arms))
    with collector_paused():
        from wallpaint.paint.painter import Painter, resolve_arms

    paths = resolve_arms(diffusing)
    runs = {name: run for name, path in paths.items() if path and (run := find_run(path))}
    trained_at = {name: run.ip_adapter_scale for name, run in runs.items()}
    scales = {n: trained_at.get(n, 1.0) if ip_adapter_scale is None else ip_adapter_scale for n in paths}
    names = tuple(arm.partition("=")[0] for arm in arms)
    if models is not None:
        return Arms(names, (Painter(models, paths, scales),))
    bases = _bases(paths, runs, family)
    try:
        loaded = _load(list(dict.fromkeys(bases.values())), keep)
    except UserError as error:
        which = ", ".join(f"{name} needs family {base[0]}" for name, base in bases.items() if paths[name])
        raise UserError(f"{which}: {error}" if which and not family else str(error)) from None
    return Arms(names, _open_painters(loaded, paths, bases, scales, keep))


def _open_painters(
    loaded: dict[Base, Models],
    paths: dict[str, Path | None],
    bases: dict[str, Base],
    scales: dict[str, float],
    keep: bool,
) -> tuple[Painter, ...]:
    """A painter for each set of models, the one that was kept where it is made of the same."""
    from wallpaint.paint.painter import Painter

    groups = {base: {name: paths[name] for name in paths if bases[name] == base} for base in loaded}
    painters, known = {}, dict(_painters) if keep else {}
    if keep:  # a UNet has the LoRAs of one painter alone, and of none while another is made
        _painters.clear()
    for base, group in groups.items():
        made_of = (base, *((name, path, _stamp(path), scales[name]) for name, path in group.items()))
        painters[made_of] = known.get(made_of) or Painter(loaded[base], group, scales)
    if keep:
        _painters.update(painters)
    return tuple(painters.values())


def _stamp(path: Path | None) -> tuple:
    """Names and times of an arm's weight files: others once they are written anew."""
    files = [] if path is None else [path] if path.is_file() else [*path.glob("*"), *path.glob("weights/*")]
    return tuple(sorted((file.name, file.stat().st_mtime_ns) for file in files if file.suffix == ".safetensors"))


def _load(bases: list[Base], keep: bool) -> dict[Base, Models]:
    """Load models in order; what was kept and is not asked for any more is let go first."""
    from wallpaint.models.bundle import load_models

    loaded = _kept if keep else {}
    for base in loaded.keys() - set(bases):
        del loaded[base]
    for family, overrides in bases:
        if (family, overrides) not in loaded:
            loaded[family, overrides] = load_models(family, **dict(overrides))
    return {base: loaded[base] for base in bases}


def find_run(path: Path) -> TrainConfig | None:
    """The settings of the run that weights belong to: of a folder, of its parent, or of a file's folder.

    A config.yaml is a run's where run.json lies beside it, or where it says family and method in our words;
    a LoRA may as well lie in a folder of another tool, whose config.yaml says nothing here.
    """
    from wallpaint.settings.choices import FAMILY_NAMES, METHOD_NAMES
    from wallpaint.settings.train_config import config_fields, load_config

    known = {f.name for f in config_fields()}
    for folder in [path, *list(path.parents)[:2]]:
        try:
            config = yaml.load((folder / "config.yaml").read_text(encoding="utf-8"), _Loader)
        except (OSError, ValueError, yaml.YAMLError):
            config = None
        run = (folder / "run.json").is_file()
        if isinstance(config, dict):
            if run or (config.get("family") in FAMILY_NAMES and config.get("method") in METHOD_NAMES):
                return load_config(None, {key: value for key, value in config.items() if key in known})
        elif run:
            raise UserError(f"config.yaml of the run {folder} cannot be read: restore it, or give its weights' file")
    return None


def _bases(paths: dict[str, Path | None], runs: dict[str, TrainConfig], family: str | None) -> dict[str, Base]:
    """What to load for each arm: what its run was trained on; the rest join the first, or the family's own."""
    from wallpaint.learned.arm_files import find_arm
    from wallpaint.learned.lora_files import describe_lora

    families: dict[str, str] = {name: run.family for name, run in runs.items()}
    for name, path in paths.items():
        files = find_arm(path) if path and name not in runs else None
        file = files and (files.lora or files.adapter)
        if file and (trained_on := describe_lora(file).family):
            families[name] = trained_on
    if len({*families.values(), *([family] if family else [])}) > 1:
        each = ", ".join(f"{name} on {trained_on}" for name, trained_on in families.items())
        each += f"; --family {family}" if family else ""
        raise UserError(f"the arms were trained on different families ({each}): compare arms of one family")
    chosen = family or next(iter(families.values()), "room-tiny")
    own = {name: _base_of(run) for name, run in runs.items()}
    first = next(iter(own.values()), (chosen, ()))
    return {name: own.get(name, first) for name in paths}


def _base_of(run: TrainConfig) -> Base:
    """The models that a run was trained on; settings that name the family's own, or are not used, do not count."""
    from wallpaint.models.families import FAMILIES
    from wallpaint.settings.choices import FAMILY_FIELDS
    from wallpaint.settings.methods import METHODS

    method = METHODS[run.method]
    unused = {
        "" if "identity" in method.conditions else "dinov2_model",
        "" if method.base else "paint_by_example_model",
    }
    settings = {key: getattr(run, key) for key in FAMILY_FIELDS if key not in unused}
    own = {key: value for key, value in settings.items() if value and value != getattr(FAMILIES[run.family], key)}
    base = {"base": method.base} if getattr(FAMILIES[run.family], method.base, "") or own.get(method.base) else {}
    return run.family, tuple((base | own).items())
