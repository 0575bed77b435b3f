"""Segment-anything built at any size: the family's own from `sam.json`, Meta's from its checkpoints."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wallpaint.errors import UserError

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

# Meta's models by the width of their patches' embedding, as segment_anything.build_sam has them:
# width, depth, heads, and the layers with global attention.
META_VITS = {
    768: (768, 12, 12, [2, 5, 8, 11]),  # vit_b
    1024: (1024, 24, 16, [5, 11, 17, 23]),  # vit_l
    1280: (1280, 32, 16, [7, 15, 23, 31]),  # vit_h
}


def build_sam(config: dict) -> Sam:
    """Build segment-anything at the sizes of a `sam.json`; weights random."""
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
    sam = _fill(lambda: build_sam(config), load_file(path.with_name("sam.safetensors")))
    return sam, bool(config.get("stretch"))


def load_meta(path: Path) -> Sam:
    """Load Meta's vit_b, vit_l or vit_h; a pickle may hold tensors alone.

    Raises:
        UserError: it holds more than weights, or those of something else.
    """
    import torch
    from safetensors.torch import load_file
    from segment_anything.build_sam import _build_sam

    try:
        weights = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError:  # torch's own words advise to run whatever it holds
        raise UserError("it holds more than weights, or is cut short") from None
    patches = weights.get("image_encoder.patch_embed.proj.weight") if isinstance(weights, dict) else None
    width = None if patches is None else patches.shape[0]
    if width not in META_VITS:
        raise UserError("it is none of Meta's vit_b, vit_l and vit_h")
    return _fill(lambda: _build_sam(*META_VITS[width]), weights)


def _fill(build: Callable[[], Sam], weights: dict) -> Sam:
    """Build a model around its weights: none are drawn at random first, nor kept twice."""
    import torch

    with torch.device("meta"):  # for this thread alone, unlike accelerate's init_empty_weights
        sam = build()
    sam.load_state_dict(weights, assign=True)
    return sam.float().eval()
