"""What encoders said, kept by content hash.

A shard is a safetensors file with up to SHARD rows of one kind and shape, stacked, and their keys in its
header. A row's key is the hash of what went in, so a changed picture, mask or text is encoded anew and the
rest is found again.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from wallpaint.cache.ahead import one_ahead
from wallpaint.cache.mapped import Mapped, Rows
from wallpaint.pixels.images import atomic_path

SHARD = 1024


@dataclass
class Shelf:
    """A folder of shards, and how many rows were not found in it."""

    folder: Path
    encoded: int = 0

    def rows(
        self,
        kind: str,
        keys: list[str],
        encode: Callable[[Any], Rows],
        batch: int,
        read: Callable[[list[int]], Any] = lambda places: places,
    ) -> dict[str, Mapped]:
        """The rows of `keys` in their order, left in their files; what no shard holds is encoded and kept.

        Args:
            kind: what is encoded; shards of one kind hold tensors of one shape.
            keys: hashes of what goes in; a key may come twice.
            encode: what `read` gave -> rows, stacked.
            batch: at most so many places at once.
            read: places among the keys -> what goes in; the next are read while some are encoded.
        """
        first: dict[str, int] = {}
        home = torch.tensor([first.setdefault(key, i) for i, key in enumerate(keys)])
        places = torch.full((len(keys), 2), -1, dtype=torch.int32)
        shards: list[Rows] = []

        def open_shard(path: Path) -> None:
            with safe_open(path, "pt") as shard:
                rows = torch.tensor([first.get(key, -1) for key in json.loads(shard.metadata()["keys"])])
                held = (rows >= 0).nonzero()[:, 0]
                if len(held):
                    places[rows[held]] = torch.stack([torch.full_like(held, len(shards)), held], 1).int()
                    shards.append({name: shard.get_tensor(name) for name in shard.keys()})  # noqa: SIM118

        for path in sorted(self.folder.glob(f"{kind}--*.safetensors")):
            with contextlib.suppress(SafetensorError):  # damaged, by a copy cut short: encoded anew
                open_shard(path)
        missing = ((places[:, 0] < 0) & (home == torch.arange(len(keys)))).nonzero()[:, 0].tolist()
        for start in range(0, len(missing), SHARD):
            open_shard(self._encode(kind, keys, missing[start : start + SHARD], encode, batch, read))
        return {name: Mapped(tuple(shard[name] for shard in shards), places[home]) for name in shards[0]}

    def _encode(
        self,
        kind: str,
        keys: list[str],
        places: list[int],
        encode: Callable[[Any], Rows],
        batch: int,
        read: Callable[[list[int]], Any],
    ) -> Path:
        """Encode one shard and write it."""
        pieces = [places[i : i + batch] for i in range(0, len(places), batch)]
        parts = [encode(piece) for piece in one_ahead(read, pieces)]
        tensors = {name: torch.cat([part[name].cpu() for part in parts]).contiguous() for name in parts[0]}
        names = [keys[i] for i in places]
        shard = self.folder / f"{kind}--{content_hash(' '.join(names))}.safetensors"
        with atomic_path(shard) as path:
            save_file(tensors, path, metadata={"keys": json.dumps(names)})
        self.encoded += len(places)
        return shard


def content_hash(text: str) -> str:
    """A short hash: the key of what an encoder says to this."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]
