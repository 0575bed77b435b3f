"""Real training processes, for tests that end them: start, wait for a moment, kill, go on."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from safetensors.torch import load_file

STUDIO = Path(__file__).resolve().parent.parent / "studio.py"


def write_config(config, path):
    """Write a TrainConfig as YAML and return the path."""
    from wallpaint.settings.train_config import to_yaml

    path.write_text(to_yaml(config))
    return path


def start(config_path, folder, *more, **environment):
    """Start `studio.py --train` as a process of its own; its output goes to <folder>.log."""
    return _start([], config_path, folder, more, environment)


def start_two(config_path, folder, *more):
    """Start it as two processes by accelerate's launcher, which is what comes back."""
    launch = "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no"
    launch = f"{launch} --dynamo_backend no --main_process_port 0".split()
    return _start(launch, config_path, folder, more, {"ACCELERATE_USE_CPU": "true"})


def _start(launch, config_path, folder, more, environment):
    arguments = [str(STUDIO), "--train", str(config_path), "--output_dir", str(folder), *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **environment}
    with open(f"{folder}.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, *launch, *arguments], stdout=log, stderr=subprocess.STDOUT, env=environment
        )


def wait_for(look, process=None, seconds=300):
    """Wait until `look()` gives something true, and return it; fails if the process ends before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := look():
            return value
        if process and process.poll() is not None:
            raise AssertionError(f"it ended with {process.returncode} before that")
        time.sleep(0.001)
    raise AssertionError("it did not happen in time")


def saving(folder, step=0):
    """Whether a checkpoint of this step, or of a later one, is being written just now."""
    return any(path.stem >= f"step-{step:06d}" for path in (folder / "checkpoints").glob("*.tmp"))


def kill(process):
    """End it as the power would: nothing in it runs any more."""
    process.send_signal(signal.SIGKILL)
    return process.wait()


def digest(folder):
    """The hash of all weights of a run: names, shapes and bytes."""
    sha = hashlib.sha256()
    for path in sorted((folder / "weights").rglob("*.safetensors")):
        for name, tensor in sorted(load_file(path).items()):
            sha.update(f"{path.name} {name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            sha.update(tensor.contiguous().numpy().tobytes())
    return sha.hexdigest()


def peak_bytes():
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def said(folder):
    """What run.json says."""
    try:
        return json.loads((folder / "run.json").read_text())
    except (OSError, ValueError):
        return {}
