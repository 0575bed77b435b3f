"""What was learned, saved and loaded in the layouts that other tools read. safetensors only.

LoRA: diffusers' `pytorch_lora_weights.safetensors`, with rank and alpha in its metadata, so that a stock
`pipe.load_lora_weights(folder)` gives the same picture. IP-Adapter: the h94 layout, so that a stock
`pipe.load_ip_adapter` reads it. Parts: Paint-by-Example's image encoder and the ControlNet as the folders
that their own `from_pretrained` reads.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import StableDiffusionInpaintPipeline
from diffusers.training_utils import _collate_lora_metadata
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import save_file

from wallpaint.disk import atomic_path
from wallpaint.errors import UserError
from wallpaint.learned.adapter import Adapter, adapter_state, load_adapter
from wallpaint.learned.arm_files import ADAPTER_NAME, LORA_NAME, PART_NAMES, ArmFiles, find_arm
from wallpaint.learned.lora import load_lora, read_lora
from wallpaint.learned.lora_files import SHOWN
from wallpaint.learned.merged import Merged, merge_dora, merge_text
from wallpaint.learned.part_files import load_part, read_part, save_part
from wallpaint.models.bundle import Models
from wallpaint.models.loading import read_adapter
from wallpaint.models.runtime import build_alone


@dataclass(frozen=True)
class ArmWeights:
    """An arm's weights beside its LoRA: they take the family's place while it paints."""

    adapter: Adapter | None
    parts: dict[str, dict[str, torch.Tensor]]
    left_out: tuple[str, ...] = ()  # what of the LoRA's file is not used, for people
    merged: Merged = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.adapter or self.parts or self.merged)


def save_weights(
    folder: str | Path, models: Models, learns: tuple[str, ...], earlier: Sequence[Path] = (), shown: str = ""
) -> None:
    """Write the groups `learns` to `folder`, each file whole or not at all.

    What of them never learns is written once: it stays as it is, or is linked from `earlier` folders. A LoRA's
    file says in its header what it was `shown` in the wall's place, see Method.shown.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if "lora" in learns:
        state = {key: value.detach().float().cpu() for key, value in get_peft_model_state_dict(models.unet).items()}
        with atomic_path(folder / LORA_NAME) as path:
            StableDiffusionInpaintPipeline.save_lora_weights(
                path.parent, state, weight_name=path.name, **_collate_lora_metadata({"unet": models.unet})
            )
            _write_header(path, {SHOWN: shown} if shown else {})
    if "ip_adapter" in learns:
        groups = adapter_state(models)
        flat = {f"{g}.{k}": v.float().cpu().contiguous() for g, state in groups.items() for k, v in state.items()}
        with atomic_path(folder / ADAPTER_NAME) as path:
            save_file(flat, path)
    for group in PART_NAMES.keys() & set(learns):
        save_part(models, group, folder, earlier)


def _write_header(path: Path, more: dict[str, str]) -> None:
    """Add to a safetensors file's metadata, and sort it: its writer lays it out at random; equal weights, equal files.

    The tensors' places are counted from the header's end, so it may grow.
    """
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted((header["__metadata__"] | more).items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text = text.ljust(-(-len(text) // 8) * 8)  # filled up with spaces to whole words, as the format asks
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])


def start_from(
    models: Models, path: str | Path, learns: tuple[str, ...], say: Callable[[str], None] = print
) -> tuple[str, ...]:
    """Begin at an earlier run's weights; an adapter that it learned acts also where it does not learn on.

    Returns:
        the groups that are the earlier run's: to be saved with what learns, even if they stay as they are.

    Raises:
        UserError: there are none, they are of another rank or family, or of a group that does not learn.
    """
    files = find_arm(path)
    strange = [group for group in files.groups if group not in (*learns, "ip_adapter")]
    if strange:
        raise UserError(
            f"init_from {path} holds {' and '.join(strange)}, which is not learned here but "
            f"{' and '.join(learns)}: choose the method it was trained with"
        )
    if files.lora:
        _start_lora(models, files.lora, say)
    if files.adapter:
        load_adapter(models, read_adapter(files.adapter), f"init_from {files.adapter}")
    for group, found in files.parts.items():
        load_part(models, group, read_part(group, found), f"init_from {found}")
    return files.groups


def _start_lora(models: Models, path: Path, say: Callable[[str], None]) -> None:
    """Load a LoRA into the one that learns, as strong as it was, whatever alpha it goes on with."""
    own, now = get_peft_model_state_dict(models.unet), models.unet.peft_config["default"]
    described, state, metadata = read_lora(path, models.unet.config)
    if described.kind == "DoRA":
        raise UserError(f"init_from {path} is a DoRA, and what learns here is a plain LoRA: give one")
    if described.text or described.left_out:
        left_out = (*(["its half for the text encoder"] if described.text else []), *described.left_out)
        say(f"init_from {path}: not used of its file: {'; '.join(left_out)}")
    if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in own.items()}:
        raise UserError(f"init_from {path} has another rank or family: set lora_rank as it was trained")
    metadata = metadata or {}  # without it a LoRA is of scale 1
    rank, alpha = metadata.get("r", now.r), metadata.get("lora_alpha", metadata.get("r", now.r))
    before, after = alpha / (rank**0.5 if metadata.get("use_rslora") else rank), now.lora_alpha / now.r
    if before != after:
        say(f"init_from {path} was trained at alpha / rank {before:g}, this run has {after:g}: its weights are scaled")
        state = {key: value * before / after if "lora_B" in key else value for key, value in state.items()}
    set_peft_model_state_dict(models.unet, state)


@build_alone
def load_arm(models: Models, files: ArmFiles, name: str) -> ArmWeights:
    """Load an arm's LoRA, if it has one, into the UNet as `name`; what else it has is read only."""
    adapter = read_adapter(files.adapter) if files.adapter else None
    parts = {group: read_part(group, path) for group, path in files.parts.items()}
    if not files.lora:
        return ArmWeights(adapter, parts)
    lora = load_lora(models.unet, files.lora, name)
    merged = merge_text(models, files.lora) if lora.text else {}
    if lora.kind == "DoRA":
        merged |= merge_dora(models, files.lora, name)
    return ArmWeights(adapter, parts, lora.left_out, merged)


@contextlib.contextmanager
def weights_in_place(models: Models, weights: ArmWeights, source: str) -> Iterator[None]:
    """Let an arm's weights stand in the family's place for a while; UserError where they are of another size."""
    original = adapter_state(models) if weights.adapter else None
    own = {layer: layer.weight.data for layer in weights.merged}
    try:
        for layer, weight in weights.merged.items():
            layer.weight.data = weight
        if weights.adapter:
            load_adapter(models, weights.adapter, f"the adapter of {source}")
        for group, state in weights.parts.items():
            load_part(models, group, state, f"{group} of {source}")
        yield
    finally:
        for layer, weight in own.items():
            layer.weight.data = weight
        if original:
            load_adapter(models, original)
