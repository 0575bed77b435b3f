"""What a run needs before it can begin: models, what is to be encoded, the denoiser."""

from collections.abc import Callable

import torch

from wallpaint.cache.buckets import Size, working_sizes
from wallpaint.cache.views import EncodingOptions
from wallpaint.dataset.files import FileIndex
from wallpaint.dataset.rows import Sample
from wallpaint.learned.denoiser import Denoiser, build_denoiser
from wallpaint.learned.weights import start_from
from wallpaint.models.bundle import Models
from wallpaint.models.families import Family, find_files
from wallpaint.models.files import pieces_of
from wallpaint.models.loading import sample_hash
from wallpaint.settings.methods import METHODS, Method
from wallpaint.settings.train_config import TrainConfig

REPAINTED = 4  # classical repaints of a row that a method is shown in turn, where it is shown such


def hash_models(family: Family) -> dict[str, str]:
    """A hash of each file of the family that a run is trained on, so that a resumed one can say what has changed."""
    return {name: " ".join(map(sample_hash, pieces_of(path))) for name, path in find_files(family).items()}


def dataset_sizes(splits: dict[str, list[Sample]], files: FileIndex, family: Family) -> dict[Size, Size]:
    """Photo size -> working size, for all splits together; what is encoded ahead so is what a run asks for."""
    photos = (files.size(sample.image) for rows in splits.values() for sample in rows)
    return working_sizes(photos, family.resolution, family.multiple)


def encoding_options(config: TrainConfig) -> EncodingOptions:
    """What a run has to have encoded."""
    method = METHODS[config.method]
    return EncodingOptions(
        method.reads,
        config.reference or method.reference or "swatch",
        config.reference_variants,
        config.color_jitter,
        holes=config.random_mask_prob > 0,
        detail="detail" in method.conditions,
        repainted=REPAINTED if method.shown else 0,
        shown=method.shown,
    )


def attach(
    config: TrainConfig, models: Models, method: Method, say: Callable[[str], None] = print
) -> tuple[Denoiser, tuple[str, ...]]:
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
    loaded = start_from(models, config.init_from, method.learns, say) if config.init_from else ()
    return denoiser, tuple(dict.fromkeys((*method.learns, *loaded)))
