"""What encoders said, kept by content hash.

A shard is a safetensors file with up to SHARD rows of one kind and shape, stacked, and their keys in its
header. A row's key is the hash of what went in, so a changed picture, mask or text is encoded anew and the
rest is found again.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from wallpaint.batches import Rows
from wallpaint.images import atomic_path

SHARD = 1024


@dataclass
class Shelf:
    """A folder of shards, and how many rows were not found in it."""

    folder: Path
    encoded: int = 0

    def rows(self, kind: str, keys: list[str], encode: Callable[[list[int]], Rows], batch: int) -> Rows:
        """The rows of `keys`, stacked in their order; those that no shard holds are encoded and kept.

        Args:
            kind: what is encoded; shards of one kind hold tensors of one shape.
            keys: hashes of what goes in; a key may come twice.
            encode: places among the keys -> rows, stacked.
            batch: at most so many places at once.
        """
        found: dict[str, Rows] = {}
        wanted = set(keys)
        for path in sorted(self.folder.glob(f"{kind}--*.safetensors")):
            with safe_open(path, "pt") as shard:
                places = {k: i for i, k in enumerate(json.loads(shard.metadata()["keys"])) if k in wanted}
                names = list(shard.keys()) if places else []
                tensors = {name: shard.get_tensor(name) for name in names}
            found |= {key: {name: t[i] for name, t in tensors.items()} for key, i in places.items()}
        missing = list({key: i for i, key in reversed(list(enumerate(keys))) if key not in found}.values())
        missing.sort()
        for start in range(0, len(missing), SHARD):
            found |= self._encode(kind, keys, missing[start : start + SHARD], encode, batch)
        return {name: torch.stack([found[key][name] for key in keys]) for name in found[keys[0]]}

    def _encode(
        self, kind: str, keys: list[str], places: list[int], encode: Callable[[list[int]], Rows], batch: int
    ) -> dict[str, Rows]:
        """Encode one shard and write it."""
        parts = [encode(places[i : i + batch]) for i in range(0, len(places), batch)]
        tensors = {name: torch.cat([part[name].cpu() for part in parts]).contiguous() for name in parts[0]}
        names = [keys[i] for i in places]
        with atomic_path(self.folder / f"{kind}--{content_hash(' '.join(names))}.safetensors") as path:
            save_file(tensors, path, metadata={"keys": json.dumps(names)})
        self.encoded += len(places)
        return {key: {name: t[i] for name, t in tensors.items()} for i, key in enumerate(names)}


def content_hash(text: str) -> str:
    """A short hash: the key of what an encoder says to this."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]
