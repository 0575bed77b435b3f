"""What of a repository a family needs, how much it is, and the command that fetches it."""

# What of a repository is needed, and how many GB that is: from the sizes of the files, or where they are not
# known from the numbers of parameters in float32. Anything else of it would be several times as much.
FETCH: dict[str, tuple[str, float]] = {
    "stable-diffusion-v1-5/stable-diffusion-inpainting": (
        " --include '*.json' --include 'tokenizer/*' --include 'unet/*.fp16.safetensors' "
        "--include 'vae/*.fp16.safetensors' --include 'text_encoder/*.fp16.safetensors'", 2.1,
    ),
    "h94/IP-Adapter": (
        " models/ip-adapter-plus_sd15.safetensors models/image_encoder/config.json "
        "models/image_encoder/model.safetensors", 2.6,
    ),
    "diffusers/stable-diffusion-xl-1.0-inpainting-0.1": (  # of 3.47 billion parameters, here in fp16
        " --include '*.json' --include 'tokenizer*/*' --include 'unet/*.fp16.safetensors' "
        "--include 'vae/*.fp16.safetensors' --include 'text_encoder*/*.fp16.safetensors'", 6.9,
    ),
    "h94/IP-Adapter/sdxl_models": (
        " sdxl_models/ip-adapter-plus_sdxl_vit-h.safetensors models/image_encoder/config.json "
        "models/image_encoder/model.safetensors", 3.4,
    ),
    "facebook/dinov2-large": (" config.json preprocessor_config.json model.safetensors", 1.2),
    "Fantasy-Studio/Paint-by-Example": (
        " --include '*.json' --include 'unet/*' --include 'vae/*' --include 'image_encoder/*'", 5.3,
    ),
    "nvidia/segformer-b4-finetuned-ade-512-512": ("", 0.26),
    "openai/clip-vit-large-patch14": (" vocab.json merges.txt tokenizer_config.json", 0.002),
}  # fmt: skip
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
