"""What a run may be told: names, presets for a memory, and what a method means for what is left empty."""

from typing import Any, Literal, get_args

from wallpaint.settings.methods import METHODS

Family = Literal["room-tiny", "sd15", "sdxl"]
MethodName = Literal[
    "lora", "lora_ip", "lora_ip_color", "refine", "joint", "ip_adapter", "paint_by_example", "anydoor"
]
Reference = Literal["swatch", "self_crop", "other_view"]
Schedule = Literal["constant", "constant_with_warmup", "linear", "cosine", "polynomial"]
Precision = Literal["auto", "no", "fp16", "bf16"]
Device = Literal["auto", "cpu", "cuda", "mps"]
MemoryPreset = Literal["auto", "8 GB", "12 GB", "24 GB", "80 GB"]
PredictionType = Literal["epsilon", "v_prediction"]
ColorLossMode = Literal["shaded", "flat"]
LoraTarget = Literal["attention", "all"]
Tracker = Literal["none", "tensorboard", "trackio", "wandb"]
FAMILY_NAMES, METHOD_NAMES = get_args(Family), get_args(MethodName)

# What SDXL's UNet asks for is said of a text, and these put the reference in the text's place.
CANNOT_TRAIN = {"sdxl": ("paint_by_example", "anydoor")}
# What a run may replace of its family's row, by the names it has there.
FAMILY_FIELDS = (
    "base_model ip_adapter_model ip_adapter_weight_name dinov2_model paint_by_example_model resolution prediction_type"
).split()
# Settings whose default is the method's: Paint-by-Example drops a fifth of its references as its paper does,
# and disturbs their colour as the study prints; AnyDoor drops a tenth, as the study does.
_DROPS = dict.fromkeys(("image_drop_prob", "text_drop_prob", "both_drop_prob"), 0.05)
_CROPS = {"text_drop_prob": 0.0, "both_drop_prob": 0.0}
METHOD_DEFAULTS: dict[str, dict[str, float]] = {
    "": {**_DROPS, "color_jitter": 0.0, "random_mask_prob": 0.0},
    "paint_by_example": {**_CROPS, "image_drop_prob": 0.2, "color_jitter": 0.4, "random_mask_prob": 0.5},
    "anydoor": {**_CROPS, "image_drop_prob": 0.1},
}

# Memory of a GPU -> samples a batch, batches added up, checkpointing. All take 16 samples a step, and so
# train the same. GB that a step took on an H200 held to a GB less than the card, and one with the colour
# loss (tests/bench/bench_memory.py): 4.4 and 6.7, 4.9 and 9.7, 11.4 and 15.0, 19.1 and 22.9; encoding 6.1.
PRESETS: dict[MemoryPreset, tuple[int, int, bool]] = {
    "8 GB": (2, 8, True),
    "12 GB": (4, 4, True),
    "24 GB": (8, 2, False),
    "80 GB": (16, 1, False),
}
# SDXL's sample has four times the pixels: 11.7 and 20.3, 15.9 and 50.1, measured likewise.
FAMILY_PRESETS: dict[str, dict[MemoryPreset, tuple[int, int, bool]]] = {
    "sdxl": {"24 GB": (2, 8, True), "80 GB": (8, 2, True)}
}
PRESET_FIELDS = ("train_batch_size", "gradient_accumulation_steps", "gradient_checkpointing")


def presets_of(family: str) -> dict[MemoryPreset, tuple[int, int, bool]]:
    """The presets that a family fits into."""
    return FAMILY_PRESETS.get(family, PRESETS)


def choose_preset(total: float, family: str = "") -> tuple[MemoryPreset, str]:
    """The largest preset that a device of so many bytes holds, and why; the smallest where none does."""
    sizes = {name: float(name.split()[0]) * 1e9 for name in presets_of(family)}
    fit = [name for name, size in sizes.items() if size <= total * 1.02]  # some cards hold a little less
    name = fit[-1] if fit else next(iter(sizes))
    verb = "fits" if fit else "is the smallest for"
    return name, f"{name} {verb} a device of {total / 1e9:.0f} GB"


def meant_by(method: str) -> dict[str, Any]:
    """The settings whose default the method decides, and those defaults."""
    row = METHODS[method]
    return {
        "use_ip_adapter_training": "image_prompt" in row.conditions,
        "freeze_ip_adapter": "ip_adapter" not in row.learns,
        "use_color_loss": "color" in row.losses,
        **METHOD_DEFAULTS[""],
        **METHOD_DEFAULTS.get(method, {}),
    }
