"""Modules and adapters from their files; hashes of files and of weights."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import logging as diffusers_logging
from huggingface_hub.utils import enable_progress_bars
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from wallpaint.errors import UserError, reason_of
from wallpaint.models.runtime import build_alone

SAMPLES, PIECE = 64, 1 << 16  # of a file's bytes: weights that were learned anew differ nearly everywhere


def quiet_libraries() -> None:
    """Let diffusers and transformers draw no progress bars and warn of nothing; what counts is checked here."""
    diffusers_logging.set_verbosity_error()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    enable_progress_bars()  # the hub's, which transformers has switched off with its own: a fetch shows how far it is


@build_alone
def load_module(kind: Any, weights: Path, dtype: torch.dtype) -> nn.Module:
    """One module from its weights, as `find_weights` finds them, and the config beside them.

    Raises:
        UserError: the file cannot be read, does not fit its config, or lacks a weight.
    """
    options = {
        "variant": "fp16" if ".fp16." in weights.name else None,
        "use_safetensors": ".safetensors" in weights.name,
        "local_files_only": True,
        "output_loading_info": True,
        "dtype" if issubclass(kind, PreTrainedModel) else "torch_dtype": dtype,
    }
    try:
        module, found = kind.from_pretrained(weights.parent, **options)
        wrong = f"it lacks {min(found['missing_keys'])}" if found["missing_keys"] else ""
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        wrong = reason_of(error)
    if wrong:
        raise UserError(f"{weights} cannot be read ({wrong}): fetch it again")
    return module


def read_adapter(path: Path) -> dict[str, dict[str, torch.Tensor]]:
    """An adapter in the h94 layout: {'image_proj': {...}, 'ip_adapter': {...}}.

    Raises:
        UserError: the file holds no such adapter, or cannot be read.
    """
    try:
        if path.suffix == ".safetensors":
            groups: dict[str, dict[str, torch.Tensor]] = {}
            for key, value in load_file(path).items():
                group, _, name = key.partition(".")
                groups.setdefault(group, {})[name] = value
        else:
            groups = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"adapter {path} cannot be read ({reason_of(error)}): fetch it again") from None
    if set(groups) != {"image_proj", "ip_adapter"} or "latents" not in groups["image_proj"]:
        raise UserError(f"{path} is no IP-Adapter-Plus in the h94 layout: give an ip-adapter-plus file")
    return groups


def hash_files(files: list[Path]) -> str:
    """A hash of the files' contents and of the configs beside them; of big ones, size and time stand for it."""
    digest = hashlib.sha256()
    configs = {path for file in files for path in file.parent.iterdir() if path.suffix in (".json", ".txt")}
    for path in (*files, *sorted(configs)):
        stat = path.stat()
        small = stat.st_size < 1 << 26
        digest.update(path.read_bytes() if small else f"{path.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def sample_hash(path: Path) -> str:
    """A hash of a file's length and of SAMPLES pieces of it: another model in its place is found in milliseconds."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with open(path, "rb") as file:
        for i in range(SAMPLES):
            file.seek(i * max(size - PIECE, 0) // (SAMPLES - 1))
            digest.update(file.read(PIECE))
    return digest.hexdigest()[:16]


def hash_state(module: nn.Module) -> str:
    """A hash of a module's weights."""
    digest = hashlib.sha256()
    for value in module.state_dict().values():
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
