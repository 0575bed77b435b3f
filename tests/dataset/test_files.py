"""A picture file is read again only where its length or its times have changed."""

import hashlib
import os
from pathlib import Path

import pytest
from PIL import Image

from wallpaint.dataset import files as module
from wallpaint.dataset.files import FileIndex
from wallpaint.dataset.folder import add_sample, read_splits
from wallpaint.errors import UserError


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "YOUNG_NS", 0)
    paths = [tmp_path / "data" / f"{n}.png" for n in range(3)]
    paths[0].parent.mkdir()
    for n, path in enumerate(paths):
        Image.new("RGB", (8 + n, 5), (n, 0, 0)).save(path)
    return paths


def filled(folder, photos):
    index = FileIndex(folder)
    index.hash_all(photos, 2)
    return index


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_second_process_reads_no_picture(photos, tmp_path, monkeypatch):
    filled(tmp_path / "cache", photos)
    monkeypatch.setattr(module, "read_size", None)
    expected = [sha(path) for path in photos]
    monkeypatch.setattr(Path, "read_bytes", None)
    again = filled(tmp_path / "cache", photos)
    assert [again.digest(path) for path in photos] == expected
    assert [again.size(path) for path in photos] == [(8, 5), (9, 5), (10, 5)]


def test_a_change_is_seen_also_where_length_and_time_are_set_as_they_were(photos, tmp_path):
    filled(tmp_path / "cache", photos)
    stat = photos[0].stat()
    content = bytearray(photos[0].read_bytes())
    content[-1] ^= 1
    photos[0].write_bytes(content)
    os.utime(photos[0], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    photos[1].unlink()
    again = FileIndex(tmp_path / "cache")
    assert again.digest(photos[0]) == sha(photos[0])
    with pytest.raises(UserError, match="1.png"):
        again.digest(photos[1])


def test_what_was_written_a_moment_ago_is_not_trusted(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "YOUNG_NS", 10**12)
    filled(tmp_path / "cache", photos)
    monkeypatch.setattr(module, "read_size", lambda path: (1, 1))
    assert FileIndex(tmp_path / "cache").size(photos[0]) == (1, 1)


@pytest.mark.parametrize("content", [b"", b"no database" * 100])
def test_a_damaged_index_or_none_is_done_without(photos, tmp_path, content):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "files.sqlite").write_bytes(content)
    assert filled(tmp_path / "cache", photos).digest(photos[2]) == sha(photos[2])
    (tmp_path / "file").touch()
    assert filled(tmp_path / "file" / "below", photos).digest(photos[2]) == sha(photos[2])
    assert filled(None, photos).digest(photos[2]) == sha(photos[2])


def test_two_processes_share_an_index(photos, tmp_path, monkeypatch):
    first, second = FileIndex(tmp_path / "cache"), FileIndex(tmp_path / "cache")
    first.hash_all(photos[:1], 1)
    second.hash_all(photos[1:], 1)
    monkeypatch.setattr(Path, "read_bytes", None)
    third = FileIndex(tmp_path / "cache")
    assert all(third.digest(path) for path in photos)


def test_the_system_is_asked_once_about_a_file_that_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "YOUNG_NS", 0)
    rooms, cache = tmp_path / "rooms", tmp_path / "cache"
    sample = add_sample(rooms, "train", Image.new("RGB", (16, 16)), Image.new("L", (16, 16), 255), (1, 2, 3), "", "a")
    pictures = [sample.image, sample.mask]
    filled(cache, pictures)
    asked = []
    for name in ("stat", "lstat"):
        usual = getattr(os, name)
        note = lambda path, usual=usual, **how: asked.append(str(path)) or usual(path, **how)  # noqa: E731
        monkeypatch.setattr(os, name, note)
    files = FileIndex(cache)
    read_splits(rooms, files)
    files.hash_all(pictures, 1)
    assert sorted(path for path in asked if path.endswith(".png")) == sorted(map(str, pictures))
