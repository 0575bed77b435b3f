"""What the small networks of the project's own are built of."""

from torch import nn


def conv_block(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions of 3 pixels, each after GroupNorm of 8 groups and SiLU: the branch of a residual block."""
    return nn.Sequential(
        nn.GroupNorm(8, inputs),
        nn.SiLU(),
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.GroupNorm(8, outputs),
        nn.SiLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
    )
