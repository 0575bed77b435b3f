"""TrainConfig: everything a training run can be told, declared once.

The YAML files, the command line, the form of the studio and the `config.yaml` of a run all read these fields:
type, default, range, choices and help. Names are those of diffusers' training scripts wherever one exists.
Imports nothing heavy, so that `studio.py --help` answers at once.
"""

import difflib
from dataclasses import Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from wallpaint.errors import UserError
from wallpaint.settings.checks import (
    check_contradictions,
    check_types_and_ranges,
    family_from_adapter,
    method_from_switches,
    settle_preset,
)
from wallpaint.settings.choices import (
    CANNOT_TRAIN,
    FAMILY_FIELDS,
    FAMILY_NAMES,
    FAMILY_PRESETS,
    METHOD_DEFAULTS,
    METHOD_NAMES,
    PRESETS,
    REFERENCES,
    SCHEDULES,
    SWITCHES,
    choose_preset,
    method_default,
    presets_of,
)
from wallpaint.settings.text import convert, read_yaml

# Who asks for settings finds their tables here.
__all__ = ["CANNOT_TRAIN", "FAMILY_FIELDS", "FAMILY_PRESETS", "choose_preset", "presets_of"]


def setting(default: Any, help: str, low=None, high=None, choices=None, group: str = "training") -> Any:
    """A field: its default, a sentence for people, what it may be (inclusive range or choices), its group."""
    limits = None if low is None else (low, high)
    metadata = {"help": help, "range": limits, "choices": choices, "group": group}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class TrainConfig:
    """A checked set of settings; building one that contradicts itself raises a UserError."""

    # What is trained, on what, and where it goes
    family: str = setting(
        "",
        "model family; empty: room-tiny, or the one that the named h94 adapter is for",
        choices=FAMILY_NAMES,
        group="model",
    )
    base_model: str = setting("", "folder or hub id in place of the family's own base model", group="model")
    method: str = setting(
        "", "training method; empty: chosen by the switches below", choices=METHOD_NAMES, group="model"
    )
    init_from: str = setting("", "run folder or .safetensors file to go on learning from", group="model")
    dataset: str = setting("assets/rooms/sample", "dataset folder with train/ and perhaps validation/", group="data")
    output_dir: str = setting("", "run folder; empty: the next free workspace/runs/<method>-<n>", group="data")
    cache_dir: str = setting("workspace/cache", "folder for what the frozen encoders computed", group="data")
    resolution: int = setting(
        0, "pictures are trained at about this size squared; 0: the family's own", 0, 2048, group="data"
    )
    random_flip: bool = setting(False, "also train on mirrored pictures", group="data")
    # The optimiser
    train_batch_size: int = setting(8, "samples a batch", 1, 512)
    gradient_accumulation_steps: int = setting(1, "batches added up before the weights move", 1, 256)
    max_train_steps: int = setting(3000, "how many times the weights move", 1, 10_000_000)
    learning_rate: float = setting(1e-4, "step size of AdamW", 1e-8, 1.0)
    lr_scheduler: str = setting("constant", "how the learning rate runs", choices=SCHEDULES)
    lr_warmup_steps: int = setting(0, "steps until the learning rate is whole", 0, 1_000_000)
    adam_weight_decay: float = setting(0.01, "weight decay of AdamW", 0.0, 1.0)
    max_grad_norm: float = setting(1.0, "gradients are clipped to this length", 1e-6, 1e6)
    mixed_precision: str = setting(
        "auto", "arithmetic; auto: bf16 or fp16 on a GPU, float32 on a CPU", choices=("auto", "no", "fp16", "bf16")
    )
    device: str = setting(
        "auto", "where to train; auto: the GPU if there is one", choices=("auto", "cpu", "cuda", "mps")
    )
    gradient_checkpointing: bool = setting(False, "compute activations twice to save memory")
    memory_preset: str = setting(
        "",
        "chooses train_batch_size, gradient_accumulation_steps and gradient_checkpointing for a GPU of this "
        "memory; auto: for the GPU there is; empty: as they are set",
        choices=("", "auto", *PRESETS),
    )
    torch_compile: bool = setting(False, "compile the UNet's blocks: minutes at the start, then faster steps")
    use_ema: bool = setting(False, "save a running average of the weights in place of the last ones")
    seed: int = setting(0, "the same seed gives the same run on the same machine", 0, 2**31 - 1)
    dataloader_num_workers: int = setting(2, "threads that read pictures while the cache is filled", 1, 64)
    # Losses and dropout
    snr_gamma: float = setting(
        0.0, "min-SNR weighting of the diffusion loss (usually 5); 0: off", 0.0, 100.0, group="losses"
    )
    noise_offset: float = setting(0.0, "strength of noise shared by a whole channel", 0.0, 1.0, group="losses")
    prediction_type: str = setting(
        "",
        "what the UNet learns to say; empty: what the base model says",
        choices=("epsilon", "v_prediction"),
        group="losses",
    )
    mask_loss_weight: float = setting(
        1.0, "weight of the diffusion loss outside the wall; inside it is 1", 0.0, 1.0, group="losses"
    )
    image_drop_prob: float = setting(
        None, "share of samples trained without the reference; empty: as the method says", 0.0, 1.0, group="losses"
    )
    text_drop_prob: float = setting(
        None, "share of samples trained without the text; empty: as the method says", 0.0, 1.0, group="losses"
    )
    both_drop_prob: float = setting(
        None, "share of samples trained without both; empty: as the method says", 0.0, 1.0, group="losses"
    )
    use_color_loss: bool | None = setting(
        None, "add the colour-consistency loss; empty: as the method says", group="losses"
    )
    color_loss_weight: float = setting(0.1, "weight of the colour loss", 0.0, 1000.0, group="losses")
    color_loss_start_step: int = setting(1000, "first step with the colour loss", 0, 10_000_000, group="losses")
    color_loss_mode: str = setting(
        "shaded",
        "shaded: the paint in the wall's own light; flat: the swatch",
        choices=("shaded", "flat"),
        group="losses",
    )
    color_loss_crop: int = setting(
        24,
        "side of the decoded piece of wall, in latents, at most 3/8 of the picture's; 0: all of it",
        0,
        256,
        group="losses",
    )
    # References
    reference: str = setting(
        "",
        "a plain swatch, a crop of the wall itself, or one of the same wall in another picture of the room; "
        "empty: as the method says",
        choices=REFERENCES,
        group="reference",
    )
    reference_variants: int = setting(
        4, "crops, and holes in the wall, that are made of a sample", 1, 64, group="reference"
    )
    color_jitter: float = setting(
        None,
        "how far a crop's colours are moved, 0.4 in the study; empty: as the method says",
        0.0,
        1.0,
        group="reference",
    )
    random_mask_prob: float = setting(
        None, "share of samples with a random hole in the wall; empty: as the method says", 0.0, 1.0, group="reference"
    )
    dinov2_model: str = setting("", "folder or hub id of DINOv2; empty: the family's own", group="reference")
    paint_by_example_model: str = setting(
        "", "folder or hub id of Paint-by-Example; empty: the family's own", group="reference"
    )
    # LoRA and the adapter
    lora_rank: int = setting(16, "rank of the LoRA", 1, 512, group="lora")
    lora_alpha: int = setting(32, "the LoRA is scaled by alpha / rank", 1, 1024, group="lora")
    lora_dropout: float = setting(0.0, "dropout on the LoRA's input", 0.0, 0.9, group="lora")
    lora_target: str = setting(
        "attention",
        "layers the LoRA sits on: the UNet's attention, or all of its blocks' layers",
        choices=("attention", "all"),
        group="lora",
    )
    use_ip_adapter_training: bool | None = setting(
        None, "the image adapter is active while training; empty: as the method says", group="adapter"
    )
    ip_adapter_model: str = setting("", "folder or hub id of the adapter; empty: the family's own", group="adapter")
    ip_adapter_weight_name: str = setting("", "the adapter's file; empty: the family's own", group="adapter")
    ip_adapter_scale: float = setting(1.0, "strength of the adapter", 0.0, 2.0, group="adapter")
    freeze_ip_adapter: bool | None = setting(
        None, "the adapter does not learn; empty: as the method says", group="adapter"
    )
    # Watching and keeping
    logging_steps: int = setting(10, "a line of metrics.jsonl every so many steps", 1, 1_000_000, group="output")
    validation_steps: int = setting(
        250, "paint the validation rooms every so many steps; 0: never", 0, 10_000_000, group="output"
    )
    num_validation_images: int = setting(4, "how many validation rooms to paint", 1, 64, group="output")
    num_inference_steps: int = setting(0, "sampling steps when painting; 0: the family's own", 0, 1000, group="output")
    guidance_scale: float = setting(0.0, "guidance when painting; 0: the family's own", 0.0, 50.0, group="output")
    checkpointing_steps: int = setting(
        500, "a checkpoint every so many steps; 0: only when stopped", 0, 10_000_000, group="output"
    )
    checkpoints_total_limit: int = setting(2, "how many checkpoints to keep", 1, 1000, group="output")
    report_to: str = setting(
        "tensorboard",
        "also log to this tracker, beside metrics.jsonl",
        choices=("none", "tensorboard", "trackio", "wandb"),
        group="output",
    )

    def __post_init__(self) -> None:
        """Settle what was left empty, then check every value and how they go together."""
        settle = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731  (frozen)
        check_types_and_ranges(self)
        if not self.family:
            settle("family", family_from_adapter(self))
        if not self.method:
            settle("method", method_from_switches(self))
        adapter, frozen, color = SWITCHES[self.method]
        for name, value in (("use_ip_adapter_training", adapter), ("freeze_ip_adapter", frozen)):
            if getattr(self, name) is None:
                settle(name, value)
        if self.use_color_loss is None:
            settle("use_color_loss", color)
        for name in METHOD_DEFAULTS[""]:
            if getattr(self, name) is None:
                settle(name, method_default(self.method, name))
        settle_preset(self)
        check_contradictions(self)


