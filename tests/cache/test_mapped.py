"""Cached rows are read where they lie: no memory for what no step asks for."""

from pathlib import Path

import pytest
import torch

from wallpaint.cache import shards
from wallpaint.cache.build import _same_views
from wallpaint.cache.shards import ShardCache
from wallpaint.cache.views import list_views
from wallpaint.dataset.files import FileIndex
from wallpaint.dataset.folder import read_samples
from wallpaint.paths import ROOT

MIB = 2**20


def resident():
    """Bytes of this process that stand in memory, mapped files among them."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def never(places):
    raise AssertionError(f"rows {places} are there already")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Ten rows in shards of four, and the tensor that they would be."""
    monkeypatch.setattr(shards, "SHARD", 4)
    whole, keys = torch.randn(10, 3, 2, 2), [f"key {i}" for i in range(10)]
    found = ShardCache(tmp_path).get_or_encode("kind", keys, lambda places: {"x": whole[places]}, 2)["x"]
    return whole, keys, found, tmp_path


def test_rows_of_many_files_are_indexed_as_one_tensor(kept):
    whole, _, found, _ = kept
    rows, parts = torch.tensor([9, 0, 4, 4, 3]), torch.tensor([2, 1, 0, 2, 1])
    assert len(found.shards) == 3 and len(found) == 10 and found.shape == whole.shape
    assert torch.equal(found[rows], whole[rows])
    assert torch.equal(found[rows, parts], whole[rows, parts])
    assert torch.equal(found[7], whole[7]) and torch.equal(found[1:9:3], whole[1:9:3])
    assert torch.equal(found.flatten()[:], whole.flatten(0, 1))
    assert torch.equal(found.append(found)[rows + 10], whole[rows])


def test_a_key_that_comes_twice_is_one_row_and_the_order_is_that_of_the_keys(kept):
    whole, keys, _, folder = kept
    order, cache = [3, 9, 3, 0], ShardCache(folder)
    found = cache.get_or_encode("kind", [keys[i] for i in order], never, 2)["x"]
    assert torch.equal(found[:], whole[order]) and cache.new_rows == 0
    more = ["new", "key 1", "new"]
    found = cache.get_or_encode("kind", more, lambda places: {"x": torch.full((len(places), 3, 2, 2), 7.0)}, 2)["x"]
    assert cache.new_rows == 1 and torch.equal(found[1], whole[1]) and (found[::2] == 7).all()


def test_a_file_deleted_while_it_is_mapped_stays_readable(kept):
    whole, _, found, folder = kept
    for path in folder.iterdir():
        path.unlink()
    assert torch.equal(found[:], whole)


def test_opening_reads_nothing_and_a_row_reads_itself_alone(tmp_path):
    def encode(places):  # of a row 1 MiB
        return {"x": torch.tensor(places, dtype=torch.float32)[:, None, None].expand(-1, 512, 512)}

    keys = [str(i) for i in range(64)]
    ShardCache(tmp_path).get_or_encode("kind", keys, encode, 8)
    before = resident()
    found = ShardCache(tmp_path).get_or_encode("kind", keys, never, 8)["x"]
    assert resident() - before < 4 * MIB
    assert found[torch.tensor([5, 60])].mean((1, 2)).tolist() == [5, 60]
    assert resident() - before < 16 * MIB
    assert sum(int(found[i].max()) for i in range(64)) == 63 * 32
    assert resident() - before > 60 * MIB  # so that is what reading them all would show


def test_masks_tell_the_same_views_apart_as_their_walls_pixels_do(loaded):
    samples = read_samples(ROOT / "assets" / "rooms" / "sample", "train")
    views = list_views(samples, FileIndex(), {(256, 256): (64, 64)}, flip=True)
    walls = [view.read(loaded)[1]["wall"].numpy().tobytes() for view in views]
    rooms = [(view.sample.room_id, view.mirrored) for view in views]
    by_pixels = _same_views(list(zip(rooms, walls, strict=True)))
    by_file = _same_views(list(zip(rooms, [view.mask_key for view in views], strict=True)))
    assert all(torch.equal(by_file[name], by_pixels[name]) for name in by_pixels)
    assert 1 < len(by_pixels["first"].unique()) < len(views)
