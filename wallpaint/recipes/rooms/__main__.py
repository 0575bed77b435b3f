"""Render rooms: ``python -m wallpaint.recipes.rooms --out DIR --rooms 40 --truths 5 --size 256``."""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from wallpaint.dataset.metadata import write_table
from wallpaint.disk import atomic_path

from .scene import KINDS


def parse(argv=None) -> argparse.Namespace:
    """Command-line arguments."""
    p = argparse.ArgumentParser("python -m wallpaint.recipes.rooms", description=__doc__)
    p.add_argument("--out", type=Path, help="folder to fill; what it holds already is kept")
    p.add_argument("--verify", action="store_true", help="compare repaints with direct renders instead")
    p.add_argument("--develop", type=Path, metavar="LAYERS", help="photograph a folder of layers instead")
    p.add_argument("--cameras", type=int, default=1, help="photographs of a view, each by a camera of its own")
    p.add_argument("--maker", choices=("any", "unseen"), default="any", help="unseen: for test rooms alone")
    p.add_argument("--rooms", type=int, default=4)
    p.add_argument("--views", type=int, default=1, help="cameras a room")
    p.add_argument("--truths", type=int, default=5, help="paints a view")
    p.add_argument("--size", type=int, default=128)
    p.add_argument("--samples", type=int, default=16, help="paths a pixel")
    p.add_argument("--seed", type=int, default=1, help="seed of the first room; the next rooms count up")
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="of the renderer")
    p.add_argument("--layout", choices=("truths", "dataset", "layers"), default="truths")
    p.add_argument("--validation", type=int, default=0, help="rooms of the validation split (dataset layout)")
    p.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="taken in turn")
    p.add_argument("--format", choices=("png", "jpg"), default="png", help="of photos; masks are always PNG")
    args = p.parse_args(argv)
    if not args.verify and args.out is None:
        p.error("--out DIR is needed")
    return args


def job(task: tuple) -> list[dict]:
    """Render one room; its rows are kept in ``.rows/SEED.json``, which also marks it as done."""
    out, seed, kind, args = task
    from .shoot import shoot_room
    from .tracer import load_mitsuba

    done = out / ".rows" / f"{seed}.json"
    if done.exists():
        return json.loads(done.read_text())
    load_mitsuba(args.device)
    rows = shoot_room(out, seed, kind, args)
    with atomic_path(done) as temporary:
        temporary.write_text(json.dumps(rows))
    return rows


WRITE_SECONDS = 10  # between two rewrites of metadata.jsonl


def write_metadata(out: Path) -> int:
    """Rewrite metadata.jsonl from the finished rooms; the number of rows."""
    files = sorted((out / ".rows").glob("[!.]*.json"), key=lambda p: int(p.stem))
    rows = [row for f in files for row in json.loads(f.read_text())]
    write_table(out, rows)
    return len(rows)


def develop(args) -> None:
    """Photograph layers; the last `--validation` rooms are the validation split of a dataset."""
    from .develop import develop_folder

    for folder, rows in develop_folder(args.develop, args.out, args).items():
        write_table(folder, rows)
        print(f"{len(rows)} rows in {folder}", flush=True)


def main(argv=None) -> None:
    """Render what is missing, a process a worker."""
    args = parse(argv)
    if args.verify:
        from .verify import report as verify

        verify(args.seed, args.rooms)
        return
    if args.develop:
        develop(args)
        return
    tasks = []
    for i in range(args.rooms):
        split = "validation" if i >= args.rooms - args.validation else "train"
        out = args.out / split if args.layout == "dataset" else args.out
        (out / ".rows").mkdir(parents=True, exist_ok=True)
        tasks.append((out, args.seed + i, args.kinds[i % len(args.kinds)], args))
    start = time.time()
    written: dict[Path, float] = {}

    def report(out: Path, index: int) -> None:
        last = index + 1 == len(tasks)
        if time.time() - written.get(out, 0) < WRITE_SECONDS and not last:
            return
        for folder in {task[0] for task in tasks} if last else {out}:
            count, written[folder] = write_metadata(folder), time.time()
            seconds = time.time() - start
            print(f"{index + 1}/{len(tasks)} rooms, {count} rows in {folder}, {seconds:.0f} s", flush=True)

    if args.workers == 1:
        for index, task in enumerate(tasks):
            job(task)
            report(task[0], index)
        return
    with ProcessPoolExecutor(args.workers) as pool:
        futures = {pool.submit(job, task): task for task in tasks}
        for index, future in enumerate(as_completed(futures)):
            future.result()
            report(futures[future][0], index)


if __name__ == "__main__":
    main()
