"""Shards are whole or not there, whatever ends the process that writes them."""

import multiprocessing
import os
import resource
import time

import pytest
import torch
from safetensors import safe_open

from wallpaint.cache import shards
from wallpaint.cache.shards import ShardCache, remove_leftovers
from wallpaint.errors import UserError


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "SHARD", 4)  # forked processes have it too


def fill(folder, rows=64):
    """Write shards of 4 MB, a few rows each."""
    keys = [str(i) for i in range(rows)]
    encode = lambda places: {"x": torch.tensor(places).float()[:, None].expand(-1, 2**18)}  # noqa: E731
    return ShardCache(folder).get_or_encode("kind", keys, encode, 2)["x"]


def test_a_process_killed_at_any_moment_leaves_whole_shards_and_no_trace(tmp_path):
    context = multiprocessing.get_context("fork")
    for moment in (0.02, 0.05, 0.08, 0.12, 0.2):
        process = context.Process(target=fill, args=(tmp_path,))
        process.start()
        time.sleep(moment)
        process.kill()
        process.join()
        for path in tmp_path.glob("*.safetensors"):
            with safe_open(path, "pt") as shard:
                assert shard.get_tensor("x").shape == (4, 2**18)
    remove_leftovers(tmp_path)
    assert list(tmp_path.glob(".*")) == []
    assert fill(tmp_path)[:][:, 0].tolist() == list(range(64))


def test_what_another_process_is_writing_stays(tmp_path):
    node = os.uname().nodename
    names = {f".{node}.{os.getppid()}.tmp": True, f".{node}.4194303.tmp": False, ".elsewhere.1.tmp": True}
    for name in names:
        (tmp_path / name).mkdir()
    remove_leftovers(tmp_path)
    assert {name: (tmp_path / name).exists() for name in names} == names


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"^the cache .*/file/c cannot be written \(Not a directory\): .*cache_dir$"):
        fill(tmp_path / "file" / "c")


def _fill_a_full_disk(folder, words):
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        fill(folder)
    except UserError as error:
        words.put(str(error))


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path):
    context = multiprocessing.get_context("fork")
    words = context.Queue()
    process = context.Process(target=_fill_a_full_disk, args=(tmp_path, words))
    process.start()
    said = words.get(timeout=60)
    process.join()
    assert said.startswith(f"the cache {tmp_path} cannot be written (") and "\n" not in said
    assert list(tmp_path.iterdir()) == []
