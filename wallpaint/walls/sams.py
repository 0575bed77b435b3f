"""Segment-anything built at any size: the family's own from `sam.json`, Meta's from its checkpoints."""

from __future__ import annotations

import json
import pickle
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wallpaint.errors import UserError

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

# What `sam.json` lists, for Meta's own checkpoints; the ViT is told by the width of its patches' embedding.
META = {
    "image_size": 1024,
    "patch_size": 16,
    "mlp_ratio": 4,
    "window_size": 14,
    "prompt_embed_dim": 256,
    "mask_in_chans": 16,
    "num_multimask_outputs": 3,
    "decoder_depth": 2,
    "decoder_num_heads": 8,
    "decoder_mlp_dim": 2048,
    "iou_head_depth": 3,
    "iou_head_hidden_dim": 256,
    "pixel_mean": [123.675, 116.28, 103.53],
    "pixel_std": [58.395, 57.12, 57.375],
}
META_VITS = {
    768: {"embed_dim": 768, "depth": 12, "num_heads": 12, "global_attn_indexes": [2, 5, 8, 11]},  # vit_b
    1024: {"embed_dim": 1024, "depth": 24, "num_heads": 16, "global_attn_indexes": [5, 11, 17, 23]},  # vit_l
    1280: {"embed_dim": 1280, "depth": 32, "num_heads": 16, "global_attn_indexes": [7, 15, 23, 31]},  # vit_h
}


def build_sam(config: dict) -> Sam:
    """Build segment-anything at the sizes of a `sam.json` (META and one of META_VITS); weights random."""
    import torch
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    size, width = config["image_size"], config["prompt_embed_dim"]
    cells = size // config["patch_size"]
    encoder = ImageEncoderViT(
        **{key: config[key] for key in ("embed_dim", "depth", "num_heads", "mlp_ratio", "patch_size")},
        **{key: config[key] for key in ("window_size", "global_attn_indexes")},
        img_size=size,
        out_chans=width,
        qkv_bias=True,
        use_rel_pos=True,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
    )
    prompts = PromptEncoder(width, (cells, cells), (size, size), config["mask_in_chans"])
    heads, depth = config["decoder_num_heads"], config["decoder_depth"]
    decoder = MaskDecoder(
        transformer_dim=width,
        transformer=TwoWayTransformer(depth, width, heads, config["decoder_mlp_dim"]),
        **{key: config[key] for key in ("num_multimask_outputs", "iou_head_depth", "iou_head_hidden_dim")},
    )
    return Sam(encoder, prompts, decoder, config["pixel_mean"], config["pixel_std"]).eval()


def load_folder(path: Path) -> tuple[Sam, bool]:
    """Build from `sam.json` and load `sam.safetensors` beside it; say whether photos are stretched for it."""
    from safetensors.torch import load_file

    config = json.loads(path.read_text("utf-8"))
    return _fill(config, load_file(path.with_name("sam.safetensors"))), bool(config.get("stretch"))


def load_meta(path: Path) -> Sam:
    """Load Meta's vit_b, vit_l or vit_h; a pickle may hold tensors alone.

    Raises:
        UserError: it holds more than weights, or those of something else.
    """
    import torch
    from safetensors.torch import load_file

    try:
        weights = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError:  # torch's own words advise to run whatever it holds
        raise UserError("it holds more than weights, or is cut short") from None
    patches = weights.get("image_encoder.patch_embed.proj.weight") if isinstance(weights, dict) else None
    width = None if patches is None else patches.shape[0]
    if width not in META_VITS:
        raise UserError("it is none of Meta's vit_b, vit_l and vit_h")
    return _fill(META | META_VITS[width], weights)


def _fill(config: dict, weights: dict) -> Sam:
    """Build a model around its weights: none are drawn at random first, nor kept twice."""
    from accelerate import init_empty_weights

    with init_empty_weights():
        sam = build_sam(config)
    sam.load_state_dict(weights, assign=True)
    return sam.float()
