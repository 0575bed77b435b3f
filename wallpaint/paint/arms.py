"""The arms by name: shipped, a run's, a file's, and the classical repaint; opened together, painted together.

An arm is NAME (shipped: old, new, color, base; or recolor, the classical repaint) or NAME=PATH to a run
folder or a .safetensors file.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from wallpaint.errors import UserError
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.recolor import recolor

if TYPE_CHECKING:
    from wallpaint.models.bundle import Models
    from wallpaint.paint.painter import Painter
    from wallpaint.paint.sampler import OnStep

RECOLOR = "recolor"


@dataclass(frozen=True)
class Settings:
    """How to paint, the same for every arm; None takes the family's own."""

    seed: int = 0
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    ip_adapter_scale: float = 1.0
    prompt: str | None = None


@dataclass(frozen=True)
class Arms:
    """The arms by name, in order, and the painter of those that diffuse; None for `recolor` alone."""

    names: tuple[str, ...]
    painter: Painter | None

    def paint(
        self,
        photo: Image.Image,
        mask: Image.Image,
        swatch: Swatch,
        prompt: str,
        seed: int = 0,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        on_step: OnStep | None = None,
    ) -> dict[str, tuple[Image.Image, float]]:
        """Repaint with every arm, as `Painter.paint`: name -> (picture at the photo's size, seconds)."""
        start = time.perf_counter()
        painted = {RECOLOR: recolor(photo, mask, swatch)} if RECOLOR in self.names else {}
        seconds = {RECOLOR: time.perf_counter() - start}
        if self.painter is not None:
            painted |= self.painter.paint(
                photo, mask, swatch, prompt, seed, num_inference_steps, guidance_scale, on_step
            )
            seconds |= self.painter.seconds
        return {name: (painted[name], seconds[name]) for name in self.names}


def open_arms(
    arms: Sequence[str],
    family: str | None = None,
    models: Models | None = None,
    ip_adapter_scale: float = 1.0,
    keep: bool = False,
) -> Arms:
    """Load what the arms need.

    Args:
        arms: NAME or NAME=PATH.
        family: None takes the one that the arms' run folders were trained on, room-tiny where none says.
        models: a loaded family, in place of loading one.
        ip_adapter_scale: strength of the adapter.
        keep: keep the loaded family for the next call; one caller at a time may.

    Raises:
        UserError: an unknown arm, a name given twice, missing weights, runs of different families.
    """
    arms = list(arms)
    if not arms:
        raise UserError("no arm is given among --arms: name at least one, such as new,recolor")
    if any(arm.startswith(f"{RECOLOR}=") for arm in arms) or arms.count(RECOLOR) > 1:
        raise UserError("recolor is the classical repaint among --arms: write it once and without a path")
    diffusing = [arm for arm in arms if arm != RECOLOR]
    if not diffusing:
        return Arms((RECOLOR,), None)
    from wallpaint.paint.painter import Painter, resolve_arms

    paths = resolve_arms(diffusing)
    if models is None:
        chosen = _family_of(paths, family)
        models = (_load_once if keep else _load)(**chosen)
    names = tuple(arm.partition("=")[0] for arm in arms)
    return Arms(names, Painter(models, paths, ip_adapter_scale))


def _load(family: str, **overrides: Any) -> Models:
    from wallpaint.models.bundle import load_models

    return load_models(family, **overrides)


_load_once = functools.lru_cache(maxsize=1)(_load)


def _family_of(paths: dict[str, Path | None], family: str | None) -> dict[str, Any]:
    """Find the family (with overrides, and whose UNet) of the arms: what their runs' config.yaml says."""
    from wallpaint.settings.choices import FAMILY_FIELDS
    from wallpaint.settings.methods import METHODS
    from wallpaint.settings.train_config import load_config

    found: dict[str, tuple[str, dict]] = {}
    for name, path in paths.items():
        folders = [] if path is None else [path, *list(path.parents)[:2]]
        config = next((folder / "config.yaml" for folder in folders if (folder / "config.yaml").is_file()), None)
        if config is not None:
            said = load_config(config)
            overrides = {key: getattr(said, key) for key in FAMILY_FIELDS}
            found[name] = (said.family, {"base": METHODS[said.method].base, **overrides})
    families = {said[0] for said in found.values()} | ({family} if family else set())
    if len(families) > 1:
        told = ", ".join(f"{name} on {said[0]}" for name, said in found.items())
        raise UserError(f"the arms were trained on different families ({told}): compare arms of one family")
    first = next(iter(found.values()), (family or "room-tiny", {}))
    return {"family": family or first[0], **first[1]}
