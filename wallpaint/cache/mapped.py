"""Rows that stay in their files: a million samples of 400 KB fit no memory, and no step needs them all.

`safe_open` gives, on a CPU, tensors whose memory is the mapped file: the system reads a page when it is used,
shares it among processes and takes it back where memory is short. A file that is deleted meanwhile, or
replaced by another, stays as it was for those who hold it.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Mapped:
    """N rows of one shape in some tensors; only those that are asked for are read."""

    shards: tuple[torch.Tensor, ...]  # each (n, …)
    places: torch.Tensor  # (N, 2) int32: of each row the shard, and the row there

    def __len__(self) -> int:
        return len(self.places)

    @property
    def shape(self) -> torch.Size:
        """(N, …), as of the tensor that all rows would be."""
        return torch.Size((len(self), *self.shards[0].shape[1:]))

    def __getitem__(self, at) -> torch.Tensor:
        """The rows at indices (B,), stacked in memory: (B, …); one row at an int, those of a slice.

        After a comma stand indices (B,) into the rows themselves: of each row only that part is read.
        """
        rows, *parts = at if isinstance(at, tuple) else (at,)
        places = self.places[rows]
        if places.ndim == 1:
            return self.shards[places[0]][places[1]]
        found = [self.shards[shard][place] for shard, place in places.tolist()]
        for part in parts:
            found = [row[index] for row, index in zip(found, part.tolist(), strict=True)]
        return torch.stack(found)

    def flatten(self) -> "Mapped":
        """(N, K, …) as (N * K, …)."""
        count = self.shape[1]
        shard, place = self.places.repeat_interleave(count, 0).unbind(1)
        within = torch.arange(count, dtype=place.dtype).repeat(len(self))
        return Mapped(tuple(t.flatten(0, 1) for t in self.shards), torch.stack([shard, place * count + within], 1))

    def append(self, other: "Mapped") -> "Mapped":
        """These rows, then those of another of the same shape."""
        later = other.places + torch.tensor([len(self.shards), 0], dtype=torch.int32)
        return Mapped(self.shards + other.shards, torch.cat([self.places, later]))


Rows = dict[str, torch.Tensor]
Group = dict[str, torch.Tensor | Mapped]
