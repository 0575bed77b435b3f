"""Random numbers of a training step, drawn for each sample alone.

What a sample draws is a function of (seed, step, its place in the whole batch) alone. So a resumed run is
bit-identical to one that was never stopped, and many processes that share a batch draw what one would.
"""

import hashlib
from dataclasses import dataclass

import torch


def step_generator(*numbers: int | str) -> torch.Generator:
    """A CPU generator that is a function of `numbers`, such as (seed, epoch)."""
    digest = hashlib.sha256(repr(numbers).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


@dataclass(frozen=True)
class Draws:
    """One CPU generator for each sample; every method draws once from each, in the samples' order."""

    generators: tuple[torch.Generator, ...]

    def __len__(self) -> int:
        return len(self.generators)

    def rand(self) -> torch.Tensor:
        """(B,) float32, 0 to 1."""
        return torch.cat([torch.rand(1, generator=g) for g in self.generators])

    def randint(self, high: int) -> torch.Tensor:
        """(B,) int64, 0 to high - 1."""
        return torch.cat([torch.randint(high, (1,), generator=g) for g in self.generators])

    def randn(self, *shape: int) -> torch.Tensor:
        """(B, *shape) float32, standard normal."""
        return torch.stack([torch.randn(shape, generator=g) for g in self.generators])

    def pick(self, rows: torch.Tensor) -> "Draws":
        """Those of some samples, by a boolean (B,)."""
        return Draws(tuple(g for g, told in zip(self.generators, rows.tolist(), strict=True) if told))


def sample_draws(count: int, first: int, *numbers: int) -> Draws:
    """Draws for the samples `first` to `first + count` of the batch that `numbers` (seed, step, …) name."""
    return Draws(tuple(step_generator(*numbers, place) for place in range(first, first + count)))
