"""What a run is told before anything is loaded: odd settings, dataset, disk, memory."""

from collections.abc import Sequence
from dataclasses import fields, replace

from wallpaint.dataset.doctor import check_dataset
from wallpaint.dataset.rows import Sample
from wallpaint.models.families import Family, find_adapter, find_image_encoder
from wallpaint.models.files import find_weights
from wallpaint.runs.disk import free_bytes
from wallpaint.runs.forecast import find_device
from wallpaint.settings.choices import choose_preset
from wallpaint.settings.methods import METHODS, Method
from wallpaint.settings.train_config import TrainConfig, is_said

LOOKED_AT = 500  # larger datasets are not gone through at every start: --check does it


SHOWN = 5  # findings named one by one


IDLE = (  # (settings, when they do nothing, why)
    (
        ("color_loss_weight", "color_loss_start_step", "color_loss_mode", "color_loss_crop"),
        lambda c, m: not c.use_color_loss,
        "no colour loss is used",
    ),
    (
        ("lora_rank", "lora_alpha", "lora_dropout", "lora_target"),
        lambda c, m: "lora" not in m.learns,
        "this method learns no LoRA",
    ),
    (
        ("image_drop_prob", "both_drop_prob", "reference"),
        lambda c, m: not m.reference,
        "this method hears no reference while it trains",
    ),
    (("text_drop_prob",), lambda c, m: "text" not in m.conditions, "this method hears no text"),
    (
        ("color_jitter", "reference_variants"),
        lambda c, m: (c.reference or m.reference or "swatch") == "swatch",
        "the reference is a plain swatch",
    ),
    (("dinov2_model",), lambda c, m: "identity" not in m.conditions, "this method does not use DINOv2"),
    (("paint_by_example_model",), lambda c, m: not m.base, "this method does not use Paint-by-Example"),
    (
        ("ip_adapter_scale",),
        lambda c, m: "image_prompt" not in m.conditions and not c.validation_steps,
        "this method trains without the adapter",
    ),
    (
        ("num_validation_images", "num_inference_steps", "guidance_scale"),
        lambda c, m: not c.validation_steps,
        "validation_steps is 0",
    ),
    (("lr_warmup_steps",), lambda c, m: c.lr_scheduler == "constant", "lr_scheduler is constant"),
)


def warn_early(config: TrainConfig, family: Family, samples: Sequence[Sample]) -> list[str]:
    """What is odd, known before anything is loaded: settings, dataset, disk, memory."""
    return [
        *idle_settings(config, METHODS[config.method]),
        *_dataset(config, len(samples)),
        *_disk(config, family, len(samples)),
        *_memory(config, family),
    ]


def idle_settings(config: TrainConfig, method: Method) -> list[str]:
    """Settings that somebody changed and that have no effect in this run."""
    said = {f.name for f in fields(config) if is_said(config, f)}
    return [
        f"{name} {getattr(config, name)} has no effect: {why}"
        for names, idle, why in IDLE
        if idle(config, method)
        for name in names
        if name in said
    ]


def other_settings(config: TrainConfig, before: TrainConfig) -> list[str]:
    """Settings in which a resumed run differs from what it was: it will not end as one never stopped."""
    free = {"output_dir", "cache_dir", "max_train_steps", "report_to", "checkpoints_total_limit"}
    return [
        f"{f.name} was {getattr(before, f.name)} before and is {getattr(config, f.name)} now"
        for f in fields(config)
        if f.name not in free and getattr(config, f.name) != getattr(before, f.name)
    ]


def settle_preset(config: TrainConfig) -> tuple[TrainConfig, str]:
    """The config with `memory_preset: auto` settled for the device there is, and why it is that."""
    if config.memory_preset != "auto":
        return config, ""
    device = find_device(config.device)
    # On a CPU everything is float32: twice the memory.
    name, why = choose_preset(device.total / (2 if device.kind == "cpu" else 1), config.family)
    return replace(config, memory_preset=name), f"memory_preset auto: {why}, {device.name}"


def size(count: float) -> str:
    """Bytes for people: 12.3 MiB, 4.5 GiB."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def _dataset(config: TrainConfig, rows: int) -> list[str]:
    check = f"python studio.py --check {config.dataset}"
    if rows > LOOKED_AT:
        return [f"dataset: {rows} samples are not gone through here, see {check}"]
    found = [f"dataset: {finding}" for finding in check_dataset(config.dataset)]
    more = [f"dataset: {len(found) - SHOWN} more, see {check}"] if len(found) > SHOWN else []
    return [*found[:SHOWN], *more]


def _disk(config: TrainConfig, family: Family, rows: int) -> list[str]:
    """Means and deviations of two latents of four channels, two masks; in float32 at most."""
    side = family.resolution
    need = rows * (2 if config.random_flip else 1) * (16 * 4 * (side // 8) ** 2 + side**2)
    free = free_bytes(config.cache_dir)
    if need < free:
        return []
    return [
        f"the cache may need {size(need)} and {size(free)} are free on the disk of "
        f"{config.cache_dir}: give another cache_dir"
    ]


def _memory(config: TrainConfig, family: Family) -> list[str]:
    files = [find_weights(family.base_model, f) for f in ("vae", "unet", *family.text_encoders)]
    files += [find_adapter(family), find_image_encoder(family)]
    need, device = sum(path.stat().st_size for path in files), find_device(config.device)
    if need < device.free:
        return []
    return [
        f"the models alone are {size(need)} and {size(device.free)} are free on "
        f"{device.name}: end other programs, or train elsewhere"
    ]