def is_said(config: TrainConfig, f: Field) -> bool:
    """Whether a setting is another than it would be if nobody had said anything."""
    names = ("use_ip_adapter_training", "freeze_ip_adapter", "use_color_loss")
    unsaid: dict[str, Any] = dict(zip(names, SWITCHES[config.method], strict=True))
    unsaid |= {name: method_default(config.method, name) for name in METHOD_DEFAULTS[""]}
    return bool(getattr(config, f.name) != unsaid.get(f.name, f.default))


def config_fields() -> tuple[Field, ...]:
    """The fields of TrainConfig with their metadata (help, range, choices, group), for flags and forms."""
    return fields(TrainConfig)


def load_config(path: str | Path | None = None, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """Read a YAML file (flat, or nested under `training:`), lay `overrides` over it, and check the whole.

    Args:
        path: the file; None for the defaults.
        overrides: field name -> value; texts, as the command line gives them, take the field's type.

    Raises:
        UserError: no such file, not YAML, an unknown key (the nearest real name is offered), a value of the
            wrong type or out of range, or settings that contradict each other.
    """
    given = read_yaml(Path(path)) if path is not None else {}
    given |= overrides or {}
    known = {f.name: f for f in config_fields()}
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else "see python studio.py --help for the names"
            raise UserError(f"unknown setting {key!r} in {path or 'the overrides'}: {hint}")
    given = {key: convert(known[key], value) for key, value in given.items() if value is not None}
    return TrainConfig(**given)


def to_yaml(config: TrainConfig) -> str:
    """The whole config as YAML; `load_config` reads it back to an equal one."""
    return yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True)
