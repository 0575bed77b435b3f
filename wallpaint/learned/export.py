"""What was learned, for others: a LoRA in Kohya's layout, a run on the Hugging Face hub."""

from pathlib import Path
from typing import Any

import torch
import yaml
from diffusers.utils import convert_state_dict_to_kohya
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError
from safetensors.torch import save_file

from wallpaint.disk import atomic_path
from wallpaint.errors import UserError, reason_of
from wallpaint.learned.arm_files import find_arm
from wallpaint.learned.cards import PLACES
from wallpaint.learned.lora import read_lora
from wallpaint.runs.state import list_pictures


def export_kohya(source: str | Path, out: str | Path | None = None) -> Path:
    """Write a run's LoRA, or one in a file of diffusers' layout, for AUTOMATIC1111, ComfyUI and the like.

    Returns:
        the file, `<run>-kohya.safetensors` in the run folder or beside the file unless `out` names it:
        `lora_unet_<layer>.lora_down.weight`, `.lora_up.weight` and `.alpha` a layer.

    Raises:
        UserError: there is no LoRA, or it is not one of a UNet.
    """
    source = Path(source)
    path = find_arm(source).lora
    if path is None:
        raise UserError(
            f"{source} has learned no LoRA, and Kohya's layout is one of LoRAs: give a run of a method that learns one"
        )
    described, state, metadata = read_lora(path)
    if described.kohya:
        raise UserError(f"{path} is in Kohya's layout already: use it as it is")
    if described.kind == "DoRA" or described.text:
        raise UserError(
            f"{path} is more than a LoRA of a UNet (a DoRA, or with a half for text encoders): use it as it is"
        )
    alpha = (metadata or {}).get("lora_alpha")  # None: equal to the rank
    ranks = {key.split(".lora_A")[0]: len(value) for key, value in state.items() if ".lora_A" in key}
    kohya = convert_state_dict_to_kohya({f"unet.{key}": value for key, value in state.items()})
    for key in kohya:
        if key.endswith(".alpha") and alpha is not None:
            kohya[key] = torch.tensor(float(alpha))
    rank = max(ranks.values())
    header = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_network_alpha": str(rank if alpha is None else alpha),
    }
    name, where = (source.name, source) if source.is_dir() else (source.stem, source.parent)
    out = Path(out) if out else where / f"{name}-kohya.safetensors"
    with atomic_path(out) as temporary:
        save_file({key: value.contiguous() for key, value in kohya.items()}, temporary, metadata=header)
    return out


def push_to_hub(folder: str | Path, repo: str, api: HfApi | None = None) -> str:
    """Put a run that has ended on the hub: its weights at the root, the card, settings, metrics, the last pictures.

    A new repository is private: the card shows rooms that were validated on.

    Returns:
        the repository's address.

    Raises:
        UserError: there is nothing to put there, or the hub does not take it.
    """
    folder, api = Path(folder), api or HfApi()
    files = hub_files(folder, repo)
    try:
        address = api.create_repo(repo, private=True, exist_ok=True)
        added = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=text) for name, text in files.items()]
        api.create_commit(repo, added, commit_message=f"wallpaint run {folder.name}")
    except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OSError) as error:
        raise UserError(
            f"the hub does not take {folder.name} as {repo} ({reason_of(error)}): "
            "check the name, and log in with `hf auth login`"
        ) from None
    return str(address)


def hub_files(folder: Path, repo: str) -> dict[str, bytes]:
    """What goes to the hub: name there -> content. Paths of this machine stay here."""
    card, settings, weights = (folder / name for name in ("README.md", "config.yaml", "weights"))
    if not (card.is_file() and settings.is_file() and weights.is_dir()):
        raise UserError(f"{folder} is no run that has ended: give one with weights/ and README.md")
    files = {p.relative_to(weights).as_posix(): p.read_bytes() for p in weights.rglob("*") if p.is_file()}
    text = card.read_text(encoding="utf-8")
    moved = {
        '("weights", ': f'("{repo}", ',
        '(".", subfolder="weights"': f'("{repo}", subfolder=""',
        f"mine={folder}": f"mine={repo}",
    }
    for here, there in moved.items():
        text = text.replace(here, there)
    kept: dict[str, Any] = yaml.safe_load(settings.read_text(encoding="utf-8"))
    shared = {name: value for name, value in kept.items() if name not in PLACES}
    files |= {"README.md": text.encode(), "config.yaml": yaml.safe_dump(shared, sort_keys=False).encode()}
    for path in (folder / "metrics.jsonl", *list_pictures(folder)[-1:]):
        if path.is_file():
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return files
