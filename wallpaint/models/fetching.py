"""What of a repository a family needs, how much it is, the command that fetches it, and fetching it.

Imports nothing heavy.
"""

import contextlib
import shlex
import sys
from collections.abc import Iterator

# What of a repository is needed, and how many GB that is: from the sizes of the files, or where they are not
# known from the numbers of parameters in float32. Anything else of it would be several times as much.
FETCH: dict[str, tuple[str, float]] = {
    "stable-diffusion-v1-5/stable-diffusion-inpainting": (
        " --include '*.json' --include 'tokenizer/*' --include 'unet/*.fp16.safetensors' "
        "--include 'vae/*.fp16.safetensors' --include 'text_encoder/*.fp16.safetensors'",
        2.1,
    ),
    "h94/IP-Adapter": (
        " models/ip-adapter-plus_sd15.safetensors models/image_encoder/config.json "
        "models/image_encoder/model.safetensors",
        2.6,
    ),
    "diffusers/stable-diffusion-xl-1.0-inpainting-0.1": (  # of 3.47 billion parameters, here in fp16
        " --include '*.json' --include 'tokenizer*/*' --include 'unet/*.fp16.safetensors' "
        "--include 'vae/*.fp16.safetensors' --include 'text_encoder*/*.fp16.safetensors'",
        6.9,
    ),
    "h94/IP-Adapter/sdxl_models": (
        " sdxl_models/ip-adapter-plus_sdxl_vit-h.safetensors models/image_encoder/config.json "
        "models/image_encoder/model.safetensors",
        3.4,
    ),
    "facebook/dinov2-large": (" config.json preprocessor_config.json model.safetensors", 1.2),
    "Fantasy-Studio/Paint-by-Example": (
        " --include '*.json' --include 'unet/*' --include 'vae/*' --include 'image_encoder/*'",
        5.3,
    ),
    "nvidia/segformer-b4-finetuned-ade-512-512": ("", 0.26),
    "openai/clip-vit-large-patch14": (" vocab.json merges.txt tokenizer_config.json", 0.002),
}
SAM_URL = "https://dl.fbaipublicfiles.com/segment_anything/"
SAM_FILES = {"sam_vit_b_01ec64.pth": 0.38, "sam_vit_l_0b3195.pth": 1.25, "sam_vit_h_4b8939.pth": 2.56}  # GB


def fetch_command(source: str, folder: str = "") -> str:
    """The command that fetches what is needed of a repository, or Meta's checkpoint, and how much it is.

    Families that take different files of one repository have a row `source/folder` of FETCH each.
    """
    if source in SAM_FILES:
        return f"`curl -LO {SAM_URL}{source}` ({SAM_FILES[source]:g} GB)"
    files, size = FETCH.get(f"{source}/{folder}", FETCH.get(source, ("", 0.0)))
    return f"`hf download {source}{files}`" + (f" (about {size:g} GB)" if size else "")


# Of a repository that has no row: models in diffusers' layout, or what a run was published as.
PATIENCE = 10  # seconds
ANY = ["*.json", "*.txt", "*/*.safetensors", "pytorch_lora_weights.safetensors", "ip_adapter.safetensors"]
NEVER = ["*.fp16.*", "*non_ema*", "safety_checker/*"]  # of such a one: a second copy, or nothing we use
_asked: set[tuple[str, str]] = set()  # once in a process: what is missing then is not there
_looking: list[bool] = []


@contextlib.contextmanager
def only_looking() -> Iterator[None]:
    """Fetch nothing meanwhile."""
    _looking.append(True)
    try:
        yield
    finally:
        _looking.pop()


def fetch(source: str, folder: str = "") -> bool:
    """Download what is needed of a repository to the hub's cache, with a progress bar; whether that was done.

    Nothing is downloaded where HF_HUB_OFFLINE is set. What cannot be had, the caller misses as before.
    """
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import HTTPError  # of whichever library asks

    if _looking or constants.HF_HUB_OFFLINE or (source, folder) in _asked:
        return False
    _asked.add((source, folder))
    try:
        HfApi().model_info(source, timeout=PATIENCE)
    except (OSError, HTTPError):  # no network, no such repository, no right to it
        return False
    row = FETCH.get(f"{source}/{folder}", FETCH.get(source))
    wanted = [word for word in shlex.split(row[0] if row else "") if word != "--include"]
    amount = f" (about {row[1]:g} GB)" if row and row[1] else ""
    print(f"fetching {source}{amount} to {constants.HF_HUB_CACHE}", file=sys.stderr, flush=True)
    try:
        snapshot_download(
            source, allow_patterns=wanted or (None if row else ANY), ignore_patterns=None if row else NEVER
        )
    except (OSError, HTTPError) as error:  # broken off, or a full disk
        print(f"fetching {source} broke off: {' '.join(str(error).split())[:200]}", file=sys.stderr)
        return False
    return True
