"""Models in their publishers' layouts, small and with random weights."""

import torch
from segment_anything.build_sam import _build_sam

from wallpaint.walls.sams import META_VITS

WIDTHS = {"vit_b": 768, "vit_l": 1024, "vit_h": 1280}


def save_random(shapes, path):
    """Write a checkpoint of these names and shapes as Meta publishes them: a pickled dict of tensors."""
    noise = 0.02 * torch.randn(1 << 20, generator=torch.Generator().manual_seed(0))  # drawing all takes long
    state = {
        key: noise.repeat(value.numel() // len(noise) + 1)[: value.numel()].view(value.shape).clone()
        for key, value in shapes.items()
    }
    torch.save(state, path)
    return state


def small_sam(monkeypatch, name):
    """The names and shapes of a model of Meta's, but two layers deep, and Masker told so."""
    width, _, heads, _ = META_VITS[WIDTHS[name]]
    monkeypatch.setitem(META_VITS, width, (width, 2, heads, [1]))
    with torch.device("meta"):
        return _build_sam(width, 2, heads, [1]).state_dict()


def small_segformer(folder, classes=("floor", "wall", "ceiling"), bias=(0.0, 3.0, 0.0)):
    """A SegFormer that says the same of every pixel, with its processor."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    config = SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[2, 1],
        hidden_sizes=[8, 8],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[1, 1],
        mlp_ratios=[2, 2],
        decoder_hidden_size=8,
        id2label=dict(enumerate(classes)),
        label2id={name: number for number, name in enumerate(classes)},
    )
    model = SegformerForSemanticSegmentation(config)
    with torch.no_grad():
        model.decode_head.classifier.weight.zero_()
        model.decode_head.classifier.bias.copy_(torch.tensor(bias))
    model.save_pretrained(folder)
    SegformerImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
