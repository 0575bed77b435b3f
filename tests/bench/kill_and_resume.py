"""Kill training runs at random moments, go on each time, and compare their weights with a run never stopped.

    python tests/bench/kill_and_resume.py [--runs 2] [--moments 5] [--seed 0] [--out FILE.json]

Every run is killed at `moments` moments, one after the other, and then left to its end. Every other moment
lies while a checkpoint is being written, the rest in the first seconds (imports, models, the cache) or a
little after a step. Real processes, SIGKILL, room-tiny. Prints JSON; exit code 1 if the
weights of any run differ by a byte.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

import processes

SETTINGS = {
    "method": "lora_ip_color",
    "resolution": 64,
    "max_train_steps": 20,
    "train_batch_size": 2,
    "learning_rate": 1e-3,
    "lr_scheduler": "cosine",
    "lora_dropout": 0.2,
    "use_ema": True,
    "device": "cpu",
    "color_loss_start_step": 8,
    "color_loss_crop": 4,
    "validation_steps": 10,
    "num_validation_images": 1,
    "checkpointing_steps": 1,
    "checkpoints_total_limit": 1,
    "logging_steps": 2,
    "report_to": "none",
}


def go_on(config_path: Path, folder: Path):
    """Start a run, or go on with it where it was."""
    return processes.start(config_path, folder, *(["--resume"] if (folder / "run.json").exists() else []))


def finish(config_path: Path, folder: Path) -> float:
    """Run to the end; how many seconds it took until a checkpoint was written."""
    begun, process = time.monotonic(), go_on(config_path, folder)
    processes.wait_for(lambda: processes.saving(folder), process, 600)
    first = time.monotonic() - begun
    assert process.wait() == 0, f"{folder} did not come to its end, see {folder}.log"
    return first


def kill_at(config_path: Path, folder: Path, kind: str, step: int, seconds: float) -> dict:
    """Go on, wait for the moment and so many seconds more, and kill."""
    process, checkpoint = go_on(config_path, folder), folder / "checkpoints" / f"step-{step:06d}"
    moments = {
        "in the first seconds": lambda: True,
        f"while step {step} was being saved": lambda: processes.saving(folder, step),
        f"after step {step}": lambda: checkpoint.exists() or processes.saving(folder, step + 1),
    }
    (moment,) = [name for name in moments if name.startswith(kind)]
    processes.wait_for(moments[moment], process, 600)
    time.sleep(seconds)
    code = processes.kill(process)
    left = sorted(path.name for path in (folder / "checkpoints").glob("step-*"))
    return {"moment": moment, "seconds_later": round(seconds, 3), "killed": code == -9, "left": left}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--moments", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    from wallpaint.settings.train_config import TrainConfig

    draw, started, rows = random.Random(options.seed), time.monotonic(), []
    with tempfile.TemporaryDirectory() as place:
        space = Path(place)
        settings = SETTINGS | {"cache_dir": str(space / "cache")}
        config_path = processes.write_config(TrainConfig(**settings), space / "config.yaml")
        first = finish(config_path, space / "never-stopped")
        wanted = processes.digest(space / "never-stopped")
        waits = {"while": (0, 0.03), "after": (0, 0.5), "in": (0, 0.3 * first)}
        for number in range(options.runs):
            folder, moments = space / f"run-{number}", []
            for turn, step in enumerate(sorted(draw.sample(range(1, 19), options.moments))):
                kind = "while" if turn % 2 == 0 else draw.choice(["after", "in"])
                moments.append(kill_at(config_path, folder, kind, step, draw.uniform(*waits[kind])))
                print(json.dumps(moments[-1]), file=sys.stderr, flush=True)
            finish(config_path, folder)
            rows.append({"equal": processes.digest(folder) == wanted, "moments": moments})
            print(json.dumps({"equal": rows[-1]["equal"]}), file=sys.stderr, flush=True)
    kills = sum(moment["killed"] for row in rows for moment in row["moments"])
    told = {
        "runs": rows,
        "kills": kills,
        "equal": all(row["equal"] for row in rows),
        "weights": wanted,
        "seconds": round(time.monotonic() - started),
        "settings": SETTINGS,
    }
    text = json.dumps(told, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    return 0 if told["equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
