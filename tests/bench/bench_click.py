"""How long a click takes, from the page's request to the masks in its hands; JSON on stdout.

python tests/bench/bench_click.py [--clicks 60] [--size 1024] [--photo FILE]

Starts the studio in a process of its own, opens a photo there and asks over HTTP just as the board's script
does: one to three clicks, at times a box. The embedding, computed when the photo opens, is timed apart.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


class Board:
    """The server functions of a running studio's board."""

    def __init__(self, url: str) -> None:
        """Find the board among the page's components."""
        self.url = url
        with urllib.request.urlopen(f"{url}/config", timeout=60) as answer:
            parts = json.load(answer)["components"]
        self.id = next(part["id"] for part in parts if part["props"].get("elem_id") == "board")

    def call(self, name: str, **asked: object) -> dict:
        """Call a server function; ValueError when it answers with an error."""
        body = {"data": asked, "component_id": self.id, "fn_name": name, "session_hash": "bench"}
        request = urllib.request.Request(
            f"{self.url}/gradio_api/component_server/", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            said = json.load(answer)
        if "error" in said:
            raise ValueError(said["error"])
        return said


def start_studio(workspace: Path) -> tuple[subprocess.Popen, str]:
    """Start the studio on a free port and wait until it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(ROOT / "studio.py"), "--port", str(port), "--workspace", str(workspace)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + 180
    while True:
        try:
            urllib.request.urlopen(url, timeout=10).read()
            return process, url
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit("error: the studio did not start") from None
            time.sleep(0.2)


def measure(board: Board, token: str, size: tuple[int, int], clicks: int, pid: int) -> dict[str, float]:
    """Look once, then ask again and again; milliseconds on the clock, and of the studio's own work."""
    began = time.perf_counter()
    board.call("embed", token=token)
    embedding, times, work, studio = time.perf_counter() - began, [], [], psutil.Process(pid)
    rng = np.random.default_rng(0)
    for number in range(clicks + 5):
        count = 1 + number % 3
        points = [[float(v) for v in rng.uniform(0.05, 0.95, 2) * size] + [int(i == 0)] for i in range(count)]
        box = [0, 0, size[0] / 2, size[1] / 2] if number % 5 == 4 else None
        began, worked = time.perf_counter(), sum(studio.cpu_times()[:2])
        board.call("predict", token=token, points=points, box=box)
        times.append(time.perf_counter() - began)
        work.append(sum(studio.cpu_times()[:2]) - worked)
    spent, worked = 1000 * np.array(times[5:]), 1000 * np.array(work[5:])  # the first few warm caches up
    return {
        "clicks": clicks,
        "view": list(size),
        "embedding_ms": round(1000 * embedding, 1),
        "p50_ms": round(float(np.percentile(spent, 50)), 1),
        "cpu_ms_per_click": round(float(worked.mean()), 1),
        "cpu_p95_ms": round(float(np.percentile(worked, 95)), 1),  # what p95_ms would be with nobody else at work
        "p95_ms": round(float(np.percentile(spent, 95)), 1),
        "max_ms": round(float(spent.max()), 1),
    }


def main() -> None:
    """Run it and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clicks", type=int, default=60)
    parser.add_argument("--size", type=int, default=1024, help="longest side of the photo")
    parser.add_argument("--photo", type=Path, default=ROOT / "assets" / "rooms" / "test" / "000002-0.jpg")
    options = parser.parse_args()
    from wallpaint.ui.board import pictures, segmenter

    with tempfile.TemporaryDirectory() as folder:
        photo = Image.open(options.photo).convert("RGB")
        scale = options.size / max(photo.size)
        path = Path(folder) / "photo.png"
        photo.resize((round(photo.width * scale), round(photo.height * scale))).save(path)
        process, url = start_studio(Path(folder) / "w")
        try:
            picture = pictures.open_picture(path, Path(folder) / "w")
            size = segmenter.load_view(picture["folder"]).size
            figures = measure(Board(url), Path(picture["folder"]).name, size, options.clicks, process.pid)
        finally:
            process.terminate()
            process.wait(30)
    print(json.dumps({**figures, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}))


if __name__ == "__main__":
    main()
