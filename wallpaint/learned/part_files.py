"""Learned parts on disk: each as the folder that its own class reads, or as a file of its weights alone."""

import copy
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel
from diffusers.pipelines.deprecated.paint_by_example import PaintByExampleImageEncoder
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from wallpaint.disk import atomic_path, link_or_copy
from wallpaint.errors import UserError, reason_of
from wallpaint.learned.arm_files import PART_NAMES
from wallpaint.models.bundle import Models
from wallpaint.models.parts import part

PART_KINDS: dict[str, Any] = {"example": PaintByExampleImageEncoder, "detail": ControlNetModel}  # folders
FROZEN = {"example": "model."}  # by prefix, what of a part never learns: its CLIP is nine tenths of it
# As transformers splits what is large: `from_pretrained` reads them by the index.
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")  # frozen, learned
INDEX = "model.safetensors.index.json"
State = dict[str, torch.Tensor]


def save_part(models: Models, group: str, folder: Path, earlier: Sequence[Path] = ()) -> None:
    """Write a part, a row of PART_NAMES, to the weights folder; what of it is frozen only where it is missing there.

    A link will do to a folder of `earlier` weights that has the same frozen ones.
    """
    module, path = part(models, group), folder / PART_NAMES[group]
    if path.suffix == ".safetensors":
        with atomic_path(path) as temporary:
            save_file({key: value.float().cpu() for key, value in module.state_dict().items()}, temporary)
        return
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        if group in FROZEN:
            places = [place / PART_NAMES[group] / SHARDS[0] for place in (folder, *earlier)]
            _write_shards(module, FROZEN[group], Path(scratch), places)
        else:
            module.save_pretrained(scratch)
        for file in sorted(Path(scratch).iterdir()):
            with atomic_path(path / file.name) as temporary:
                os.replace(file, temporary)
    if group in FROZEN:  # whole, as older versions wrote them: it would be read first
        (path / "model.safetensors").unlink(missing_ok=True)


def read_part(group: str, path: Path) -> State:
    """The weights of a part, from a folder that its own class reads or from a file.

    Raises:
        UserError: they cannot be read.
    """
    try:
        if group not in PART_KINDS:
            return load_file(path)
        kind = PART_KINDS[group]
        return kind.from_pretrained(path, use_safetensors=True, local_files_only=True).state_dict()
    except Exception as error:  # as many kinds as loaders
        raise UserError(f"{path} cannot be read ({reason_of(error)}): give a run that has saved its weights") from None


def load_part(models: Models, group: str, state: State, source: str) -> None:
    """Put a part's weights in place; UserError where they are of another size."""
    try:
        part(models, group).load_state_dict(state)
    except RuntimeError as error:
        raise UserError(
            f"{source} does not fit family {models.family.name} ({reason_of(error)}): give one trained on it"
        ) from None


def _write_shards(module: nn.Module, prefix: str, scratch: Path, places: list[Path]) -> None:
    """Write a transformers model in two files: what is frozen (unless the first place has it), what learned.

    `places`: where the frozen file belongs, and where else it may be.
    """
    state = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    parts = (
        {key: value for key, value in state.items() if key.startswith(prefix)},
        {key: value for key, value in state.items() if not key.startswith(prefix)},
    )
    found = next((place for place in places if _holds(place, parts[0])), None)
    if found is None:
        save_file(parts[0], scratch / SHARDS[0], metadata={"format": "pt"})
    elif found != places[0]:
        link_or_copy(found, scratch / SHARDS[0])
    save_file(parts[1], scratch / SHARDS[1], metadata={"format": "pt"})
    where = {key: name for name, held in zip(SHARDS, parts, strict=True) for key in held}
    size = sum(value.nbytes for value in state.values())
    index = {"metadata": {"total_size": size}, "weight_map": where}
    (scratch / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    config = copy.deepcopy(module.config)
    config.architectures, config.dtype = [type(module).__name__], str(module.dtype).removeprefix("torch.")
    config.save_pretrained(scratch)


def _holds(path: Path, state: State) -> bool:
    """Whether a safetensors file is there and holds just these tensors, to the bit."""
    try:
        with safe_open(path, "pt") as file:
            if set(file.keys()) != state.keys():
                return False
            return all(torch.equal(file.get_tensor(key), value) for key, value in state.items())
    except (OSError, SafetensorError):
        return False
