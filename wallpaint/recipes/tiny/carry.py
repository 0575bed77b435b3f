"""A VAE that starts as an exact, colour-carrying resize, so that training need only learn detail.

Small VAEs learn lightness first and colour last, because GroupNorm subtracts the mean, which *is* the colour.
Here five channels of each layer are wired by hand: red, green, blue, and two constants, +C and -C. They
pass through all residual blocks unchanged (their branches start at zero), are averaged 2x2 on the way down
and repeated on the way up. In the last GroupNorm the constants make up nearly all of the variance, so that
colour passes almost linearly, and its lost mean can be read off the sum of the two constants. A bias of
+SHIFT puts SiLU where it is a straight line. All other weights keep their usual random start.
"""

import torch
from diffusers import AutoencoderKL
from torch import nn

from wallpaint.recipes.tiny import sizes

CARRIED = 5  # red, green, blue, +C, -C
CONSTANT = 8.0
SHIFT = 5.0  # SiLU(x + 5) = x + 5 to 3 %
LOG_VARIANCE = -8.0

# Latent = OPPONENT @ rgb, rgb in [-1, 1]: lightness, red against green, yellow against blue.
OPPONENT = torch.tensor([[0.7, 0.7, 0.7], [3.0, -3.0, 0.0], [1.5, 1.5, -3.0]])


def build_vae() -> AutoencoderKL:
    """An untrained VAE whose round trip already is an 8x block mean in the right colours."""
    vae = AutoencoderKL(**sizes.VAE)
    with torch.no_grad():
        _wire_trunk(vae)
        _wire_encoder_ends(vae.encoder)
        _wire_decoder_ends(vae.decoder)
        _set_identity(vae.quant_conv, range(2 * sizes.LATENT_CHANNELS))
        _set_identity(vae.post_quant_conv, range(sizes.LATENT_CHANNELS))
        vae.quant_conv.bias.zero_()
        vae.post_quant_conv.bias.zero_()
    return vae


def _wire_trunk(vae: AutoencoderKL) -> None:
    """Residual branches silent, shortcuts and resizes carry the five channels."""
    for module in vae.modules():
        kind = type(module).__name__
        if kind == "ResnetBlock2D":
            _silence(module.conv2)
            if module.conv_shortcut is not None:
                _set_identity(module.conv_shortcut, range(CARRIED))
                module.conv_shortcut.bias[:CARRIED] = 0
        elif kind == "Attention":
            _silence(module.to_out[0])
        elif kind == "Downsample2D":  # padded at the right and bottom only: taps 0 and 1 see the picture
            _set_identity(module.conv, range(CARRIED), taps=(slice(0, 2), slice(0, 2)), gain=0.25)
            module.conv.bias[:CARRIED] = 0
        elif kind == "Upsample2D":
            _set_identity(module.conv, range(CARRIED))
            module.conv.bias[:CARRIED] = 0


def _wire_encoder_ends(encoder: nn.Module) -> None:
    """RGB in -> carried channels; carried channels -> opponent latents, small variance."""
    _start_carrying(encoder.conv_in, torch.eye(3))
    colour, offset = _read_carried(encoder.conv_norm_out)
    out = encoder.conv_out
    out.weight.mul_(3)  # the fourth latent has no colour to say: loud enough from the start to be used for detail
    half = sizes.LATENT_CHANNELS
    out.weight[:3] = 0
    out.weight[half:] = 0
    out.bias.zero_()
    out.bias[half:] = LOG_VARIANCE
    out.weight[:3, :CARRIED, 1, 1] = OPPONENT @ colour
    out.bias[:3] = OPPONENT @ offset


def _wire_decoder_ends(decoder: nn.Module) -> None:
    """Opponent latents -> carried channels; carried channels -> RGB out."""
    _start_carrying(decoder.conv_in, torch.linalg.inv(OPPONENT))
    colour, offset = _read_carried(decoder.conv_norm_out)
    decoder.conv_out.weight.mul_(0.1)
    decoder.conv_out.weight[:, :CARRIED] = 0
    decoder.conv_out.weight[:, :CARRIED, 1, 1] = colour
    decoder.conv_out.bias.copy_(offset)


def _start_carrying(conv: nn.Conv2d, matrix: torch.Tensor) -> None:
    """Channels 0-2 = matrix @ the first three inputs, 3 and 4 = the constants."""
    conv.weight[:CARRIED] = 0
    conv.weight[:3, :3, 1, 1] = matrix
    conv.bias[:CARRIED] = torch.tensor([0.0, 0.0, 0.0, CONSTANT, -CONSTANT])


def _read_carried(norm: nn.GroupNorm) -> tuple[torch.Tensor, torch.Tensor]:
    """Sets the norm's affine part; returns (3, 5) and (3,): rgb = colour @ silu(norm(x))[:5] + offset.

    With group size n the standard deviation is about C * sqrt(2 / n), and each channel loses the group's mean
    m: the constants then read C - m and -C - m, so half their sum gives m back.
    """
    size = norm.num_channels // norm.num_groups
    sigma = CONSTANT * (2 / size) ** 0.5
    gain = torch.tensor([sigma, sigma, sigma, 1.0, 1.0])
    norm.weight[:CARRIED] = gain
    norm.bias[:CARRIED] = SHIFT
    colour = torch.zeros(3, CARRIED)
    colour[:, :3] = torch.eye(3)
    colour[:, 3:] = -sigma / 2
    # At rest (rgb = 0, m = 0) the five inputs of SiLU are known: the offset makes that grey come out as 0.
    rest = torch.tensor([SHIFT, SHIFT, SHIFT, SHIFT + CONSTANT / sigma, SHIFT - CONSTANT / sigma])
    return colour, -colour @ nn.functional.silu(rest)


def _silence(layer: nn.Module) -> None:
    layer.weight.zero_()
    layer.bias.zero_()


def _set_identity(conv: nn.Conv2d, channels: range, taps: tuple = (), gain: float = 1.0) -> None:
    """Output channel i = gain * sum of input channel i over the taps (default: the centre), nothing else."""
    centre = (conv.kernel_size[0] // 2, conv.kernel_size[1] // 2)
    for channel in channels:
        conv.weight[channel] = 0
        conv.weight[(channel, channel, *(taps or centre))] = gain
