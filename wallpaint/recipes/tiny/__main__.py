"""`python -m wallpaint.recipes.tiny --pool DIR --out assets/models/room-tiny`: all stages in order, or one of them.

Every stage keeps its state in the work folder and goes on from there when the command is given again.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from wallpaint.recipes.tiny import assemble, base, clip, dino, sam, vae
from wallpaint.recipes.tiny.begin import begin
from wallpaint.recipes.tiny.data import Pool


@dataclass(frozen=True)
class Stage:
    """One step of the recipe; `train` takes (pool, work folder, minutes)."""

    train: Callable[[Pool, Path, float], object]
    minutes: float


STAGES = {  # in the order in which they run; minutes on one slow CPU core
    "vae": Stage(vae.train_vae, 25),
    "clip": Stage(clip.train_clip, 8),
    "base": Stage(base.train_base, 35),
    "adapter": Stage(base.train_adapter, 18),
    "sam": Stage(sam.train_sam, 12),
    "dino": Stage(dino.train_dino, 3),
}


def main() -> None:
    """Reads the command line and runs the stages."""
    parser = argparse.ArgumentParser(prog="python -m wallpaint.recipes.tiny", description=__doc__)
    parser.add_argument("--pool", type=Path, nargs="+", required=True, help="folders of rooms; the first counts most")
    parser.add_argument("--out", type=Path, required=True, help="the family folder to write")
    parser.add_argument("--work", type=Path, default=Path("runs/tiny"), help="checkpoints, cached latents, the log")
    parser.add_argument("--begin", type=Path, metavar="FAMILY", help="go on from the weights of this family")
    parser.add_argument("--stage", choices=[*STAGES, "export", "figures", "all"], default="all")
    parser.add_argument("--minutes", type=float, help="how long each chosen stage may train (default: its own)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes that read pictures and repaint them")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_float32_matmul_precision("high")  # TF32 on a GPU
    pool = Pool(args.pool, device=args.device, workers=args.workers)
    if args.begin:
        begin(args.begin, args.work)
    names = list(STAGES) if args.stage == "all" else [args.stage]
    for name in names:
        if name in STAGES:
            minutes = STAGES[name].minutes if args.minutes is None else args.minutes
            STAGES[name].train(pool.refresh(), args.work, minutes)
    if args.stage in ("all", "export"):
        assemble.export(args.work, args.out)
    if args.stage in ("all", "figures"):
        assemble.write_figures(Pool(args.pool), args.work, args.out)


if __name__ == "__main__":
    main()
