"""Painter: many arms, in one batch where their weights allow.

An arm is what was learned: a LoRA, an adapter, another method's parts, or nothing. At inference the adapter
is active for every arm but those that hear the reference in a way of their own, and all arms start from the
same noise, so what differs between two pictures is what was learned.
"""

import difflib
import time
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from wallpaint.errors import UserError
from wallpaint.learned.denoiser import painting_denoiser, set_adapter_strength
from wallpaint.learned.weights import ADAPTER_NAME, LORA_NAME, ArmFiles, Own, find_arm, in_place, load_arm
from wallpaint.models.bundle import Models, load_family
from wallpaint.models.families import with_base
from wallpaint.models.files import find_file, is_hub_id
from wallpaint.paint.sampler import OnStep, Recall, digest, paint_wall
from wallpaint.paths import ASSETS
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.composite import Canvas
from wallpaint.settings.methods import painted_as

LORAS = ASSETS / "loras"
ARMS: dict[str, Path | None] = {  # the shipped ones; 'base' is the family with nothing learned on top
    "base": None,
    **{name: LORAS / name / "pytorch_lora_weights.safetensors" for name in ("old", "new", "color")},
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
        if not given and name not in ARMS:
            near = difflib.get_close_matches(name, ARMS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose {', '.join(ARMS)}, or write {name}=PATH"
            raise UserError(f"arm {name!r} does not exist among --arms: {hint}")
        found = Path(path) if given else ARMS[name]
        if given and not Path(path).exists() and is_hub_id(path) and not Path(path).parent.exists():
            found = find_file(path, (LORA_NAME, ADAPTER_NAME), f"arm {name}").parent  # in the hub's cache
        if found is not None and not found.exists():
            raise UserError(f"arm {name} has no weights at {found}: train it, or give {name}=PATH")
        resolved[name] = found
    return resolved


@dataclass(frozen=True)
class _Turn:
    """Arms that paint in one batch: all their weights are the same but the LoRA's."""

    models: Models
    paints: tuple[str, ...]  # conditions, see Method.paints
    own: Own  # what takes the family's place meanwhile
    loras: dict[str, str]  # arm -> the name of its LoRA
    recall: Recall = field(default_factory=Recall)


class Painter:
    """Repaints walls with several arms at once.

    Args:
        models: a family; its UNet takes the arms' LoRAs in, and gives up any it had.
        arms: name -> run folder, weights folder or file; None for the family as it is.
        ip_adapter_scale: strength of the adapter, for every arm.

    Raises:
        UserError: weights that are missing, broken or of another family.
    """

    def __init__(self, models: Models, arms: dict[str, Path | None], ip_adapter_scale: float = 1.0):
        self.models = models
        self.names = list(arms)
        self.seconds: dict[str, float] = {}
        self._scale = ip_adapter_scale
        self._canvases = Recall(keep=1)  # the last photo's: a large one takes as much memory as the photo
        self._bases = {models.family.unet_model: models}
        if getattr(models.unet, "peft_config", None):
            models.unet.unload_lora()
        models.unet.eval()
        self._turns: list[_Turn] = []
        for index, (name, path) in enumerate(arms.items()):
            self._add(name, find_arm(path) if path else ArmFiles(None, None), f"arm{index}", models)

    def _add(self, name: str, files: ArmFiles, lora: str, models: Models) -> None:
        """Load an arm's weights; it paints with others where it has nothing of its own but a LoRA."""
        method = painted_as(files.groups)
        family = with_base(models.family, method.base)
        if family.unet_model not in self._bases:  # a method whose UNet is another
            self._bases[family.unet_model] = load_family(family, models.runtime)
        base = self._bases[family.unet_model]
        own = load_arm(base, files, lora)
        shared = next((turn for turn in self._turns if turn.models is base and not turn.own), None)
        if own or shared is None:
            shared = _Turn(base, method.paints, own, {})
            self._turns.append(shared)
        shared.loras[name] = lora if files.lora else BASE

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
    ) -> dict[str, Image.Image]:
        """Repaint the wall with every arm.

        Args:
            photo: RGB.
            mask: 'L', 255 = repaint, of the photo's size.
            swatch: the paint.
            prompt: what the picture shows.
            seed: of the noise, drawn on the CPU and the same for every arm.
            num_inference_steps: None takes the family's.
            guidance_scale: 1 switches guidance off, None takes the family's.
            on_step: hears the share that is done, 0 to 1, after every step; what it raises ends the painting.

        Returns:
            a picture an arm at the photo's own size; outside the mask it is the photo, byte for byte.
        """
        painted: dict[str, Image.Image] = {}
        for turn in self._turns:
            start = time.perf_counter()
            set_adapter_strength(turn.models, turn.paints, self._scale)
            with in_place(turn.models, turn.own, f"arm {' '.join(turn.loras)}"):
                pictures = paint_wall(
                    turn.models,
                    painting_denoiser(turn.models, turn.paints),
                    photo,
                    mask,
                    swatch,
                    prompt,
                    list(turn.loras.values()),
                    seed,
                    num_inference_steps,
                    guidance_scale,
                    on_step and self._share(on_step, len(painted), len(turn.loras)),
                    turn.recall,
                )
            canvas = self._stretch(photo, mask, pictures[0].size)
            painted |= {name: canvas.lay(picture) for name, picture in zip(turn.loras, pictures, strict=True)}
            share = (time.perf_counter() - start) / len(turn.loras)
            self.seconds |= dict.fromkeys(turn.loras, share)
        return {name: painted[name] for name in self.names}

    def _stretch(self, photo: Image.Image, mask: Image.Image, size: tuple[int, int]) -> Canvas:
        """The canvas of a photo for paintings of a size; all arms share it, and the next paint on it too."""
        return self._canvases((digest(photo), digest(mask), size), lambda: Canvas.stretch(photo, mask, size))

    def _share(self, on_step: OnStep, before: int, count: int) -> OnStep:
        """Turn the share of `count` arms that is done into that of all, `before` being done already."""
        return lambda share: on_step((before + share * count) / len(self.names))
