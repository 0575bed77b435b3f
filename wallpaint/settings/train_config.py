"""TrainConfig: everything a training run can be told, declared once.

The YAML files, the command line, the form of the studio and the `config.yaml` of a run all read these fields:
type, default, range, choices and help. Names are those of diffusers' training scripts wherever one exists.
pydantic checks them; imports nothing heavy, so that `studio.py --help` answers at once.
"""

import contextlib
import functools
import os
from dataclasses import asdict, field, fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, get_args

import yaml
from pydantic import ConfigDict, ValidationError, ValidatorFunctionWrapHandler, field_validator, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core.core_schema import ValidationInfo

from wallpaint.errors import UserError
from wallpaint.settings import checks, choices
from wallpaint.settings.text import read_yaml


def setting(group: str, default: Any, help: str, low: float | None = None, high: float | None = None) -> Any:
    """A field: its group in the form, its default, a sentence for people, and its inclusive range.

    pydantic reads the metadata; a default of None is settled by the method, or by the study's switches.
    """
    metadata = {"description": help, "ge": low, "le": high, "json_schema_extra": {"group": group}}
    return field(default=default, metadata=metadata)


in_model, in_data, in_training, in_losses = (partial(setting, g) for g in ("model", "data", "training", "losses"))
in_reference, in_lora, in_adapter = (partial(setting, g) for g in ("reference", "lora", "adapter"))
in_output = partial(setting, "output")
BY_METHOD = "; empty: as the method says"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class TrainConfig:
    """A checked set of settings; building one that contradicts itself raises a UserError."""

    # What is trained, on what, and where it goes
    family: choices.Family = in_model(
        "", "model family; empty: room-tiny, or the one that the named h94 adapter is for"
    )
    base_model: str = in_model("", "folder or hub id in place of the family's own base model")
    method: choices.MethodName = in_model("", "training method; empty: chosen by the switches below")
    init_from: str = in_model("", "run folder or .safetensors file to go on learning from")
    dataset: str = in_data("assets/rooms/sample", "dataset folder with train/ and perhaps validation/")
    output_dir: str = in_data("", "run folder; empty: the next free workspace/runs/<method>-<n>")
    cache_dir: str = in_data("workspace/cache", "folder for what the frozen encoders computed")
    resolution: int = in_data(0, "pictures are trained at about this size squared; 0: the family's own", 0, 2048)
    random_flip: bool = in_data(False, "also train on mirrored pictures")
    # The optimiser
    train_batch_size: int = in_training(8, "samples that are learned from at once", 1, 512)
    gradient_accumulation_steps: int = in_training(1, "batches added up before the weights move", 1, 256)
    max_train_steps: int = in_training(3000, "how many times the weights move", 1, 10_000_000)
    learning_rate: float = in_training(1e-4, "step size of AdamW", 1e-8, 1.0)
    lr_scheduler: choices.Schedule = in_training("constant", "how the learning rate runs")
    lr_warmup_steps: int = in_training(0, "steps until the learning rate is whole", 0, 1_000_000)
    adam_weight_decay: float = in_training(0.01, "weight decay of AdamW", 0.0, 1.0)
    max_grad_norm: float = in_training(1.0, "gradients are clipped to this length", 1e-6, 1e6)
    mixed_precision: choices.Precision = in_training(
        "auto", "arithmetic; auto: bf16 or fp16 on a GPU, float32 on a CPU"
    )
    device: choices.Device = in_training("auto", "where to train; auto: the GPU if there is one")
    gradient_checkpointing: bool = in_training(False, "compute activations twice to save memory")
    memory_preset: choices.MemoryPreset = in_training(
        "",
        "chooses train_batch_size, gradient_accumulation_steps and gradient_checkpointing for a GPU of this "
        "memory; auto: for the GPU there is; empty: as they are set",
    )
    torch_compile: bool = in_training(False, "compile the UNet's blocks: minutes at the start, then faster steps")
    use_ema: bool = in_training(False, "save a running average of the weights in place of the last ones")
    seed: int = in_training(0, "the same seed gives the same run on the same machine", 0, 2**31 - 1)
    dataloader_num_workers: int = in_training(2, "threads that read pictures while the cache is filled", 1, 64)
    # Losses and dropout
    snr_gamma: float = in_losses(0.0, "min-SNR weighting of the diffusion loss (usually 5); 0: off", 0.0, 100.0)
    noise_offset: float = in_losses(0.0, "strength of noise shared by a whole channel", 0.0, 1.0)
    timestep_bias: float = in_losses(
        0.0, "share of samples that learn at the last tenth of timesteps, where a painting begins; 0: all alike", 0, 1
    )
    prediction_type: choices.PredictionType = in_losses(
        "", "what the UNet learns to say; empty: what the base model says"
    )
    mask_loss_weight: float = in_losses(1.0, "weight of the diffusion loss outside the wall; inside it is 1", 0.0, 1.0)
    image_drop_prob: float = in_losses(None, "share of samples trained without the reference" + BY_METHOD, 0, 1)
    text_drop_prob: float = in_losses(None, "share of samples trained without the text" + BY_METHOD, 0, 1)
    both_drop_prob: float = in_losses(None, "share of samples trained without both" + BY_METHOD, 0, 1)
    use_color_loss: bool = in_losses(None, "add the colour-consistency loss" + BY_METHOD)
    color_loss_weight: float = in_losses(0.1, "weight of the colour loss", 0.0, 1000.0)
    color_loss_start_step: int = in_losses(1000, "first step with the colour loss", 0, 10_000_000)
    color_loss_mode: choices.ColorLossMode = in_losses(
        "shaded", "shaded: the paint in the wall's own light; flat: the swatch"
    )
    color_loss_crop: int = in_losses(
        24, "side of the decoded piece of wall, in latents, at most 3/8 of the picture's; 0: all of it", 0, 256
    )
    # References
    reference: choices.Reference = in_reference(
        "",
        "a plain swatch, a crop of the wall itself, or one of the same wall in another picture of the room; "
        "empty: as the method says",
    )
    reference_variants: int = in_reference(4, "crops, and holes in the wall, that are made of a sample", 1, 64)
    color_jitter: float = in_reference(None, "how far a crop's colours are moved, 0.4 in the study" + BY_METHOD, 0, 1)
    random_mask_prob: float = in_reference(None, "share of samples with a random hole in the wall" + BY_METHOD, 0, 1)
    dinov2_model: str = in_reference("", "folder or hub id of DINOv2; empty: the family's own")
    paint_by_example_model: str = in_reference("", "folder or hub id of Paint-by-Example; empty: the family's own")
    # LoRA and the adapter
    lora_rank: int = in_lora(16, "how much the LoRA can hold: a larger one learns more and takes more memory", 1, 512)
    lora_alpha: int = in_lora(32, "the LoRA is scaled by alpha / rank", 1, 1024)
    lora_dropout: float = in_lora(0.0, "dropout on the LoRA's input", 0.0, 0.9)
    lora_target: choices.LoraTarget = in_lora(
        "attention", "layers the LoRA sits on: the UNet's attention, or all of its blocks' layers"
    )
    use_ip_adapter_training: bool = in_adapter(None, "the image adapter is active while training" + BY_METHOD)
    ip_adapter_model: str = in_adapter("", "folder or hub id of the adapter; empty: the family's own")
    ip_adapter_weight_name: str = in_adapter("", "the adapter's file; empty: the family's own")
    ip_adapter_scale: float = in_adapter(1.0, "strength of the adapter", 0.0, 2.0)
    freeze_ip_adapter: bool = in_adapter(None, "the adapter does not learn" + BY_METHOD)
    # Watching and keeping
    logging_steps: int = in_output(10, "a line of metrics.jsonl every so many steps", 1, 1_000_000)
    validation_steps: int = in_output(250, "paint the validation rooms every so many steps; 0: never", 0, 10_000_000)
    num_validation_images: int = in_output(4, "how many validation rooms to paint", 1, 64)
    num_inference_steps: int = in_output(0, "sampling steps when painting; 0: the family's own", 0, 1000)
    guidance_scale: float = in_output(0.0, "guidance when painting; 0: the family's own", 0.0, 50.0)
    checkpointing_steps: int = in_output(500, "a checkpoint every so many steps; 0: only when stopped", 0, 10_000_000)
    checkpoints_total_limit: int = in_output(2, "how many checkpoints to keep", 1, 1000)
    report_to: choices.Tracker = in_output("tensorboard", "also log to this tracker, beside metrics.jsonl")

    @model_validator(mode="wrap")
    @classmethod
    def complain_in_one_line(cls, given: Any, check: ValidatorFunctionWrapHandler) -> Any:
        """Turn what pydantic says into one line for people."""
        try:
            return check(given)
        except ValidationError as error:
            raise UserError(checks.explain(error, config_fields())) from None

    @field_validator("*", mode="wrap")
    @classmethod
    def read_text(cls, value: Any, check: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        """Take texts as YAML, the command line and the form write them; nothing said is the default."""
        default, kind = next((s.default, s.kind) for s in config_fields() if s.name == info.field_name)
        empty = isinstance(value, str) and value.lower() in ("", "none") and (default is None or kind is bool)
        if value is None or empty or (isinstance(value, str) and value == default):
            return default  # which need not be among the choices
        if kind is int and isinstance(value, str):
            with contextlib.suppress(ValueError):
                value = float(value)  # 1e3 is a whole number
        if isinstance(value, bool) and kind is not bool:
            raise ValueError("True is no number")
        return check(value)

    def __post_init__(self) -> None:
        """Settle what was left empty, then check how the settings go together."""
        settle = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731  (frozen)
        if not self.family:
            settle("family", checks.family_from_adapter(self))
        if not self.method:
            settle("method", checks.method_from_switches(self))
        for name, value in choices.meant_by(self.method).items():
            if getattr(self, name) is None:
                settle(name, value)
        checks.settle_preset(self)
        for problem, remedy in checks.find_contradictions(self):
            raise UserError(f"{problem} in the settings: {remedy}")


def is_said(config: TrainConfig, setting: Any) -> bool:
    """Whether a setting (of `config_fields`, or a dataclass field) is another than if nobody had said anything."""
    return bool(getattr(config, setting.name) != choices.meant_by(config.method).get(setting.name, setting.default))


class Setting(NamedTuple):
    """One field of TrainConfig as flags and forms read it."""

    name: str
    kind: type  # bool, int, float or str
    default: Any  # None: the method's own
    help: str
    range: tuple[float, float] | None  # inclusive
    choices: tuple[str, ...]  # empty: any value; the default need not be among them
    group: str


@functools.cache
def config_fields() -> tuple[Setting, ...]:
    """The fields of TrainConfig, in order."""
    settings = []
    for f in fields(TrainConfig):
        options, metadata = get_args(f.type), f.metadata
        limits = None if metadata["ge"] is None else (metadata["ge"], metadata["le"])
        kind: Any = str if options else f.type
        group = metadata["json_schema_extra"]["group"]
        settings.append(Setting(f.name, kind, f.default, metadata["description"], limits, options, group))
    return tuple(settings)


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
    given = {key: os.path.expanduser(value) if isinstance(value, str) else value for key, value in given.items()}
    names = [s.name for s in config_fields()]
    for key in given:
        if key not in names:
            raise UserError(checks.unknown_setting(key, str(path or "the overrides"), names))
    return TrainConfig(**given)


def to_yaml(config: TrainConfig) -> str:
    """The whole config as YAML; `load_config` reads it back to an equal one."""
    values = asdict(config)
    # PyYAML writes Unicode's own line ends as they are and reads them as spaces: such texts are escaped.
    plain = not any(end in str(value) for value in values.values() for end in "\x85\u2028\u2029")
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=plain)
