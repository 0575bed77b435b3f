"""What is odd in a run, told before anything is loaded: settings, dataset, disk, memory."""

from collections.abc import Sequence
from dataclasses import fields, replace

from wallpaint.dataset.doctor import check_dataset
from wallpaint.dataset.rows import Sample
from wallpaint.disk import format_bytes, free_bytes
from wallpaint.models.families import Family
from wallpaint.paths import COMMAND
from wallpaint.runs.device import find_device
from wallpaint.runs.forecast import find_cost, in_float32, picture_bytes
from wallpaint.settings.choices import choose_preset
from wallpaint.settings.methods import METHODS, Method
from wallpaint.settings.train_config import TrainConfig, is_said

CHECKED_ROWS = 500  # larger datasets are not gone through at every start: --check does it
NAMED_FINDINGS = 5  # the rest are counted

IDLE = (  # (settings, when they do nothing, why)
    (
        "color_loss_weight color_loss_start_step color_loss_mode color_loss_crop",
        lambda c, m: not c.use_color_loss,
        "no colour loss is used",
    ),
    (
        "lora_rank lora_alpha lora_dropout lora_target",
        lambda c, m: "lora" not in m.learns,
        "this method learns no LoRA",
    ),
    (
        "image_drop_prob both_drop_prob reference",
        lambda c, m: not m.reference,
        "this method takes no reference while it trains",
    ),
    ("text_drop_prob", lambda c, m: "text" not in m.conditions, "this method takes no text"),
    (
        "color_jitter reference_variants",
        lambda c, m: (c.reference or m.reference or "swatch") == "swatch",
        "the reference is a plain swatch",
    ),
    ("dinov2_model", lambda c, m: "identity" not in m.conditions, "this method does not use DINOv2"),
    ("paint_by_example_model", lambda c, m: not m.base, "this method does not use Paint-by-Example"),
    (
        "ip_adapter_scale",
        lambda c, m: "image_prompt" not in m.conditions and not c.validation_steps,
        "this method trains without the adapter",
    ),
    (
        "num_validation_images num_inference_steps guidance_scale",
        lambda c, m: not c.validation_steps,
        "validation_steps is 0",
    ),
    ("lr_warmup_steps", lambda c, m: c.lr_scheduler == "constant", "lr_scheduler is constant"),
)


def warn_early(config: TrainConfig, family: Family, samples: Sequence[Sample]) -> list[str]:
    """What is odd, known before anything is loaded: settings, dataset, disk, memory."""
    return [
        *idle_settings(config, METHODS[config.method]),
        *_dataset(config, len(samples)),
        *_disk(config, family, len(samples)),
        *_memory(config),
    ]


def idle_settings(config: TrainConfig, method: Method) -> list[str]:
    """Settings that somebody changed and that have no effect in this run."""
    changed = {f.name for f in fields(config) if is_said(config, f)}
    return [
        f"{name} {getattr(config, name)} has no effect: {why}"
        for names, idle, why in IDLE
        if idle(config, method)
        for name in names.split()
        if name in changed
    ]


def other_settings(config: TrainConfig, before: TrainConfig) -> list[str]:
    """Settings in which a resumed run differs from what it was: it will not end as one never stopped."""
    free = {"output_dir", "cache_dir", "report_to", "checkpoints_total_limit"}
    free |= {"max_train_steps"} if config.lr_scheduler.startswith("constant") else set()  # others come down to it
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
    times = 2 if in_float32(config, device.kind) else 1
    name, why = choose_preset(device.total / times, config.family)
    return replace(config, memory_preset=name), f"memory_preset auto: {why}, {device.name}"


def _dataset(config: TrainConfig, rows: int) -> list[str]:
    check = f"{COMMAND} --check {config.dataset}"
    if rows > CHECKED_ROWS:
        return [f"dataset: {rows} samples are not gone through here, see {check}"]
    found = [f"dataset: {finding}" for finding in check_dataset(config.dataset)]
    more = [f"dataset: {len(found) - NAMED_FINDINGS} more, see {check}"] if len(found) > NAMED_FINDINGS else []
    return [*found[:NAMED_FINDINGS], *more]


def _disk(config: TrainConfig, family: Family, rows: int) -> list[str]:
    """Means and deviations of two latents of four channels, two masks; in float32 at most."""
    side = family.resolution
    need = rows * (2 if config.random_flip else 1) * (16 * 4 * (side // 8) ** 2 + side**2)
    free = free_bytes(config.cache_dir)
    if need < free:
        return []
    return [
        f"the cache may need {format_bytes(need)} and {format_bytes(free)} are free on the disk of "
        f"{config.cache_dir}: give another cache_dir"
    ]


def _memory(config: TrainConfig) -> list[str]:
    """Whether the models and one picture fit; a whole batch is measured when they are loaded."""
    device = find_device(config.device)
    need = picture_bytes(find_cost(config, device.kind))
    if need < device.free:
        return []
    return [
        f"the models and one picture take about {format_bytes(need)} and {format_bytes(device.free)} are free on "
        f"{device.name}: end other programs, or train elsewhere"
    ]
