"""What a run needs before it can begin: models, what is to be encoded, the denoiser."""

import torch

from wallpaint.cache.views import Wanted
from wallpaint.learned.denoiser import Denoiser, build_denoiser
from wallpaint.learned.weights import start_from
from wallpaint.models.bundle import Models, load_models
from wallpaint.models.runtime import Runtime
from wallpaint.settings.choices import FAMILY_FIELDS
from wallpaint.settings.methods import METHODS, Method
from wallpaint.settings.train_config import TrainConfig


def load_for(config: TrainConfig, runtime: Runtime) -> Models:
    """The family as `config` wants it for its method."""
    overrides = {name: getattr(config, name) for name in FAMILY_FIELDS}
    return load_models(config.family, runtime, METHODS[config.method].base, **overrides)


def wanted_by(config: TrainConfig) -> Wanted:
    """What a run has to have encoded."""
    method = METHODS[config.method]
    return Wanted(
        method.reads,
        config.reference or method.reference or "swatch",
        config.reference_variants,
        config.color_jitter,
        holes=config.random_mask_prob > 0,
        detail="detail" in method.conditions,
    )


def attach(config: TrainConfig, models: Models, method: Method) -> tuple[Denoiser, tuple[str, ...]]:
    """The denoiser with what the method learns, begun anew or where `init_from` ended; the groups to save."""
    torch.manual_seed(config.seed)  # the LoRA's start
    denoiser = build_denoiser(
        models,
        method,
        config.lora_rank,
        config.lora_alpha,
        config.lora_dropout,
        config.lora_target,
        config.ip_adapter_scale,
        config.gradient_checkpointing,
    )
    begun = start_from(models, config.init_from, method.learns) if config.init_from else ()
    return denoiser, tuple(dict.fromkeys((*method.learns, *begun)))
