"""The benches run to their end: figures in the docs are theirs, and a bench that broke unnoticed gives none."""

import json
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


# Each in a process of its own, forked from one that has read the libraries: that takes ten seconds of a slow core.
RUN = """
import json, os, runpy, sys
import diffusers.models.unets.unet_2d_condition, peft, torch
for place, bench, *arguments in json.loads(sys.argv[1]):
    if (child := os.fork()) == 0:
        os.chdir(place)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY), number)
        sys.argv, sys.path[0] = [bench, *arguments], os.path.dirname(bench)
        runpy.run_path(bench, run_name="__main__")
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # or the next child has it, too
"""
pytestmark = pytest.mark.xdist_group("benches")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """How each bench ended: (exit code, what it printed, what it complained of)."""
    places = {bench: tmp_path_factory.mktemp(bench) for bench in SMALLEST}
    asked = [[str(places[bench]), str(BENCH / bench), *arguments] for bench, arguments in SMALLEST.items()]
    command = [sys.executable, "-c", RUN, json.dumps(asked)]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, timeout=1800)
    codes = map(int, done.stdout.split())
    return {
        bench: (code, (place / "out").read_text(), (place / "err").read_text())
        for (bench, place), code in zip(places.items(), codes, strict=True)
    }


@pytest.mark.parametrize("bench", SMALLEST)
def test_a_bench_runs_to_its_end(bench, ran):
    code, said, complaint = ran[bench]
    assert code == 0 and said.strip(), complaint[-2000:]


def test_no_bench_is_left_out():
    assert {path.name for path in BENCH.glob("bench_*.py")} == SMALLEST.keys() | TOO_LARGE
