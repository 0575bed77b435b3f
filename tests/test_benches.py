"""The benches run to their end: figures in the docs are theirs, and a bench that broke unnoticed gives none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent / "bench"
SMALLEST = {
    "bench_paint.py": ["--megapixels", "0.05", "--steps", "1"],
    "bench_new_paint.py": ["--megapixels", "0.05", "--repeats", "1"],
    "bench_click.py": ["--clicks", "2", "--size", "256"],
    "bench_repaints.py": ["--count", "2"],
    "bench_start.py": ["100"],
    "bench_smooth.py": ["--limit", "1", "--shares", "0.25"],
    "bench_edges.py": [str(BENCH.parents[1] / "assets" / "rooms" / "test"), "--limit", "1"],
    "bench_marking.py": ["--clicks", "1", "--limit", "1"],
    "bench_train.py": ["--steps", "1", "--samples", "4"],
}
TOO_LARGE = {"bench_memory.py", "bench_recolor.py"}  # a GPU, 64 megapixels


@pytest.mark.parametrize("bench", SMALLEST)
def test_a_bench_runs_to_its_end(bench, tmp_path):
    command = [sys.executable, str(BENCH / bench), *SMALLEST[bench]]
    place = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=place, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and done.stdout.strip(), done.stderr[-2000:]


def test_no_bench_is_left_out():
    assert {path.name for path in BENCH.glob("bench_*.py")} == SMALLEST.keys() | TOO_LARGE
