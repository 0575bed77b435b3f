"""Where a model's files are: in a folder, in the hub's cache, or on the hub. Imports nothing heavy."""

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from wallpaint.errors import UserError
from wallpaint.models.fetching import SAM_FILES, fetch, fetch_command, sam_cache
from wallpaint.paths import MODELS, from_home

# Ends of names of weights, as diffusers and transformers save them: whole, in half precision, or in pieces.
SAFETENSORS = (".safetensors", ".fp16.safetensors", ".safetensors.index.json", ".safetensors.index.fp16.json")
PICKLES = (".bin", ".fp16.bin")


def find_weights(source: str, folder: str, fetched: str = "") -> Path:
    """The weights in `source/folder` ('': right in it), or their index, with their config.json beside them.

    `fetched`: see `fetch_command`.
    """
    inside = f"{folder}/" if folder else ""
    stems = ("diffusion_pytorch_model",) * 2 if folder in ("vae", "unet") else ("model", "pytorch_model")
    names = [f"{inside}{stems[0]}{end}" for end in SAFETENSORS] + [f"{inside}{stems[1]}{end}" for end in PICKLES]
    found = find_file(source, names, "", fetched)
    find_file(source, f"{inside}config.json", "", fetched)
    return found


def pieces_of(weights: Path) -> list[Path]:
    """The file itself; where it is the index of weights in pieces, those that are there."""
    files = [weights]
    if ".safetensors.index." in weights.name:
        with contextlib.suppress(ValueError, KeyError, AttributeError):  # a broken index is told by whoever loads it
            names = {*json.loads(weights.read_text("utf-8"))["weight_map"].values()}
            files = [weights.parent / name for name in sorted(names)]
    return [file for file in files if file.is_file()]


def find_sam(source: str) -> Path:
    """Segment-anything's weights: `sam.json` in a folder, or a checkpoint of Meta's by its path.

    One of Meta's names alone is looked for where WALLPAINT_SAM says or in the working folder, and fetched.

    Raises:
        UserError: they are not to be had.
    """
    own_sam = os.environ.get("WALLPAINT_SAM", "") if source in SAM_FILES else ""
    path, why = from_home(own_sam or source), ""
    if path.is_dir():
        return find_file(str(path), "sam.json")
    if path.is_file():
        return path
    if source in SAM_FILES and not own_sam:
        cached = sam_cache(source)
        why = "" if cached.is_file() else fetch(source)
        if cached.is_file():
            return cached
    name = source if source in SAM_FILES else next(iter(SAM_FILES))
    raise UserError(
        f"{path.name} is missing (looked in {path.resolve().parent}{'; ' * bool(why)}{why}): "
        f"fetch it with {fetch_command(name)}, and name it in WALLPAINT_SAM"
    )


def find_file(source: str, names: str | list[str] | tuple[str, ...], what: str = "", fetched: str = "") -> Path:
    """The first of `names` in the folder `source`, or in the hub's cache of the repository `source`.

    What of a repository is in neither is fetched, see `fetching.fetch`.
    """
    names = [names] if isinstance(names, str) else names
    folder = from_home(source)
    for name in names:
        if (folder / name).is_file():
            return folder / name
    looked, remedy = f"in {folder}", f"check that {folder} is a whole model folder"
    if source.startswith(str(MODELS)):
        remedy = "restore it with `git checkout -- assets/models` or make it with `python -m wallpaint.recipes.tiny`"
    elif not folder.is_absolute() and not folder.is_dir() and is_hub_id(source):
        from huggingface_hub.constants import HF_HUB_CACHE

        cached = _find_cached(source, names)
        why = "" if cached else fetch(source, fetched)
        cached = cached or _find_cached(source, names)
        if cached:
            return cached
        looked = f"in ./{source} and in the Hugging Face cache {HF_HUB_CACHE}" + (f"; {why}" if why else "")
        remedy = f"fetch it with {fetch_command(source, fetched)}"
    label = f"{names[0]} of {what or source}"
    raise UserError(f"{label} is missing (looked {looked}): {remedy}")


def _find_cached(source: str, names: Sequence[str]) -> Path | None:
    """The first of `names` that the hub's cache holds of a repository."""
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(source, name) for name in names)
    return next((Path(path) for path in found if isinstance(path, str)), None)


def is_hub_id(source: str) -> bool:
    """Whether this could be the id of a repository on the hub: user/name."""
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(source)
    except ValueError:
        return False
    return "/" in source
