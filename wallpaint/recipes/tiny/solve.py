"""The decoder's first fit, without a single gradient step: layer by layer, by least squares.

The hand-wired start (carry.py) repeats each latent 8 x 8 times. Each layer on the way up can do better:
its three colour channels ought to be the picture averaged to that layer's size. The last convolution of
every layer is linear in its weights, so the best weights are solved for in closed form, in seconds, one
layer after the other. The random features inside the residual blocks serve as they are.
"""

import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.nn import functional as F

from wallpaint.recipes.tiny.data import to_signed

COLOURS = 3  # the carried channels that are fitted
RIDGE = 1e-3


@torch.no_grad()
def solve_decoder(vae: AutoencoderKL, pictures: torch.Tensor) -> None:
    """Fits `vae.decoder` to uint8 pictures (B, 3, R, R); the encoder stays."""
    x = to_signed(pictures)
    z = torch.cat([vae.encode(part).latent_dist.sample() for part in x.split(16)])
    decoder = vae.decoder
    h = decoder.mid_block(decoder.conv_in(vae.post_quant_conv(z)))
    for block in decoder.up_blocks:
        for resnet in block.resnets:
            h = solve_resnet(resnet, h, x)
        for sampler in block.upsamplers or []:
            h = F.interpolate(h, scale_factor=2.0, mode="nearest")
            h = solve_conv(sampler.conv, h, F.adaptive_avg_pool2d(x, h.shape[-1]))
    solve_conv(decoder.conv_out, F.silu(decoder.conv_norm_out(h)), x)


def solve_resnet(resnet: nn.Module, h: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The second convolution learns what the shortcut still lacks; returns the block's output."""
    features = F.silu(resnet.norm2(resnet.conv1(F.silu(resnet.norm1(h)))))
    shortcut = h if resnet.conv_shortcut is None else resnet.conv_shortcut(h)
    target = F.adaptive_avg_pool2d(x, h.shape[-1]) - shortcut[:, :COLOURS]
    return shortcut + solve_conv(resnet.conv2, features, target)


def solve_conv(conv: nn.Conv2d, inputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Sets the first three rows of a 3 x 3 convolution by ridge regression; returns conv(inputs)."""
    width = conv.in_channels * 9 + 1
    gram, moment = (torch.zeros(width, width, dtype=torch.float64), torch.zeros(width, COLOURS, dtype=torch.float64))
    every = max(1, inputs.shape[-1] // 32)  # fine layers have pixels enough: a part of them will do
    for number, (part, wanted) in enumerate(zip(inputs.split(4), target.split(4), strict=True)):
        patches = F.unfold(part, 3, padding=1)[..., number % every :: every].transpose(1, 2).flatten(0, 1)
        patches = torch.cat([patches, torch.ones(len(patches), 1)], 1)
        wanted = wanted.flatten(2)[..., number % every :: every].transpose(1, 2).flatten(0, 1)
        gram += (patches.T @ patches).double()
        moment += (patches.T @ wanted).double()
    count = gram[-1, -1].item()
    ridge = torch.full((width,), RIDGE * count, dtype=torch.float64)
    ridge[-1] = 0  # the bias is free
    weights = torch.linalg.solve(gram + ridge.diag(), moment).T.float()
    conv.weight[:COLOURS] = weights[:, :-1].view(COLOURS, conv.in_channels, 3, 3)
    conv.bias[:COLOURS] = weights[:, -1]
    return torch.cat([conv(part) for part in inputs.split(8)])
