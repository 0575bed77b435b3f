"""Painter: many arms, in one batch where their weights allow.

An arm is what was learned: a LoRA, an adapter, another method's parts, or nothing. At inference the adapter
is active for every arm but those that take the reference in a way of their own, and all arms start from the
same noise, so what differs between two pictures is what was learned.
"""

import difflib
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from wallpaint.errors import UserError
from wallpaint.learned.arm_files import ADAPTER_NAME, LORA_NAME, LORA_NAMES, ArmFiles, find_arm
from wallpaint.learned.denoiser import painting_denoiser, set_adapter_strength
from wallpaint.learned.lora_files import describe_lora
from wallpaint.learned.weights import ArmWeights, load_arm, weights_in_place
from wallpaint.models.bundle import Models, load_family
from wallpaint.models.families import with_base
from wallpaint.models.files import find_file, is_hub_id
from wallpaint.paint.encodings import EncodingCache
from wallpaint.paint.sampler import find_layings, paint_wall
from wallpaint.paint.settings import OnStep, SamplingSettings, share_of
from wallpaint.paths import LORAS, from_home
from wallpaint.pixels.recolor import Coat, Laying
from wallpaint.settings.methods import painted_as

SHIPPED_ARMS: dict[str, Path | None] = {  # 'base' is the family with nothing learned on top
    "base": None,
    **{name: LORAS / name / LORA_NAME for name in ("old", "new", "color", "refine")},
}
BASE = "__base__"  # peft's name for a sample without a LoRA


def resolve_arms(arms: list[str]) -> dict[str, Path | None]:
    """Names and paths: 'new', or 'mine=workspace/runs/lora_ip-1'; order is kept.

    Raises:
        UserError: a name that is not shipped and has no path, a name given twice, a file that is not there.
    """
    resolved: dict[str, Path | None] = {}
    for arm in arms:
        name, given, path = arm.partition("=")
        if not name or name in resolved:
            raise UserError(f"arm {arm!r} has no name of its own among --arms: write NAME or NAME=PATH, each once")
        if not given and name not in SHIPPED_ARMS:
            near = difflib.get_close_matches(name, SHIPPED_ARMS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose {', '.join(SHIPPED_ARMS)}, or write {name}=PATH"
            raise UserError(f"arm {name!r} does not exist among --arms: {hint}")
        if given and (not path.strip() or path.startswith(("http://", "https://"))):
            what = "is an address: download it, or give the hub's id, user/name" if path.strip() else "has no path"
            raise UserError(f"arm {arm!r} {what}, among --arms, write {name}=PATH")
        found = from_home(path) if given else SHIPPED_ARMS[name]  # no shell does it after 'mine='
        if found and given and not found.exists() and is_hub_id(path) and not Path(path).parent.exists():
            found = find_file(path, (*LORA_NAMES, ADAPTER_NAME), f"arm {name}").parent  # in the hub's cache
        if found is not None and not found.exists():
            raise UserError(f"arm {name} has no weights at {found}: train it, or give {name}=PATH")
        resolved[name] = found
    return resolved


@dataclass(frozen=True)
class _Group:
    """Arms that paint in one batch: all their weights are the same but the LoRA's, and the adapter's strength."""

    models: Models
    paints: tuple[str, ...]  # conditions, see Method.paints
    shown: str  # see Method.shown
    weights: ArmWeights  # what takes the family's place meanwhile
    ip_adapter_scale: float
    loras: dict[str, str]  # arm -> the name of its LoRA
    encodings: EncodingCache


class Painter:
    """Repaints walls with several arms at once.

    Args:
        models: a family; its UNet takes the arms' LoRAs in, and gives up any it had.
        arms: name -> run folder, weights folder or file; None for the family as it is.
        ip_adapter_scales: strength of the adapter by arm; 1 where none is given.

    Attributes:
        left_out: by arm what of its files is not used, for people.
        seconds: by arm how long the last painting took.

    Raises:
        UserError: weights that are missing, broken or of another family.
    """

    def __init__(
        self, models: Models, arms: dict[str, Path | None], ip_adapter_scales: dict[str, float] | None = None
    ):
        self.models = models
        self.names = list(arms)
        self.seconds: dict[str, float] = {}
        self.left_out: dict[str, tuple[str, ...]] = {}
        self._bases = {models.family.unet_model: models}
        if getattr(models.unet, "peft_config", None):
            models.unet.unload_lora()
        models.unet.eval()
        self._groups: list[_Group] = []
        self._pictures: dict[str, EncodingCache] = {}  # by the UNet's name, as `_bases`
        for index, (name, path) in enumerate(arms.items()):
            files = find_arm(path) if path else ArmFiles(None, None)
            self._add(name, files, f"arm{index}", (ip_adapter_scales or {}).get(name, 1.0))

    def _add(self, name: str, files: ArmFiles, lora: str, scale: float) -> None:
        """Load an arm's weights; it paints with others where nothing but its LoRA is its own."""
        method, shown = painted_as(files.groups), describe_lora(files.lora).shown if files.lora else ""
        family = with_base(self.models.family, method.base)
        if family.unet_model not in self._bases:  # a method whose UNet is another
            self._bases[family.unet_model] = load_family(family, self.models.runtime)
        base = self._bases[family.unet_model]
        weights = load_arm(base, files, lora)
        alike = (g for g in self._groups if (g.models, g.ip_adapter_scale, g.shown) == (base, scale, shown))
        group = None if weights else next((g for g in alike if not g.weights), None)
        if group is None:
            pictures = self._pictures.setdefault(family.unet_model, EncodingCache())
            group = _Group(base, method.paints, shown, weights, scale, {}, EncodingCache(pictures))
            self._groups.append(group)
        group.loras[name] = lora if lora in getattr(base.unet, "peft_config", {}) else BASE  # a DoRA is merged
        self.left_out[name] = weights.left_out

    def find_layings(
        self,
        coat: Coat,
        settings: SamplingSettings,
        on_step: OnStep | None = None,
        only: Collection[str] | None = None,
    ) -> dict[str, Laying]:
        """What lays the picture of every arm, or of `only` some, over its photo, see `repaint_each`.

        The adapter's strength is the painter's own, not that of `settings`.
        """
        layings: dict[str, Laying] = {}
        for group in self._groups:
            names = [name for name in group.loras if only is None or name in only]
            if not names:
                continue
            start, loras = time.perf_counter(), [group.loras[name] for name in names]
            progress = share_of(on_step, len(layings), len(loras), len(self.names))
            set_adapter_strength(group.models, group.paints, group.ip_adapter_scale)
            denoiser = painting_denoiser(group.models, group.paints, group.shown)
            encodings = group.encodings
            with weights_in_place(group.models, group.weights, f"arm {' '.join(names)}"):
                pictures = paint_wall(group.models, denoiser, coat, settings, loras, progress, encodings, names)
            found = find_layings(group.models, coat, pictures, encodings, group.shown)
            layings |= dict(zip(names, found, strict=True))
            self.seconds |= dict.fromkeys(names, (time.perf_counter() - start) / len(loras))
        return {name: layings[name] for name in self.names if name in layings}
