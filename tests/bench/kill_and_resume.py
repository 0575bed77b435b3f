"""Kill a training run at random moments, go on with it, and compare its weights with a run never stopped.

    python tests/bench/kill_and_resume.py [--moments 10] [--seed 0] [--out FILE.json]

Every other moment is drawn while a checkpoint is being written; the rest at any time from the start of the
process to the end of the run, imports and caching included. Real processes, SIGKILL, room-tiny. Prints JSON;
exit code 1 if the weights of any run differ by a byte.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

import processes  # noqa: E402

SETTINGS = {
    "method": "lora_ip_color", "resolution": 64, "max_train_steps": 12, "train_batch_size": 2,
    "learning_rate": 1e-3, "lr_scheduler": "cosine", "lora_dropout": 0.2, "use_ema": True, "device": "cpu",
    "color_loss_start_step": 4, "color_loss_crop": 4, "validation_steps": 6, "num_validation_images": 1,
    "checkpointing_steps": 1, "checkpoints_total_limit": 1, "logging_steps": 2, "report_to": "none",
}  # fmt: skip


def finish(config_path: Path, folder: Path, *more: str) -> None:
    """Run to the end."""
    code = processes.start(config_path, folder, *more).wait()
    assert code == 0, f"{folder} ended with {code}, see {folder}.log"


def end_at(config_path: Path, folder: Path, seconds: float | None, step: int, wait: float) -> dict:
    """Start a run and kill it: after so many seconds, or (None) while it writes the checkpoint of a step."""
    process = processes.start(config_path, folder)
    if seconds is None:
        processes.wait_for(lambda: processes.saving(folder, step), process)
        time.sleep(wait)
    else:
        time.sleep(seconds)
    code = processes.kill(process)
    left = sorted(path.name for path in (folder / "checkpoints").glob("step-*"))
    moment = f"while step {step} or later was written" if seconds is None else f"after {seconds:.2f} s"
    return {"moment": moment, "killed": code == -9, "checkpoints": left}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    from wallpaint.config import TrainConfig

    draw, started = random.Random(options.seed), time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        space = Path(place)
        settings = SETTINGS | {"cache_dir": str(space / "cache")}
        config_path = processes.write_config(TrainConfig(**settings), space / "config.yaml")
        finish(config_path, space / "warm")  # fills the cache, as an earlier run would
        begun = time.monotonic()
        finish(config_path, space / "never-stopped")
        whole = time.monotonic() - begun
        wanted, rows = processes.digest(space / "never-stopped"), []
        for number in range(options.moments):
            folder = space / f"run-{number}"
            seconds = None if number % 2 else draw.uniform(0.1, 1.0) * whole
            step, wait = draw.randint(1, 10), draw.uniform(0, 0.03)
            row = end_at(config_path, folder, seconds, step, wait)
            if (folder / "run.json").exists():
                finish(config_path, folder, "--resume")
            else:  # killed before there was a run
                finish(config_path, folder)
            rows.append(row | {"equal": processes.digest(folder) == wanted})
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    equal = sum(row["equal"] for row in rows)
    told = {"runs": len(rows), "equal": equal, "weights": wanted, "seconds_never_stopped": round(whole, 1),
            "seconds": round(time.monotonic() - started), "settings": SETTINGS, "moments": rows}  # fmt: skip
    text = json.dumps(told, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    return 0 if equal == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
