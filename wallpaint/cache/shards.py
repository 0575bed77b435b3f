"""What encoders computed, kept by content hash.

A shard is a safetensors file with up to SHARD rows of one kind and shape, stacked, and their keys in its
header. A row's key is the hash of what went in, so a changed picture, mask or text is encoded anew and the
rest is found again.
"""

import contextlib
import glob
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from wallpaint.cache.mapped import Mapped, Rows
from wallpaint.cache.prefetch import prefetch
from wallpaint.errors import UserError, reason_of

SHARD = 1024


@dataclass
class ShardCache:
    """A folder of shards, and how many rows were not found in it."""

    folder: Path
    new_rows: int = 0

    def get_or_encode(
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
            encode: what `read` returned -> rows, stacked.
            batch: at most so many places at once.
            read: places among the keys -> what goes in; the next are read while some are encoded.

        Raises:
            UserError: the folder cannot be written.
        """
        first: dict[str, int] = {}
        home = torch.tensor([first.setdefault(key, i) for i, key in enumerate(keys)])
        places = torch.full((len(keys), 2), -1, dtype=torch.int32)
        shards: list[Rows] = []

        def open_shard(path: Path) -> None:
            with safe_open(path, "pt") as shard:
                rows = torch.tensor([first.get(key, -1) for key in json.loads(shard.metadata()["keys"])])
                found = (rows >= 0).nonzero()[:, 0]
                if len(found):
                    places[rows[found]] = torch.stack([torch.full_like(found, len(shards)), found], 1).int()
                    shards.append({name: shard.get_tensor(name) for name in shard.keys()})  # noqa: SIM118

        for path in sorted(self.folder.glob(f"{kind}--*.safetensors")):
            with contextlib.suppress(SafetensorError):  # damaged, by a copy cut short: encoded anew
                open_shard(path)
        missing = ((places[:, 0] < 0) & (home == torch.arange(len(keys)))).nonzero()[:, 0].tolist()
        for start in range(0, len(missing), SHARD):
            rows = missing[start : start + SHARD]
            parts = [
                encode(inputs) for inputs in prefetch(read, [rows[i : i + batch] for i in range(0, len(rows), batch)])
            ]
            tensors = {name: torch.cat([part[name].cpu() for part in parts]).contiguous() for name in parts[0]}
            open_shard(self._write(kind, [keys[i] for i in rows], tensors))
            self.new_rows += len(rows)
        return {name: Mapped(tuple(shard[name] for shard in shards), places[home]) for name in shards[0]}

    def _write(self, kind: str, keys: list[str], tensors: Rows) -> Path:
        """Write one shard, whole or not at all."""
        shard = self.folder / f"{kind}--{content_hash(' '.join(keys))}.safetensors"
        try:
            with _temporary(shard) as path:
                save_file(tensors, path, metadata={"keys": json.dumps(keys)})
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or reason_of(error)
            raise UserError(
                f"the cache {self.folder} cannot be written ({reason}): make room there, or give another cache_dir"
            ) from error
        return shard


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A path that takes the place of `path` on success, in a folder named by its owner, see `remove_leftovers`.

    A folder, because safetensors writes to a temporary file of its own beside what it is given.
    """
    folder = path.parent / f".{platform.node()}.{os.getpid()}.tmp"
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / path.name
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # safetensors makes it 0600, which other users of a shared cache could not read
        os.replace(temporary, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Delete what killed processes of this machine left half-written."""
    for path in folder.glob(f".{glob.escape(platform.node())}.*.tmp"):
        pid = path.stem.rpartition(".")[2]
        if pid.isdecimal() and (int(pid) == os.getpid() or not psutil.pid_exists(int(pid))):
            shutil.rmtree(path, ignore_errors=True)


def content_hash(text: str) -> str:
    """A short hash: the key of what an encoder computes from this."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]
