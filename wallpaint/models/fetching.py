"""What of a repository a family needs, how much it is, the command that fetches it, and fetching it.

Imports nothing heavy.
"""

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from wallpaint.errors import reason_of
from wallpaint.process import PROXIES

HALF = "*.json tokenizer*/* unet/*.fp16.safetensors vae/*.fp16.safetensors text_encoder*/*.fp16.safetensors"
VIT_H = "models/image_encoder/config.json models/image_encoder/model.safetensors"
# What of a repository is needed, and how many GB that is: from the sizes of the files, or where they are not
# known from the numbers of parameters. Anything else of it would be several times as much. Families that take
# different files of one repository have a row `repository/folder` each.
FETCH: dict[str, tuple[str, float]] = {
    "stable-diffusion-v1-5/stable-diffusion-inpainting": (HALF, 2.1),
    "diffusers/stable-diffusion-xl-1.0-inpainting-0.1": (HALF, 6.9),
    "h94/IP-Adapter": (f"models/ip-adapter-plus_sd15.safetensors {VIT_H}", 2.6),
    "h94/IP-Adapter/sdxl_models": (f"sdxl_models/ip-adapter-plus_sdxl_vit-h.safetensors {VIT_H}", 3.4),
    "facebook/dinov2-large": ("config.json preprocessor_config.json model.safetensors", 1.2),
    "Fantasy-Studio/Paint-by-Example": ("*.json unet/* vae/* image_encoder/*", 5.3),
    "nvidia/segformer-b4-finetuned-ade-512-512": ("", 0.26),
    "openai/clip-vit-large-patch14": ("vocab.json merges.txt tokenizer_config.json", 0.002),
}
# Of a repository without a row: models in diffusers' layout, or what a run was published as; then what of
# such a one is a second copy, or nothing we use.
ANY = ["*.json", "*.txt", "*/*.safetensors", "pytorch_lora_weights.safetensors", "ip_adapter.safetensors"]
NEVER = ["*.fp16.*", "*non_ema*", "safety_checker/*"]
SAM_URL = "https://dl.fbaipublicfiles.com/segment_anything/"
SAM_FILES = {"sam_vit_b_01ec64.pth": 0.38, "sam_vit_l_0b3195.pth": 1.25, "sam_vit_h_4b8939.pth": 2.56}  # GB

TIMEOUT = 10  # seconds until the hub has answered whether it has a repository
RETRY = 60  # seconds until a repository that could not be had is asked for again
_failed: dict[tuple[str, str], tuple[float, str]] = {}  # (repository, folder) -> when it could not be had, and why
_looking: list[bool] = []


def fetch_command(source: str, folder: str = "") -> str:
    """The command that fetches what is needed of a repository, or Meta's checkpoint, and how much it is."""
    if source in SAM_FILES:
        return f"`curl -LO {SAM_URL}{source}` ({SAM_FILES[source]:g} GB)"
    files, size = _find_row(source, folder) or ("", 0.0)
    words = [f" --include '{word}'" if "*" in files else f" {word}" for word in files.split()]
    return f"`hf download {source}{''.join(words)}`" + (f" (about {size:g} GB)" if size else "")


def _find_row(source: str, folder: str) -> tuple[str, float] | None:
    """What is needed of a repository, a folder of it by its own row, and how many GB."""
    return FETCH.get(f"{source}/{folder}", FETCH.get(source))


@contextlib.contextmanager
def only_looking() -> Iterator[None]:
    """Fetch nothing meanwhile."""
    _looking.append(True)
    try:
        yield
    finally:
        _looking.pop()


def fetch(source: str, folder: str = "") -> str:
    """Download what is needed of a repository, or one of SAM_FILES, to the hub's cache, with a progress bar.

    Nothing is downloaded where HF_HUB_OFFLINE is set.

    Returns:
        '', or why it was not done.
    """
    from huggingface_hub import HfApi, constants, snapshot_download

    if _looking:
        return ""
    if constants.HF_HUB_OFFLINE:
        return "nothing is fetched, since HF_HUB_OFFLINE is set"
    when, why = _failed.get((source, folder), (-RETRY, ""))
    if time.monotonic() - when < RETRY:
        return why
    row = _find_row(source, folder)
    size = SAM_FILES.get(source) or (row[1] if row else 0)
    amount = f" (about {size:g} GB)" if size else ""
    try:
        if source not in SAM_FILES:
            HfApi().model_info(source, timeout=TIMEOUT)
        print(f"fetching {source}{amount} to {constants.HF_HUB_CACHE}", file=sys.stderr, flush=True)
        if source in SAM_FILES:
            _fetch_sam(source)
        else:
            snapshot_download(
                source, allow_patterns=(row[0].split() or None) if row else ANY, ignore_patterns=None if row else NEVER
            )
    except Exception as error:  # of sockets, proxies, TLS, the hub, the disk: as many kinds as libraries between
        why = _explain(error, source)
        _failed[source, folder] = time.monotonic(), why
        return why
    return ""


def sam_cache(name: str) -> Path:
    """Where a checkpoint of Meta's is kept once it has been fetched."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE, "segment-anything", name)


def _fetch_sam(name: str) -> None:
    """Download one of SAM_FILES as the hub's files are: a bar, time limits, proxies, tried again where it breaks off.

    Its name ends with the beginning of its MD5.
    """
    from huggingface_hub.file_download import http_get

    place = sam_cache(name)
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{name}.{os.getpid()}.part")
    try:
        with part.open("w+b") as file:
            http_get(SAM_URL + name, file, displayed_filename=name)
            file.seek(0)
            digest = hashlib.md5(usedforsecurity=False)
            while piece := file.read(1 << 20):
                digest.update(piece)
        if not digest.hexdigest().startswith(Path(name).stem.rpartition("_")[2]):
            raise ValueError(f"what came is not {name}")
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


def _explain(error: Exception, source: str) -> str:
    """Why a repository could not be had, in a line; a proxy is named by its variable, its address may be secret."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        return f"the hub wants you to accept its terms at https://huggingface.co/{source} and to `hf auth login`"
    if isinstance(error, RepositoryNotFoundError):
        return "the hub has no such repository, or it is private and you have to `hf auth login`"
    proxies = [name for name in os.environ if name.lower() in PROXIES]
    through = f" through the proxy of {' and '.join(sorted(proxies))}" if proxies else ""
    return f"fetching it{through} failed, {reason_of(error)}"
