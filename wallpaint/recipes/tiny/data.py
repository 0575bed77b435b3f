"""The pool of rendered rooms as tensors in memory; grows while the renderer is still at work."""

import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from wallpaint.recipes.rooms.develop import read_rows, spread
from wallpaint.recipes.tiny.sizes import RESOLUTION

FIRST_SHARE = 0.75
HELD_OUT_SHARE = 20  # one room in twenty is never trained on


@dataclass
class View:
    """One camera in one room: the photo first, then its true repaints."""

    pictures: torch.Tensor  # (P, 3, R, R) uint8 sRGB, on the pool's device
    mask: torch.Tensor  # (1, R, R) bool, True = wall, on the CPU: prompts and crops are drawn from it
    colors: list[tuple[int, int, int] | None]  # paint of each picture; None where the photo's wall is no plain paint
    caption: str
    room: str
    name: str  # the photo's file name: what a view is known by

    def on_cpu(self) -> "View":
        """The same with its pictures on the CPU."""
        return replace(self, pictures=self.pictures.cpu())


@dataclass
class Pool:
    """Rows of `metadata.jsonl` in some folders; `refresh` takes in what has been added.

    The first folder counts most: FIRST_SHARE of the draws come from it, however few views it holds as yet.
    """

    folders: list[Path]
    held_out: bool = False
    limit: int | None = None
    device: str = "cpu"
    workers: int = 1  # processes that read and draw
    views: list[View] = field(default_factory=list)
    rooms: dict[str, list[int]] = field(default_factory=dict)
    groups: list[list[int]] = field(default_factory=list)  # indices of the views of each folder
    seen: set[str] = field(default_factory=set)
    looks: int = 0

    def refresh(self) -> "Pool":
        """Reads the rows that were not there before; they need not come in order."""
        self.groups = self.groups or [[] for _ in self.folders]
        for folder, group in zip(self.folders, self.groups, strict=True):
            if not (folder / "metadata.jsonl").exists():
                continue
            rows = [row for row in read_rows(folder) if row["file_name"] not in self.seen]
            self.seen.update(row["file_name"] for row in rows)
            rows = [row for row in rows if is_held_out(row["room_id"]) == self.held_out]
            rows = rows[: None if self.limit is None else max(0, self.limit - len(self.views))]
            for view in spread(read_view, [(folder, row) for row in rows], self.workers):
                for places in (group, self.rooms.setdefault(view.room, [])):
                    places.append(len(self.views))
                self.views.append(replace(view, pictures=view.pictures.to(self.device)))
        return self

    def look_again(self, every: int) -> bool:
        """Refresh at one call of so many, on a CPU: the renderer may still be at work beside it; whether it did."""
        self.looks += 1
        if self.looks % every or self.device != "cpu":
            return False
        self.refresh()
        return True

    def picks(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """The indices (count,) of random views."""
        filled = [torch.tensor(group) for group in self.groups if group]
        rest = (1 - FIRST_SHARE) / max(1, len(filled) - 1)
        shares = torch.tensor([FIRST_SHARE] + [rest] * (len(filled) - 1))
        chosen = torch.multinomial(shares, count, replacement=True, generator=generator)
        sizes = torch.tensor([len(group) for group in filled])
        places = (torch.rand(count, generator=generator) * sizes[chosen]).long()
        return torch.cat(filled)[(sizes.cumsum(0) - sizes)[chosen] + places]

    def pick(self, generator: torch.Generator) -> int:
        """The index of a random view."""
        return int(self.picks(1, generator))

    def only_held_out(self, limit: int) -> "Pool":
        """Rooms of the first folder that no stage trains on."""
        return Pool(self.folders[:1], held_out=True, limit=limit, device=self.device).refresh()


def is_held_out(room: str) -> bool:
    """The same rooms on every machine."""
    return zlib.crc32(room.encode()) % HELD_OUT_SHARE == 0


def read_view(task: tuple[Path, dict]) -> View:
    """One row of a folder with all its pictures, on the CPU."""
    folder, row = task
    truths = row["truths"]
    pictures = [read_picture(folder / row["file_name"])]
    pictures += [read_picture(folder / truth["file_name"]) for truth in truths]
    mask = read_picture(folder / row["mask_file_name"])[:1] > 127
    own = tuple(row["reference_color_rgb"]) if row.get("kind", "plain") != "patterned" else None
    colors = [own, *(tuple(truth["color"]) for truth in truths)]
    return View(torch.stack(pictures), mask, colors, row["text"], row["room_id"], row["file_name"])


def read_picture(path: Path) -> torch.Tensor:
    """(3, R, R) uint8."""
    picture = Image.open(path).convert("RGB")
    if picture.size != (RESOLUTION, RESOLUTION):
        picture = picture.resize((RESOLUTION, RESOLUTION), Image.Resampling.BOX)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def to_signed(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 -> float in [-1, 1], channels last (twice as fast on a CPU)."""
    return (pictures.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def draw(generator: torch.Generator, count: int) -> int:
    """A random integer in [0, count)."""
    return int(torch.randint(count, (1,), generator=generator))


def chance(generator: torch.Generator) -> float:
    """A random float in [0, 1)."""
    return float(torch.rand(1, generator=generator))
