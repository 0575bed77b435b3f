"""How long a run over many rows takes to begin when everything is known: what is asked of the system, read and keyed.

    python tests/bench/bench_start.py [ROWS]

Photos and masks are links to some small pictures: their pixels are not read on a warm start, nor are models loaded.
Prints one JSON object: processor's seconds for each part at ROWS rows (20,000), and what a million would take. A
million itself takes 5 minutes, 6 GB of memory and two million names in the folder for temporary files.
"""

import gc
import json
import os
import sys
import tempfile
import time
from pathlib import Path

LINKS = 1000
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch  # noqa: E402
from toys import toy_room  # noqa: E402

from wallpaint.cache.buckets import working_sizes  # noqa: E402
from wallpaint.cache.build import _same_views  # noqa: E402
from wallpaint.cache.shards import ShardCache, content_hash  # noqa: E402
from wallpaint.cache.views import list_views  # noqa: E402
from wallpaint.dataset.files import FileIndex  # noqa: E402
from wallpaint.dataset.folder import read_splits  # noqa: E402
from wallpaint.dataset.metadata import dump_rows
from wallpaint.process import collector_paused  # noqa: E402
from wallpaint.train.dataset_rows import changed_rows, describe_rows, save_rows  # noqa: E402


def main() -> None:
    rows = int(sys.argv[1]) if sys.argv[1:] else 20_000
    with tempfile.TemporaryDirectory() as folder:
        make_dataset(Path(folder) / "rooms", rows)
        time.sleep(2.1)  # younger files are not remembered, see FileIndex
        know_files(Path(folder), rows)
        begin(Path(folder), {})
        gc.collect()
        parts: dict[str, float] = {}
        with collector_paused():  # as open_session
            begin(Path(folder), parts)
    total = sum(parts.values())
    a_million = round(total * 1e6 / rows, 1)
    print(json.dumps({"rows": rows, "seconds": parts, "total": round(total, 2), "a_million": a_million}, indent=2))


def make_dataset(folder: Path, rows: int) -> None:
    """Write a dataset of many names for some photos and masks; LINKS of one are as many as any disk allows."""
    where = folder / "train"
    where.mkdir(parents=True)
    told = []
    pictures = dict(zip((".png", "_mask.png"), toy_room(1, (122, 158, 126), (24, 16)), strict=True))
    for i in range(rows):
        for end, picture in pictures.items():
            if i % LINKS:
                os.link(where / f"{i // LINKS * LINKS}{end}", where / f"{i}{end}")
            else:
                picture.save(where / f"{i}{end}")
        row = {"file_name": f"{i}.png", "mask_file_name": f"{i}_mask.png", "reference_color_rgb": [122, i % 256, 126]}
        told.append({**row, "text": "a room with painted walls", "room_id": f"room {i // 5}"})
    (where / "metadata.jsonl").write_text(dump_rows(told), "utf-8")


def know_files(folder: Path, rows: int) -> None:
    """Note what is known of every file; to read a million names of some files one by one would take an hour."""
    files, where = FileIndex(folder / "cache"), folder / "rooms" / "train"
    for end in (".png", "_mask.png"):
        for first in range(0, rows, LINKS):
            source = where / f"{first}{end}"
            files.digest(source)
            for i in range(first + 1, min(first + LINKS, rows)):
                files._add(where / f"{i}{end}", files._find(source))
    files.save()


def begin(folder: Path, parts: dict[str, float]) -> None:
    """Do what a run does before its models encode and learn, and time it."""
    started = time.process_time()

    def lap(name: str) -> None:
        nonlocal started
        parts[name] = round(time.process_time() - started, 3)
        started = time.process_time()

    files = FileIndex(folder / "cache")
    splits = read_splits(folder / "rooms", files)
    lap("rows and headers")
    described = describe_rows(splits, files)
    lap("hashes")
    changed_rows(folder, described)
    save_rows(folder, described)
    lap("what has changed")
    sizes = working_sizes((files.size(sample.image) for sample in splits["train"]), 512, 8)
    views = list_views(splits["train"], files, sizes)
    lap("views")
    cache = ShardCache(folder / "cache" / "shards")
    keys = [content_hash(f"{view.photo_key} {view.mask_key} {i}") for i, view in enumerate(views)]
    cache.get_or_encode("latents", keys, lambda picked: {"x": torch.zeros(len(picked), 1)}, 1024)
    lap("cached rows")
    _same_views([(view.sample.room_id, view.mask_key, view.mirrored) for view in views])
    lap("views alike")


if __name__ == "__main__":
    main()
